//! The identity of a failure: equal for the same cause, different for another, never from model text.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use sha2::{Digest, Sha256};

/// What changes from run to run, in the order of replacement.
static VOLATILE: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    let table = [
        (r"<secret:[\w-]+:[0-9a-f]{4}>", "<secret>"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?", "<time>"),
        (r"\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b", "<time>"),
        (r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b", "<id>"),
        (r"\bsha256:[0-9a-f]{12,64}\b", "<hash>"),
        (r"\b0x[0-9a-fA-F]+\b", "<hex>"),
        (r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b", "<ip>"),
        (r"\b\d+(?:\.\d+)?(?:ms|µs|us|ns|s|m|h|min|sec(?:onds?)?)\b", "<span>"),
        (r"(\.\w{1,6}):\d+(?::\d+)?\b", "$1:<n>"),
        (r"\b([Ll]ine) \d+\b", "$1 <n>"),
        (r"/tmp/[\w.\-/]+", "<temporary>"),
    ];
    table.into_iter().map(|(p, r)| (Regex::new(p).expect("constant pattern"), r)).collect()
});

/// Words made of name characters; looked at one by one for hashes and generated suffixes. A version behind a name
/// (`base:3.99`, `requests==2.99.1`, `left-pad@9.0.0`) belongs to the name.
static WORD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?:==|[:@])v?\d+(?:\.\d+)+|[A-Za-z0-9-]+").expect("constant pattern"));

/// A line without what changes from run to run; names of packages, files, tests and images stay.
pub fn template(line: &str) -> String {
    let mut text = line.trim().to_owned();
    for (pattern, replacement) in VOLATILE.iter() {
        if let std::borrow::Cow::Owned(changed) = pattern.replace_all(&text, *replacement) {
            text = changed;
        }
    }
    let text = WORD.replace_all(&text, |word: &Captures<'_>| {
        if word[0].starts_with(['=', ':', '@']) {
            return word[0].to_owned();
        }
        word[0].split('-').enumerate().map(|(i, part)| stable(i, part)).collect::<Vec<_>>().join("-")
    });
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// One dash-separated part of a word.
fn stable(position: usize, part: &str) -> &str {
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    let letters = part.bytes().filter(u8::is_ascii_alphabetic).count();
    let hex = part.bytes().all(|b| b.is_ascii_hexdigit());
    if letters == 0 && digits > 0 {
        return "<n>";
    }
    if hex && digits > 0 && part.len() >= 7 {
        return "<hash>";
    }
    // Attempts of one TaskRun: `…-pod`, `…-pod-retry1`, `…-pod-retry2`.
    if part.strip_prefix("retry").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit())) {
        return "<id>";
    }
    // Suffixes from `generateName` are five characters without vowels (k8s.io/apimachinery
    // util/rand), user interfaces add six of any kind; both mixed with digits, or without vowels.
    let known =
        ["amd64", "arm64", "x8664", "utf8", "sha256", "sha512", "el8", "el9", "py3", "cp311", "cp312"];
    let generated = position > 0
        && (5..=10).contains(&part.len())
        && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && !known.contains(&part)
        && (digits > 0 && !part.starts_with('v') || !part.bytes().any(|b| b"aeiouy".contains(&b)));
    if generated { "<id>" } else { part }
}

/// What a fingerprint is made of.
#[derive(Clone, Debug, Default)]
pub struct Identity<'a> {
    /// `owner/repository` the issue goes to.
    pub repository: &'a str,
    /// Pipeline name, without run suffix.
    pub pipeline: &'a str,
    /// Pipeline task.
    pub task: &'a str,
    /// Step within the task.
    pub step: &'a str,
    /// Category of the failure.
    pub category: &'a str,
    /// The lines that show the cause.
    pub lines: Vec<&'a str>,
}

impl Identity<'_> {
    /// Sixteen hex digits.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for part in [self.repository, self.pipeline, self.task, self.step, self.category] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        for line in &self.lines {
            hash.update(template(line).as_bytes());
            hash.update([0]);
        }
        hex::encode(&hash.finalize()[..8])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) {
        assert_eq!(template(a), template(b));
    }

    #[test]
    fn what_changes_from_run_to_run_does_not_count() {
        same(
            "2026-11-21T07:40:00.123Z pod build-agent-mtkhb0-build-pod failed after 12.3s at 10.0.0.7:8080",
            "2026-11-22 09:00:01 pod build-agent-x7k2pq-build-pod failed after 9s at 10.1.2.3:8080",
        );
        same(
            "commit 4b825dc642cb6eb9a060e54bf8d69288fbee4904 at app/main.py:12",
            "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b at app/main.py:44",
        );
        same("deploy agent-7d9c6b5f4-x2z8k is gone", "deploy agent-6c8bf9dd7-q9w4v is gone");
        same("run-pod-retry1 died", "run-pod-retry2 died");
    }

    #[test]
    fn names_of_packages_files_tests_and_images_count() {
        let lines = [
            "No matching distribution found for fastapii==0.1",
            "No matching distribution found for flaskk==0.1",
            "FAILED tests/test_a.py::test_one",
            "FAILED tests/test_a.py::test_two",
            "reading manifest 3.99 in docker.io/library/python: manifest unknown",
            "reading manifest 3.99 in docker.io/library/golang: manifest unknown",
            "initializing source docker://registry.example:5000/example/base:3.99: manifest unknown",
            "initializing source docker://registry.example:5000/example/base:3.98: manifest unknown",
            "No matching distribution found for requests==2.99.1",
            "No matching distribution found for requests==2.99.2",
        ];
        let distinct: std::collections::BTreeSet<_> = lines.iter().map(|l| template(l)).collect();
        assert_eq!(distinct.len(), lines.len(), "{distinct:#?}");
    }

    #[test]
    fn every_part_of_the_identity_matters() {
        let base = Identity {
            repository: "a/b",
            pipeline: "p",
            task: "t",
            step: "s",
            category: "c",
            lines: vec!["x"],
        };
        let others = [
            Identity { repository: "a/c", ..base.clone() },
            Identity { pipeline: "q", ..base.clone() },
            Identity { task: "u", ..base.clone() },
            Identity { step: "r", ..base.clone() },
            Identity { category: "d", ..base.clone() },
            Identity { lines: vec!["y"], ..base.clone() },
        ];
        for other in others {
            assert_ne!(base.fingerprint(), other.fingerprint(), "{other:?}");
        }
        assert_eq!(base.fingerprint().len(), 16);
    }
}
