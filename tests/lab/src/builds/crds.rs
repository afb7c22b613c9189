//! The `CustomResourceDefinition`s of the real operators, read from their Go modules and kept as JSON,
//! which the API server takes as it is.
//!
//! Two kinds are in no Go module and two are served by OpenShift's aggregated API rather than a CRD:
//! those are ours, in [`own`].

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::objects::{MANAGED_BY, MANAGER};

use super::{
    BuildError,
    cache::{Cache, Key},
    golang, pinned,
    progress::Progress,
    sources,
};

const MODULE: [(&str, &str); 2] =
    [("go.mod", include_str!("../../go/crds/go.mod")), ("go.sum", include_str!("../../go/crds/go.sum"))];

/// A module and the manifests taken from it.
#[derive(Debug)]
struct Source {
    module: &'static str,
    folder: &'static str,
    manifests: &'static [(Set, &'static [&'static str])],
}

const SOURCES: [Source; 4] = [
    Source {
        module: "github.com/argoproj/argo-cd/v3",
        folder: "manifests/crds",
        manifests: &[(
            Set::Everywhere,
            &["application-crd.yaml", "applicationset-crd.yaml", "appproject-crd.yaml"],
        )],
    },
    Source {
        module: "github.com/stacklok/toolhive",
        folder: "deploy/charts/operator-crds/files/crds",
        manifests: &[
            (
                Set::Everywhere,
                &[
                    "toolhive.stacklok.dev_mcpauthzconfigs.yaml",
                    "toolhive.stacklok.dev_mcpexternalauthconfigs.yaml",
                    "toolhive.stacklok.dev_mcpgroups.yaml",
                    "toolhive.stacklok.dev_mcpoidcconfigs.yaml",
                    "toolhive.stacklok.dev_mcpservers.yaml",
                    "toolhive.stacklok.dev_mcptoolconfigs.yaml",
                ],
            ),
            (
                Set::ToolHive,
                &[
                    "toolhive.stacklok.dev_embeddingservers.yaml",
                    "toolhive.stacklok.dev_mcpregistries.yaml",
                    "toolhive.stacklok.dev_mcpremoteproxies.yaml",
                    "toolhive.stacklok.dev_mcpserverentries.yaml",
                    "toolhive.stacklok.dev_mcptelemetryconfigs.yaml",
                    "toolhive.stacklok.dev_mcpwebhookconfigs.yaml",
                    "toolhive.stacklok.dev_virtualmcpcompositetooldefinitions.yaml",
                    "toolhive.stacklok.dev_virtualmcpservers.yaml",
                ],
            ),
        ],
    },
    Source {
        module: "github.com/openshift/api",
        folder: "",
        manifests: &[(
            Set::OpenShift,
            &[
                "config/v1/zz_generated.crd-manifests/0000_10_config-operator_01_consoles.crd.yaml",
                "config/v1/zz_generated.crd-manifests/0000_10_config-operator_01_ingresses.crd.yaml",
                "config/v1/zz_generated.crd-manifests/0000_10_config-operator_01_oauths.crd.yaml",
                "operator/v1/zz_generated.crd-manifests/0000_50_console_01_consoles.crd.yaml",
                "operator/v1/zz_generated.crd-manifests/0000_50_ingress_00_ingresscontrollers.crd.yaml",
                "quota/v1/zz_generated.crd-manifests/0000_03_config-operator_01_clusterresourcequotas.crd.yaml",
                "route/v1/zz_generated.crd-manifests/routes-Default.crd.yaml",
                "security/v1/zz_generated.crd-manifests/\
             0000_03_config-operator_01_securitycontextconstraints-Default.crd.yaml",
            ],
        )],
    },
    Source {
        module: "github.com/tektoncd/pipeline",
        folder: "config/300-crds",
        // its controller watches all of them, used or not
        manifests: &[(
            Set::Tekton,
            &[
                "300-customrun.yaml",
                "300-pipeline.yaml",
                "300-pipelinerun.yaml",
                "300-resolutionrequest.yaml",
                "300-stepaction.yaml",
                "300-task.yaml",
                "300-taskrun.yaml",
                "300-verificationpolicy.yaml",
            ],
        )],
    },
];

/// Which clusters have a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// All that orders go to.
    Everywhere,
    /// Those with OpenShift's APIs.
    OpenShift,
    /// Those where the `ToolHive` operator itself runs: what else it wants to find.
    ToolHive,
    /// Those that run pipelines.
    Tekton,
}

impl Set {
    const ALL: [Self; 4] = [Self::Everywhere, Self::OpenShift, Self::ToolHive, Self::Tekton];

    /// The sets of a cluster that orders go to.
    pub fn of_platform(openshift: bool) -> &'static [Self] {
        if openshift { &Self::ALL[..2] } else { &Self::ALL[..1] }
    }

    /// Its folder in a finished build.
    fn folder(self) -> &'static str {
        match self {
            Self::Everywhere => "everywhere",
            Self::OpenShift => "openshift",
            Self::ToolHive => "toolhive",
            Self::Tekton => "tekton",
        }
    }

    /// Definitions in our own words.
    fn own(self) -> Vec<Value> {
        match self {
            Self::Everywhere => own::everywhere(),
            Self::OpenShift => own::on_openshift(),
            Self::ToolHive | Self::Tekton => Vec::new(),
        }
    }
}

/// Bump when [`own`] or the conversion below changes.
const REVISION: &str = "3";

/// The folder of finished manifests: a folder per [`Set`], one JSON file per CRD.
///
/// # Errors
/// When the modules cannot be downloaded or a manifest cannot be read.
pub async fn ensure(cache: &Cache, progress: Progress) -> Result<PathBuf, BuildError> {
    let key = Key::default()
        .with("go.sum", MODULE[1].1)
        .with("manifests", format!("{SOURCES:?}"))
        .with("revision", REVISION);
    cache
        .entry("crds", &key, progress, async |partial| {
            let task = progress.begin("reading the CRDs of OpenShift, Argo CD, ToolHive and Tekton (once)");
            let module = sources(partial, &MODULE)?;
            let wanted: Vec<String> =
                SOURCES.iter().map(|source| pinned(MODULE[0].1, source.module)).collect::<Result<_, _>>()?;
            let folders = golang::download(&module, &wanted).await?;
            for set in Set::ALL {
                let target = partial.join(set.folder());
                fs::create_dir_all(&target).map_err(unwritable(&target))?;
                set.own().into_iter().try_for_each(|definition| write(&target, definition))?;
            }
            for (source, folder) in SOURCES.iter().zip(folders) {
                let folder = folder.join(source.folder);
                for (set, manifests) in source.manifests {
                    let target = partial.join(set.folder());
                    manifests
                        .iter()
                        .try_for_each(|manifest| write(&target, read(&folder.join(manifest))?))?;
                }
            }
            task.done();
            Ok(())
        })
        .await
}

/// A manifest as it is sent.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The CRD's name, `{plural}.{group}`.
    pub name: String,
    /// JSON.
    pub bytes: Vec<u8>,
}

/// The manifests of some sets in a finished folder.
///
/// # Errors
/// When the folder cannot be read.
pub fn load(folder: &Path, sets: &[Set]) -> Result<Vec<Manifest>, BuildError> {
    let mut manifests = Vec::new();
    for set in sets {
        let folder = folder.join(set.folder());
        let unreadable = |source| BuildError::Cache { path: folder.clone(), source };
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            manifests.push(Manifest { name, bytes: fs::read(path).map_err(unreadable)? });
        }
    }
    Ok(manifests)
}

fn read(path: &Path) -> Result<Value, BuildError> {
    let wrong = |reason: String| BuildError::Manifest { path: path.to_owned(), reason };
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let definition: Value = tenant_kit::yaml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    match definition["kind"].as_str() {
        Some("CustomResourceDefinition") => Ok(unconverted(definition)),
        other => Err(wrong(format!("its kind is {other:?}"))),
    }
}

/// Tekton converts between versions in a webhook, which does not run here: a read of the older one would hang.
fn unconverted(mut definition: Value) -> Value {
    if let Some(spec) = definition["spec"].as_object_mut() {
        spec.remove("conversion");
    }
    definition
}

fn write(folder: &Path, mut definition: Value) -> Result<(), BuildError> {
    definition["metadata"]["labels"][MANAGED_BY] = MANAGER.into();
    let path = folder.join(format!("{}.json", definition["metadata"]["name"].as_str().unwrap_or_default()));
    fs::write(&path, definition.to_string()).map_err(unwritable(&path))
}

fn unwritable(path: &Path) -> impl Fn(std::io::Error) -> BuildError {
    |source| BuildError::Cache { path: path.to_owned(), source }
}

/// The definition of the MCP lifecycle operator's kind, which is published nowhere (MCP reference, 4.1). No cluster of the
/// lab has it from the start: with two operators to choose from, `tenant` would have to be told which.
pub fn mcp_lifecycle() -> Value {
    own::mcp_lifecycle()
}

mod own {
    //! Definitions in our own words, for kinds that no Go module carries.

    use super::{Value, json};

    /// Gitea's operator is an Ansible operator image; what its kind accepts: provisioning reference,
    /// section 4 (any spec and status, status subresource).
    pub(super) fn everywhere() -> Vec<Value> {
        vec![definition("pfe.rhpds.com", "v1", ("Gitea", "gitea"), "Namespaced", true)]
    }

    /// The `ArgoCD` kind of the Argo CD operator (provisioning reference, 2.1), and users, groups and
    /// identities, which OpenShift's OAuth API server stores and which need no schema here.
    pub(super) fn on_openshift() -> Vec<Value> {
        vec![
            definition("argoproj.io", "v1beta1", ("ArgoCD", "argocds"), "Namespaced", true),
            definition("user.openshift.io", "v1", ("Group", "groups"), "Cluster", false),
            definition("user.openshift.io", "v1", ("Identity", "identities"), "Cluster", false),
            definition("user.openshift.io", "v1", ("User", "users"), "Cluster", false),
        ]
    }

    /// What charts rely on is checked; the rest is let through.
    pub(super) fn mcp_lifecycle() -> Value {
        let mut definition =
            definition("mcp.x-k8s.io", "v1alpha1", ("MCPServer", "mcpservers"), "Namespaced", true);
        let open = |mut schema: Value| {
            schema["type"] = "object".into();
            schema["x-kubernetes-preserve-unknown-fields"] = true.into();
            schema
        };
        let image = open(json!({"required": ["ref"], "properties": {
            "ref": {"type": "string", "maxLength": 1000, "pattern": "^[a-z0-9.-]+(:[0-9]+)?/.+(:[\\w][\\w.-]*|@.+:.+)$"}}}));
        let source = open(json!({"required": ["type", "containerImage"], "properties": {
            "type": {"type": "string", "enum": ["ContainerImage"]}, "containerImage": image}}));
        let config = open(json!({"required": ["port"], "properties": {
            "port": {"type": "integer", "minimum": 1, "maximum": 65535},
            "path": {"type": "string", "pattern": "^/[^ ?#\\n\\t]*$", "default": "/mcp"},
            "arguments": {"type": "array", "items": {"type": "string", "minLength": 1}}}}));
        let spec = open(
            json!({"required": ["source", "config"], "properties": {"source": source, "config": config}}),
        );
        let schema =
            open(json!({"required": ["spec"], "properties": {"spec": spec, "status": open(json!({}))}}));
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema;
        definition
    }

    fn definition(group: &str, version: &str, names: (&str, &str), scope: &str, status: bool) -> Value {
        let (kind, plural) = names;
        let subresources = if status { json!({"status": {}}) } else { json!({}) };
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{group}")},
            "spec": {
                "group": group,
                "scope": scope,
                "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List")},
                "versions": [{
                    "name": version,
                    "served": true,
                    "storage": true,
                    "subresources": subresources,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
                }],
            },
        })
    }
}
