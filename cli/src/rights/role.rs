//! The table of rights as a `ClusterRole`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::{Value, json};

use super::{Right, TABLE, Verb};
use crate::cluster::Kind;

/// Name of the role.
pub const NAME: &str = "tenant-deployer";

/// One rule: verbs on one resource, and who needs them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// API group, empty for the core group.
    pub group: &'static str,
    /// Resource, as in URLs.
    pub resource: &'static str,
    /// The only names it counts for; empty: any.
    pub names: Vec<&'static str>,
    /// The verbs.
    pub verbs: BTreeSet<Verb>,
    /// Steps and commands.
    pub who: Vec<&'static str>,
}

/// The table's rules, one for each resource. A verb that somebody needs on all objects is not listed again for
/// those who need it on some.
pub fn rules() -> Vec<Rule> {
    let all = || TABLE.iter().flat_map(|(who, rights)| rights.iter().map(move |right| (*who, right)));
    let open: BTreeSet<(Kind, Verb)> = all()
        .filter(|(_, right)| right.names.is_empty())
        .flat_map(|(_, right)| right.verbs.iter().map(|verb| (right.kind, *verb)))
        .collect();
    let mut rules: BTreeMap<_, Rule> = BTreeMap::new();
    for (who, right) in all() {
        let covered = |verb: &Verb| !right.names.is_empty() && open.contains(&(right.kind, *verb));
        if right.verbs.iter().all(covered) {
            continue;
        }
        let Right { kind, verbs, names, .. } = right;
        let limited = !names.is_empty();
        let rule = rules.entry((kind.group, kind.plural, limited)).or_insert_with(|| Rule {
            group: kind.group,
            resource: kind.plural,
            names: Vec::new(),
            verbs: BTreeSet::new(),
            who: Vec::new(),
        });
        rule.verbs.extend(verbs.iter().copied());
        rule.names.extend(names.iter().filter(|name| !rule.names.contains(*name)).collect::<Vec<_>>());
        if !rule.who.contains(&who) {
            rule.who.push(who);
        }
    }
    rules.into_values().collect()
}

/// The role as a manifest, each rule with a comment that says who needs it.
pub fn yaml() -> String {
    let mut text = format!(
        "# All that `tenant` does at the API server. Made by: tenant doctor --print-rbac\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: {NAME}\nrules:\n"
    );
    for Rule { group, resource, names, verbs, who } in rules() {
        let verbs: Vec<&str> = verbs.into_iter().map(Verb::as_str).collect();
        let names = match names.as_slice() {
            [] => String::new(),
            names => format!("\n  resourceNames: [{}]", names.join(", ")),
        };
        writeln!(
            text,
            "# {}\n- apiGroups: [{group:?}]\n  resources: [{resource}]{names}\n  verbs: [{}]",
            who.join(", "),
            verbs.join(", "),
        )
        .expect("writing to a string succeeds");
    }
    text
}

/// The role as an object.
pub fn object() -> Value {
    let rules: Vec<Value> = rules()
        .into_iter()
        .map(|Rule { group, resource, names, verbs, .. }| {
            let verbs: Vec<&str> = verbs.into_iter().map(Verb::as_str).collect();
            let mut rule = json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
            if !names.is_empty() {
                rule["resourceNames"] = json!(names);
            }
            rule
        })
        .collect();
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": NAME},
        "rules": rules,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_yaml_is_the_object() {
        let read: Value = tenant_kit::yaml::from_str(&yaml()).unwrap();
        assert_eq!(read, object());
    }

    #[test]
    fn every_right_of_the_table_is_in_the_role() {
        let rules = rules();
        for (who, right) in TABLE.iter().flat_map(|(who, rights)| rights.iter().map(move |one| (who, one))) {
            for verb in right.verbs {
                let granted = rules.iter().any(|rule| {
                    (rule.group, rule.resource) == (right.kind.group, right.kind.plural)
                        && rule.verbs.contains(verb)
                        && (rule.names.is_empty()
                            || !right.names.is_empty()
                                && right.names.iter().all(|name| rule.names.contains(name)))
                });
                assert!(granted, "{who} may not {verb} {}", right.kind.plural);
            }
        }
    }

    #[test]
    fn nothing_is_granted_on_everything() {
        for rule in rules() {
            assert!(rule.group != "*" && rule.resource != "*", "{rule:?}");
        }
    }
}
