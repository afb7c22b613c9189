//! Argo CD: application controller, `ApplicationSet` controller and repo server, with a Redis.

use std::{fs, os::unix::fs::PermissionsExt as _};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{Setting, config_map};
use crate::{gitea::forge, installation};

/// The namespace of OpenShift GitOps.
const NAMESPACE: &str = "openshift-gitops";

/// The component names, as in `lab status` and `lab logs`.
pub const CONTROLLER: &str = "argocd-application-controller";
const SETS: &str = "argocd-applicationset-controller";
const SERVER: &str = "argocd-repo-server";
const REDIS: &str = "argocd-redis";

pub(super) async fn start(setting: &Setting<'_>) -> anyhow::Result<()> {
    installation::create(setting.client, objects()).await?;
    let folder = setting.directory.join("argocd");
    let [home, keys, empty] = ["home", "gnupg", "empty"].map(|name| folder.join(name));
    for folder in [&home, &keys, &empty] {
        fs::create_dir_all(folder).context("make Argo CD's folders")?;
    }
    // GnuPG refuses a folder that others may enter
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o700))?;
    fs::write(home.join(".gitconfig"), forge::over_http()).context("write Argo CD's Git configuration")?;
    let tools = folder.join("bin");
    fs::create_dir_all(&tools)?;
    std::os::unix::fs::symlink(&setting.programs.helm, tools.join("helm")).context("find Helm")?;
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let (home, keys, empty) = (text(&home), text(&keys), text(&empty));
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", text(&tools));
    let environment = [
        ("ARGOCD_FAKE_IN_CLUSTER", "true"),
        ("ARGOCD_GNUPGHOME", keys.as_str()),
        ("ARGOCD_GPG_ENABLED", "false"),
        ("ARGOCD_SSH_DATA_PATH", empty.as_str()),
        ("ARGOCD_TLS_DATA_PATH", empty.as_str()),
        ("HOME", home.as_str()),
        ("PATH", path.as_str()),
    ];
    let redis = ["--bind", "127.0.0.1", "--port", "6379", "--save", "", "--appendonly", "no"];
    setting.run(REDIS, "redis-server".into(), &redis, NAMESPACE, &[])?;
    let program = |name, flags: &[&str]| {
        let arguments = [&[name], flags].concat();
        setting.run(name, setting.programs.argocd.clone(), &arguments, NAMESPACE, &environment)
    };
    program(
        SERVER,
        &[
            "--address=127.0.0.1",
            "--port=8081",
            "--metrics-port=18084",
            "--disable-tls",
            "--redis=127.0.0.1:6379",
        ],
    )?;
    program(
        CONTROLLER,
        &[
            "--repo-server=127.0.0.1:8081",
            "--repo-server-plaintext",
            "--redis=127.0.0.1:6379",
            "--metrics-port=18082",
        ],
    )?;
    program(
        SETS,
        &[
            "--argocd-repo-server=127.0.0.1:8081",
            "--repo-server-plaintext",
            "--metrics-addr=127.0.0.1:18085",
            "--probe-addr=127.0.0.1:18086",
        ],
    )
}

/// What its installation puts into the cluster; `argocd-secret` is among the platform's objects.
pub(super) fn objects() -> Vec<Value> {
    let map = |name, data| config_map(NAMESPACE, name, "argocd", &data);
    vec![
        // a commit is seen this much later at most; nobody sends Argo CD a webhook here
        map("argocd-cm", json!({"timeout.reconciliation": "20s", "timeout.reconciliation.jitter": "0s"})),
        map("argocd-cmd-params-cm", json!({})),
        map("argocd-rbac-cm", json!({})),
        map("argocd-ssh-known-hosts-cm", json!({})),
        map("argocd-tls-certs-cm", json!({})),
        map("argocd-gpg-keys-cm", json!({})),
    ]
}
