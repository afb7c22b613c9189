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
pub(crate) mod suite;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::bail;
use archive::{Image, Layer, Packing};
use futures::future::try_join;
use serde_json::{Value, json};
use suite::Suite;
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
    supervisor::Prepared,
};

/// What images need of this machine: programs, and the Debian packages that bring them.
pub(crate) const TOOLS: [(&str, &str); 5] = [
    ("buildah", "buildah"),
    ("debootstrap", "debootstrap"),
    ("mount", "mount"),
    ("strip", "binutils"),
    ("unshare", "util-linux"),
];

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

/// What images are made of that needs nothing of the lab's other parts, and longer than any of them.
#[derive(Clone, Debug)]
pub struct Ahead {
    debian: Layer,
    own: Built,
}

impl Ahead {
    /// Builds it: the Debian, the image of our programs, and what comes from npm and `PyPI`.
    ///
    /// # Errors
    /// When something cannot be built or written.
    pub async fn ensure(cache: &Cache, progress: Progress) -> Result<Self, BuildError> {
        let built = async {
            let debian = base::ensure(cache, progress).await?;
            let own = own::ensure(cache, &debian, progress).await?;
            Ok(Self { debian, own })
        };
        let installed = async {
            openshift_mcp::ensure(cache, Release::Current, progress).await?;
            for server in python::servers() {
                python::ensure(cache, server, progress).await?;
            }
            Ok(())
        };
        try_join(built, installed).await.map(|(built, ())| built)
    }
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
        let debian = base::ensure(&parts.cache, progress).await?;
        let maker = Maker::new(parts, programs, debian, progress);
        let shell = table::find(SHELL).into_iter();
        Ok(Self { made: vec![maker.pause().await?, maker.all(shell).await?.remove(0)], built: Vec::new() })
    }

    /// Those of a full cluster.
    ///
    /// # Errors
    /// When something cannot be built or written.
    pub async fn of_all(
        parts: &Parts,
        programs: &Programs,
        Ahead { debian, own }: Ahead,
        progress: Progress,
    ) -> Result<Self, BuildError> {
        let maker = Maker::new(parts, programs, debian, progress);
        let mut images = maker.of_tenants(own).await?;
        images.made.push(maker.pause().await?);
        Ok(images)
    }

    /// Those that tenants need on a cluster that exists already, and that of the suite which is played there.
    ///
    /// # Errors
    /// When something cannot be built or written.
    pub(crate) async fn with(prepared: &Prepared, suite: &Suite, progress: Progress) -> anyhow::Result<Self> {
        let Prepared { parts, programs: Some(programs), ahead: Some(Ahead { debian, own }), .. } = prepared
        else {
            bail!("nothing was prepared for pods")
        };
        let maker = Maker::new(parts, programs, debian.clone(), progress);
        let mut images = maker.of_tenants(own.clone()).await?;
        images.made.push(maker.suite(suite).await?);
        Ok(images)
    }
}

/// Makes layers and images.
struct Maker<'a> {
    parts: &'a Parts,
    programs: &'a Programs,
    cache: &'a Cache,
    progress: Progress,
    debian: Layer,
}

impl<'a> Maker<'a> {
    fn new(parts: &'a Parts, programs: &'a Programs, debian: Layer, progress: Progress) -> Self {
        Self { parts, programs, cache: &parts.cache, progress, debian }
    }

    /// Those of the charts, and of what the operators start.
    async fn of_tenants(&self, own: Built) -> Result<Images, BuildError> {
        let programs = self.programs;
        let mut made = Vec::new();
        for helper in ["entrypoint", "nop", "workingdirinit"] {
            let (reference, path) = (tekton::image(helper), format!("/ko-app/{helper}"));
            made.push(self.program(&reference, &path, &programs.tekton.join(helper), json!({})).await?);
        }
        let (runner, user) = (&programs.toolhive_proxyrunner, json!({"User": "65532"}));
        made.push(self.program(toolhive::PROXY_IMAGE, "/thv-proxyrunner", runner, user).await?);
        let listed = table::IMAGES.iter().filter(|image| image.reference != own.reference);
        made.extend(self.all(listed).await?);
        Ok(Images { made, built: vec![own] })
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
        let mut layers = vec![self.debian.clone(), self.forge().await?];
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

    /// The lab's own program.
    async fn lab(&self) -> Result<Layer, BuildError> {
        let program = lab().map_err(|source| BuildError::Cache { path: "lab".into(), source })?;
        let (version, stripped) = self.stripped(&program).await?;
        let key = Key::default().with("program", version).with("packed", PROGRAM);
        self.layer("lab", key, |packing| packing.file(PROGRAM, 0o755, &stripped)).await
    }

    /// A program of this checkout without what only a debugger reads: what tells it from others, and its file.
    async fn stripped(&self, program: &Path) -> Result<(String, PathBuf), BuildError> {
        let unreadable = |source| BuildError::Cache { path: program.to_owned(), source };
        let metadata = fs::metadata(program).map_err(unreadable)?;
        let modified = metadata.modified().map_err(unreadable)?;
        let version = format!("{} {modified:?} {}", program.display(), metadata.len());
        let key = Key::default().with("program", &version);
        let entry = self.cache.entry("stripped", &key, self.progress, async |partial| {
            let mut strip = Command::new("strip");
            strip.arg("-o").arg(partial.join("program")).arg(program);
            tool::run("an image of this checkout's programs", strip).await.map(drop)
        });
        Ok((version, entry.await?.join("program")))
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

/// A key with the content of these files and folders below `root`.
fn key_of(key: Key, root: &Path, paths: &[&str]) -> io::Result<Key> {
    paths.iter().try_fold(key, |key, path| with(key, root, Path::new(path)))
}

fn with(key: Key, root: &Path, path: &Path) -> io::Result<Key> {
    let full = root.join(path);
    if !full.is_dir() {
        return Ok(key.with(&path.to_string_lossy(), fs::read(full)?));
    }
    let mut names: Vec<_> =
        fs::read_dir(full)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
    names.sort();
    names.into_iter().try_fold(key, |key, name| with(key, root, &path.join(name)))
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
