//! The acceptance suite on an existing cluster, one of kind's say: `lab accept --kubeconfig FILE`.
//!
//! Of the cluster nothing but its API server has to be reachable from here. What the suite needs goes into the cluster:
//! the images of the charts, and one image more with the suite's own program, `tenant`, the operators and the stand-ins,
//! which runs as one pod ([`pod`]) and is there what a lab is here ([`crate::visit`]).

mod pod;

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, ensure};
use kube::{Api, Client, api::ListParams, config::Kubeconfig};
use tokio::process::Command;

use crate::{
    builds::progress::Progress,
    cluster,
    directories::Directories,
    images::{self, Images, archive, suite::Suite},
    installation, node,
    supervisor::{Options, Prepared, Size},
    visit,
};

/// kind names the contexts of its clusters so.
const KIND: &str = "kind-";

/// What is to be played, and where.
#[derive(Clone, Debug)]
pub struct Acceptance {
    /// The cluster's.
    pub kubeconfig: PathBuf,
    /// A shell's command that imports an archive of images into every node; the archive's path is added to it.
    pub load: String,
    /// The suite: a test program of this checkout.
    pub suite: PathBuf,
    /// The program under test.
    pub tenant: PathBuf,
    /// Of the suite, only the tests whose names contain this.
    pub only: Option<String>,
}

/// The command that imports images into the nodes of the kubeconfig's cluster, if it is one of kind's.
///
/// # Errors
/// When the kubeconfig cannot be read, or its cluster is not one of kind's.
pub fn load(kubeconfig: &Path) -> anyhow::Result<String> {
    let read = Kubeconfig::read_from(kubeconfig)
        .with_context(|| format!("read the kubeconfig {}", kubeconfig.display()))?;
    let context = read.current_context.unwrap_or_default();
    let name = context.strip_prefix(KIND).with_context(|| {
        format!(
            "context {context:?} of {} is not one of kind's: say with --load how its nodes import an archive of images",
            kubeconfig.display()
        )
    })?;
    Ok(format!("kind load image-archive --name {name}"))
}

impl Acceptance {
    /// Brings the suite into the cluster and plays it, handing its output to `tell` line by line; whether it passed.
    /// What was brought is removed again, unless the suite failed: then it stays for a look, until the next time.
    ///
    /// # Errors
    /// When something cannot be built or imported, or the cluster refuses.
    pub async fn play(
        &self,
        directories: &Directories,
        progress: Progress,
        tell: &(dyn Fn(&str) + Sync),
    ) -> anyhow::Result<bool> {
        // before anything is built for nothing
        node::installed(images::TOOLS.iter())?;
        let client = cluster::client(&self.kubeconfig).await?;
        let nodes: Api<k8s_openapi::api::core::v1::Node> = Api::all(client.clone());
        let nodes = nodes.list_metadata(&ListParams::default()).await.context("list the cluster's nodes")?;
        ensure!(!nodes.items.is_empty(), "the cluster has no nodes: nothing can run there");

        let images = self.images(directories, progress).await?;
        self.bring(directories, images, progress).await?;
        let task = progress.begin("removing what an earlier suite has left");
        clean(&client).await?;
        task.done();
        let passed = pod::play(&client, self.only.as_deref(), tell).await?;
        if passed {
            let task = progress.begin("removing the suite");
            clean(&client).await?;
            task.done();
        }
        Ok(passed)
    }

    /// The images of the charts, and that of the suite.
    async fn images(&self, directories: &Directories, progress: Progress) -> anyhow::Result<Images> {
        let options = Options {
            kubeconfig: Some(visit::KUBECONFIG.into()),
            plain: true,
            size: Size::Full,
            ..Options::default()
        };
        let prepared = Prepared::ensure(directories, &options, progress).await?;
        let suite = Suite::new(&prepared, &self.suite, &self.tenant)?;
        Images::with(&prepared, &suite, progress).await
    }

    /// Has every node import them.
    async fn bring(
        &self,
        directories: &Directories,
        images: Images,
        progress: Progress,
    ) -> anyhow::Result<()> {
        let folder = tempfile::tempdir_in(directories.root()).context("make a folder for the archive")?;
        let archive = folder.path().join("images.tar");
        let task = progress.begin("writing the images into an archive");
        let (made, file) = (images.made, File::create(&archive).context("make the archive")?);
        let written = tokio::task::spawn_blocking(move || archive::write(&made, file));
        written.await?.context("write the archive")?;
        task.done();
        let built = images.built.into_iter().map(|built| built.archive);
        for archive in [archive].into_iter().chain(built) {
            self.import(&archive, progress).await?;
        }
        Ok(())
    }

    async fn import(&self, archive: &Path, progress: Progress) -> anyhow::Result<()> {
        let said = format!("{} {}", self.load, archive.display());
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{} \"$1\"", self.load)).arg("sh").arg(archive);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let task = progress.begin(&said);
        let output = command.output().await.with_context(|| format!("run {said}"))?;
        ensure!(
            output.status.success(),
            "{said} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
        task.done();
        Ok(())
    }
}

/// Removes everything that a suite brings into a cluster, whether it is there or not; returns when it is gone.
async fn clean(client: &Client) -> anyhow::Result<()> {
    pod::remove(client).await?;
    cluster::clean(client).await?;
    Ok(installation::gone(client).await?)
}
