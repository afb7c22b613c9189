//! The `ToolHive` operator.

use super::Setting;
use crate::{
    builds::crds::{self, Set},
    installation,
};

/// The component's name, as in `lab status` and `lab logs`.
pub const OPERATOR: &str = "toolhive-operator";

/// The image of its proxies, as the lab imports it.
pub const PROXY_IMAGE: &str = "ghcr.io/stacklok/toolhive/proxyrunner:v0.47.0";

const NAMESPACE: &str = "default";

pub(super) async fn start(setting: &Setting<'_>) -> anyhow::Result<()> {
    installation::define(setting.client, crds::load(&setting.parts.crds, &[Set::ToolHive])?).await?;
    let arguments = ["--metrics-bind-address=127.0.0.1:18087", "--health-probe-bind-address=127.0.0.1:18088"];
    let environment = [
        ("ENABLE_REGISTRY", "false"),
        ("ENABLE_VMCP", "false"),
        ("POD_NAMESPACE", NAMESPACE),
        ("TOOLHIVE_RUNNER_IMAGE", PROXY_IMAGE),
        ("WATCH_NAMESPACE", ""),
    ];
    setting.run(OPERATOR, setting.programs.toolhive_operator.clone(), &arguments, NAMESPACE, &environment)
}
