//! What we know about a failed run, redacted and reduced. Nothing here was written by a model.

mod arrival;
mod lookups;
mod objects;
pub mod plan;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::excerpt::{Excerpt, NumberedLine, Reducer};
use crate::injection::Watch;
use crate::lines::LineReader;
use crate::redact::Redactor;
use crate::rules::{Hit, Matcher};

/// Where a piece of evidence comes from.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Source {
    /// The log of a container.
    Log {
        /// Pod name; the file name for `agent diagnose`.
        pod: String,
        /// Container, empty if unknown.
        container: String,
        /// Attempt of the `TaskRun`, from 1.
        attempt: u32,
        /// Log of the container before its last restart.
        previous: bool,
    },
    /// Events of the namespace that concern the run.
    Events {
        /// Namespace.
        namespace: String,
    },
    /// The state of an object, as lines.
    Status {
        /// Kind of the object.
        object: String,
        /// Its name.
        name: String,
    },
    /// A file of the repository.
    File {
        /// Path in the repository.
        path: String,
    },
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Log { pod, container, attempt, previous } => {
                write!(f, "log {pod}")?;
                if !container.is_empty() {
                    write!(f, "/{container}")?;
                }
                if *attempt > 1 {
                    write!(f, " (attempt {attempt})")?;
                }
                if *previous { write!(f, " (before the last restart)") } else { Ok(()) }
            }
            Self::Events { namespace } => write!(f, "events of {namespace}"),
            Self::Status { object, name } => write!(f, "{object} {name}"),
            Self::File { path } => write!(f, "file {path}"),
        }
    }
}

/// One piece of evidence.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Item {
    /// `E1`, `E2` and so on, in the order of collection.
    pub id: String,
    /// Where it comes from.
    pub source: Source,
    /// Its lines, reduced.
    pub excerpt: Excerpt,
    /// What the rules found in all of its lines, also those reduced away.
    pub hits: Vec<Hit>,
    /// Numbers of lines that read like instructions to a model, ascending: no conclusion rests on them.
    pub instructions: Vec<u64>,
}

impl Item {
    /// Whether a line reads like an instruction to a model, or is a part of one.
    pub fn instructs(&self, line: u64) -> bool {
        self.instructions.binary_search(&line).is_ok()
    }

    /// The lines a conclusion may rest on.
    pub fn sober(&self) -> impl DoubleEndedIterator<Item = &NumberedLine> {
        self.excerpt.lines.iter().filter(|l| !self.instructs(l.number))
    }
}

/// Facts about the run; a field is `None` when it could not be learnt.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the names are Tekton's own")]
pub struct RunFacts {
    pub namespace: Option<String>,
    pub pod: Option<String>,
    pub container: Option<String>,
    pub pipeline: Option<String>,
    pub pipeline_run: Option<String>,
    pub task: Option<String>,
    pub task_run: Option<String>,
    pub step: Option<String>,
    pub exit_code: Option<i64>,
    pub reason: Option<String>,
    pub message: Option<String>,
    pub attempts: Option<u32>,
    pub started: Option<String>,
    pub finished: Option<String>,
    pub node: Option<String>,
    pub image: Option<String>,
    pub service_account: Option<String>,
    pub commit: Option<String>,
    pub git_url: Option<String>,
    pub git_revision: Option<String>,
    pub run_url: Option<String>,
    pub params: BTreeMap<String, String>,
}

/// All evidence of one report.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Evidence {
    /// What the run is.
    pub run: RunFacts,
    /// Pieces in order of collection.
    pub items: Vec<Item>,
    /// What was looked for and not available, one sentence each.
    pub missing: Vec<String>,
    /// What the evidence shows beside the rules, one sentence each (attempts compared, mismatches).
    pub notes: Vec<String>,
    /// Removed secrets by kind.
    pub redactions: BTreeMap<String, u64>,
}

impl Evidence {
    /// Add a log of raw bytes.
    pub fn add_log(&mut self, source: Source, bytes: &[u8], redactor: &mut Redactor) -> &Item {
        let mut intake = Intake::new(redactor);
        intake.push(bytes);
        let item = intake.finish(self.next_id(), source);
        self.count(redactor);
        self.items.push(item);
        &self.items[self.items.len() - 1]
    }

    /// Add an item that was read in a stream of its own ([`Intake`]).
    pub fn add(&mut self, item: Item, redactor: &Redactor) {
        self.count(redactor);
        self.items.push(item);
    }

    /// The id the next item gets.
    pub fn next_id(&self) -> String {
        format!("E{}", self.items.len() + 1)
    }

    /// An item by id.
    pub fn item(&self, id: &str) -> Option<&Item> {
        self.items.iter().find(|i| i.id == id)
    }

    /// Where a text stands, word for word: item and line number. Blanks at the ends do not count.
    pub fn locate(&self, quote: &str) -> Option<(&Item, u64)> {
        let quote = quote.trim();
        if quote.len() < 4 {
            return None;
        }
        self.items.iter().find_map(|item| {
            let line = item.excerpt.lines.iter().find(|l| l.text.contains(quote))?;
            Some((item, line.number))
        })
    }

    fn count(&mut self, redactor: &Redactor) {
        self.redactions = redactor.counts().iter().map(|(k, n)| ((*k).to_owned(), *n)).collect();
    }
}

/// Reads one log or text as a stream: redacts, matches rules, reduces, flags.
#[derive(Debug)]
pub struct Intake<'r> {
    reader: LineReader<'r>,
    sink: Sink,
}

#[derive(Debug, Default)]
struct Sink {
    matcher: Matcher,
    reducer: Reducer,
    watch: Watch,
}

impl Sink {
    fn line(&mut self, number: u64, line: &str) {
        self.watch.line(number, line);
        let telling = self.matcher.line(number, line);
        self.reducer.line(number, line, telling);
    }
}

impl<'r> Intake<'r> {
    /// An intake that counts removed secrets into `redactor`.
    pub fn new(redactor: &'r mut Redactor) -> Self {
        Self { reader: LineReader::new(redactor), sink: Sink::default() }
    }

    /// Add bytes of any length.
    pub fn push(&mut self, bytes: &[u8]) {
        let sink = &mut self.sink;
        self.reader.push(bytes, |n, l| sink.line(n, l));
    }

    /// End of the text.
    pub fn finish(self, id: String, source: Source) -> Item {
        let Self { reader, mut sink } = self;
        reader.finish(|n, l| sink.line(n, l));
        Item {
            id,
            source,
            excerpt: sink.reducer.finish(),
            hits: sink.matcher.finish(),
            instructions: sink.watch.finish(),
        }
    }
}
