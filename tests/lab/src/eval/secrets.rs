//! Planted secrets: every kind, in every form, at every place a failed run has; then every byte that left the agent is
//! searched for them.
//!
//! The samples are templates (`tests/data/agent/secrets.yaml`): what is secret in them is made up here, differently for
//! each kind, form and place, so that a byte that leaks says where it came from.

mod collector;
mod forms;

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use self::collector::Collector;
pub use self::forms::Form;
use self::forms::Planted;
use super::{
    advised,
    case::{self, Case, Event},
    models::{Character, Model},
    scene::Scene,
    suite::Bench,
    tracker::Generation,
};

/// Reports under way at once, and between two looks at the tracker.
const TOGETHER: usize = 8;
const BATCH: usize = 48;

/// A kind of secret and what it looks like.
#[derive(Clone, Debug, Deserialize)]
struct Sample {
    kind: String,
    #[serde(default = "alone")]
    text: String,
    secret: String,
}

fn alone() -> String {
    "§".to_owned()
}

/// Where a secret is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Log,
    Event,
    Parameter,
    Report,
}

impl Place {
    const ALL: [Self; 4] = [Self::Log, Self::Event, Self::Parameter, Self::Report];
}

/// What came of all of them.
#[derive(Clone, Debug, Default)]
pub struct Leaks {
    /// Kinds, and secrets planted.
    pub kinds: usize,
    /// One for each kind, form and place.
    pub planted: usize,
    /// Bytes searched.
    pub searched: usize,
    /// Where something was found, and which.
    pub leaked: Vec<String>,
    /// Issues that do not say what was removed, or do not advise to replace it; reports without an issue.
    pub untold: Vec<String>,
}

/// Plants every sample, or every so many of them, in all forms; looks through everything that left the agent.
///
/// # Errors
/// When a part does not start, or the agent does not answer.
pub async fn play(program: &Path, case: &Case, every: usize) -> anyhow::Result<Leaks> {
    let samples = samples()?;
    let model = Model::open(Character::Curious, &[]).await?;
    let collector = Collector::open().await?;
    let arguments = [&advised::UNLIMITED[..], &["--otlp-endpoint", &collector.url]].concat();
    let bench = Bench::start(program, Generation::C, model.setup(), &arguments).await?;
    let mut leaks = Leaks::default();
    let mut search = Search::default();
    let mut out: Vec<(String, String)> = Vec::new();
    let all: Vec<_> =
        Form::ALL.iter().flat_map(|form| samples.iter().map(move |sample| (*form, sample))).collect();
    let chosen: Vec<_> = all.into_iter().step_by(every.max(1)).collect();
    leaks.kinds =
        chosen.iter().map(|(_, s)| s.kind.as_str()).collect::<std::collections::BTreeSet<_>>().len();
    for batch in chosen.chunks(BATCH) {
        bench.tracker.clear();
        let reports =
            batch.iter().filter(|(form, sample)| form.suits(&sample.secret)).map(|(form, sample)| {
                let mut scene = bench.scene(case)?;
                for place in Place::ALL {
                    let planted = Planted::new(&sample.text, &sample.secret, *form, &format!("{place:?}"));
                    if plant(&mut scene, place, *form, &planted) {
                        leaks.planted += 1;
                        search.add(&format!("{} {form:?} in {place:?}", sample.kind), &planted);
                    }
                }
                Ok((*form, sample, scene))
            });
        let reports: Vec<_> = reports.collect::<anyhow::Result<_>>()?;
        let bench = &bench;
        let played: Vec<_> = stream::iter(reports)
            .map(async |(form, sample, scene)| {
                bench.stage.put(scene.clone()).await?;
                let (_, record) = bench.service.report(&scene.report).await?;
                anyhow::Ok((form, sample, record))
            })
            .buffer_unordered(TOGETHER)
            .try_collect()
            .await?;
        for (form, sample, record) in played {
            let name = format!("{} {form:?}", sample.kind);
            let body = bench.issue(&record).map(|issue| issue.body).unwrap_or_default();
            let named = form != Form::Plain || body.contains(&sample.kind);
            if !body.contains("rotate") || !named {
                leaks.untold.push(name.clone());
            }
            if let Some(id) = record["report_id"].as_str() {
                out.push((format!("page of {name}"), bench.service.page(&format!("/reports/{id}")).await?));
            }
            out.push((format!("record of {name}"), record.to_string()));
        }
        out.push(("issues".to_owned(), Value::from(bench.tracker.issues()).to_string()));
        out.push(("comments".to_owned(), Value::from(bench.tracker.comments()).to_string()));
    }
    out.push(("the model's wire".to_owned(), model.seen().join("\n")));
    for (server, name) in [(&bench.openshift, "OpenShift MCP"), (&bench.gitea, "Gitea MCP")] {
        let calls =
            server.take_calls().into_iter().map(|call| json!([call.tool, call.arguments]).to_string());
        out.push((format!("the wire of {name}"), calls.collect::<Vec<_>>().join("\n")));
    }
    out.push(("the list page".to_owned(), bench.service.page("/reports").await?));
    for path in ["/metrics", "/reports", "/config"] {
        out.push((path.to_owned(), bench.service.text(path).await?));
    }
    out.push(("the agent's log".to_owned(), bench.service.said()));
    // Spans are sent in batches; the end sends the last one.
    bench.service.stop().await?;
    out.push(("traces".to_owned(), collector.received()));
    for (path, bytes) in files(bench.data.path())? {
        out.push((path, String::from_utf8_lossy(&bytes).into_owned()));
    }
    for (name, text) in &out {
        leaks.searched += text.len();
        search.look(name, text, &mut leaks.leaked);
    }
    if collector.received().is_empty() || model.seen().is_empty() {
        leaks.leaked.push("nothing was sent to the model or the collector: nothing was tested".to_owned());
    }
    Ok(leaks)
}

fn samples() -> anyhow::Result<Vec<Sample>> {
    let path = case::folder().join("secrets.yaml");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    Ok(tenant_kit::yaml::from_str(&text)?)
}

/// Puts a text where it belongs; false where nobody could put such a text.
fn plant(scene: &mut Scene, place: Place, form: Form, planted: &Planted) -> bool {
    let text = planted.text.as_str();
    match place {
        Place::Log => {
            for log in scene.logs.values_mut() {
                *log = match form {
                    Form::Cut => forms::across_blocks(planted, log),
                    _ => format!("{text}\n{log}{text}\n"),
                };
            }
        }
        Place::Event => scene.events.push(Event {
            kind: "Pod".to_owned(),
            name: scene.report["pod_name"].as_str().unwrap_or_default().to_owned(),
            reason: "Failed".to_owned(),
            message: forms::ahead(planted, form, 800),
        }),
        Place::Parameter => {
            for ((kind, _), object) in &mut scene.objects {
                if kind == "PipelineRun" || kind == "TaskRun" {
                    let param = json!({"name": "MESSAGE", "value": forms::ahead(planted, form, 120)});
                    object["spec"]["params"] = json!([param]);
                }
            }
        }
        Place::Report => {
            let possible = text.len() <= 500 && !text.chars().any(char::is_control);
            if !possible {
                return false;
            }
            scene.report["run_url"] = json!(text);
            scene.report["git_revision"] = json!(text);
        }
    }
    true
}

/// Pieces of all planted secrets, and whose they are.
#[derive(Default)]
struct Search {
    owners: BTreeMap<usize, HashMap<Vec<u8>, String>>,
}

impl Search {
    fn add(&mut self, owner: &str, planted: &Planted) {
        for piece in &planted.pieces {
            let pieces = self.owners.entry(piece.len()).or_default();
            pieces.insert(piece.clone().into_bytes(), owner.to_owned());
        }
    }

    fn look(&self, name: &str, text: &str, leaked: &mut Vec<String>) {
        // Split by colours in JSON, it would still be the secret.
        let text = text.replace(forms::COLOUR, "").replace("\\u001b[31m", "");
        for (length, pieces) in &self.owners {
            let mut found: Vec<&String> =
                text.as_bytes().windows(*length).filter_map(|window| pieces.get(window)).collect();
            found.dedup();
            leaked.extend(found.into_iter().take(5).map(|owner| format!("{owner}: found in {name}")));
        }
    }
}

/// All files below a folder.
fn files(folder: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            found.push((format!("file {name}"), fs::read(&path)?));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_planted_would_be_found_if_it_leaked_as_it_is() {
        let samples = samples().expect("the samples are readable");
        let kinds: std::collections::BTreeSet<_> = samples.iter().map(|sample| &sample.kind).collect();
        assert!(kinds.len() >= 40, "{} kinds", kinds.len());
        for sample in &samples {
            for form in Form::ALL.into_iter().filter(|form| form.suits(&sample.secret)) {
                let planted = Planted::new(&sample.text, &sample.secret, form, "Log");
                let mut search = Search::default();
                search.add("it", &planted);
                let mut found = Vec::new();
                search.look("the text itself", &planted.text, &mut found);
                assert!(!found.is_empty(), "{} {form:?}: not found in\n{}", sample.kind, planted.text);
            }
        }
    }
}
