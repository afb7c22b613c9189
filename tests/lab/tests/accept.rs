//! The acceptance suite on an existing cluster, through the door that clusters of kind's have: `lab accept`. The cluster is
//! the lab's own node, as bare as kind leaves one.
//!
//! A test program of its own, as it wants the machine to itself. A machine that cannot have a node skips it, and says so
//! where nobody overlooks it.

use std::{
    collections::BTreeMap,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::Value;
use tenant_lab::{
    bare::Bare, builds::progress::Progress, directories::Directories, node, skip::skipped,
    snapshot::Snapshot, standins::Inventory,
};
use tokio::process::Command;

/// How long what is deleted may take to go.
const LIMIT: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_cluster_plays_the_suite_and_is_left_as_it_was() {
    if let Err(lacks) = node::possible(&Directories::from_environment()) {
        return skipped("the suite on an existing cluster", &lacks.to_string());
    }
    tenant_kit::crypto::install_crypto();
    let bare = Bare::start(Progress::stderr()).await.unwrap_or_else(|error| panic!("no cluster: {error:#}"));
    let client = tenant_lab::cluster::client(&bare.kubeconfig).await.expect("the kubeconfig is usable");
    let before = objects(&client).await;

    let status = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["accept", "--only", "two_tenants", "--load", &bare.import_command(), "--kubeconfig"])
        .arg(&bare.kubeconfig)
        .stdin(Stdio::null())
        .status()
        .await
        .expect("the lab's program starts");
    assert!(status.success(), "lab accept ended with {status}, see above");

    let begun = Instant::now();
    let mut left = added(&before, &objects(&client).await);
    while !left.is_empty() && begun.elapsed() < LIMIT {
        left = added(&before, &objects(&client).await);
    }
    assert!(left.is_empty(), "the suite leaves behind: {left:#?}");
    bare.remove().unwrap_or_else(|error| panic!("{error:#}"));
}

async fn objects(client: &kube::Client) -> BTreeMap<String, Value> {
    let snapshot = Snapshot::take(client, Inventory::default()).await;
    snapshot.unwrap_or_else(|error| panic!("the cluster's objects cannot be listed: {error}")).objects
}

/// What is there now and was not. A node begins to tell that it is alive some time after it is Ready.
fn added(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) -> Vec<String> {
    let new = after.keys().filter(|key| !before.contains_key(*key));
    new.filter(|key| !key.contains(" kube-node-lease/")).cloned().collect()
}
