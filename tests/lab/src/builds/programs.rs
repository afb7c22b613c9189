//! Programs of a cluster with a node: each from a module of ours that pins the upstream one.
//!
//! Compiling `k8s.io/client-go` and `k8s.io/api` takes longer than most of what uses them. Modules that are near each
//! other have the same versions of what they share, the newest that one of them asks for: Go's own cache then has those
//! packages once. A test below says which modules these are.

use std::path::PathBuf;

use futures::future::try_join;
use serde::{Deserialize, Serialize};

use super::{
    BuildError,
    cache::Cache,
    golang::{GoBuild, Toolchain},
    key,
    progress::Progress,
    sources,
};

/// One of our modules, and the programs it makes.
#[derive(Debug)]
struct Module {
    /// Names the cache's entry.
    name: &'static str,
    /// What its progress line says.
    what: &'static str,
    sources: &'static [(&'static str, &'static str)],
    flags: [&'static str; 2],
    /// Whether C is linked in: what runs in an image of its own is static; what shares packages with the control plane
    /// is built as that is, so that they are compiled once.
    cgo: bool,
    /// File names and packages.
    programs: &'static [(&'static str, &'static str)],
}

/// Names a source file of one of the modules, with its content.
macro_rules! source {
    ($module:literal, $file:literal) => {
        ($file, include_str!(concat!("../../go/", $module, "/", $file)))
    };
}

const STRIPPED: [&str; 2] = ["-ldflags", "-s -w"];

const NODE: Module = Module {
    name: "node",
    what: "kubelet, kube-proxy, kube-scheduler and kubectl",
    sources: &[source!("node", "go.mod"), source!("node", "go.sum"), source!("node", "main.go")],
    flags: super::KUBERNETES_FLAGS,
    cgo: true,
    programs: &[("node", ".")],
};
const PAUSE: Module = Module {
    name: "pause",
    what: "the program that holds a pod's namespaces",
    sources: &[source!("pause", "go.mod"), source!("pause", "main.go")],
    flags: STRIPPED,
    cgo: false,
    programs: &[("pause", ".")],
};
const COREDNS: Module = Module {
    name: "coredns",
    what: "CoreDNS",
    sources: &[source!("coredns", "go.mod"), source!("coredns", "go.sum"), source!("coredns", "main.go")],
    flags: STRIPPED,
    cgo: false,
    programs: &[("coredns", ".")],
};
const HELM: Module = Module {
    name: "helm",
    what: "Helm",
    sources: &[source!("helm", "go.mod"), source!("helm", "go.sum")],
    flags: STRIPPED,
    cgo: true,
    programs: &[("helm", "helm.sh/helm/v3/cmd/helm")],
};
const ARGOCD: Module = Module {
    name: "argocd",
    what: "Argo CD",
    sources: &[source!("argocd", "go.mod"), source!("argocd", "go.sum"), source!("argocd", "main.go")],
    flags: STRIPPED,
    cgo: false,
    programs: &[("argocd", ".")],
};
const TOOLHIVE: Module = Module {
    name: "toolhive",
    what: "the ToolHive operator",
    sources: &[source!("toolhive", "go.mod"), source!("toolhive", "go.sum")],
    flags: STRIPPED,
    cgo: false,
    programs: &[
        ("thv-operator", "github.com/stacklok/toolhive/cmd/thv-operator"),
        ("thv-proxyrunner", "github.com/stacklok/toolhive/cmd/thv-proxyrunner"),
    ],
};
const TEKTON: Module = Module {
    name: "tekton",
    what: "Tekton Pipelines",
    sources: &[source!("tekton", "go.mod"), source!("tekton", "go.sum")],
    flags: STRIPPED,
    cgo: false,
    programs: &[
        ("controller", "github.com/tektoncd/pipeline/cmd/controller"),
        ("entrypoint", "github.com/tektoncd/pipeline/cmd/entrypoint"),
        ("nop", "github.com/tektoncd/pipeline/cmd/nop"),
        ("workingdirinit", "github.com/tektoncd/pipeline/cmd/workingdirinit"),
    ],
};

/// The folders of finished programs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Programs {
    /// kubelet, kube-proxy, kube-scheduler and kubectl in one: the first argument says which.
    pub node: PathBuf,
    /// Holds a pod's namespaces.
    pub pause: PathBuf,
    /// The cluster's name server.
    pub coredns: PathBuf,
    /// Helm, which Argo CD renders charts with.
    pub helm: PathBuf,
    /// Argo CD's controllers and repo server in one: the first argument says which.
    pub argocd: PathBuf,
    /// The ToolHive operator.
    pub toolhive_operator: PathBuf,
    /// The proxy that the ToolHive operator puts in front of an MCP server.
    pub toolhive_proxyrunner: PathBuf,
    /// The folder of Tekton's `controller`, `entrypoint`, `nop` and `workingdirinit`.
    pub tekton: PathBuf,
}

impl Programs {
    /// Those that run in pods when the whole lab does.
    pub(crate) fn in_pods(&self) -> [&PathBuf; 5] {
        [&self.argocd, &self.helm, &self.node, &self.tekton, &self.toolhive_operator]
    }

    /// Builds what is missing.
    ///
    /// # Errors
    /// When a tool is missing, a build fails or the cache cannot be written.
    pub async fn ensure(cache: &Cache, progress: Progress) -> Result<Self, BuildError> {
        let toolchain = Toolchain::find().await?;
        let build = |module| build(cache, &toolchain, module, progress);
        // two at a time: each leaves a core idle now and then; what comes later finds packages that others have compiled
        let one = async {
            Ok::<_, BuildError>((build(&ARGOCD).await?, build(&TEKTON).await?, build(&PAUSE).await?))
        };
        let other = async {
            Ok((build(&TOOLHIVE).await?, build(&COREDNS).await?, build(&NODE).await?, build(&HELM).await?))
        };
        let ((argocd, tekton, pause), (toolhive, coredns, node, helm)) = try_join(one, other).await?;
        Ok(Self {
            node: node.join("node"),
            pause: pause.join("pause"),
            coredns: coredns.join("coredns"),
            helm: helm.join("helm"),
            argocd: argocd.join("argocd"),
            toolhive_operator: toolhive.join("thv-operator"),
            toolhive_proxyrunner: toolhive.join("thv-proxyrunner"),
            tekton,
        })
    }
}

async fn build(
    cache: &Cache,
    toolchain: &Toolchain,
    module: &Module,
    progress: Progress,
) -> Result<PathBuf, BuildError> {
    let key =
        key(toolchain, module.sources, &module.flags).with("programs", format!("{:?}", module.programs));
    cache
        .entry(module.name, &key, progress, async |partial| {
            let folder = sources(partial, module.sources)?;
            for (name, package) in module.programs {
                let output = partial.join(name);
                let build = GoBuild {
                    module: &folder,
                    package,
                    flags: &module.flags,
                    cgo: module.cgo,
                    output: &output,
                };
                build.run(module.what, progress).await?;
            }
            Ok(())
        })
        .await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{super::CONTROL_PLANE, *};

    /// Module → version as it is built: the one that replaces it where go.mod says so.
    fn versions(go_mod: &'static str) -> BTreeMap<&'static str, &'static str> {
        let mut versions = BTreeMap::new();
        for line in go_mod.lines() {
            let words: Vec<_> = line.split_ascii_whitespace().skip_while(|word| *word == "require").collect();
            match words[..] {
                [path, "=>", _, version] => {
                    versions.insert(path, version);
                }
                [path, version, ..] if version.starts_with('v') => {
                    versions.entry(path).or_insert(version);
                }
                _ => {}
            }
        }
        versions
    }

    #[test]
    fn modules_that_are_near_each_other_share_what_is_compiled() {
        let go_mod = |module: &Module| module.sources[0].1;
        let alike = [
            vec![CONTROL_PLANE[0].1, go_mod(&NODE), go_mod(&HELM)],
            vec![go_mod(&TOOLHIVE), go_mod(&COREDNS)],
            vec![go_mod(&ARGOCD), go_mod(&TEKTON)],
        ];
        for group in alike {
            let mut known: BTreeMap<&str, &str> = BTreeMap::new();
            let mut shared = 0;
            for go_mod in group {
                for (path, version) in versions(go_mod) {
                    if let Some(other) = known.insert(path, version) {
                        assert_eq!(version, other, "versions of {path}");
                        shared += 1;
                    }
                }
            }
            assert!(shared > 20, "only {shared} modules are shared");
        }
    }
}
