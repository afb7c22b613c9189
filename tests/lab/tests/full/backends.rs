//! The MCP servers of the catalogue under the MCP lifecycle operator. ToolHive runs those of a tenant and of the READMEs'
//! commands, and a plain Deployment those whose versions change.

use kube::{
    Api,
    api::{DynamicObject, ListParams},
    core::{ApiResource, GroupVersionKind},
};
use tenant_lab::builds::crds;

use crate::{
    charts::{have_tools, prepare, remove},
    settled::until_settled,
    terminal::Terminal,
    world::World,
};

const NAMESPACE: &str = "lifecycle";
const SERVERS: [&str; 4] = ["gitea", "kubeflow", "openshift", "rhoai"];

#[tokio::test]
async fn all_servers_run_under_the_lifecycle_operator() {
    let Some(world) = World::turn().await else { return };
    let client = world.client().await;
    let terminal = Terminal::open(&world);
    prepare(&terminal);
    terminal.write("kind.json", &crds::mcp_lifecycle().to_string());
    let definition = "kubectl apply -f kind.json
        kubectl wait --for=condition=Established -f kind.json";
    terminal.run(definition).await;
    let before = world.snapshot().await;
    let secret = "kubectl create namespace lifecycle
        kubectl create secret generic gitea-creds --namespace lifecycle --from-file=token";
    terminal.run(secret).await;
    let charts = SERVERS.map(|server| format!("mcp-{server}"));
    for chart in &charts {
        let url = if chart == "mcp-gitea" { ",giteaConfig.url=https://gitea.example.com" } else { "" };
        let install = format!("helm install {chart} tenant-charts/{chart} --namespace {NAMESPACE}");
        terminal.run(&format!("{install} --set backend=lifecycle{url}")).await;
    }
    until_settled(&client, &[NAMESPACE]).await;
    have_tools(&terminal, NAMESPACE, &SERVERS).await;

    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("mcp.x-k8s.io", "v1alpha1", "MCPServer"));
    let servers: Api<DynamicObject> = Api::namespaced_with(client.clone(), NAMESPACE, &kind);
    let ready = "kubectl wait --for=condition=Ready mcpservers.mcp.x-k8s.io --all --timeout=60s --namespace lifecycle";
    terminal.run(ready).await;
    let servers = servers.list(&ListParams::default()).await.expect("an administrator may list");
    assert_eq!(servers.items.len(), SERVERS.len());

    let releases: Vec<_> = charts.iter().map(|chart| (chart.as_str(), NAMESPACE)).collect();
    remove(&world, &terminal, &releases, &before).await;
    terminal.run("kubectl delete -f kind.json").await;
}
