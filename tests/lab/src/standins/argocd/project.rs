//! What an AppProject permits.
//!
//! Patterns as in Argo CD: `*` is anything (inside a repository address, anything but `/`), `**` anything
//! at all, `?` one character; a leading `!` denies. Alternatives in braces and character classes are not
//! imitated.

use serde_json::Value;

/// The cluster Argo CD itself runs in.
pub(super) const IN_CLUSTER_SERVER: &str = "https://kubernetes.default.svc";
const IN_CLUSTER_NAME: &str = "in-cluster";

/// Why the Application's spec breaks its project's rules, one message each; none if it does not.
pub(super) fn violations(project_name: &str, project: &Value, application: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let repository = application["source"]["repoURL"].as_str().unwrap_or_default();
    if !permits_source(project, repository) {
        found.push(format!("application repo {repository} is not permitted in project '{project_name}'"));
    }
    let destination = &application["destination"];
    let text = |field: &str| destination[field].as_str().filter(|text| !text.is_empty());
    match (text("server"), text("name")) {
        (Some(IN_CLUSTER_SERVER), None) | (None, Some(IN_CLUSTER_NAME)) => {}
        (Some(_), Some(_)) => {
            found.push("application destination can't have both name and server defined".to_owned());
            return found;
        }
        (server, name) => {
            let asked = server.or(name).unwrap_or_default();
            found.push(format!(
                "unable to find destination server: there are no clusters with this name: {asked}"
            ));
            return found;
        }
    }
    let namespace = text("namespace").unwrap_or_default();
    if !permits_destination(project, namespace) {
        let server = text("name").unwrap_or(IN_CLUSTER_SERVER);
        found.push(format!(
            "application destination server '{server}' and namespace '{namespace}' do not match any of the \
             allowed destinations in project '{project_name}'"
        ));
    }
    found
}

/// Whether Applications of the project may come from that repository.
fn permits_source(project: &Value, repository: &str) -> bool {
    let repository = normalized(repository);
    let mut permitted = false;
    for pattern in strings(&project["sourceRepos"]) {
        let (denies, pattern) = split_denial(pattern);
        let matches = pattern == "*" || glob(&normalized(pattern), &repository, Some('/'));
        if denies && matches {
            return false;
        }
        // A denial that does not match counts as a match, as it does there.
        permitted |= matches || denies;
    }
    permitted
}

/// Whether Applications of the project may deploy to that namespace of the local cluster.
pub(super) fn permits_destination(project: &Value, namespace: &str) -> bool {
    let mut permitted = false;
    for destination in project["destinations"].as_array().into_iter().flatten() {
        let fits = |field: &str, value: &str| {
            let (denies, pattern) = split_denial(destination[field].as_str().unwrap_or_default());
            (denies, (pattern == "*" || glob(pattern, value, None)) != denies)
        };
        let (denies_server, server) = fits("server", IN_CLUSTER_SERVER);
        let (denies_name, name) = fits("name", IN_CLUSTER_NAME);
        let (denies_namespace, in_namespace) = fits("namespace", namespace);
        let denied = (denies_name && !name)
            || (denies_server && !server && in_namespace)
            || (denies_namespace && !in_namespace && server);
        if (server || name) && in_namespace {
            permitted = true;
        } else if denied {
            return false;
        }
    }
    permitted
}

/// Whether Applications of the project may create that cluster-scoped kind: only what is listed.
pub(super) fn permits_cluster_kind(project: &Value, group: &str, kind: &str) -> bool {
    let listed = |list: &Value| {
        list.as_array().into_iter().flatten().any(|entry| {
            let fits = |field: &str, value: &str| {
                entry[field].as_str().is_some_and(|pattern| pattern == "*" || glob(pattern, value, None))
            };
            fits("group", group) && fits("kind", kind)
        })
    };
    listed(&project["clusterResourceWhitelist"]) && !listed(&project["clusterResourceBlacklist"])
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn split_denial(pattern: &str) -> (bool, &str) {
    pattern.strip_prefix('!').map_or((false, pattern), |rest| (true, rest))
}

/// A repository address for comparison: case, `.git` and a slash at the end make no difference.
fn normalized(address: &str) -> String {
    let address = address.trim().to_lowercase();
    let address = address.strip_suffix('/').unwrap_or(&address);
    address.strip_suffix(".git").unwrap_or(address).to_owned()
}

/// Shell-like matching. With a separator, a single `*` and `?` stop at it.
fn glob(pattern: &str, text: &str, separator: Option<char>) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    // reachable[i]: the pattern read so far matches the first i characters.
    let mut reachable = vec![false; text.len() + 1];
    reachable[0] = true;
    let mut position = 0;
    while position < pattern.len() {
        let mut next = vec![false; text.len() + 1];
        match pattern[position] {
            '*' => {
                let crosses = separator.is_none() || pattern.get(position + 1) == Some(&'*');
                if pattern.get(position + 1) == Some(&'*') {
                    position += 1;
                }
                let mut open = false;
                for index in 0..=text.len() {
                    if index > 0 && !crosses && Some(text[index - 1]) == separator {
                        open = false;
                    }
                    open |= reachable[index];
                    next[index] = open;
                }
            }
            literal => {
                for index in 0..text.len() {
                    let fits = text[index] == literal || (literal == '?' && Some(text[index]) != separator);
                    next[index + 1] = reachable[index] && fits;
                }
            }
        }
        reachable = next;
        position += 1;
    }
    reachable[text.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn project(namespaces: &[&str]) -> Value {
        let destinations: Vec<_> = namespaces
            .iter()
            .map(|namespace| json!({ "server": IN_CLUSTER_SERVER, "namespace": namespace }))
            .collect();
        json!({ "sourceRepos": ["*"], "destinations": destinations })
    }

    #[test]
    fn the_pattern_of_the_old_role_rejects_the_namespaces_of_the_old_role() {
        assert!(!permits_destination(&project(&["user-x1-*"]), "agent-user-x1"));
        assert!(permits_destination(&project(&["*-user-x1"]), "agent-user-x1"));
        assert!(permits_destination(&project(&["agent-user-x1", "gitea-user-x1"]), "agent-user-x1"));
        assert!(!permits_destination(&project(&["agent-user-x1"]), "agent-user-x10"));
        assert!(!permits_destination(&project(&[]), "agent-user-x1"));
        assert!(!permits_destination(&project(&["*", "!agent-*"]), "agent-user-x1"));
    }

    #[test]
    fn addresses_match_by_segment_and_without_git_suffix() {
        let with = |pattern: &str| json!({ "sourceRepos": [pattern] });
        let address = "http://gitea.gitea-user-x1.svc.cluster.local:3000/user-x1/mcp.git";
        for (pattern, permitted) in [
            ("*", true),
            ("http://gitea.gitea-user-x1.svc.cluster.local:3000/user-x1/mcp", true),
            ("http://gitea.gitea-user-x1.svc.cluster.local:3000/*/mcp/", true),
            ("http://gitea.gitea-user-x1.svc.cluster.local:3000/*", false),
            ("http://gitea.gitea-user-x1.svc.cluster.local:3000/**", true),
            ("https://github.com/*/*", false),
        ] {
            assert_eq!(permits_source(&with(pattern), address), permitted, "{pattern}");
        }
        assert!(!permits_source(&json!({ "sourceRepos": ["*", "!http://gitea.**"] }), address));
        assert!(!permits_source(&json!({}), address));
    }

    #[test]
    fn cluster_scoped_kinds_must_be_listed() {
        let binding = ("rbac.authorization.k8s.io", "ClusterRoleBinding");
        let mut project = json!({ "clusterResourceWhitelist": [{ "group": "", "kind": "Namespace" }] });
        assert!(!permits_cluster_kind(&project, binding.0, binding.1));
        project["clusterResourceWhitelist"] = json!([{ "group": "*", "kind": "*" }]);
        assert!(permits_cluster_kind(&project, binding.0, binding.1));
    }

    #[test]
    fn an_unknown_cluster_is_named() {
        let spec = |destination: Value| json!({ "source": { "repoURL": "r" }, "destination": destination });
        let of = |destination| violations("p", &project(&["a"]), &spec(destination));
        assert!(of(json!({ "name": "", "server": IN_CLUSTER_SERVER, "namespace": "a" })).is_empty());
        assert!(of(json!({ "name": "in-cluster", "namespace": "a" })).is_empty());
        assert!(of(json!({ "server": "https://elsewhere", "namespace": "a" }))[0].contains("elsewhere"));
        assert!(of(json!({ "server": IN_CLUSTER_SERVER, "namespace": "b" }))[0].contains("do not match"));
    }

    proptest! {
        #[test]
        fn a_text_matches_itself_and_any_of_its_prefixes_with_a_star(text in "[a-z/.-]{0,20}", cut in 0_usize..20) {
            prop_assert!(glob(&text, &text, Some('/')));
            let prefix: String = text.chars().take(cut).collect();
            let starred = format!("{prefix}*");
            let deep = format!("{prefix}**");
            prop_assert!(glob(&starred, &text, None));
            prop_assert!(glob(&deep, &text, Some('/')));
        }
    }
}
