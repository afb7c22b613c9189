//! The tables of rights in the charts' READMEs are what the API server says: the rights of each stored rendering are
//! given for real, and each account is asked what it may do, as `kubectl auth can-i --list` asks.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::{
    authorization::v1::{SelfSubjectRulesReview, SelfSubjectRulesReviewSpec},
    core::v1::Namespace,
    rbac::v1::ClusterRole,
};
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    boundaries::{Identity, grants, kind},
    checkout,
    world::World,
};

/// One thing that may be done: verb, and resource with group and name, or address.
type Right = String;

/// In place of the tenant and the namespaces that the renderings were made for.
const RENAMED: [(&str, &str); 2] = [("mcpuser-x1", "user-rights1"), ("-test", "-rights1")];

/// A namespace no chart gives rights in.
const ELSEWHERE: &str = "default";

fn right(verb: &str, resource: &str, group: &str, name: &str) -> Right {
    let group = if group.is_empty() { String::new() } else { format!(".{group}") };
    let name = if name.is_empty() { String::new() } else { format!(" named {name}") };
    format!("{verb} {resource}{group}{name}")
}

/// The rows of a table between two marks, each as its cells.
fn rows(text: &str, mark: &str) -> Vec<Vec<String>> {
    let (_, rest) = text.split_once(mark).unwrap_or_else(|| panic!("there is no {mark}"));
    let (table, _) = rest.split_once("<!-- end of rights -->").expect("a table of rights has an end");
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    table.lines().filter(|line| line.starts_with('|')).skip(2).map(cells).collect()
}

/// Rights of a row: its verbs on its resources; a `ClusterRole` is looked up.
async fn spelled_out(client: &Client, verbs: &str, resources: &str) -> BTreeSet<Right> {
    let resources: Vec<&str> = resources.split(", ").map(|cell| cell.trim_matches('`')).collect();
    if let Some(role) = resources[0].strip_prefix("ClusterRole ") {
        let roles: Api<ClusterRole> = Api::all(client.clone());
        let role = roles.get(role).await.unwrap_or_else(|error| panic!("{role}: {error}"));
        return role
            .rules
            .into_iter()
            .flatten()
            .flat_map(|rule| {
                let (groups, resources) =
                    (rule.api_groups.unwrap_or_default(), rule.resources.unwrap_or_default());
                combined(&rule.verbs, &groups, &resources, &rule.resource_names.unwrap_or_default())
            })
            .collect();
    }
    verbs
        .split(", ")
        .flat_map(|verb| resources.iter().map(move |resource| format!("{verb} {resource}")))
        .collect()
}

fn combined(verbs: &[String], groups: &[String], resources: &[String], names: &[String]) -> BTreeSet<Right> {
    let every = [String::new()];
    let names = if names.is_empty() { &every[..] } else { names };
    let mut rights = BTreeSet::new();
    for verb in verbs {
        for group in groups {
            for resource in resources {
                rights.extend(names.iter().map(|name| right(verb, resource, group, name)));
            }
        }
    }
    rights
}

/// What an account may do in a namespace, as the API server says; names of the tenant's namespaces are `<namespace>`.
async fn may(
    world: &World,
    account: &(String, String),
    namespace: &str,
    known: &BTreeSet<String>,
) -> BTreeSet<Right> {
    let client = Identity::service_account(&account.0, &account.1).client(world).await;
    let spec = SelfSubjectRulesReviewSpec { namespace: Some(namespace.into()) };
    let review = SelfSubjectRulesReview { spec, ..SelfSubjectRulesReview::default() };
    let reviews: Api<SelfSubjectRulesReview> = Api::all(client);
    let review = reviews.create(&PostParams::default(), &review).await.expect("everybody may ask");
    let status = review.status.expect("a review is answered");
    let mut rights = BTreeSet::new();
    for rule in status.resource_rules {
        let hidden = |name: String| if known.contains(&name) { "<namespace>".to_owned() } else { name };
        let names: Vec<_> = rule.resource_names.unwrap_or_default().into_iter().map(hidden).collect();
        let (groups, resources) = (rule.api_groups.unwrap_or_default(), rule.resources.unwrap_or_default());
        rights.extend(combined(&rule.verbs, &groups, &resources, &names));
    }
    for rule in status.non_resource_rules {
        let addresses = rule.non_resource_urls.unwrap_or_default();
        rights.extend(
            addresses
                .iter()
                .flat_map(|address| rule.verbs.iter().map(move |verb| format!("{verb} {address}"))),
        );
    }
    rights
}

/// The objects about rights in a stored rendering, for a tenant of this test.
fn objects(path: &str) -> Vec<Value> {
    let text = RENAMED.iter().fold(checkout::read(path), |text, (theirs, ours)| text.replace(theirs, ours));
    let documents = text.split("---\n").filter(|document| grants(document));
    documents
        .map(|document| serde_yaml::from_str(document).unwrap_or_else(|error| panic!("{path}: {error}")))
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What a rendering gives: accounts by namespace and name, and namespaces.
struct Given {
    accounts: BTreeSet<(String, String)>,
    namespaces: BTreeSet<String>,
    cluster_wide: Vec<(String, String)>,
}

/// Gives it for real.
async fn give(client: &Client, objects: &[Value]) -> Given {
    let mut given =
        Given { accounts: BTreeSet::new(), namespaces: BTreeSet::new(), cluster_wide: Vec::new() };
    for object in objects {
        let (of, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
        let namespace = text(&object["metadata"]["namespace"]);
        if of == "ServiceAccount" {
            given.accounts.insert((namespace.clone(), name.clone()));
        }
        for subject in object["subjects"].as_array().into_iter().flatten() {
            if subject["kind"] == "ServiceAccount" {
                given.accounts.insert((text(&subject["namespace"]), text(&subject["name"])));
            }
        }
        let resource = kind(&text(&object["apiVersion"]), &of);
        let params = PatchParams::apply("charts").force();
        let api: Api<DynamicObject> = if namespace.is_empty() {
            given.cluster_wide.push((of.clone(), name.clone()));
            Api::all_with(client.clone(), &resource)
        } else {
            let namespaces: Api<Namespace> = Api::all(client.clone());
            let itself = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
            let made = namespaces.patch(&namespace, &params, &Patch::Apply(itself)).await;
            made.unwrap_or_else(|error| panic!("{namespace}: {error}"));
            given.namespaces.insert(namespace.clone());
            Api::namespaced_with(client.clone(), &namespace, &resource)
        };
        let applied = api.patch(&name, &params, &Patch::Apply(object)).await;
        applied.unwrap_or_else(|error| panic!("{of} {name}: {error}"));
    }
    given
}

#[tokio::test]
async fn accounts_may_do_what_their_charts_tables_say_and_nothing_else() {
    let world = World::shared().await;
    let client = world.client().await;
    let mut everybody = BTreeSet::new();
    for row in rows(&checkout::read("tenant-charts/README.md"), "<!-- rights of everybody -->") {
        everybody.extend(spelled_out(&client, &row[0], &row[1]).await);
    }
    let nobody = ("default".to_owned(), "nobody".to_owned());
    assert_eq!(
        may(world, &nobody, ELSEWHERE, &BTreeSet::new()).await,
        everybody,
        "an account without a chart"
    );

    let tracked = checkout::tracked();
    let charts =
        tracked.iter().filter_map(|path| path.strip_prefix("tenant-charts/")?.strip_suffix("/rights.json"));
    let (mut namespaces, mut cluster_wide) = (BTreeSet::new(), Vec::new());
    for chart in charts {
        let readme = checkout::read(&format!("tenant-charts/{chart}/README.md"));
        // what the table says, by account; and the part of it that holds in the whole cluster
        let mut said: BTreeMap<String, BTreeSet<Right>> = BTreeMap::new();
        let mut everywhere: BTreeSet<Right> = BTreeSet::new();
        for row in rows(&readme, "<!-- rights: generated by .ci/readme -->") {
            let rights =
                if row[2] == "none" { BTreeSet::new() } else { spelled_out(&client, &row[2], &row[3]).await };
            for account in row[0].split(", ") {
                said.entry(account.trim_matches('`').to_owned()).or_default().extend(rights.clone());
            }
            if row[1] == "the cluster" {
                everywhere.extend(rights);
            }
        }
        let mut found: BTreeMap<String, BTreeSet<Right>> = BTreeMap::new();
        let folder = format!("tests/charts/{chart}/");
        let cases = tracked.iter().filter(|path| {
            path.strip_prefix(&folder).is_some_and(|name| name.strip_suffix(".snap").is_some())
        });
        for case in cases {
            let given = give(&client, &objects(case)).await;
            for account in &given.accounts {
                let known = found.entry(account.1.clone()).or_default();
                for namespace in &given.namespaces {
                    let rights = may(world, account, namespace, &given.namespaces).await;
                    known.extend(rights.difference(&everybody).cloned());
                }
                let elsewhere = may(world, account, ELSEWHERE, &given.namespaces).await;
                let beyond: Vec<_> =
                    elsewhere.difference(&everybody).filter(|one| !everywhere.contains(*one)).collect();
                assert!(beyond.is_empty(), "{case}: {account:?} may in other namespaces: {beyond:?}");
            }
            namespaces.extend(given.namespaces);
            cluster_wide.extend(given.cluster_wide);
        }
        assert_eq!(found, said, "{chart}: left is what the API server says, right what the README says");
    }

    for (of, name) in cluster_wide {
        let api: Api<DynamicObject> =
            Api::all_with(client.clone(), &kind("rbac.authorization.k8s.io/v1", &of));
        // several cases of a chart have the same ones
        let _ = api.delete(&name, &DeleteParams::default()).await;
    }
    for namespace in namespaces {
        let api: Api<Namespace> = Api::all(client.clone());
        api.delete(&namespace, &DeleteParams::default()).await.expect("the namespace was made here");
    }
}
