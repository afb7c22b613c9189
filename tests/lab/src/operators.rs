//! The operators of a full cluster, real ones: Argo CD, Tekton Pipelines, ToolHive. They run as processes on the node's
//! machine, which saves images and rights, or in the one pod that brings the lab into an existing cluster; what they
//! deploy runs in pods. Settings: lab reference, sections 5 and 6.

pub mod argocd;
pub mod tekton;
pub mod toolhive;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use kube::Client;
use serde_json::{Value, json};

use crate::{
    builds::{Parts, programs::Programs},
    controlplane::Place,
    files::private,
    processes::Program,
};

/// What the operators are started with.
pub struct Setting<'a> {
    /// Where they run.
    pub place: Place<'a>,
    /// An administrator's kubeconfig there, JSON.
    pub kubeconfig: &'a Path,
    /// An administrator's client.
    pub client: &'a Client,
    /// The programs.
    pub programs: &'a Programs,
    /// Where the CRDs are.
    pub parts: &'a Parts,
    /// The operators' folder.
    pub directory: PathBuf,
}

/// Starts all of them; returns when what they need is in the cluster. They are at work within seconds.
///
/// # Errors
/// When the cluster refuses an object or a program cannot be started.
pub async fn start(setting: &Setting<'_>) -> anyhow::Result<()> {
    fs::create_dir_all(&setting.directory).context("make the operators' folder")?;
    tokio::try_join!(argocd::start(setting), tekton::start(setting), toolhive::start(setting)).map(drop)
}

/// Everything that the operators' installations put into a cluster, in no order.
pub(crate) fn objects() -> Vec<Value> {
    [argocd::objects(), tekton::objects()].concat()
}

impl Setting<'_> {
    /// Starts a program, as cluster administrator whose current namespace is `namespace`.
    fn run(
        &self,
        name: &str,
        path: PathBuf,
        arguments: &[&str],
        namespace: &str,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let kubeconfig = self.kubeconfig(namespace)?;
        let given = [("KUBECONFIG", kubeconfig.as_str())];
        let environment = given.iter().chain(environment);
        let program = Program {
            name: name.to_owned(),
            path,
            arguments: arguments.iter().map(OsString::from).collect(),
            directory: self.directory.clone(),
            environment: environment.map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
        };
        self.place.start(program).with_context(|| format!("start {name}"))
    }

    fn kubeconfig(&self, namespace: &str) -> anyhow::Result<String> {
        let mut kubeconfig: Value = serde_json::from_slice(&fs::read(self.kubeconfig)?)?;
        kubeconfig["contexts"][0]["context"]["namespace"] = namespace.into();
        let path = self.directory.join(format!("{namespace}.kubeconfig"));
        private(&path, kubeconfig.to_string())?;
        path.into_os_string().into_string().ok().context("the lab's folder has a name that is no text")
    }
}

/// A `ConfigMap` with that data, labelled as a part of `whole`.
fn config_map(namespace: &str, name: &str, whole: &str, data: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/part-of": whole}},
        "data": data,
    })
}
