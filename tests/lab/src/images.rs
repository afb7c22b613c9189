//! The images of a cluster with a node: made here, as there is no registry to pull from, under the names that the
//! charts and the operators use.
//!
//! What is in the images of the charts is a table ([`table`]); those of the operators hold one static program each. All
//! others sit on a Debian of this machine's release ([`base`]). Our own programs are in an image built from the
//! checkout's `Containerfile` ([`own`]).

pub mod archive;
pub mod base;
pub mod own;
pub mod python;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use archive::{Image, Layer, Packing};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    builds::{
        BuildError, Parts,
        cache::{Cache, Key},
        openshift_mcp::{self, Release},
        programs::Programs,
        progress::Progress,
        tool,
    },
    gitea::forge,
    operators::{tekton, toolhive},
    play::images::{self as table, Holds, PROGRAM},
};

/// The image that holds a pod's namespaces.
pub const PAUSE: &str = "localhost/pause:1";

/// The image that the charts make their handshakes with: any with a shell and curl.
pub const SHELL: &str = "registry.access.redhat.com/ubi9/ubi-minimal:9.6";

/// All images.
#[derive(Clone, Debug, Default)]
pub struct Images {
    /// Those the lab puts together.
    pub made: Vec<Image>,
    /// Archives of those that were built.
    pub built: Vec<Built>,
}

/// An image that a tool has built, as an OCI archive.
#[derive(Clone, Debug)]
pub struct Built {
    /// Its full name.
    pub reference: String,
    /// The digest of its manifest.
    pub digest: String,
    /// The archive.
    pub archive: PathBuf,
}

impl Images {
    /// Those of a node alone: pods can start, and have a shell.
    ///
    /// # Errors
    /// When something cannot be built or written.
    pub async fn of_a_node(
        parts: &Parts,
        programs: &Programs,
        progress: Progress,
    ) -> Result<Self, BuildError> {
        let maker = Maker::new(parts, programs, progress).await?;
        let shell = table::find(SHELL).into_iter();
        Ok(Self { made: vec![maker.pause().await?, maker.all(shell).await?.remove(0)], built: Vec::new() })
    }

    /// Those of a full cluster.
    ///
    /// # Errors
    /// When something cannot be built or written.
    pub async fn of_all(parts: &Parts, programs: &Programs, progress: Progress) -> Result<Self, BuildError> {
        let maker = Maker::new(parts, programs, progress).await?;
        let built = own::ensure(maker.cache, &maker.base, progress).await?;
        let mut made = vec![maker.pause().await?];
        for helper in ["entrypoint", "nop", "workingdirinit"] {
            let (reference, path) = (tekton::image(helper), format!("/ko-app/{helper}"));
            made.push(maker.program(&reference, &path, &programs.tekton.join(helper), json!({})).await?);
        }
        let (runner, user) = (&programs.toolhive_proxyrunner, json!({"User": "65532"}));
        made.push(maker.program(toolhive::PROXY_IMAGE, "/thv-proxyrunner", runner, user).await?);
        let listed = table::IMAGES.iter().filter(|image| image.reference != built.reference);
        made.extend(maker.all(listed).await?);
        Ok(Self { made, built: vec![built] })
    }
}

/// Makes layers and images.
struct Maker<'a> {
    parts: &'a Parts,
    programs: &'a Programs,
    cache: &'a Cache,
    progress: Progress,
    base: Layer,
}

impl<'a> Maker<'a> {
    async fn new(parts: &'a Parts, programs: &'a Programs, progress: Progress) -> Result<Self, BuildError> {
        let base = base::ensure(&parts.cache, progress).await?;
        Ok(Self { parts, programs, cache: &parts.cache, progress, base })
    }

    async fn pause(&self) -> Result<Image, BuildError> {
        self.program(PAUSE, "/pause", &self.programs.pause, json!({})).await
    }

    /// An image of one static program of this machine, which it starts.
    async fn program(
        &self,
        reference: &str,
        path: &str,
        source: &Path,
        mut config: Value,
    ) -> Result<Image, BuildError> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let key = Key::default().with("path", path).with("source", source.as_os_str().as_encoded_bytes());
        let layer = self.layer(name, key, |packing| packing.file(path, 0o755, source)).await?;
        config["Entrypoint"] = json!([path]);
        Ok(Image { reference: reference.to_owned(), layers: vec![layer], config })
    }

    /// Images of the table.
    async fn all(
        &self,
        listed: impl Iterator<Item = &'static table::Image>,
    ) -> Result<Vec<Image>, BuildError> {
        let mut images = Vec::new();
        for entry in listed {
            images.push(self.listed(entry).await?);
        }
        Ok(images)
    }

    async fn listed(&self, entry: &'static table::Image) -> Result<Image, BuildError> {
        let mut layers = vec![self.base.clone(), self.forge().await?];
        layers.extend(match entry.holds {
            Holds::Debian => None,
            Holds::Part(_) => Some(self.lab().await?),
            Holds::Build(name) => Some(self.build(name).await?),
        });
        if !(entry.files.is_empty() && entry.links.is_empty()) {
            let key = Key::default().with("entry", format!("{:?} {:?}", entry.files, entry.links));
            let own = self.layer("files", key, |packing| {
                entry
                    .files
                    .iter()
                    .try_for_each(|file| packing.content(file.path, file.mode, file.content.as_bytes()))?;
                entry.links.iter().try_for_each(|(path, target)| packing.link(path, target))
            });
            layers.push(own.await?);
        }
        let mut environment = vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];
        environment.extend(python::ENVIRONMENT);
        environment.extend(entry.environment);
        let config = json!({
            "Entrypoint": entry.entrypoint,
            "Cmd": entry.cmd,
            "Env": environment,
            "User": entry.user,
            "WorkingDir": entry.directory,
        });
        Ok(Image { reference: entry.reference.to_owned(), layers, config })
    }

    /// What the lab builds or downloads, on the path under its name.
    async fn build(&self, name: &'static str) -> Result<Layer, BuildError> {
        let on_path = format!("/usr/local/bin/{name}");
        match name {
            "kubernetes-mcp-server" => {
                let server = openshift_mcp::ensure(self.cache, Release::Current, self.progress).await?;
                let key = Key::default().with("source", server.as_os_str().as_encoded_bytes());
                self.layer(name, key, |packing| packing.file(&on_path, 0o755, &server)).await
            }
            // it is in the program that the node runs
            "kubectl" => {
                const PROGRAM: &str = "/usr/local/libexec/kubernetes-node";
                let node = &self.programs.node;
                let key = Key::default().with("source", node.as_os_str().as_encoded_bytes());
                let script = format!("#!/bin/sh\nexec {PROGRAM} kubectl \"$@\"\n");
                let pack = |packing: &mut Packing| {
                    packing.file(PROGRAM, 0o755, node)?;
                    packing.content(&on_path, 0o755, script.as_bytes())
                };
                self.layer(name, key, pack).await
            }
            "gitea" => {
                let key = self.parts.gitea_key.clone().with("image", "/usr/share/gitea");
                let pack = |packing: &mut Packing| {
                    packing.file(&on_path, 0o755, &self.parts.gitea)?;
                    packing.folder("/usr/share/gitea", &self.parts.gitea_static)
                };
                self.layer(name, key, pack).await
            }
            _ => python::ensure(self.cache, name, self.progress).await,
        }
    }

    /// Lets git find the forge where an order says GitHub.
    async fn forge(&self) -> Result<Layer, BuildError> {
        let settings = forge::over_http();
        let pack = |packing: &mut Packing| packing.content("/etc/gitconfig", 0o644, settings.as_bytes());
        self.layer("forge", Key::default().with("settings", &settings), pack).await
    }

    /// The lab's own program, without what only a debugger reads.
    async fn lab(&self) -> Result<Layer, BuildError> {
        let program = lab().map_err(|source| BuildError::Cache { path: "lab".into(), source })?;
        let unreadable = |source| BuildError::Cache { path: program.clone(), source };
        let metadata = fs::metadata(&program).map_err(unreadable)?;
        let version = format!("{:?} {}", metadata.modified().map_err(unreadable)?, metadata.len());
        let key =
            Key::default().with("program", program.as_os_str().as_encoded_bytes()).with("version", version);
        let stripped = self.cache.entry("lab", &key, self.progress, async |partial| {
            let mut strip = Command::new("strip");
            strip.arg("-o").arg(partial.join("lab")).arg(&program);
            tool::run("the lab's own image", strip).await.map(drop)
        });
        let stripped = stripped.await?.join("lab");
        self.layer("lab", key.with("packed", PROGRAM), |packing| packing.file(PROGRAM, 0o755, &stripped))
            .await
    }

    async fn layer(
        &self,
        name: &str,
        key: Key,
        pack: impl FnOnce(&mut Packing) -> io::Result<()>,
    ) -> Result<Layer, BuildError> {
        layer(self.cache, name, key, self.progress, pack).await
    }
}

/// The file of the program `lab`: this one, or the one that cargo built beside this test.
fn lab() -> io::Result<PathBuf> {
    let this = std::env::current_exe()?;
    if this.file_name().is_some_and(|name| name == "lab") {
        return Ok(this);
    }
    let beside = this.ancestors().skip(1).map(|folder| folder.join("lab")).find(|path| path.is_file());
    beside.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "cargo has not built it"))
}

/// The file of a layer in its cache entry.
const LAYER: &str = "layer.tar";

/// A layer of that name and key, packed if it is not cached.
async fn layer(
    cache: &Cache,
    name: &str,
    key: Key,
    progress: Progress,
    pack: impl FnOnce(&mut Packing) -> io::Result<()>,
) -> Result<Layer, BuildError> {
    let entry = cache
        .entry(&format!("layer-{name}"), &key, progress, async |partial| {
            let unwritable = |source| BuildError::Cache { path: partial.to_owned(), source };
            let mut packing = Packing::begin(&partial.join(LAYER)).map_err(unwritable)?;
            pack(&mut packing).and_then(|()| packing.finish()).map_err(unwritable)
        })
        .await?;
    Layer::of(&entry.join(LAYER)).map_err(|source| BuildError::Cache { path: entry, source })
}
