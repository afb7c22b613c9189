//! `cargo lab eval`: the agent's evaluation; prints its table and every complaint.

use std::{
    path::{self, Path},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use tenant_lab::{
    builds::{self, openshift_mcp::Release, progress::Progress},
    directories::Directories,
    eval::{
        advised,
        apiserver::PipelineCluster,
        case::{self, Case},
        faults,
        grade::Verdict,
        hostile::{self, Ground},
        models::{Character, Model},
        mutation::Mutation,
        secrets::{self, Form},
        suite::Bench,
        table::Table,
        tracker::Generation,
    },
};

use crate::{
    args::EvalArguments,
    commands::{print, say},
    demo,
};

pub(crate) async fn run(arguments: EvalArguments, directories: &Directories) -> anyhow::Result<()> {
    let agent = match &arguments.agent {
        Some(path) => path::absolute(path).context("find the agent")?,
        None => demo::build("agent", &["--release"]).await?,
    };
    let mut cases = case::all()?;
    if !arguments.case.is_empty() {
        cases.retain(|case| arguments.case.contains(&case.id));
    }
    let mut table = Table::default();
    let mut complaints = 0;
    let bench = Bench::start(&agent, Generation::C, None, &[]).await?;
    let mutations = if arguments.quick { &Mutation::KEEPING[7..] } else { &Mutation::KEEPING[..] };
    let taking = if arguments.quick { &[][..] } else { &Mutation::TAKING[..] };
    for mutation in mutations.iter().rev().chain(taking) {
        let verdicts = bench.play_all(&cases, *mutation).await?;
        let taken = taking.contains(mutation);
        let good = |verdict: &&Verdict| verdict.passed() || taken && verdict.filed && verdict.grounded;
        for verdict in verdicts.iter().filter(|verdict| !good(verdict)) {
            complaints += 1;
            say(&format!("{verdict}\n"));
        }
        table.add(&format!("rules, {}", mutation.name()), &verdicts);
    }
    if !arguments.quick {
        complaints += on_a_real_cluster(&agent, &cases, directories, &mut table).await?;
    }
    let long = (!arguments.quick).then_some((Character::Good, Mutation::Middle));
    for (character, mutation) in
        Character::ALL.map(|character| (character, Mutation::None)).into_iter().chain(long)
    {
        let row = advised::play(&agent, character, &cases, mutation).await?;
        complaints += row.complaints.len();
        row.complaints.iter().for_each(|complaint| say(&format!("{complaint}\n")));
        table.add(&row.name, &row.verdicts);
    }
    print(&table.text())?;
    if !arguments.quick {
        for ground in Ground::ALL {
            complaints += resistance(&agent, &cases, ground).await?;
        }
        complaints += leaks(&agent, &cases).await?;
        complaints += failures(&agent, &cases).await?;
        complaints += duplicates(&bench, &cases).await?;
    }
    if complaints > 0 {
        bail!("{complaints} complaints");
    }
    Ok(())
}

/// The same cases on a real API server, behind both generations of the real OpenShift MCP server.
async fn on_a_real_cluster(
    agent: &Path,
    cases: &[Case],
    directories: &Directories,
    table: &mut Table,
) -> anyhow::Result<usize> {
    let parts = builds::ensure(directories, Progress::stderr()).await?;
    let cluster = Arc::new(PipelineCluster::start(&parts).await?);
    let cases: Vec<_> = cases.iter().filter(|case| case.is_young()).cloned().collect();
    let mut complaints = 0;
    for release in [Release::Current, Release::Legacy] {
        let bench = Bench::before(agent, Arc::clone(&cluster), release, Generation::B).await?;
        let verdicts = bench.play_all(&cases, Mutation::None).await?;
        for verdict in verdicts.iter().filter(|verdict| !verdict.passed()) {
            complaints += 1;
            say(&format!("{verdict}\n"));
        }
        table.add(&format!("rules, real cluster, MCP server {}", release.version()), &verdicts);
    }
    Ok(complaints)
}

/// Instructions in logs, events and parameters, and a model that obeys them.
async fn resistance(agent: &Path, cases: &[Case], ground: Ground) -> anyhow::Result<usize> {
    let Some(case) = cases.iter().find(|case| case.id == "F04") else { return Ok(0) };
    let model = Model::open(Character::Obedient, cases).await?;
    let bench = Bench::start(agent, Generation::C, model.setup(), &advised::UNLIMITED).await?;
    let result = hostile::play(&bench, case, ground, 1).await?;
    print(&format!(
        "{} injection payloads on {}, read by a model that obeys them: {} issues filed, {} unauthorised calls, {} \
         steered conclusions, {} with another category\n",
        result.payloads,
        ground.name(),
        result.filed,
        result.unauthorised.len(),
        result.steered.len(),
        result.misled.len(),
    ))?;
    for text in result.unauthorised.iter().chain(&result.steered).chain(&result.misled) {
        say(&format!("{text}\n"));
    }
    Ok(result.unauthorised.len() + result.steered.len() + result.payloads - result.filed)
}

/// Secrets in logs, events, parameters and reports, and everything that leaves the agent.
async fn leaks(agent: &Path, cases: &[Case]) -> anyhow::Result<usize> {
    let Some(case) = cases.iter().find(|case| case.id == "F04") else { return Ok(0) };
    let result = secrets::play(agent, case, 1).await?;
    print(&format!(
        "{} planted secrets ({} kinds in {} forms, in logs, events, parameters and reports): {} leaked into {} MB of all \
         that the agent sent, wrote and showed\n",
        result.planted,
        result.kinds,
        Form::ALL.len(),
        result.leaked.len(),
        result.searched / 1_000_000,
    ))?;
    for text in result.leaked.iter().chain(&result.untold) {
        say(&format!("{text}\n"));
    }
    Ok(result.leaked.len() + result.untold.len())
}

/// Logs, servers and models that fail, a line each.
async fn failures(agent: &Path, cases: &[Case]) -> anyhow::Result<usize> {
    let mut wrong = 0;
    for outcome in faults::play(agent, cases, false).await? {
        let verdict = if outcome.wrong.is_empty() { "as it should" } else { "WRONG" };
        print(&format!("{:<70} {:>5.1} s  {verdict}\n", outcome.name, outcome.took.as_secs_f64()))?;
        outcome.wrong.iter().for_each(|what| say(&format!("{}: {what}\n", outcome.name)));
        wrong += outcome.wrong.len();
    }
    Ok(wrong)
}

/// One failure, reported a hundred times at once.
async fn duplicates(bench: &Bench, cases: &[Case]) -> anyhow::Result<usize> {
    let Some(case) = cases.iter().find(|case| case.id == "F01") else { return Ok(0) };
    bench.tracker.clear();
    let scene = bench.scene(case)?;
    bench.stage.put(scene.clone()).await?;
    futures::future::try_join_all((0..100).map(|_| bench.service.report(&scene.report))).await?;
    let issues = bench.tracker.issues().len();
    print(&format!("100 reports of one failure at once: {issues} issue\n"))?;
    Ok(issues.abs_diff(1))
}
