//! A new version of a chart takes over while clients ask, and none of them is left without an answer.

use std::{collections::BTreeSet, fs, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, api::ListParams};
use serde_json::json;
use tenant_lab::story::{address, http};
use tokio::{task::JoinHandle, time::interval};
use tokio_util::sync::CancellationToken;

use crate::{
    charts::{prepare, remove},
    settled::until_settled,
    terminal::Terminal,
    world::{World, checkout},
};

const NAMESPACE: &str = "rolling";
/// Between two requests to one Service.
const PACE: Duration = Duration::from_millis(100);

/// A chart that serves, and what makes another version of it.
struct Serving {
    chart: &'static str,
    /// Values it is installed with.
    values: &'static str,
    /// Values that change its configuration, and with it its pods.
    change: &'static str,
    service: &'static str,
    /// What is asked for; MCP servers are asked to `initialize`.
    path: &'static str,
}

const SERVING: [Serving; 7] = [
    Serving {
        chart: "agent",
        values: "persistence.enabled=false",
        change: "agentConfig.litellm_model=openai/another",
        service: "agent",
        path: "/readyz",
    },
    Serving {
        chart: "librechat",
        values: "librechat.imageVolume.enabled=false",
        change: "librechat.configEnv.APP_TITLE=another",
        service: "librechat",
        path: "/health",
    },
    Serving {
        chart: "showroom",
        values: "terminal.enabled=false",
        change: "userData.revision=two",
        service: "showroom",
        path: "/",
    },
    server("mcp-gitea", "backend=plain,giteaConfig.url=https://gitea.example.com", "mcp-gitea-proxy"),
    server("mcp-kubeflow", "backend=plain", "mcp-kubeflow-proxy"),
    server("mcp-openshift", "backend=plain", "mcp-openshift-proxy"),
    server("mcp-rhoai", "backend=plain", "mcp-rhoai-proxy"),
];

const fn server(chart: &'static str, values: &'static str, service: &'static str) -> Serving {
    Serving { chart, values, change: "credentialsRevision=two", service, path: "/mcp" }
}

/// Claims that only one pod can have: chart, and the value that asks for it.
const CLAIMS: [(&str, &str); 3] = [
    ("agent", "persistence.enabled"),
    ("librechat", "librechat.imageVolume.enabled"),
    ("showroom", "terminal.enabled"),
];

/// A client that asks until it is told to stop.
struct Asking {
    chart: &'static str,
    stop: CancellationToken,
    /// How often it asked, and what was no answer.
    asked: JoinHandle<(usize, Vec<String>)>,
}

impl Asking {
    fn start(serving: &Serving, base: &str) -> Self {
        let http = http().expect("a client can be made");
        let (url, name) = (format!("{base}{}", serving.path), format!("{}:8080", serving.service));
        let speaks_mcp = serving.path == "/mcp";
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let asked = tokio::spawn(async move {
            let (mut count, mut failures, mut pace) = (0, Vec::new(), interval(PACE));
            while stopped.run_until_cancelled(pace.tick()).await.is_some() {
                let request = if speaks_mcp {
                    let client = json!({"name": "rollouts", "version": "1"});
                    let parameters =
                        json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
                    let request =
                        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": parameters});
                    // servers may look at the name they are called by
                    http.post(&url).header("Host", &name).json(&request)
                } else {
                    http.get(&url)
                };
                // a connection that is kept would stay with the old pod
                let request = request.header("Connection", "close").timeout(Duration::from_secs(5));
                let accepted = request.header("Accept", "application/json, text/event-stream").send().await;
                let answer = match accepted {
                    Ok(answer) => answer.error_for_status(),
                    Err(error) => Err(error),
                };
                count += 1;
                if let Err(error) = answer {
                    failures.push(format!("request {count}: {:#}", anyhow::Error::from(error)));
                }
            }
            (count, failures)
        });
        Self { chart: serving.chart, stop, asked }
    }

    async fn end(self) -> String {
        self.stop.cancel();
        let (count, failures) = self.asked.await.expect("asking does not panic");
        assert!(failures.is_empty(), "{}, asked {count} times: {failures:#?}", self.chart);
        assert!(count > 50, "{} was asked only {count} times", self.chart);
        format!("{} {count}", self.chart)
    }
}

/// The pods that serve.
async fn pods(client: &Client) -> BTreeSet<String> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let parameters = ListParams::default().labels("!batch.kubernetes.io/job-name");
    let pods = pods.list(&parameters).await.expect("an administrator may list");
    pods.into_iter().filter_map(|pod| pod.metadata.name).collect()
}

#[tokio::test]
async fn a_new_version_takes_over_while_clients_ask() {
    let Some(world) = World::turn().await else { return };
    let client = world.client().await;
    let before = world.snapshot().await;
    let terminal = Terminal::open(&world);
    prepare(&terminal);
    let secret =
        |arguments: &str| format!("kubectl create secret generic --namespace {NAMESPACE} {arguments}\n");
    let secrets = [
        "agent-credentials --from-file=LITELLM_URL=url --from-file=LITELLM_API_KEY=key",
        "librechat-credentials-env --from-env-file=librechat.env",
        "gitea-creds --from-file=token",
        "showroom-userdata --from-file=user_data.yml",
    ];
    terminal.run(&format!("kubectl create namespace {NAMESPACE}")).await;
    terminal.run(&secrets.map(secret).concat()).await;
    for Serving { chart, values, .. } in SERVING {
        let install = format!("helm install {chart} tenant-charts/{chart} --namespace {NAMESPACE}");
        terminal.run(&format!("{install} --set {values}")).await;
    }
    until_settled(&client, &[NAMESPACE]).await;

    let old = pods(&client).await;
    let mut asking = Vec::new();
    for serving in &SERVING {
        let base = address(&client, NAMESPACE, serving.service).await.expect("the Service has an address");
        asking.push(Asking::start(serving, &base));
    }
    for Serving { chart, change, .. } in SERVING {
        let upgrade = format!("helm upgrade {chart} tenant-charts/{chart} --namespace {NAMESPACE}");
        terminal.run(&format!("{upgrade} --reuse-values --set {change}")).await;
    }
    until_settled(&client, &[NAMESPACE]).await;
    let mut told = Vec::new();
    for asking in asking {
        told.push(asking.end().await);
    }
    let new = pods(&client).await;
    let stayed: Vec<_> = old.intersection(&new).filter(|name| !name.ends_with("-0")).collect();
    assert!(stayed.is_empty(), "pods of the old version are still there: {stayed:?} ({told:?})");

    let releases: Vec<_> = SERVING.iter().map(|serving| (serving.chart, NAMESPACE)).collect();
    remove(&world, &terminal, &releases, &before).await;
}

#[tokio::test]
async fn what_has_to_replace_its_pod_says_so_in_its_readme() {
    let Some(world) = World::turn().await else { return };
    let terminal = Terminal::open(&world);
    for (chart, value) in CLAIMS {
        let render = format!("helm template {chart} tenant-charts/{chart} --set {value}=");
        let alone = |rendered: &str| rendered.contains("type: Recreate");
        assert!(alone(&terminal.run(&format!("{render}true")).await), "{chart}: {value}");
        assert!(!alone(&terminal.run(&format!("{render}false")).await), "{chart}: {value}");
        let readme = fs::read_to_string(checkout(&format!("tenant-charts/{chart}/README.md"))).unwrap();
        let row = readme.lines().find(|line| line.starts_with(&format!("| `{value}` |")));
        let says = row.is_some_and(|row| row.contains("replaces the old one"));
        assert!(says, "{chart}/README.md does not say of {value} that a new version replaces the old one");
    }
}
