//! Whether the account may do all that the recipe does.

use std::collections::BTreeSet;

use futures::future::try_join_all;
use tenant_workflow::step::{Failure, StepError};

use super::{Finding, Patient};
use crate::{
    cluster::{CLUSTER_ROLE, Cluster, Kind},
    rights::{Right, TABLE, Verb},
};

const CHECK: &str = "rights";
const REMEDY: &str =
    "bind the ClusterRole that `tenant doctor --print-rbac` prints to the account of this token";

/// One question to the API server.
type Asked = (Kind, Verb, Option<String>);

pub(super) async fn check(patient: &Patient) -> Vec<Finding> {
    let cluster = &patient.cluster;
    let role = patient.settings.namespaces.role();
    let needed: Vec<(&str, BTreeSet<Asked>)> = TABLE
        .iter()
        .map(|(who, rights)| {
            (*who, rights.iter().filter(|one| counts(cluster, one)).flat_map(questions).collect())
        })
        .chain([("namespaces", BTreeSet::from([(CLUSTER_ROLE, Verb::Bind, Some(role.to_owned()))]))])
        .collect();
    let all: BTreeSet<&Asked> = needed.iter().flat_map(|(_, asked)| asked).collect();
    let reviews = all.into_iter().map(|asked| async move {
        let (kind, verb, name) = asked;
        let allowed = cluster.may(verb.as_str(), kind, name.as_deref()).await?;
        Ok::<_, StepError>((!allowed).then_some(asked))
    });
    match try_join_all(reviews).await {
        Err(error) => vec![Finding::failed(CHECK, &error)],
        Ok(answers) => {
            let denied: BTreeSet<&Asked> = answers.into_iter().flatten().collect();
            judge(&needed, &denied)
        }
    }
}

/// Whether a right is needed on this cluster.
fn counts(cluster: &Cluster, right: &Right) -> bool {
    let served = |kind: &Kind| kind.group.is_empty() || !cluster.versions(kind.group).is_empty();
    served(&right.kind) && right.instead_of.is_none_or(|kind| !served(&kind))
}

fn questions(right: &Right) -> Vec<Asked> {
    let names: Vec<Option<String>> = match right.names {
        [] => vec![None],
        names => names.iter().map(|name| Some((*name).to_owned())).collect(),
    };
    let each = |verb: &Verb| names.iter().map(|name| (right.kind, *verb, name.clone())).collect::<Vec<_>>();
    right.verbs.iter().flat_map(each).collect()
}

/// One finding that all is well, or one for everybody who cannot work.
fn judge(needed: &[(&str, BTreeSet<Asked>)], denied: &BTreeSet<&Asked>) -> Vec<Finding> {
    if denied.is_empty() {
        let all: BTreeSet<&Asked> = needed.iter().flat_map(|(_, asked)| asked).collect();
        let kinds: BTreeSet<&Kind> = all.iter().map(|(kind, ..)| kind).collect();
        return vec![Finding::good(CHECK, format!("all {} rights on {} kinds", all.len(), kinds.len()))];
    }
    let lacking = needed.iter().filter_map(|(who, asked)| {
        let mut kinds: Vec<(String, Vec<&str>)> = Vec::new();
        for (kind, verb, name) in asked.iter().filter(|one| denied.contains(one)) {
            let what = match name {
                Some(name) => format!("{} {name}", kind.plural),
                None => kind.plural.to_owned(),
            };
            match kinds.iter_mut().find(|(known, _)| *known == what) {
                Some((_, verbs)) => verbs.push(verb.as_str()),
                None => kinds.push((what, vec![verb.as_str()])),
            }
        }
        let told: Vec<String> =
            kinds.into_iter().map(|(kind, verbs)| format!("{} {kind}", verbs.join(", "))).collect();
        (!told.is_empty()).then(|| (*who, format!("{who} may not {}", told.join("; "))))
    });
    lacking
        .map(|(who, says)| match who {
            // no order needs these
            "explanations" | "list" | "doctor" => Finding::warning(CHECK, says, REMEDY),
            _ => Finding::problem(CHECK, Failure::Denied, says, REMEDY),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cluster::{NAMESPACE, SECRET},
        rights::OWN,
    };

    #[test]
    fn what_is_denied_is_told_by_who_needs_it() {
        let asked: BTreeSet<Asked> = questions(&Right::on(NAMESPACE, OWN)).into_iter().collect();
        let list = BTreeSet::from([(SECRET, Verb::List, None)]);
        let needed = vec![("namespaces", asked.clone()), ("gitea-user", BTreeSet::new()), ("list", list)];
        assert_eq!(judge(&needed, &BTreeSet::new()), [Finding::good(CHECK, "all 5 rights on 2 kinds")]);
        let denied =
            [(NAMESPACE, Verb::Create, None), (NAMESPACE, Verb::Delete, None), (SECRET, Verb::List, None)];
        let found = judge(&needed, &denied.iter().collect());
        let told: Vec<&str> = found.iter().map(|one| one.says.as_str()).collect();
        assert_eq!(told, ["namespaces may not create, delete namespaces", "list may not list secrets"]);
        assert_eq!(found[0].failure(), Some(Failure::Denied));
        assert_eq!(found[1].failure(), None, "an order does not need it");
    }

    #[test]
    fn a_right_on_some_names_is_asked_for_each() {
        let asked = questions(&Right::to_bind(&["admin", "edit"]));
        let names: Vec<Option<&str>> = asked.iter().map(|(_, _, name)| name.as_deref()).collect();
        assert_eq!(names, [Some("admin"), Some("edit")]);
    }
}
