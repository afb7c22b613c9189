//! The MCP servers' share of the ApplicationSets: which chart, which image, and what each server is told.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::values::{PREFIX, Sets};
use crate::{
    names::{Component, McpServer, Names},
    order::{VarError, Vars},
    steps::mcp_servers::GITEA_CREDENTIALS,
};

/// Address of an MCP server inside the cluster, the same under every back end of its chart. It has no route: anyone who
/// knew the host could use its tools with the tenant's rights.
pub(super) fn url(names: &Names, server: McpServer) -> String {
    format!("http://mcp-{server}-proxy.{}.svc.cluster.local:8080/mcp", names.namespace(server.component()))
}

/// What the agent cannot do for want of a server the order leaves out.
pub(super) fn agent_lacks(names: &Names) -> impl Iterator<Item = &'static str> {
    let needs = [
        (McpServer::Openshift, "without MCP server openshift the agent reads nothing of the cluster"),
        (McpServer::Gitea, "without MCP server gitea the agent files no issues"),
    ];
    needs.into_iter().filter(|(server, _)| !names.has(*server)).map(|(_, lack)| lack)
}

/// Chart and image of every server.
#[derive(Debug, Clone)]
pub(super) struct Servers(BTreeMap<McpServer, Chart>);

#[derive(Debug, Clone)]
struct Chart {
    path: String,
    image: String,
}

impl Servers {
    /// Reads the order's variables.
    ///
    /// # Errors
    ///
    /// When a variable has the wrong type.
    pub(super) fn read(vars: &Vars) -> Result<Self, VarError> {
        let text = |server: McpServer, suffix: &str, default: String| {
            let name = format!("{PREFIX}{server}_{suffix}");
            vars.text(&[&name]).map(|found| found.unwrap_or(default))
        };
        let chart = |server: McpServer| {
            let path = text(server, "repo_path", format!("tenant/{}", server.component()))?;
            let image = text(server, "image", default_image(server).to_owned())?;
            Ok::<_, VarError>((server, Chart { path, image }))
        };
        Ok(Self(McpServer::ALL.into_iter().map(chart).collect::<Result<_, _>>()?))
    }

    /// Path of a server's chart in the tenant's repository.
    pub(super) fn path(&self, server: McpServer) -> &str {
        &self.0[&server].path
    }

    fn image(&self, server: McpServer) -> &str {
        &self.0[&server].image
    }
}

/// The images of the charts' own values. Tags are pinned where upstream pulls `latest`: since v0.0.61 the OpenShift
/// server's `latest` lacks the SSE endpoint upstream's chart asks for.
const fn default_image(server: McpServer) -> &'static str {
    match server {
        McpServer::Openshift => "quay.io/containers/kubernetes_mcp_server:v0.0.67",
        McpServer::Gitea => "docker.gitea.com/gitea-mcp-server:1.8.0",
        McpServer::Rhoai => "ghcr.io/opendatahub-io/rhoai-mcp:0.1.1",
        McpServer::Kubeflow => "ghcr.io/kubeflow/mcp-server:0.1.1",
    }
}

impl Sets<'_> {
    /// The values of a server's chart.
    pub(super) fn server(&self, server: McpServer) -> Value {
        let mut values = self.common(server.component().suffix(), server.component());
        values["image"] = json!(self.settings.servers.image(server));
        // who may call it: the agent and LibreChat; by name, for adopted namespaces lack our labels
        let callers = [Component::Agent, Component::Librechat].map(|one| self.names.namespace(one).as_str());
        values["networkPolicy"] = json!({"clientNamespaces": callers});
        match server {
            McpServer::Openshift => {
                // the server's account reads these and nothing else on the cluster
                let readable: Vec<&str> = self.names.namespaces().map(|(_, name)| name.as_str()).collect();
                values["readNamespaces"] = json!(readable);
            }
            McpServer::Gitea => {
                values["credentialsRevision"] = json!(self.revisions.gitea);
                values["giteaConfig"] = json!({
                    "url": self.names.gitea_internal_url(),
                    "existingSecret": GITEA_CREDENTIALS,
                });
            }
            // where the tenant's user works: what these servers show is made there
            McpServer::Rhoai | McpServer::Kubeflow => {
                values["workNamespaces"] = json!([self.names.namespace(Component::Agent).as_str()]);
            }
        }
        values
    }

    /// Where the agent finds a server; empty when the order leaves it out.
    pub(super) fn agent_server(&self, server: McpServer) -> String {
        if self.names.has(server) { url(self.names, server) } else { String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One truth in two places: the order's defaults must be what the chart alone would run.
    #[test]
    fn the_images_are_those_of_the_charts() {
        for server in McpServer::ALL {
            let path =
                format!("{}/../tenant-charts/{}/values.yaml", env!("CARGO_MANIFEST_DIR"), server.component());
            let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
            let image = text.lines().find_map(|line| line.strip_prefix("image: "));
            assert_eq!(image, Some(default_image(server)), "{path}");
        }
    }
}
