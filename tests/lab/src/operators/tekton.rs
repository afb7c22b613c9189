//! Tekton Pipelines: its controller, without the webhook (lab reference, section 6: defaults act all the same).

use serde_json::{Value, json};

use super::{Setting, config_map};
use crate::{
    builds::crds::{self, Set},
    images::SHELL,
    installation,
};

/// The component's name, as in `lab status` and `lab logs`.
pub const CONTROLLER: &str = "tekton-pipelines-controller";

/// The image of each of its helpers, as the lab imports it: `entrypoint`, `nop`, `workingdirinit`.
pub fn image(helper: &str) -> String {
    format!("ghcr.io/tektoncd/pipeline/{helper}:v1.6.0")
}

const NAMESPACE: &str = "tekton-pipelines";

pub(super) async fn start(setting: &Setting<'_>) -> anyhow::Result<()> {
    tokio::try_join!(
        async {
            Ok(installation::define(setting.client, crds::load(&setting.parts.crds, &[Set::Tekton])?).await?)
        },
        async { anyhow::Ok(installation::create(setting.client, vec![namespace()]).await?) },
    )?;
    installation::create(setting.client, objects()).await?;
    let images = ["entrypoint", "nop", "workingdirinit"].map(|helper| (helper, image(helper)));
    let images = images.map(|(helper, image)| format!("-{helper}-image={image}"));
    let shell = format!("-shell-image={SHELL}");
    let mut arguments: Vec<&str> = images.iter().map(String::as_str).collect();
    arguments.extend(["-disable-ha", &shell, "-shell-image-win=none", "-sidecarlogresults-image=none"]);
    let environment = [
        ("CONFIG_DEFAULTS_NAME", "config-defaults"),
        ("CONFIG_FEATURE_FLAGS_NAME", "feature-flags"),
        ("CONFIG_LEADERELECTION_NAME", "config-leader-election-controller"),
        ("CONFIG_LOGGING_NAME", "config-logging"),
        ("CONFIG_OBSERVABILITY_NAME", "config-observability"),
        ("CONFIG_SPIRE", "config-spire"),
        ("METRICS_DOMAIN", "tekton.dev/pipeline"),
        ("METRICS_PROMETHEUS_PORT", "19090"),
        ("PROBES_PORT", "18089"),
        ("PROFILING_PORT", "18090"),
        ("SYSTEM_NAMESPACE", NAMESPACE),
    ];
    let program = setting.programs.tekton.join("controller");
    setting.run(CONTROLLER, program, &arguments, NAMESPACE, &environment)
}

fn namespace() -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
}

/// Its namespace, and the settings it wants to find, even empty.
pub(super) fn objects() -> Vec<Value> {
    let empty = [
        "config-defaults",
        "config-events",
        "config-leader-election-controller",
        "config-logging",
        "config-observability",
        "config-spire",
        "config-tracing",
        "config-wait-exponential-backoff",
    ];
    let map = |name, data| config_map(NAMESPACE, name, "tekton-pipelines", &data);
    let mut objects = vec![namespace()];
    objects.extend(empty.map(|name| map(name, json!({}))));
    objects.extend(rights());
    objects.push(map(
        "feature-flags",
        json!({
            // nothing injects sidecars here: pods start three seconds sooner
            "running-in-environment-with-injected-sidecars": "false",
            // the log of a task that timed out is evidence
            "keep-pod-on-cancel": "true",
        }),
    ));
    objects
}

/// Its kinds belong to the cluster's roles `view` and `edit`, as its release has it (`clusterrole-aggregate-*.yaml`).
fn rights() -> [Value; 2] {
    let resources = ["pipelineruns", "pipelines", "taskruns", "tasks"];
    let labels = |role: &str| {
        let mut labels = json!({});
        labels[format!("rbac.authorization.k8s.io/aggregate-to-{role}")] = "true".into();
        // whoever may edit has the rights of `edit`, and so has the administrator of a namespace
        if role == "edit" {
            labels["rbac.authorization.k8s.io/aggregate-to-admin"] = "true".into();
        }
        labels
    };
    let role = |role: &str, verbs: Value| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {
                "name": format!("tekton-aggregate-{role}"),
                "labels": labels(role),
            },
            "rules": [{"apiGroups": ["tekton.dev"], "resources": resources, "verbs": verbs}],
        })
    };
    [
        role("view", json!(["get", "list", "watch"])),
        role(
            "edit",
            json!(["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]),
        ),
    ]
}
