//! The catalogue is sound, and every signature finds its own log and keeps out of others'.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    /// Signature that must win; absent: none may match that says why.
    #[serde(default)]
    rule: Option<String>,
    /// Fragments the cause must contain.
    #[serde(default)]
    says: Vec<String>,
    /// The log, or the name of a recorded one.
    #[serde(default)]
    log: String,
    #[serde(default)]
    recorded: Option<String>,
}

fn examples() -> Vec<Example> {
    let files = [
        include_str!("examples/build.yaml"),
        include_str!("examples/dependencies.yaml"),
        include_str!("examples/source.yaml"),
        include_str!("examples/network.yaml"),
        include_str!("examples/cluster.yaml"),
        include_str!("examples/negative.yaml"),
        include_str!("examples/recorded.yaml"),
    ];
    let mut all: Vec<Example> = files
        .iter()
        .flat_map(|f| tenant_kit::yaml::from_str::<Vec<Example>>(f).expect("examples parse"))
        .collect();
    for example in &mut all {
        if let Some(name) = &example.recorded {
            example.log = recorded(name);
        }
    }
    all
}

/// The logs of real tools, made to fail: `tests/data/agent/record.sh`.
fn recordings() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/agent/logs")
}

fn recorded(name: &str) -> String {
    let path = recordings().join(format!("{name}.log"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn hits(log: &str) -> Vec<Hit> {
    let mut matcher = Matcher::default();
    for (i, line) in log.lines().enumerate() {
        matcher.line(i as u64 + 1, line);
    }
    matcher.finish()
}

#[test]
fn there_are_at_least_sixty_signatures_with_unique_names_and_sound_patterns() {
    let all = catalogue().signatures();
    assert!(all.len() >= 60, "{}", all.len());
    let names: BTreeSet<_> = all.iter().map(|s| &s.id).collect();
    assert_eq!(names.len(), all.len(), "duplicate ids");
    for signature in all {
        signature.patterns();
        assert!(signature.weight <= 100, "{}", signature.id);
    }
}

#[test]
fn every_template_compiles_and_uses_only_variables_its_patterns_bind() {
    for signature in catalogue().signatures() {
        let patterns = signature.patterns();
        let groups = [Some(&patterns.line), patterns.before.as_ref(), patterns.after.as_ref()];
        let mut bound: BTreeMap<String, String> = groups
            .into_iter()
            .flatten()
            .flat_map(|p| p.capture_names().flatten())
            .map(|n| (n.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned(), "VALUE".to_owned()))
            .collect();
        bound.insert("instruction".into(), "VALUE".into());
        bound.insert("suggestion".into(), "VALUE".into());
        for template in signature.templates() {
            for used in template.split("{{").skip(1).filter_map(|t| t.split("}}").next()) {
                let name = used.rsplit(' ').next().unwrap_or(used);
                let control = used.starts_with('/') || used == "else";
                assert!(
                    control || bound.contains_key(name),
                    "{}: {{{{{used}}}}} is never bound",
                    signature.id
                );
            }
        }
        assert!(!signature.cause(&bound).contains("{{"), "{}: template does not compile", signature.id);
    }
}

#[test]
fn every_signature_wins_on_its_own_example_and_says_what_matters() {
    let mut wrong = Vec::new();
    let mut covered = BTreeSet::new();
    for example in examples() {
        let found = hits(&example.log);
        let best = best(&found).into_iter().next();
        let Some(rule) = &example.rule else {
            if let Some(hit) = best.filter(|h| h.record().is_some_and(|r| !r.generic)) {
                wrong.push(format!("nothing should match, {} does: {}", hit.signature, hit.text));
            }
            continue;
        };
        covered.insert(rule.clone());
        let Some(hit) = best.filter(|h| h.signature == *rule) else {
            let names: Vec<_> = found.iter().map(|h| &h.signature).collect();
            wrong.push(format!("{rule}: found {names:?} in\n{}", example.log));
            continue;
        };
        let cause = hit.record().expect("built in").cause(&hit.variables);
        for fragment in &example.says {
            if !cause.contains(fragment) {
                wrong.push(format!("{rule}: {fragment:?} missing in cause {cause:?}"));
            }
        }
    }
    let missing: Vec<_> =
        catalogue().signatures().iter().map(|s| &s.id).filter(|id| !covered.contains(*id)).collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n---\n"));
    assert!(missing.is_empty(), "signatures without an example: {missing:?}");
}

#[test]
fn every_recorded_log_is_an_example() {
    let examples = examples();
    let named: BTreeSet<_> = examples.iter().filter_map(|e| e.recorded.as_deref()).collect();
    let there: Vec<_> = std::fs::read_dir(recordings())
        .expect("the recordings are in this checkout")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".log").map(str::to_owned))
        .collect();
    assert!(there.len() > 100, "{} recordings", there.len());
    let missing: Vec<_> = there.iter().filter(|name| !named.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "recordings nothing is expected of: {missing:?}");
}

#[test]
fn times_that_a_collector_put_before_the_lines_do_not_hide_the_cause() {
    for example in examples().iter().filter(|e| e.recorded.is_some()) {
        let stamped: Vec<_> =
            example.log.lines().map(|line| format!("2026-11-21T07:41:00.123456789Z {line}")).collect();
        let found = hits(&stamped.join("\n"));
        let best = best(&found).first().map(|h| h.signature.clone());
        assert_eq!(best, example.rule, "{:?} with times", example.recorded);
    }
}

#[test]
fn the_first_error_of_a_cascade_is_reported_with_the_count() {
    let lines: Vec<_> = (1..=200).map(|i| format!("./main.go:{i}:5: undefined: name{i}")).collect();
    let found = hits(&lines.join("\n"));
    let hit = best(&found)[0];
    assert_eq!((hit.line, hit.count, hit.last), (1, 200, 200));
}

#[test]
fn a_warning_at_the_tail_does_not_win_over_the_error() {
    let log = "ERROR: No matching distribution found for fastapii\n\
               WARNING: Retrying (Retry(total=4)) after connection broken by 'ReadTimeoutError'\n\
               warning: certificate verify failed, ignoring";
    assert_eq!(best(&hits(log))[0].signature, "pip-no-such-package");
}
