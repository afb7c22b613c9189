//! How soon `tenant` goes on when what it waits for is there: from the change of status, as a watch of the bench sees
//! it, to the arrival of the next write.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures::future::{join, try_join};
use kube::runtime::watcher::Config;
use tenant_lab::proxy::{Exchange, Proxy, Service};

use super::{
    Bench,
    floor::{Floor, available, healthy, one, until},
    samples::{Samples, Table, Unit},
};

/// Reactions of all runs.
#[derive(Default)]
pub(super) struct Reactions {
    user: Samples,
    end: Samples,
}

impl Reactions {
    /// Provisions and destroys the tenant once, through a proxy that takes down when requests arrive.
    pub(super) async fn measure(
        &mut self,
        bench: &Bench,
        floor: &Floor,
        proxy: &Proxy,
    ) -> anyhow::Result<()> {
        let through =
            Bench { tenant: bench.tenant.clone(), vars: proxy.vars_file().to_owned(), env: proxy.env() };
        let run = tokio::task::spawn_blocking(move || {
            through.tenant("provision")?;
            anyhow::Ok(through)
        });
        let (moments, run) = join(moments(floor), run).await;
        let (through, (gitea, all)) = (run.context("run tenant")??, moments?);
        let exchanges = proxy.exchanges();
        let user = |next: &Exchange| next.service == Service::Gitea && next.method != "GET";
        let end = |next: &Exchange| next.method == "PATCH" && next.path.contains("/secrets/tenant-");
        self.user.time(after(&exchanges, gitea, user).context("no user was made in Gitea")?);
        self.end.time(after(&exchanges, all, end).context("the record was not written at the end")?);
        through.tenant("destroy").map(drop)
    }

    /// The table of all runs.
    pub(super) fn table(&self) -> Table {
        let mut table = Table::new(
            "From \"it is ready\" to the next write",
            &["", "median (least–most)", "99 of 100 within"],
        );
        for (what, samples) in
            [("Gitea is up: its user", &self.user), ("applications and guide: the record", &self.end)]
        {
            let within = samples.within(99);
            table.row([what.to_owned(), samples.shown(Unit::Milliseconds), within.shown(Unit::Milliseconds)]);
        }
        table
    }
}

/// When Gitea, and when the last application and the guide, got ready.
async fn moments(floor: &Floor) -> anyhow::Result<(Instant, Instant)> {
    let resource = one("Gitea", &floor.writes.gitea)?;
    let deployment = one("Deployment", &floor.writes.guide)?;
    let sets = floor.writes.sets.len();
    let named = |name: &str| Config::default().fields(&format!("metadata.name={name}"));
    let gitea = async {
        until(&resource.api, named(&resource.name), |found| {
            found.values().any(|gitea| gitea.data["status"]["adminSetupComplete"] == true)
        })
        .await?;
        anyhow::Ok(Instant::now())
    };
    let applications = until(&floor.applications, Config::default().labels(&floor.selector), |found| {
        found.len() == sets && found.values().all(healthy)
    });
    let guide = until(&deployment.api, named(&deployment.name), |found| found.values().any(available));
    let all = async {
        try_join(pin!(applications), pin!(guide)).await?;
        anyhow::Ok(Instant::now())
    };
    try_join(gitea, all).await
}

/// How long after `moment` the first exchange arrives that `is` it.
fn after(exchanges: &[Exchange], moment: Instant, is: impl Fn(&Exchange) -> bool) -> Option<Duration> {
    let next = exchanges.iter().filter(|exchange| is(exchange)).map(|exchange| exchange.at);
    next.filter(|at| *at > moment).min().map(|at| at.duration_since(moment))
}
