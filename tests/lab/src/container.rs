//! A container of a rendered chart, run without an image and without a node.
//!
//! The program starts with the arguments and variables the chart gives it, and finds the files of the pod's
//! volumes and of its service account where the chart mounts them: in a mount namespace of its own, where
//! `/etc` and `/run` are the container's. So the chart's configuration is read as it was rendered, from the
//! path it was rendered for. Only static programs can live there.
//!
//! Needs util-linux's `unshare` and either root or user namespaces.

pub mod service;

use std::{collections::BTreeMap, ffi::OsString, fs, io, net::SocketAddr, path::Path};

use anyhow::Context as _;
use serde_json::Value;

use crate::processes::Program;

/// Replaces the two folders, in which nothing of the machine is left, and becomes the program.
const ENTER: &str = r#"mount --bind "$1/etc" /etc && mount --bind "$1/run" /run && shift && exec "$@""#;
/// Where a pod finds its service account; `/var/run` is `/run` on every system of this decade.
const SERVICE_ACCOUNT: &str = "run/secrets/kubernetes.io/serviceaccount";

/// Files by name, as a `ConfigMap` holds them.
pub type FileSet = BTreeMap<String, String>;

/// The objects a chart renders.
#[derive(Clone, Debug)]
pub struct Rendering {
    objects: Vec<Value>,
}

impl Rendering {
    /// Reads manifests as `helm template` prints them.
    ///
    /// # Errors
    /// When a document is not YAML.
    pub fn read(manifests: &str) -> anyhow::Result<Self> {
        let manifests = format!("\n{manifests}");
        let documents = manifests.split("\n---\n").filter(|document| !document.trim().is_empty());
        let objects = documents.map(|document| {
            tenant_kit::yaml::from_str(document).with_context(|| format!("read the manifest {document:?}"))
        });
        Ok(Self { objects: objects.collect::<anyhow::Result<_>>()? })
    }

    /// All objects of a kind.
    pub fn all(&self, kind: &str) -> Vec<Value> {
        self.objects.iter().filter(|object| object["kind"] == kind).cloned().collect()
    }

    /// The one object of a kind with that name.
    fn one(&self, kind: &str, name: &str) -> Option<&Value> {
        self.objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
    }
}

/// The first container of a Deployment, with the contents of its pod's volumes.
#[derive(Clone, Debug)]
pub struct Container {
    /// Its namespace.
    pub namespace: String,
    /// The account its pod has.
    pub service_account: String,
    /// The path its readiness is asked at.
    pub readiness: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    mounts: Vec<(String, FileSet)>,
}

impl Container {
    /// Finds it in what a chart renders. `given` are `ConfigMap`s that the chart expects to be there.
    ///
    /// # Errors
    /// When there is no such Deployment, or nobody has a `ConfigMap` that it mounts.
    pub fn of(rendering: &Rendering, deployment: &str, given: &[(&str, FileSet)]) -> anyhow::Result<Self> {
        let deployment =
            rendering.one("Deployment", deployment).context("the chart renders no such Deployment")?;
        let pod = &deployment["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let files = |name: &str| -> anyhow::Result<FileSet> {
            if let Some((_, files)) = given.iter().find(|(given, _)| *given == name) {
                return Ok(files.clone());
            }
            let map = rendering
                .one("ConfigMap", name)
                .with_context(|| format!("nobody has the ConfigMap {name}"))?;
            Ok(serde_json::from_value(map["data"].clone())?)
        };
        let mut mounts = Vec::new();
        for volume in list(&pod["volumes"]) {
            let mounted = list(&container["volumeMounts"]);
            let mount = mounted.iter().find(|mount| mount["name"] == volume["name"]);
            if let (Some(mount), Some(map)) = (mount, volume["configMap"]["name"].as_str()) {
                mounts.push((text(&mount["mountPath"]), files(map)?));
            }
        }
        Ok(Self {
            namespace: text(&deployment["metadata"]["namespace"]),
            service_account: text(&pod["serviceAccountName"]),
            readiness: text(&container["readinessProbe"]["httpGet"]["path"]),
            arguments: list(&container["args"]).iter().map(text).collect(),
            environment: list(&container["env"])
                .iter()
                .map(|each| (text(&each["name"]), text(&each["value"])))
                .collect(),
            mounts,
        })
    }

    /// How to run `path` as the container's program, called `name`, in the new folder `room`.
    ///
    /// # Errors
    /// When the room cannot be furnished.
    pub fn program(
        &self,
        name: &str,
        path: &Path,
        room: &Path,
        cluster: &Cluster<'_>,
    ) -> io::Result<Program> {
        let account = cluster.account(&self.namespace);
        let mounts = self.mounts.iter().map(|(directory, files)| (directory.trim_start_matches('/'), files));
        for top in ["etc", "run"] {
            fs::create_dir_all(room.join(top))?;
        }
        for (directory, files) in mounts.chain([(SERVICE_ACCOUNT, &account)]) {
            let directory = room.join(directory);
            fs::create_dir_all(&directory)?;
            for (name, content) in files {
                crate::files::private(&directory.join(name), content)?;
            }
        }
        let mut arguments: Vec<OsString> = vec!["--mount".into()];
        if !rustix::process::geteuid().is_root() {
            arguments.extend(["--user".into(), "--map-root-user".into()]);
        }
        arguments.extend(["--".into(), "sh".into(), "-c".into(), ENTER.into(), "sh".into()]);
        arguments.extend([room.into(), path.into()]);
        arguments.extend(self.arguments.iter().map(OsString::from));
        let mut environment = self.environment.clone();
        environment.push(("KUBERNETES_SERVICE_HOST".into(), cluster.api.ip().to_string()));
        environment.push(("KUBERNETES_SERVICE_PORT".into(), cluster.api.port().to_string()));
        environment.push(("HTTPS_PROXY".into(), format!("http://{}", cluster.service)));
        Ok(Program {
            name: name.into(),
            path: "unshare".into(),
            arguments,
            directory: "/".into(),
            environment,
        })
    }
}

/// What a pod is told of its cluster.
#[derive(Clone, Copy, Debug)]
pub struct Cluster<'a> {
    /// Where the API server listens.
    pub api: SocketAddr,
    /// The way to it by name, see [`service`].
    pub service: SocketAddr,
    /// Its authority, PEM.
    pub ca: &'a str,
    /// The token of the pod's account.
    pub token: &'a str,
}

impl Cluster<'_> {
    fn account(&self, namespace: &str) -> FileSet {
        let files = [("ca.crt", self.ca), ("namespace", namespace), ("token", self.token)];
        files.map(|(name, content)| (name.to_owned(), content.to_owned())).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RENDERED: &str = "---\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a.toml: x = 1}\n---\n\
        kind: Deployment\nmetadata: {name: server, namespace: room}\nspec:\n  template:\n    spec:\n      \
        serviceAccountName: server-sa\n      containers:\n      - args: [--config, /etc/server/a.toml]\n        \
        env: [{name: DIGEST, value: \"12\"}]\n        readinessProbe: {httpGet: {path: /healthz}}\n        \
        volumeMounts:\n        - {name: settings, mountPath: /etc/server}\n        - {name: trust, mountPath: /etc/trust}\n      \
        volumes:\n      - {name: settings, configMap: {name: settings}}\n      - {name: trust, configMap: {name: ca}}\n";

    #[test]
    fn a_container_finds_its_files_where_the_chart_mounts_them() {
        let rendering = Rendering::read(RENDERED).unwrap();
        let given = [("ca", FileSet::from([("ca.crt".to_owned(), "PEM".to_owned())]))];
        let container = Container::of(&rendering, "server", &given).unwrap();
        assert_eq!((&*container.service_account, &*container.readiness), ("server-sa", "/healthz"));

        let room = tempfile::tempdir().unwrap();
        let api = SocketAddr::from(([127, 0, 0, 1], 6443));
        let cluster = Cluster { api, service: api, ca: "PEM", token: "secret" };
        let program = container.program("server", Path::new("/bin/server"), room.path(), &cluster).unwrap();
        let read = |path: &str| fs::read_to_string(room.path().join(path)).unwrap();
        assert_eq!(read("etc/server/a.toml"), "x = 1");
        assert_eq!(read("etc/trust/ca.crt"), "PEM");
        assert_eq!(read("run/secrets/kubernetes.io/serviceaccount/namespace"), "room");
        let ends = ["/bin/server", "--config", "/etc/server/a.toml"].map(OsString::from);
        assert!(program.arguments.ends_with(&ends), "{:?}", program.arguments);
        assert!(program.arguments.iter().all(|argument| argument != "secret"), "a token is in the arguments");
    }

    #[test]
    fn a_missing_configmap_is_named() {
        let rendering = Rendering::read(RENDERED).unwrap();
        let error = Container::of(&rendering, "server", &[]).unwrap_err();
        assert_eq!(error.to_string(), "nobody has the ConfigMap ca");
    }
}
