//! The agent in front of a real API server and the real OpenShift MCP server, in both of its generations.
//!
//! The MCP server comes from its npm package; a machine that cannot install it skips these checks, and says so where
//! nobody overlooks it.

use std::{fs, path::Path, sync::Arc};

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
    rbac::v1::ClusterRoleBinding,
};
use kube::{Api, Client, api::PostParams};
use serde_json::json;
use tenant_lab::{
    builds::{self, openshift_mcp, openshift_mcp::Release, progress::Progress},
    directories::Directories,
    eval::{
        apiserver::PipelineCluster,
        case::{self, Case},
        grade::Verdict,
        mutation::Mutation,
        service::{Service, Setup},
        suite::Bench,
        tracker::Generation,
    },
    skip::skipped,
};

use crate::program::built;

#[tokio::test]
async fn the_agent_reads_a_real_cluster_through_the_real_mcp_server_and_asks_it_who_reports() {
    let progress = Progress::stderr();
    let parts = builds::ensure(&Directories::from_environment(), progress).await;
    let parts = parts.unwrap_or_else(|error| panic!("the lab's parts are not there: {error}"));
    for release in [Release::Legacy, Release::Current] {
        if let Err(error) = openshift_mcp::ensure(&parts.cache, release, progress).await {
            return skipped("the agent in front of the real OpenShift MCP server", &error.to_string());
        }
    }
    let cluster = PipelineCluster::start(&parts).await;
    let cluster = Arc::new(cluster.unwrap_or_else(|error| panic!("the cluster does not start: {error:#}")));
    every_known_failure_is_read(&cluster).await;
    the_older_server_serves_as_well_over_the_legacy_transport(&cluster).await;
    a_pipeline_speaks_for_its_own_namespace_only(&cluster).await;
}

async fn bench(cluster: &Arc<PipelineCluster>, release: Release, generation: Generation) -> Bench {
    let agent = built("agent", "tenant-agent");
    let bench = Bench::before(&agent, Arc::clone(cluster), release, generation).await;
    bench.unwrap_or_else(|error| panic!("the agent does not start: {error:#}"))
}

fn complaints(verdicts: &[Verdict]) -> String {
    let failed = verdicts.iter().filter(|verdict| !verdict.passed());
    failed.map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

async fn every_known_failure_is_read(cluster: &Arc<PipelineCluster>) {
    let bench = bench(cluster, Release::Current, Generation::B).await;
    let verdicts = bench.play_all(&real(1), Mutation::None).await.unwrap_or_else(|error| panic!("{error:#}"));
    assert!(verdicts.len() > 50 && verdicts.iter().all(Verdict::passed), "{}", complaints(&verdicts));
}

async fn the_older_server_serves_as_well_over_the_legacy_transport(cluster: &Arc<PipelineCluster>) {
    let bench = bench(cluster, Release::Legacy, Generation::A).await;
    let verdicts = bench.play_all(&real(6), Mutation::Tail).await.unwrap_or_else(|error| panic!("{error:#}"));
    assert!(!verdicts.is_empty() && verdicts.iter().all(Verdict::passed), "{}", complaints(&verdicts));
}

/// Every so-manieth case that a real API server can hold.
fn real(every: usize) -> Vec<Case> {
    let cases = case::all().expect("the cases are readable").into_iter();
    cases.filter(Case::is_young).step_by(every).collect()
}

async fn a_pipeline_speaks_for_its_own_namespace_only(cluster: &Arc<PipelineCluster>) {
    let client = cluster.plane.client.clone();
    let folder = tempfile::tempdir().expect("a folder");
    let bench = bench(cluster, Release::Current, Generation::C).await;
    let case = case::all().expect("the cases are readable").into_iter().find(|case| case.id == "F01");
    let case = case.expect("the lab's own failure is a case");
    let scene = bench.scene(&case).expect("the case can be staged");
    let other = bench.scene(&case).expect("the case can be staged");
    for scene in [&scene, &other] {
        bench.stage.put(scene.clone()).await.expect("the API server takes the scene");
    }
    delegate(&client, &scene.namespace).await;
    let own = token(&client, &scene.namespace, "default", None).await;
    fs::write(folder.path().join("token"), own).expect("the folder is ours");
    fs::copy(&cluster.plane.ca, folder.path().join("ca.crt")).expect("the authority is a file");
    let service = guarded(&bench, &cluster.plane.url, folder.path()).await;

    let report = async |token: &str, body: &serde_json::Value| {
        let url = format!("{}/report-failure", service.url);
        let answer = service.http().post(url).bearer_auth(token).json(body).send().await;
        let answer = answer.expect("the agent answers");
        (answer.status().as_u16(), answer.text().await.unwrap_or_default())
    };
    let foreign = token(&client, &scene.namespace, "pipeline", None).await;
    let good = token(&client, &scene.namespace, "pipeline", Some("tenant-agent")).await;
    let (status, text) = report(&foreign, &scene.report).await;
    assert_eq!(status, 401, "a token for the API server: {text}");
    let (status, text) = report("a.b.c", &scene.report).await;
    assert_eq!(status, 401, "no token at all: {text}");
    let (status, text) = report(&good, &other.report).await;
    assert_eq!(status, 403, "another namespace: {text}");
    assert_eq!(bench.tracker.issues().len(), 0, "nothing was filed for any of them");
    let (status, text) = report(&good, &scene.report).await;
    assert_eq!(status, 200, "its own namespace: {text}");
    assert_eq!(bench.tracker.issues().len(), 1, "one issue for one failure: {text}");
}

/// A second agent beside the bench's, which asks the API server who reports.
async fn guarded(bench: &Bench, api_server: &str, account: &Path) -> Service {
    let account = account.to_str().expect("the folder's name is text");
    let more = ["--token-audience", "tenant-agent", "--api-server", api_server, "--service-account", account];
    let setup = Setup { anonymous: false, more: more.map(str::to_owned).to_vec(), ..bench.setup.clone() };
    Service::start(&setup, &Path::new(account).join("data")).await.expect("the guarded agent starts")
}

/// Lets the namespace's default account, the agent's here, ask about tokens.
async fn delegate(client: &Client, namespace: &str) {
    let binding: ClusterRoleBinding = serde_json::from_value(json!({
        "metadata": {"name": "agent-reviews-tokens"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
    }))
    .expect("a binding");
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    bindings.create(&PostParams::default(), &binding).await.expect("the binding is made");
}

async fn token(client: &Client, namespace: &str, account: &str, audience: Option<&str>) -> String {
    let audiences = audience.map(str::to_owned).into_iter().collect();
    let request = TokenRequest {
        spec: TokenRequestSpec { audiences, ..TokenRequestSpec::default() },
        ..TokenRequest::default()
    };
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let answer = accounts.create_token_request(account, &PostParams::default(), &request).await;
    answer.expect("the account gets a token").status.map(|status| status.token).unwrap_or_default()
}
