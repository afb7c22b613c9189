//! An OpenShift MCP server that refuses, goes away, comes back, and says nothing.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::json;

use super::{
    super::{
        mcp::Trouble,
        models::{Ailment, Character, Model},
        service::Service,
    },
    Ground, Play, Wrong, named, reported,
};
use crate::polling::until;

/// A server that is back is used within this time (agent reference, section 5.3).
const RECOVERY: Duration = Duration::from_secs(2);
/// What a busy machine may add.
const LEEWAY: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_mins(1);

pub(super) fn plays(ground: Ground<'_>, quick: bool) -> Vec<(String, Play<'_>)> {
    let mut plays = vec![
        named("A15 the namespace is not there", nothing(ground, false)),
        named("A15 the namespace is forbidden", nothing(ground, true)),
        named("A18 down at the start, back while a report waits", down(ground, quick)),
        named("A18 goes away in the middle of a report", leaves(ground, 1, 4)),
        named("A18 comes and goes ten times", leaves(ground, 10, 1)),
        named("A36 the agent is killed while the model thinks", killed(ground)),
    ];
    if !quick {
        plays.push(named("A21 one read is never answered", silent(ground)));
    }
    plays
}

/// No model is asked, and no issue is written anywhere.
async fn nothing(ground: Ground<'_>, forbidden: bool) -> anyhow::Result<Vec<String>> {
    let model = Model::open(Character::Good, ground.cases).await?;
    let bench = ground.bench(Some(&model), &[]).await?;
    let scene = bench.scene(ground.case("F04")?)?;
    if forbidden {
        bench.stage.put(scene.clone()).await?;
        let why = "pods is forbidden: User \"system:serviceaccount:mcp:openshift\" cannot get resource in the namespace";
        (0..40).for_each(|_| bench.openshift.trouble(None, Trouble::Refusal(why)));
    }
    let (_, record) = bench.service.report(&scene.report).await?;
    let mut wrong = Wrong::default();
    wrong.unless_outcome(&record, "no_evidence");
    wrong.unless_issues(&bench, 0);
    wrong.unless(model.seen().is_empty(), || format!("the model was asked {} times", model.seen().len()));
    let reason = record["reason"].as_str().unwrap_or_default();
    let told = if forbidden { "forbidden" } else { "not found" };
    wrong.unless(reason.contains(told), || format!("the reason is {reason:?}"));
    Ok(wrong.0)
}

async fn down(ground: Ground<'_>, quick: bool) -> anyhow::Result<Vec<String>> {
    let bench = ground.bench(None, &[]).await?;
    bench.openshift.leave(usize::MAX);
    let scene = bench.scene(ground.case("F04")?)?;
    bench.stage.put(scene.clone()).await?;
    let id = bench.service.hand_in(&scene.report).await?;
    let mut wrong = Wrong::default();
    let ready = bench.service.status("/readyz").await?;
    wrong.unless(ready == 503, || format!("ready: {ready}"));
    // Long enough for the pauses between its tries to have grown.
    until(PATIENCE, async || (bench.openshift.refused() >= 8).then_some(())).await.context("it gave up")?;
    bench.openshift.leave(0);
    let since = Instant::now();
    until(PATIENCE, async || (!bench.openshift.take_calls().is_empty()).then_some(()))
        .await
        .context("it is not used any more")?;
    let took = since.elapsed();
    let record = bench.service.outcome(&id).await?;
    wrong.unless_outcome(&record, "created");
    wrong.unless_category(&record, "dependency");
    // Not where other tests run beside it.
    wrong.unless(quick || took <= RECOVERY + LEEWAY, || format!("it was used {took:?} after its return"));
    let ready = bench.service.status("/readyz").await?;
    wrong.unless(ready == 200, || format!("ready after its return: {ready}"));
    Ok(wrong.0)
}

/// Away for so many requests, so many times.
async fn leaves(ground: Ground<'_>, times: usize, requests: usize) -> anyhow::Result<Vec<String>> {
    let bench = ground.bench(None, &[]).await?;
    let scene = bench.scene(ground.case("F04")?)?;
    for number in 0..times {
        let tool = if number % 2 == 0 { "pods_log" } else { "resources" };
        bench.openshift.trouble(Some(tool), Trouble::Leaves(requests));
    }
    let (record, _) = reported(&bench, &scene).await?;
    let mut wrong = Wrong::default();
    wrong.unless_outcome(&record, "created");
    wrong.unless_category(&record, "dependency");
    wrong.unless_issues(&bench, 1);
    bench.openshift.calm();
    bench.openshift.leave(0);
    let ready = bench.service.status("/readyz").await?;
    wrong.unless(ready == 200, || format!("ready at the end: {ready}"));
    Ok(wrong.0)
}

async fn silent(ground: Ground<'_>) -> anyhow::Result<Vec<String>> {
    let bench = ground.bench(None, &[]).await?;
    let scene = bench.scene(ground.case("F04")?)?;
    bench.openshift.trouble(Some("pods_log"), Trouble::Silence);
    let since = Instant::now();
    let (record, _) = reported(&bench, &scene).await?;
    let mut wrong = Wrong::default();
    wrong.unless_outcome(&record, "created");
    wrong.unless_category(&record, "dependency");
    wrong.unless(since.elapsed() < PATIENCE, || format!("it took {:?}", since.elapsed()));
    Ok(wrong.0)
}

/// As in the lab, where the pipeline deploys the agent that diagnoses it.
async fn killed(ground: Ground<'_>) -> anyhow::Result<Vec<String>> {
    let model = Model::ailing(Ailment::Silence, ground.cases).await?;
    let bench = ground.bench(Some(&model), &[]).await?;
    let scene = bench.scene(ground.case("F04")?)?;
    bench.stage.put(scene.clone()).await?;
    let id = bench.service.hand_in(&scene.report).await?;
    until(PATIENCE, async || (!model.seen().is_empty()).then_some(())).await.context("no model was asked")?;
    bench.service.kill().await?;
    let well = Model::open(Character::Good, ground.cases).await?;
    let again = Service::start(
        &super::super::service::Setup { model: well.setup(), ..bench.setup.clone() },
        bench.data.path(),
    )
    .await?;
    let record = again.outcome(&id).await?;
    let mut wrong = Wrong::default();
    wrong.unless_outcome(&record, "created");
    wrong.unless_category(&record, "dependency");
    wrong.unless(bench.tracker.issues().len() == 1, || "not one issue".to_owned());
    let (_, repeated) = again.report(&scene.report).await?;
    wrong.unless(repeated["recurrence"] == json!(1), || format!("the same report again is {repeated}"));
    Ok(wrong.0)
}
