//! containerd in the node's machine, and the images in it.
//!
//! Its store outlives the lab, in the cache: what has been imported once is there at the next start. Facts about its
//! settings: lab reference, section 4.

use std::{
    collections::HashMap,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use tokio::process::Command;

use super::machine::{Machine, PODS};
use crate::{
    files::{private_folder, tail},
    images::{
        Images,
        archive::{self, Image},
    },
    polling,
    processes::{Processes, Program},
};

/// The component's name, as in `lab status` and `lab logs`.
pub const CONTAINERD: &str = "containerd";

/// The containerd namespace of Kubernetes.
const NAMESPACE: &str = "k8s.io";
const START_LIMIT: Duration = Duration::from_secs(20);

/// Where Debian's package puts the network plugins.
pub(super) const PLUGINS: &str = "/usr/lib/cni";

/// A running containerd.
#[derive(Debug)]
pub struct Runtime {
    socket: PathBuf,
    /// One lab at a time uses the store.
    _lock: File,
}

impl Runtime {
    /// Starts containerd with its store in `store`, which is locked, and its sockets below `directory`.
    ///
    /// # Errors
    /// When another lab uses the store, or containerd does not come up.
    pub async fn start(
        store: &Path,
        directory: &Path,
        pause: &str,
        machine: &Machine,
        processes: &Processes,
    ) -> anyhow::Result<Self> {
        let network = directory.join("network");
        for folder in [store, directory, &network] {
            private_folder(folder).context("make containerd's folders")?;
        }
        let lock = File::options().create(true).append(true).open(store.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another lab with a node uses the images in {}", store.display())
            }
            Err(TryLockError::Error(error)) => return Err(error).context("lock containerd's store"),
        }
        fs::write(network.join("10-lab.conflist"), network_settings(directory))?;
        let socket = directory.join("containerd.sock");
        let settings = directory.join("containerd.toml");
        fs::write(&settings, containerd_settings(store, directory, &socket, &network, pause))?;
        let program = Program {
            name: CONTAINERD.to_owned(),
            path: CONTAINERD.into(),
            arguments: vec!["--config".into(), settings.into()],
            directory: directory.to_owned(),
            environment: Vec::new(),
        };
        machine.program(program).context("start containerd: apt-get install containerd")?;
        let runtime = Self { socket, _lock: lock };
        let up = polling::until(START_LIMIT, async || {
            if processes.ended(CONTAINERD).is_some() {
                return Some(false);
            }
            runtime.ctr(["version"]).await.is_ok().then_some(true)
        });
        if up.await != Some(true) {
            bail!("containerd does not start; its log ends with:\n{}", tail(&processes.log(CONTAINERD)));
        }
        Ok(runtime)
    }

    /// Where the kubelet finds it.
    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// The command that imports an archive of images, whose path is added to it.
    pub fn import_command(&self) -> String {
        format!("ctr --address '{}' --namespace {NAMESPACE} images import", self.socket.display())
    }

    /// Imports those of the images that are not there as they should be; returns how many.
    ///
    /// # Errors
    /// When containerd refuses, or a layer cannot be read.
    pub async fn import(&self, images: &Images) -> anyhow::Result<usize> {
        let known = self.images().await?;
        let there = |reference: &str, digest: &str| known.get(reference).is_some_and(|known| known == digest);
        let missing: Vec<Image> =
            images.made.iter().filter(|image| !there(&image.reference, &image.digest())).cloned().collect();
        let mut count = missing.len();
        if count > 0 {
            self.load(move |pipe| archive::write(&missing, pipe)).await?;
        }
        for built in images.built.iter().filter(|built| !there(&built.reference, &built.digest)) {
            let path = built.archive.clone();
            self.load(move |mut pipe| std::io::copy(&mut File::open(path)?, &mut pipe).map(drop)).await?;
            count += 1;
        }
        Ok(count)
    }

    /// Imports an archive that `write` writes.
    async fn load(
        &self,
        write: impl FnOnce(File) -> std::io::Result<()> + Send + 'static,
    ) -> anyhow::Result<()> {
        let mut child = self
            .command()
            .args(["images", "import", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("run ctr")?;
        let pipe = child.stdin.take().context("ctr has no standard input")?.into_owned_fd()?;
        let written = tokio::task::spawn_blocking(move || write(File::from(pipe)));
        let output = child.wait_with_output().await.context("wait for ctr")?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        ensure!(output.status.success(), "containerd refuses the lab's images: {said}");
        written.await?.context("write the lab's images")
    }

    /// Names and digests of the images that are there.
    async fn images(&self) -> anyhow::Result<HashMap<String, String>> {
        let listed = self.ctr(["images", "list"]).await?;
        let row = |line: &str| {
            let mut words = line.split_ascii_whitespace();
            Some((words.next()?.to_owned(), words.nth(1)?.to_owned()))
        };
        Ok(listed.lines().skip(1).filter_map(row).collect())
    }

    async fn ctr<const N: usize>(&self, arguments: [&str; N]) -> anyhow::Result<String> {
        let output = self.command().args(arguments).output().await.context("run ctr")?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        ensure!(output.status.success(), "ctr {}: {said}", arguments.join(" "));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn command(&self) -> Command {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(&self.socket).args(["--namespace", NAMESPACE]).stdin(Stdio::null());
        command
    }
}

/// The bridge of the pods.
fn network_settings(directory: &Path) -> String {
    let settings = serde_json::json!({
        "cniVersion": "1.0.0",
        "name": "lab",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "pods0",
                "isGateway": true,
                "ipMasq": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": directory.join("addresses"),
                    "ranges": [[{"subnet": PODS}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    });
    settings.to_string()
}

fn containerd_settings(store: &Path, directory: &Path, socket: &Path, network: &Path, pause: &str) -> String {
    let quoted = |path: &Path| serde_json::Value::from(path.to_string_lossy()).to_string();
    format!(
        r#"version = 2
root = {root}
state = {state}

[grpc]
address = {socket}

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
# without CAP_SYS_RESOURCE no process may lower its score
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{PLUGINS}"
conf_dir = {network}

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"#,
        root = quoted(store),
        state = quoted(&directory.join("state")),
        socket = quoted(socket),
        network = quoted(network),
    )
}
