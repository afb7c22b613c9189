//! `cargo lab eval`: the agent's evaluation; prints its table and every complaint.

use std::path;

use anyhow::{Context as _, bail};
use tenant_lab::eval::{case, mutation::Mutation, suite::Bench, table::Table, tracker::Generation};

use crate::{
    args::EvalArguments,
    commands::{print, say},
    demo,
};

pub(crate) async fn run(arguments: EvalArguments) -> anyhow::Result<()> {
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
    for mutation in [Mutation::None].into_iter().chain(Mutation::KEEPING[..7].iter().copied()) {
        let verdicts = bench.play_all(&cases, mutation).await?;
        for verdict in verdicts.iter().filter(|verdict| !verdict.passed()) {
            complaints += 1;
            say(&format!("{verdict}\n"));
        }
        table.add(&format!("rules, {}", mutation.name()), &verdicts);
        if arguments.quick {
            break;
        }
    }
    print(&table.text())?;
    if complaints > 0 {
        bail!("{complaints} complaints");
    }
    Ok(())
}
