//! Many tenants in one process, beside as many passes of the floor at once.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    Bench, GUID,
    connections::Peers,
    floor::Floor,
    number,
    process::{self, Finished},
    result,
    samples::{Samples, Table, Unit},
};

/// So many at once, as `tenant` does unless told otherwise.
const AT_ONCE: usize = 20;

/// What a number of tenants took.
pub(super) struct Crowd {
    tenants: u16,
    provision: (Finished, Duration),
    destroy: (Finished, Duration),
}

/// Provisions and destroys that many tenants, and sends the same writes bare.
pub(super) async fn measure(bench: &Bench, floor: &Floor, tenants: u16) -> anyhow::Result<Crowd> {
    let guids: Vec<String> = (1..=tenants).map(|number| format!("crowd{number:03}")).collect();
    let run = |verb: &str| {
        let list = guids.iter().flat_map(|guid| ["--guid".to_owned(), guid.clone()]);
        let mut command = bench.order(verb);
        command.args(list).args(["--verbose", "--timeout", "1h", "--parallel", &AT_ONCE.to_string()]);
        process::run(&mut command).with_context(|| format!("tenant {verb} of {tenants}"))
    };
    let provision = run("provision")?;
    let destroy = run("destroy")?;
    floor.warm().await?;
    let floors: Vec<Floor> = guids.iter().map(|guid| floor.of(GUID, guid)).collect();
    let begun = Instant::now();
    stream::iter(&floors).map(Floor::provision).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?;
    let provisioned = begun.elapsed();
    let begun = Instant::now();
    stream::iter(&floors).map(Floor::destroy).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?;
    Ok(Crowd { tenants, provision: (provision, provisioned), destroy: (destroy, begun.elapsed()) })
}

/// The table of all numbers of tenants.
pub(super) fn table(crowds: &[Crowd], peers: &Peers) -> anyhow::Result<Table> {
    let mut table = Table::new(
        "Tenants in one process, beside the same writes sent bare",
        &[
            "",
            "tenant",
            "floor",
            "ratio",
            "processor each",
            "requests each",
            "memory",
            "memory each",
            "connections",
        ],
    );
    let alone = crowds.first().map(|crowd| (crowd.provision.0.peak, crowd.destroy.0.peak));
    for crowd in crowds {
        let ends = alone.unwrap_or_default();
        for (verb, (run, bare), least) in
            [("provision", &crowd.provision, ends.0), ("destroy", &crowd.destroy, ends.1)]
        {
            let requests = result(&run.stdout, "account")?["requests"].as_u64().unwrap_or_default();
            let (wall, floor) = (one(|samples| samples.time(run.wall)), one(|samples| samples.time(*bare)));
            let each = |total: u64| number(total) / f64::from(crowd.tenants);
            let more = f64::from(crowd.tenants.saturating_sub(1).max(1));
            table.row([
                format!("{verb} {}", crowd.tenants),
                wall.shown(Unit::Milliseconds),
                floor.shown(Unit::Milliseconds),
                wall.ratio(&floor),
                one(|samples| samples.time(run.cpu / u32::from(crowd.tenants))).shown(Unit::Milliseconds),
                one(|samples| samples.number(each(requests))).shown(Unit::Count),
                one(|samples| samples.number(number(run.peak))).shown(Unit::Bytes),
                one(|samples| samples.number(number(run.peak.saturating_sub(least)) / more))
                    .shown(Unit::Bytes),
                peers.shown(&run.connections),
            ]);
        }
    }
    Ok(table)
}

fn one(add: impl FnOnce(&mut Samples)) -> Samples {
    let mut samples = Samples::default();
    add(&mut samples);
    samples
}
