//! The signature records and their compiled form.

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use handlebars::{Handlebars, handlebars_helper, no_escape};
use regex::Regex;
use serde::{Deserialize, Serialize};

/// What kind of failure; also the issue label `cause/<category>`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each name is the field's own word for the category")]
pub enum Category {
    BuildContext,
    BuildFile,
    BuildStep,
    Cancelled,
    Command,
    Compile,
    Configuration,
    Dependency,
    DiskSpace,
    Git,
    ImagePlatform,
    ImagePull,
    ImagePush,
    Lint,
    Memory,
    Network,
    Permission,
    PipelineDefinition,
    Quota,
    RegistryAuth,
    Rollout,
    Runtime,
    Scheduling,
    Storage,
    Test,
    Timeout,
    Tls,
    Unknown,
}

impl Category {
    /// The spelling used in records, labels and JSON.
    pub fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// Whether running the same revision again may succeed.
    pub fn transient(self) -> bool {
        matches!(self, Self::Network | Self::Scheduling | Self::Cancelled)
    }
}

/// One known failure.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// Unique name, kebab case.
    pub id: String,
    /// The kind of failure.
    pub category: Category,
    /// How specific the signature is, 0 to 100: of several that match, the highest wins.
    pub weight: u8,
    /// A line that says only *that* something failed; never wins over a signature that says why.
    #[serde(default)]
    pub generic: bool,
    /// A consequence seen from outside (`CrashLoopBackOff`): gives way to what names the reason.
    #[serde(default)]
    pub symptom: bool,
    /// A limit that ran out around the failure (a time-out): gives way to what objects and events say kept the
    /// run from its work.
    #[serde(default)]
    pub outer: bool,
    /// Lower-case literals, one of which every matching line contains.
    needles: Vec<String>,
    /// The line. Named groups become template variables; digits at the end of a name are dropped, so that
    /// `package` and `package2` in two branches of an alternation are one variable.
    pattern: String,
    /// Searched upwards through the lines before, for more variables.
    #[serde(default)]
    before: Option<String>,
    /// Searched through the lines after, for more variables.
    #[serde(default)]
    after: Option<String>,
    /// Handlebars template of the cause; may use the groups, `instruction` and `suggestion`.
    cause: String,
    /// Templates of what to do, most promising first.
    fixes: Vec<String>,
    #[serde(skip)]
    compiled: OnceLock<Patterns>,
}

/// Compiled on the first line that carries a needle.
#[derive(Debug)]
pub(super) struct Patterns {
    pub(super) line: Regex,
    pub(super) before: Option<Regex>,
    pub(super) after: Option<Regex>,
}

impl Signature {
    pub(super) fn patterns(&self) -> &Patterns {
        let compile = |p: &str| Regex::new(p).expect("a test compiles every pattern of the catalogue");
        self.compiled.get_or_init(|| Patterns {
            line: compile(&self.pattern),
            before: self.before.as_deref().map(compile),
            after: self.after.as_deref().map(compile),
        })
    }

    /// The cause in one sentence fragment, with the variables filled in.
    pub fn cause(&self, variables: &BTreeMap<String, String>) -> String {
        fill(&self.cause, variables)
    }

    /// The proposals, with the variables filled in.
    pub fn fixes(&self, variables: &BTreeMap<String, String>) -> Vec<String> {
        self.fixes.iter().map(|f| fill(f, variables)).collect()
    }

    #[cfg(test)]
    pub(super) fn templates(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.cause.as_str()).chain(self.fixes.iter().map(String::as_str))
    }
}

handlebars_helper!(base: |path: str| path.rsplit('/').find(|p| !p.is_empty()).unwrap_or(path).to_owned());
handlebars_helper!(clip: |text: str| crate::lines::clip(text, 160));

static TEMPLATES: LazyLock<Handlebars<'static>> = LazyLock::new(|| {
    let mut templates = Handlebars::new();
    templates.register_escape_fn(no_escape);
    templates.register_helper("base", Box::new(base));
    templates.register_helper("clip", Box::new(clip));
    templates
});

fn fill(template: &str, variables: &BTreeMap<String, String>) -> String {
    let text = TEMPLATES.render_template(template, variables).unwrap_or_else(|_| template.to_owned());
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ")
}

/// All signatures with the automaton that finds their needles.
#[derive(Debug)]
pub struct Catalogue {
    signatures: Vec<Signature>,
    needles: AhoCorasick,
    owners: Vec<usize>,
}

static BUILT_IN: LazyLock<Catalogue> = LazyLock::new(|| {
    let files = [
        include_str!("signatures/build.yaml"),
        include_str!("signatures/dependencies.yaml"),
        include_str!("signatures/source.yaml"),
        include_str!("signatures/registry.yaml"),
        include_str!("signatures/network.yaml"),
        include_str!("signatures/cluster.yaml"),
        include_str!("signatures/pipeline.yaml"),
    ];
    let read =
        |text| -> Vec<Signature> { tenant_kit::yaml::from_str(text).expect("a test reads every record") };
    Catalogue::new(files.into_iter().flat_map(read).collect())
});

/// The signatures compiled into the program.
pub fn catalogue() -> &'static Catalogue {
    &BUILT_IN
}

impl Catalogue {
    fn new(signatures: Vec<Signature>) -> Self {
        let pairs = signatures.iter().enumerate().flat_map(|(i, s)| s.needles.iter().map(move |n| (n, i)));
        let (needles, owners): (Vec<_>, Vec<_>) = pairs.unzip();
        let needles = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(needles)
            .expect("the catalogue is small and constant");
        Self { signatures, needles, owners }
    }

    /// All signatures, in the order of the files.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// A signature by name.
    pub fn get(&self, id: &str) -> Option<&Signature> {
        self.signatures.iter().find(|s| s.id == id)
    }

    /// Indices of the signatures one of whose needles is in the line, each once, in order.
    pub(super) fn candidates(&self, line: &str, found: &mut Vec<usize>) {
        found.clear();
        for hit in self.needles.find_overlapping_iter(line) {
            let owner = self.owners[hit.pattern().as_usize()];
            if !found.contains(&owner) {
                found.push(owner);
            }
        }
        found.sort_unstable();
    }
}
