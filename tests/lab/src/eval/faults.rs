//! Faults (agent reference, section 5.9): logs that were never meant to be read, servers and models that fail. Each is
//! a small play on the real program; what other suites prove already is not repeated here.

mod cluster;
mod endpoint;
mod logs;
mod tracker;

use std::{
    path::Path,
    pin::Pin,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

use super::{case::Case, models::Model, scene::Scene, suite::Bench, tracker::Generation};

/// Plays at once.
const TOGETHER: usize = 6;

/// What became of one fault.
pub struct Outcome {
    /// Its number in the reference and what it is.
    pub name: String,
    /// How long it took.
    pub took: Duration,
    /// What must not be; nothing if all is well.
    pub wrong: Vec<String>,
}

type Play<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Vec<String>>> + 'a>>;

/// What a play is put on with.
#[derive(Clone, Copy)]
struct Ground<'a> {
    program: &'a Path,
    cases: &'a [Case],
}

impl Ground<'_> {
    /// A case by its id.
    fn case(&self, id: &str) -> anyhow::Result<&Case> {
        self.cases.iter().find(|case| case.id == id).with_context(|| format!("there is no case {id}"))
    }

    /// An agent between its stand-ins.
    async fn bench(&self, model: Option<&Model>, more: &[&str]) -> anyhow::Result<Bench> {
        Bench::start(self.program, Generation::C, model.and_then(Model::setup), more).await
    }
}

/// Plays all faults, or those that take no time, side by side.
///
/// # Errors
/// When a part does not start.
pub async fn play(program: &Path, cases: &[Case], quick: bool) -> anyhow::Result<Vec<Outcome>> {
    let ground = Ground { program, cases };
    let mut plays = logs::plays(ground, quick);
    plays.extend(cluster::plays(ground, quick));
    plays.extend(endpoint::plays(ground, quick));
    plays.extend(tracker::plays(ground, quick));
    let plays = plays.into_iter().map(async |(name, play)| {
        let since = Instant::now();
        let wrong = play.await.with_context(|| name.clone())?;
        Ok(Outcome { name, took: since.elapsed(), wrong })
    });
    stream::iter(plays).buffered(TOGETHER).try_collect().await
}

/// A play under its name.
fn named<'a>(
    name: impl Into<String>,
    play: impl Future<Output = anyhow::Result<Vec<String>>> + 'a,
) -> (String, Play<'a>) {
    (name.into(), Box::pin(play))
}

/// What must hold and does not.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    /// Notes what was seen where something does not hold.
    fn unless(&mut self, holds: bool, seen: impl FnOnce() -> String) {
        if !holds {
            self.0.push(seen());
        }
    }

    /// Notes where a record does not have this outcome.
    fn unless_outcome(&mut self, record: &Value, outcome: &str) {
        self.unless(record["outcome"] == outcome, || {
            format!("outcome {} ({}), not {outcome}", record["outcome"], record["reason"])
        });
    }

    /// Notes where a record does not have this category.
    fn unless_category(&mut self, record: &Value, category: &str) {
        let found = &record["diagnosis"]["category"];
        self.unless(found == category, || format!("category {found}, not {category}"));
    }

    /// Notes where there are not so many issues.
    fn unless_issues(&mut self, bench: &Bench, count: usize) {
        let issues = bench.tracker.issues().len();
        self.unless(issues == count, || format!("{issues} issues, not {count}"));
    }
}

/// Stages a scene, reports it, waits for the outcome; the record, and the issue's text.
async fn reported(bench: &Bench, scene: &Scene) -> anyhow::Result<(Value, String)> {
    bench.stage.put(scene.clone()).await?;
    let (_, record) = bench.service.report(&scene.report).await?;
    let issue = bench.issue(&record).map(|issue| format!("{}\n{}", issue.title, issue.body));
    Ok((record, issue.unwrap_or_default()))
}
