//! Orphans on the cluster.

use std::collections::BTreeSet;

use futures::future::try_join_all;
use jiff::Timestamp;
use tenant_workflow::step::StepError;

use super::{Grounds, Orphan, Recorded, Removal};
use crate::{
    cluster::{
        APP_PROJECT, APPLICATION, APPLICATION_SET, ARGO_CD, CLUSTER_QUOTA, CONFIG_MAP, DEPLOYMENT, GITEA,
        INGRESS, Kind, LEASE, LIMIT_RANGE, NAMESPACE, Object, ObjectRef, RESOURCE_QUOTA, ROLE_BINDING, ROUTE,
        SCC, SECRET, SERVICE, SERVICE_ACCOUNT, USER, VOLUME_CLAIM,
    },
    lease,
    names::{GUID_LABEL, MANAGED_BY_LABEL, MANAGER, Named},
    record::SYSTEM_NAMESPACE,
    rights::{Right, Verb},
    steps::app_project::{ACCOUNTS, FIELD_MANAGER_PREFIX},
};

const LIST: &[Verb] = &[Verb::List];

/// What searching takes, besides reading a Secret.
pub const RIGHTS: &[Right] = &[
    Right::on(NAMESPACE, LIST),
    Right::on(APP_PROJECT, LIST),
    Right::on(APPLICATION, LIST),
    Right::on(APPLICATION_SET, LIST),
    Right::on(ARGO_CD, LIST),
    Right::on(SCC, LIST),
    Right::on(CLUSTER_QUOTA, LIST),
    Right::on(USER, LIST),
    Right::on(GITEA, LIST),
    Right::on(LEASE, LIST),
    Right::on(SECRET, LIST),
    Right::on(CONFIG_MAP, LIST),
    Right::on(SERVICE, LIST),
    Right::on(SERVICE_ACCOUNT, LIST),
    Right::on(ROLE_BINDING, LIST),
    Right::on(DEPLOYMENT, LIST),
    Right::on(VOLUME_CLAIM, LIST),
    Right::on(LIMIT_RANGE, LIST),
    Right::on(RESOURCE_QUOTA, LIST),
    Right::on(ROUTE, LIST),
    Right::on(INGRESS, LIST),
];

/// Kinds whose names tell the guid, labelled or not.
const BY_NAME: [(Kind, Named); 7] = [
    (NAMESPACE, Named::Namespace),
    (APP_PROJECT, Named::AppProject),
    (APPLICATION, Named::Application),
    (APPLICATION_SET, Named::ApplicationSet),
    (SCC, Named::Scc),
    (CLUSTER_QUOTA, Named::ClusterQuota),
    (USER, Named::User),
];

/// All other kinds we make, found by label.
const BY_LABEL: [Kind; 13] = [
    GITEA,
    LEASE,
    SECRET,
    CONFIG_MAP,
    SERVICE,
    SERVICE_ACCOUNT,
    ROLE_BINDING,
    DEPLOYMENT,
    VOLUME_CLAIM,
    LIMIT_RANGE,
    RESOURCE_QUOTA,
    ROUTE,
    INGRESS,
];

pub(super) async fn search(grounds: &Grounds, recorded: &Recorded) -> Result<Vec<Orphan>, StepError> {
    let cluster = &grounds.cluster;
    let ours = format!("{MANAGED_BY_LABEL}={MANAGER}");
    let kinds = BY_NAME.iter().map(|(kind, named)| (*kind, Some(*named), ""));
    let kinds = kinds.chain(BY_LABEL.iter().map(|kind| (*kind, None, ours.as_str())));
    let listed = kinds.filter(|(kind, ..)| cluster.serves(kind)).map(|(kind, named, labels)| async move {
        Ok::<_, StepError>((kind, named, cluster.headers(&kind, "", labels).await?))
    });
    let accounts = ObjectRef::new(SECRET, grounds.settings.names.argo_cd_namespace().as_str(), ACCOUNTS);
    let shared = async {
        let instances = async {
            if cluster.serves(&ARGO_CD) { cluster.headers(&ARGO_CD, "", "").await } else { Ok(Vec::new()) }
        };
        let (instances, accounts) = futures::try_join!(instances, cluster.get(&accounts))?;
        let instances = instances.into_iter().map(|object| (ARGO_CD, object));
        Ok::<_, StepError>(instances.chain(accounts.map(|object| (SECRET, object))).collect::<Vec<_>>())
    };
    let (listed, shared) = futures::try_join!(try_join_all(listed), shared)?;
    let now = Timestamp::now();
    let found = listed.iter().flat_map(|(kind, named, objects)| {
        objects.iter().filter_map(|object| judge(*kind, *named, object, recorded, now))
    });
    let mut orphans = without_content(found.collect());
    orphans.extend(shared.iter().flat_map(|(kind, object)| shares(*kind, object, recorded)));
    Ok(orphans)
}

/// What an object is to us: nothing, an orphan by its label, or one by its name.
fn judge(
    kind: Kind,
    named: Option<Named>,
    object: &Object,
    recorded: &Recorded,
    now: Timestamp,
) -> Option<(ObjectRef, Orphan)> {
    let at = at(kind, object);
    let label = |key: &str| object.metadata.labels.as_ref().and_then(|labels| labels.get(key));
    let ours = label(MANAGED_BY_LABEL).is_some_and(|value| value == MANAGER);
    let (guid, removal) = match (label(GUID_LABEL).filter(|_| ours), named) {
        (Some(guid), _) => (guid.clone(), Removal::Destroy),
        // a login on OpenShift carries no label, and goes with the user in Keycloak
        (None, Some(Named::User)) => (Named::User.guid(&at.name)?.to_string(), Removal::Destroy),
        (None, Some(named)) => (named.guid(&at.name)?.to_string(), Removal::ByHand(by_hand(&at))),
        (None, None) => return None,
    };
    let user = format!("user-{guid}");
    let at_work = kind == LEASE && lease::holder(object, now).is_some();
    if recorded.has(&guid) || recorded.has_user(&user) || at_work {
        return None;
    }
    let what = at.to_string();
    Some((at, Orphan { guid, what, removal }))
}

fn at(kind: Kind, object: &Object) -> ObjectRef {
    let namespace = object.metadata.namespace.clone().unwrap_or_default();
    ObjectRef::new(kind, namespace, object.metadata.name.clone().unwrap_or_default())
}

fn by_hand(at: &ObjectRef) -> String {
    let namespace = if at.namespace.is_empty() { String::new() } else { format!(" -n {}", at.namespace) };
    let group = if at.kind.group.is_empty() { String::new() } else { format!(".{}", at.kind.group) };
    format!("kubectl delete{namespace} {}{group} {}", at.kind.plural, at.name)
}

/// Without what goes with a namespace that is an orphan itself.
fn without_content(found: Vec<(ObjectRef, Orphan)>) -> Vec<Orphan> {
    let namespaces: BTreeSet<(String, String)> = found
        .iter()
        .filter(|(at, _)| at.kind == NAMESPACE)
        .map(|(at, orphan)| (at.name.clone(), orphan.guid.clone()))
        .collect();
    found
        .into_iter()
        .filter(|(at, orphan)| {
            at.namespace == SYSTEM_NAMESPACE
                || !namespaces.contains(&(at.namespace.clone(), orphan.guid.clone()))
        })
        .map(|(_, orphan)| orphan)
        .collect()
}

/// The shares of tenants without a record in an object that several have a share of: local accounts, kept under a
/// field manager of each tenant's own.
fn shares(kind: Kind, object: &Object, recorded: &Recorded) -> Vec<Orphan> {
    let at = at(kind, object);
    let managers = object.metadata.managed_fields.iter().flatten();
    let accounts = |fields: &str| fields.contains("\"f:accounts.");
    let guids: BTreeSet<&str> = managers
        .filter(|entry| entry.fields_v1.as_ref().is_some_and(|fields| accounts(&fields.0.to_string())))
        .filter_map(|entry| entry.manager.as_deref()?.strip_prefix(FIELD_MANAGER_PREFIX))
        .filter(|guid| !recorded.has(guid))
        .collect();
    let share = |guid: &str| Orphan {
        guid: guid.to_owned(),
        what: format!("its share of {at}"),
        removal: Removal::Destroy,
    };
    guids.into_iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(metadata: &Value) -> Object {
        serde_json::from_value(json!({"metadata": metadata})).unwrap()
    }

    fn labelled(name: &str, namespace: &str, guid: &str) -> Object {
        let labels = json!({MANAGED_BY_LABEL: MANAGER, GUID_LABEL: guid});
        object(&json!({"name": name, "namespace": namespace, "labels": labels}))
    }

    fn recorded(guids: &[&str]) -> Recorded {
        Recorded {
            guids: guids.iter().map(ToString::to_string).collect(),
            users: guids.iter().map(|guid| format!("user-{guid}")).collect(),
        }
    }

    fn found(kind: Kind, named: Option<Named>, object: &Object, known: &[&str]) -> Option<Orphan> {
        judge(kind, named, object, &recorded(known), Timestamp::UNIX_EPOCH).map(|(_, orphan)| orphan)
    }

    #[test]
    fn a_label_without_a_record_is_an_orphan_and_destroy_removes_it() {
        let odd = labelled("anything", "", "x1");
        let orphan = found(NAMESPACE, Some(Named::Namespace), &odd, &["x2"]).unwrap();
        assert_eq!((orphan.guid.as_str(), orphan.removal), ("x1", Removal::Destroy));
        assert_eq!(found(NAMESPACE, Some(Named::Namespace), &odd, &["x1"]), None);
        // the namespace of the records has our label, and no guid
        let own = object(&json!({"name": "tenant-system", "labels": {MANAGED_BY_LABEL: MANAGER}}));
        assert_eq!(found(NAMESPACE, Some(Named::Namespace), &own, &[]), None);
    }

    #[test]
    fn a_name_alone_is_for_hands() {
        let named = object(&json!({"name": "agent-user-x1"}));
        let orphan = found(NAMESPACE, Some(Named::Namespace), &named, &[]).unwrap();
        assert_eq!(orphan.removal, Removal::ByHand("kubectl delete namespaces agent-user-x1".to_owned()));
        assert_eq!(found(NAMESPACE, Some(Named::Namespace), &named, &["x1"]), None);
        let project = object(&json!({"name": "appproject-user-x1", "namespace": "openshift-gitops"}));
        let orphan = found(APP_PROJECT, Some(Named::AppProject), &project, &[]).unwrap();
        let command = "kubectl delete -n openshift-gitops appprojects.argoproj.io appproject-user-x1";
        assert_eq!(orphan.removal, Removal::ByHand(command.to_owned()));
    }

    #[test]
    fn what_is_in_an_orphaned_namespace_goes_with_it() {
        let all = [
            (NAMESPACE, labelled("agent-user-x1", "", "x1")),
            (SECRET, labelled("a", "agent-user-x1", "x1")),
            (SECRET, labelled("b", "elsewhere", "x1")),
        ];
        let found = all.iter().filter_map(|(kind, object)| {
            judge(*kind, None, object, &Recorded::default(), Timestamp::UNIX_EPOCH)
        });
        let told: Vec<String> = without_content(found.collect()).into_iter().map(|one| one.what).collect();
        assert_eq!(told, ["Namespace agent-user-x1", "Secret elsewhere/b"]);
    }

    #[test]
    fn shares_are_told_by_their_managers() {
        let entry = |manager: &str, field: &str| json!({"manager": manager, "operation": "Apply", "fieldsV1": {"f:data": {field: {}}}});
        let account = "f:accounts.user-x1.password";
        let entries = [
            entry("tenant-x1", account),
            entry("tenant-x2", account),
            entry("tenant-other", "f:server.secretkey"),
            entry("argocd", account),
        ];
        let shared = object(&json!({"name": "argocd", "namespace": "gitops", "managedFields": entries}));
        let told = shares(ARGO_CD, &shared, &recorded(&["x2"]));
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(
            (told[0].guid.as_str(), told[0].what.as_str()),
            ("x1", "its share of ArgoCD gitops/argocd")
        );
    }
}
