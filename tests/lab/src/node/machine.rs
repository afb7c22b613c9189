//! The machine that the node runs on: process, mount and network namespaces of this host.
//!
//! Everything in it dies with its first process, and with it go mounts, interfaces and packet filters: a lab that
//! is killed leaves nothing behind on the host. It is reached over one pair of interfaces, [`HOST`] and
//! [`ADDRESS`]; the addresses of pods and Services are routed there, so that the host's programs reach them, too.

use std::{
    ffi::OsString,
    fs, io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use tokio::process::Command;

use crate::{
    files::tail,
    polling,
    processes::{Processes, Program},
};

/// The host's address in the network it shares with the machine.
pub const HOST: Ipv4Addr = Ipv4Addr::new(10, 243, 0, 1);
/// The machine's address there: the node's.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 243, 0, 2);
/// The addresses of pods.
pub const PODS: &str = "10.244.0.0/24";
/// The addresses of Services, as the API server is told.
const SERVICES: &str = "10.96.0.0/16";
/// The host's interface: there is one lab with a node at a time.
const INTERFACE: &str = "tenant-lab";

const NAME: &str = "machine";
const START_LIMIT: Duration = Duration::from_secs(10);

/// What its first process does: nothing, but bash reaps the processes that are left to it.
const INIT: &str = "sleep infinity & wait";

/// Makes file system and network the machine's own.
const FURNISH: &str = include_str!("furnish.sh");

/// The namespaces, for as long as their first process runs.
#[derive(Clone)]
pub struct Machine {
    /// Its first process, as the host numbers it.
    number: u32,
    processes: Arc<Processes>,
}

impl Machine {
    /// Starts a machine whose `/tmp` is `scratch`.
    ///
    /// # Errors
    /// Without root's rights, when a tool is missing, or when another lab with a node runs.
    pub async fn start(scratch: &Path, processes: &Arc<Processes>) -> anyhow::Result<Self> {
        ensure!(
            !Path::new("/sys/class/net").join(INTERFACE).exists(),
            "interface {INTERFACE} exists: another lab with a node runs on this machine; stop it first"
        );
        fs::create_dir_all(scratch).context("make the machine's /tmp")?;
        let arguments = [
            "--fork",
            "--kill-child=KILL",
            "--pid",
            "--net",
            "--mount",
            "--mount-proc",
            "--",
            "bash",
            "-c",
            INIT,
        ];
        let program = Program {
            name: NAME.to_owned(),
            path: "unshare".into(),
            arguments: arguments.map(OsString::from).to_vec(),
            directory: scratch.to_owned(),
            environment: Vec::new(),
        };
        processes.start(&program).context("start the node's machine")?;
        let first = polling::until(START_LIMIT, async || match processes.ended(NAME) {
            Some(_) => Some(Err(tail(&processes.log(NAME)))),
            None => processes.number(NAME).and_then(running_child).map(Ok),
        });
        let number = match first.await {
            Some(Ok(number)) => number,
            Some(Err(log)) => bail!("the node's machine does not start: {log}"),
            None => bail!("the node's machine does not start"),
        };
        let machine = Self { number, processes: Arc::clone(processes) };
        machine.connect(scratch).await?;
        Ok(machine)
    }

    /// Connects the machine with the host.
    async fn connect(&self, scratch: &Path) -> anyhow::Result<()> {
        let number = self.number.to_string();
        run(
            "ip",
            ["link", "add", "name", INTERFACE, "type", "veth", "peer", "name", "eth0", "netns", &number],
        )
        .await?;
        run("ip", ["address", "add", &format!("{HOST}/30"), "dev", INTERFACE]).await?;
        run("ip", ["link", "set", INTERFACE, "up"]).await?;
        let scratch = scratch.to_str().context("the lab's folder has a name that is no text")?;
        let mut inside = self.entry();
        let (address, host) = (ADDRESS.to_string(), HOST.to_string());
        let arguments = ["bash", "-c", FURNISH, "furnish", scratch, &address, &host, SERVICES];
        inside.extend(arguments.map(OsString::from));
        run("nsenter", inside).await?;
        for network in [PODS, SERVICES] {
            run("ip", ["route", "add", network, "via", &address]).await?;
        }
        Ok(())
    }

    /// Starts a program inside.
    ///
    /// # Errors
    /// When it cannot be started or recorded.
    pub fn program(&self, program: Program) -> io::Result<()> {
        let mut arguments = self.entry();
        arguments.push(program.path.into());
        arguments.extend(program.arguments);
        self.processes.start(&Program { path: PathBuf::from("nsenter"), arguments, ..program })
    }

    /// The arguments of `nsenter` that lead inside.
    fn entry(&self) -> Vec<OsString> {
        let target = format!("--target={}", self.number);
        [target.as_str(), "--pid", "--net", "--mount", "--"].map(OsString::from).to_vec()
    }
}

/// The child of `unshare`, once it has become the machine's first process.
fn running_child(parent: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    let child = children.split_ascii_whitespace().next()?.parse().ok()?;
    let name = fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
    (name.trim() == "bash").then_some(child)
}

/// Runs a tool of the host to its end.
async fn run(
    tool: &str,
    arguments: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>,
) -> anyhow::Result<()> {
    let output = Command::new(tool).args(arguments).output().await;
    let output = output.with_context(|| format!("run {tool}: is it installed?"))?;
    ensure!(
        output.status.success(),
        "{tool} failed while the node's machine was set up: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
