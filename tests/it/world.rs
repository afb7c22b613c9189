//! Where the suite's tenants live: labs, the files an order consists of, and what can be seen of a guid.
//!
//! Most tests share one lab and tell their tenants apart by guid; faults are limited to a guid, too. A test that
//! compares everything there is, or breaks the cluster itself, has a lab to itself.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tenant_cli::exit::ExitCode;
use tenant_lab::{
    faults::{Behaviour, StandIn},
    lab::{Lab, LabOptions},
    proxy::{Proxy, Rule},
    snapshot::Snapshot,
    state::State,
};
use tokio::sync::OnceCell;

use crate::{checkout, program::Program};

/// A lab and its platform's share of an order.
///
/// The shared ones are never dropped: their processes end with this one, and the next lab sweeps their folders.
pub(crate) struct World {
    lab: Lab,
    platform: PathBuf,
}

static SHARED: OnceCell<World> = OnceCell::const_new();
static PLAIN: OnceCell<World> = OnceCell::const_new();

impl World {
    /// A cluster like OpenShift, shared by tests.
    pub(crate) async fn shared() -> &'static Self {
        SHARED.get_or_init(|| Self::own(false)).await
    }

    /// A cluster without OpenShift's APIs, shared by tests.
    pub(crate) async fn plain() -> &'static Self {
        PLAIN.get_or_init(|| Self::own(true)).await
    }

    /// A cluster for one test.
    pub(crate) async fn own(plain: bool) -> Self {
        let lab = Lab::up(LabOptions { plain, ..LabOptions::default() }).await;
        let lab = lab.unwrap_or_else(|error| panic!("the lab does not start: {error:#}"));
        let platform = lab.kubeconfig().with_file_name("platform.json");
        let world = Self { lab, platform };
        world.write("platform.json", &serde_json::Value::Object(world.lab.vars()).to_string());
        world
    }

    pub(crate) fn lab(&self) -> &Lab {
        &self.lab
    }

    pub(crate) async fn client(&self) -> kube::Client {
        self.lab.client().await.expect("the lab's kubeconfig is usable")
    }

    /// A folder that goes with the lab.
    pub(crate) fn folder(&self) -> &Path {
        self.lab.state().folder()
    }

    /// Writes a file there.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder().join(name);
        fs::write(&path, text)
            .unwrap_or_else(|error| panic!("{} cannot be written: {error}", path.display()));
        path
    }

    /// The variables file of the platform.
    pub(crate) fn platform(&self) -> &Path {
        &self.platform
    }

    /// `tenant`, able to reach this lab's router and to trust its certificates; where the cluster is comes with
    /// the order.
    pub(crate) fn program(&self) -> Program {
        self.program_at(self.lab.state())
    }

    fn program_at(&self, state: &State) -> Program {
        let trust = |name: &str| name.starts_with("TENANT_INGRESS") || name == "K8S_AUTH_SSL_CA_CERT";
        let variables = state.env().into_iter().filter(|(name, _)| trust(name));
        variables.fold(Program::new(self.folder()), |program, (name, value)| program.env(name, value))
    }

    /// A proxy before this lab, which spoils requests by these rules.
    pub(crate) fn proxy(&self, rules: Vec<Rule>) -> Proxy {
        let proxy = Proxy::start(self.lab.state(), rules);
        proxy.unwrap_or_else(|error| panic!("the proxy does not start: {error:#}"))
    }

    /// As [`World::command`], through a proxy.
    pub(crate) fn through(&self, proxy: &Proxy, command: &str, guid: &str) -> Program {
        let program = self.program_at(proxy.state()).args([command, "--guid", guid]);
        let program = program.within("90s").vars(proxy.vars_file());
        if command == "provision" { program.vars(&order_file("order.yml")) } else { program }
    }

    /// `tenant <command> --guid <guid>` with the platform's variables and a time limit no good run comes near.
    pub(crate) fn command(&self, command: &str, guid: &str) -> Program {
        self.program().args([command, "--guid", guid]).within("90s").vars(&self.platform)
    }

    /// `tenant provision` of an order below `tests/data`.
    pub(crate) fn provision(&self, guid: &str, order: &str) -> Program {
        self.command("provision", guid).vars(&order_file(order))
    }

    /// `tenant destroy`, given what every destroy job is given.
    pub(crate) fn destroy(&self, guid: &str) -> Program {
        self.command("destroy", guid)
    }

    /// Destroys the tenant and fails the test if anything in the lab still mentions its guid.
    pub(crate) async fn destroy_without_trace(&self, guid: &str) {
        let ended = self.destroy(guid).run().expect(ExitCode::Done);
        let left = self.traces(guid).await;
        assert!(left.is_empty(), "after destroy there is still\n  {}\n{ended}", left.join("\n  "));
    }

    pub(crate) fn misbehave(&self, stand_in: StandIn, behaviour: Behaviour, guid: &str) {
        self.lab.misbehave(stand_in, behaviour, Some(guid));
    }

    pub(crate) async fn snapshot(&self) -> Snapshot {
        self.lab.snapshot().await.unwrap_or_else(|error| panic!("no snapshot of the lab: {error:#}"))
    }

    /// Everything in the lab that mentions `guid`, in its name or anywhere in it.
    pub(crate) async fn traces(&self, guid: &str) -> Vec<String> {
        self.snapshot().await.traces(guid)
    }
}

/// An order below `tests/data`.
pub(crate) fn order_file(name: &str) -> PathBuf {
    checkout::root().join("tests/data").join(name)
}
