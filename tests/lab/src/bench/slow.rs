//! The same with operators that take their time: what the services need is the critical path, measured by a pass of
//! the floor, and only what `tenant` adds to it is its own.

use std::time::Duration;

use tenant_lab::{
    faults::{Behaviour, StandIn},
    lab::Lab,
};

use super::{
    Bench,
    floor::Floor,
    samples::{Samples, Table, Unit},
};

/// What is slow: whatever stands in for an operator.
const OPERATORS: [StandIn; 5] =
    [StandIn::GiteaOperator, StandIn::Routes, StandIn::Argocd, StandIn::McpOperators, StandIn::Workloads];

/// Provisions and destroys with every change of a status delayed by `delay`, and sends the same writes bare.
pub(super) async fn measure(
    lab: &Lab,
    bench: &Bench,
    floor: &Floor,
    (delay, runs): (Duration, u16),
) -> anyhow::Result<Table> {
    let behave = |behaviour| OPERATORS.map(|operator| lab.misbehave(operator, behaviour, None));
    behave(Behaviour::Slow(delay));
    let mut sums: [(&str, Samples, Samples); 2] = [
        ("provision", Samples::default(), Samples::default()),
        ("destroy", Samples::default(), Samples::default()),
    ];
    for _ in 0..runs {
        floor.warm().await?;
        let passes = [floor.provision().await?, floor.destroy().await?];
        for ((verb, ours, bare), pass) in sums.iter_mut().zip(passes) {
            ours.time(bench.tenant(verb)?.wall);
            bare.time(pass.wall);
        }
    }
    behave(Behaviour::Normal);
    let mut table = Table::new(
        "With slow operators, beside their critical path",
        &["", "tenant", "critical path", "above"],
    );
    for (verb, ours, bare) in &sums {
        table.row([
            format!("{verb}, operators {} ms slower", delay.as_millis()),
            ours.shown(Unit::Milliseconds),
            bare.shown(Unit::Milliseconds),
            ours.above(bare).shown(Unit::Milliseconds),
        ]);
    }
    Ok(table)
}
