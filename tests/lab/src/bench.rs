//! `cargo lab bench`: what one tenant costs, beside what the same writes cost without any program around them.
//!
//! The release build of `tenant` works against a lab of its own. Every run is followed by a pass of the
//! [`floor`], so that both meet the machine in the same mood. The numbers are for reading: nothing fails
//! because something was slow.

mod connections;
mod crowd;
mod floor;
mod process;
mod reaction;
mod samples;
mod services;
mod slow;
mod waits;
mod writes;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, bail};
use kube::{
    Api, Client,
    api::DynamicObject,
    config::{AuthInfo, Config, KubeConfigOptions, Kubeconfig},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::Value;
use tenant_lab::{
    files::private,
    lab::{Lab, LabOptions},
    proxy::Proxy,
    state::State,
};

use crate::{args::BenchArguments, commands, demo};
use connections::{Connections, Peers};
use floor::{Floor, Pass};
use process::Finished;
use reaction::Reactions;
use samples::{Samples, Table, Unit};
use services::{Login, Services};
use writes::Writes;

/// The bench's order.
const GUID: &str = "bench";
/// `--help` is over in no time: it is asked this often per run.
const HELPS: usize = 10;

pub(crate) async fn run(arguments: BenchArguments) -> anyhow::Result<()> {
    let tenant = match arguments.tenant {
        Some(path) => std::path::absolute(path).context("find tenant")?,
        // by package: the lab's features would be compiled into the program
        None => demo::build_tenant(&["--release", "--package", "tenant-cli"]).await?,
    };
    let lab = Lab::up(LabOptions::default()).await?;
    let state = lab.state();
    let bench = Bench { vars: vars_file(state)?, env: state.env(), tenant };

    commands::say("one round to warm up\n");
    bench.tenant("provision")?;
    let floor = bench.floor(state).await?;
    bench.tenant("destroy")?;

    let mut results = Results::default();
    let mut reactions = Reactions::default();
    let proxy = Proxy::start(state, Vec::new()).context("start the proxy")?;
    for run in 1..=arguments.runs {
        commands::say(&format!("run {run} of {}\n", arguments.runs));
        results.provision.add(&bench.tenant("provision")?)?;
        results.again.add(&bench.tenant("provision")?)?;
        results.destroy.add(&bench.tenant("destroy")?)?;
        results.nothing.add(&bench.tenant("destroy")?)?;
        floor.warm().await?;
        results.floor_provision.add(&floor.provision().await.context("send the writes of a provision")?);
        results.floor_destroy.add(&floor.destroy().await.context("send the deletions of a destroy")?);
        reactions.measure(&bench, &floor, &proxy).await?;
        for _ in 0..HELPS {
            results.help.time(process::run(Command::new(&bench.tenant).arg("--help"))?.wall);
        }
    }
    let mut crowds = Vec::new();
    for tenants in arguments.tenants {
        commands::say(&format!("{tenants} in one process\n"));
        crowds.push(crowd::measure(&bench, &floor, tenants).await?);
    }
    let slow = match arguments.slow {
        None => None,
        Some(delay) => Some(slow::measure(&lab, &bench, &floor, (delay, arguments.runs)).await?),
    };
    let peers = Peers::of(state);
    lab.down().await?;
    let size = std::fs::metadata(&bench.tenant).context("measure the binary")?.len();
    commands::print(&results.report(arguments.runs, floor.writes.count(), size, &peers))?;
    commands::print(&format!("\n{}", reactions.table()))?;
    if !crowds.is_empty() {
        commands::print(&format!("\n{}", crowd::table(&crowds, &peers)?))?;
    }
    if let Some(table) = slow {
        commands::print(&format!("\n{table}"))?;
    }
    Ok(())
}

/// The program under test and what it is told.
struct Bench {
    tenant: PathBuf,
    vars: PathBuf,
    env: Vec<(String, String)>,
}

impl Bench {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.order(arguments[0]);
        command.args(&arguments[1..]).args(["--guid", GUID]);
        command
    }

    /// A command on the bench's order, for whichever tenants.
    fn order(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.tenant);
        command.args([verb, "--output", "json"]);
        command.args(["-e", &format!("@{}", demo::ORDER), "-e", &format!("@{}", self.vars.display())]);
        command.current_dir(demo::checkout()).envs(self.env.iter().cloned());
        command
    }

    fn tenant(&self, verb: &str) -> anyhow::Result<Finished> {
        process::run(&mut self.command(&[verb, "--verbose"])).with_context(|| format!("tenant {verb}"))
    }

    /// The objects of one step, as `tenant render` prints them.
    fn rendered(&self, step: &str) -> anyhow::Result<Vec<Value>> {
        let rendered = process::run(&mut self.command(&["render", "--only", step]))?;
        let mut data = result(&rendered.stdout, "render")?;
        Ok(data.as_array_mut().map(std::mem::take).unwrap_or_default())
    }

    /// Takes down the writes of the tenant that is there.
    async fn floor(&self, state: &State) -> anyhow::Result<Floor> {
        let client = client(state).await?;
        let writes = Writes::read(&client, GUID, |step| self.rendered(step)).await?;
        let keycloak = self.keycloak_admin(&client).await?;
        let services = Services::new(state, keycloak, GUID)?;
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Application"));
        let applications = Api::namespaced_with(client.clone(), "openshift-gitops", &kind);
        let login = Login { user: format!("user-{GUID}"), password: "a password of the bench".to_owned() };
        let selector = format!("app.kubernetes.io/managed-by=tenant,tenant.rhpds.io/guid={GUID}");
        Ok(Floor { client, services, writes, login, selector, applications })
    }

    async fn keycloak_admin(&self, client: &Client) -> anyhow::Result<Login> {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Secret"));
        let secrets: Api<DynamicObject> = Api::namespaced_with(client.clone(), "keycloak", &kind);
        let secret = secrets.get("keycloak-initial-admin").await.context("read Keycloak's admin")?;
        let entry = |key: &str| {
            use base64::Engine as _;
            let value = secret.data["data"][key].as_str().context("Keycloak's admin has no such entry")?;
            let bytes = base64::engine::general_purpose::STANDARD.decode(value)?;
            anyhow::Ok(String::from_utf8(bytes)?)
        };
        Ok(Login { user: entry("username")?, password: entry("password")? })
    }
}

/// A client that is let in as `tenant` is: by its token.
async fn client(state: &State) -> anyhow::Result<Client> {
    let kubeconfig = Kubeconfig::read_from(&state.kubeconfig).context("read the kubeconfig")?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.auth_info = AuthInfo { token: Some(state.token.clone().into()), ..AuthInfo::default() };
    Ok(Client::try_from(config)?)
}

fn vars_file(state: &State) -> anyhow::Result<PathBuf> {
    let path = state.router_ca.parent().unwrap_or(Path::new(".")).join("vars.yml");
    private(&path, commands::vars(state)).context("write the platform's variables")?;
    Ok(path)
}

/// The data of the result `of` among the JSON lines a command printed.
fn result(stdout: &str, of: &str) -> anyhow::Result<Value> {
    let lines = stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut results = lines.filter(|line| line["kind"] == "result" && line["of"] == of);
    match results.next_back() {
        Some(mut result) => Ok(result["data"].take()),
        None => bail!("tenant printed no result of {of}"),
    }
}

#[derive(Default)]
struct Results {
    provision: Runs,
    again: Runs,
    destroy: Runs,
    nothing: Runs,
    floor_provision: Passes,
    floor_destroy: Passes,
    help: Samples,
}

/// Runs of one command of `tenant`.
#[derive(Default)]
struct Runs {
    wall: Samples,
    work: Samples,
    own: Samples,
    cpu: Samples,
    peak: Samples,
    requests: Samples,
    connections: Connections,
}

impl Runs {
    /// Adds a run. Its own share is what the program accounts for, and its start and end around that.
    fn add(&mut self, run: &Finished) -> anyhow::Result<()> {
        let account = result(&run.stdout, "account")?;
        let milliseconds = |field: &str| {
            let number = account[field].as_u64();
            number.map(Duration::from_millis).with_context(|| format!("the account has no {field}"))
        };
        let around = run.wall.saturating_sub(milliseconds("elapsed_ms")?);
        self.wall.time(run.wall);
        self.work.time(run.wall.saturating_sub(waits::told(&run.stdout)));
        self.own.time(milliseconds("own_ms")? + around);
        self.cpu.time(run.cpu);
        self.peak.number(number(run.peak));
        for (peer, most) in &run.connections {
            let ours = self.connections.entry(*peer).or_default();
            *ours = (*ours).max(*most);
        }
        self.requests.number(number(account["requests"].as_u64().unwrap_or_default()));
        Ok(())
    }
}

/// Passes of the floor, in one direction.
#[derive(Default)]
struct Passes {
    wall: Samples,
    writes: Samples,
    waits: std::collections::BTreeMap<&'static str, Samples>,
}

impl Passes {
    fn add(&mut self, pass: &Pass) {
        self.wall.time(pass.wall);
        self.writes.time(pass.writes());
        for (what, took) in &pass.waits {
            self.waits.entry(what).or_default().time(*took);
        }
    }
}

impl Results {
    fn report(&self, runs: u16, objects: usize, size: u64, peers: &Peers) -> String {
        let mut beside =
            Table::new("One tenant, beside the same writes sent bare", &["", "tenant", "floor", "ratio"]);
        for (verb, ours, floor) in [
            ("provision", &self.provision, &self.floor_provision),
            ("destroy", &self.destroy, &self.floor_destroy),
        ] {
            let wall = [ours.wall.shown(Unit::Milliseconds), floor.wall.shown(Unit::Milliseconds)];
            let [tenant, bare] = wall;
            beside.row([format!("{verb}, wall time"), tenant, bare, ours.wall.ratio(&floor.wall)]);
            for (what, took) in &floor.waits {
                let took = took.shown(Unit::Milliseconds);
                beside.row([format!("of that, {what}"), String::new(), took, String::new()]);
            }
            let (work, bare) = (ours.work.shown(Unit::Milliseconds), floor.writes.shown(Unit::Milliseconds));
            beside.row([format!("{verb} without those waits"), work, bare, ours.work.ratio(&floor.writes)]);
            let own = ours.own.shown(Unit::Milliseconds);
            beside.row(["of that, no request under way".to_owned(), own, String::new(), String::new()]);
        }
        let mut commands = Table::new(
            "What a command takes",
            &["", "wall time", "own share", "processor", "memory", "requests", "connections"],
        );
        for (what, ours) in [
            ("provision", &self.provision),
            ("provision again: nothing to change", &self.again),
            ("destroy", &self.destroy),
            ("destroy again: nothing there", &self.nothing),
        ] {
            commands.row([
                what.to_owned(),
                ours.wall.shown(Unit::Milliseconds),
                ours.own.shown(Unit::Milliseconds),
                ours.cpu.shown(Unit::Milliseconds),
                ours.peak.shown(Unit::Bytes),
                ours.requests.shown(Unit::Count),
                peers.shown(&ours.connections),
            ]);
        }
        let (help, mut binary) = (self.help.shown(Unit::Milliseconds), Samples::default());
        binary.number(number(size));
        format!(
            "{beside}\n{commands}\nMedians of {runs} runs (least–most), {objects} objects, `tenant --help` in {help}, the binary has {}. \
             Connections: to the API server, to LiteLLM, to the router (for Keycloak and Gitea together).\n",
            binary.shown(Unit::Bytes),
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "bytes and requests stay far below 2^52")]
fn number(count: u64) -> f64 {
    count as f64
}
