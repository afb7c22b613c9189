//! From a name back to the guid: whose is an object that carries no label? Only names by convention can tell; an
//! order may name everything otherwise.

use super::{APPLICATIONS, Component, Guid};

/// What the names of one kind of thing look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// A login: in Keycloak, in a Gitea, on OpenShift.
    User,
    /// A component's namespace, in either convention.
    Namespace,
    /// Argo CD's project.
    AppProject,
    /// An Application.
    Application,
    /// An `ApplicationSet`.
    ApplicationSet,
    /// The `SecurityContextConstraints` of the MCP servers.
    Scc,
    /// The `ClusterResourceQuota`.
    ClusterQuota,
    /// Alias of a virtual key.
    Key,
}

impl Named {
    /// The guid whose tenant has a thing of this name by convention.
    pub fn guid(self, name: &str) -> Option<Guid> {
        let around = |prefix: &str, suffix: &str| {
            Guid::new(name.strip_prefix(prefix)?.strip_suffix(suffix).filter(|guid| !guid.is_empty())?).ok()
        };
        let before = |parts: &[&str]| parts.iter().find_map(|part| around(&format!("{part}-user-"), ""));
        let after = |parts: &[&str]| {
            let mut parts = parts.to_vec();
            parts.sort_by_key(|part| std::cmp::Reverse(part.len())); // `mcp-gitea` before `gitea`
            parts.iter().find_map(|part| around("user-", &format!("-{part}")))
        };
        let components = Component::ALL.map(Component::suffix);
        match self {
            Self::User => around("user-", ""),
            Self::Namespace => before(&components).or_else(|| after(&components)),
            Self::AppProject => around("appproject-user-", ""),
            Self::Application => before(&APPLICATIONS),
            Self::ApplicationSet => after(&APPLICATIONS),
            Self::Scc => around("user-", "-mcpserver-scc"),
            Self::ClusterQuota => around("tenant-user-", ""),
            Self::Key => around("virtkey-", ""),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        names::{Findings, MCP_SERVERS, McpServer, Names},
        order::Vars,
    };

    fn found(named: Named, name: &str) -> Option<String> {
        named.guid(name).map(|guid| guid.to_string())
    }

    #[test]
    fn strangers_have_no_guid() {
        for name in [
            "kube-system",
            "user-",
            "user",
            "agent-user-",
            "gitea",
            "team-user-x1",
            "agent-user-X",
            "x-user-a_b",
        ] {
            assert_eq!(found(Named::Namespace, name), None, "{name}");
        }
        assert_eq!(found(Named::User, "superuser-x1"), None);
        assert_eq!(found(Named::Key, "virtkey-"), None);
    }

    #[test]
    fn the_longest_part_counts() {
        assert_eq!(found(Named::Namespace, "mcp-gitea-user-x1").as_deref(), Some("x1"));
        assert_eq!(found(Named::Namespace, "user-x1-mcp-gitea").as_deref(), Some("x1"));
        assert_eq!(found(Named::ApplicationSet, "user-x1-librechat-config").as_deref(), Some("x1"));
    }

    proptest! {
        #[test]
        fn every_name_by_convention_leads_back(guid in "[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?") {
            let all = McpServer::ALL.map(McpServer::name).join(",");
            let vars = Vars::from_iter([(MCP_SERVERS.to_owned(), all.into())]);
            let names = Names::derive(Guid::new(&guid).unwrap(), &vars, &Findings::default()).unwrap();
            let expected = Some(guid);
            prop_assert_eq!(&found(Named::User, names.username().as_str()), &expected);
            prop_assert_eq!(&found(Named::AppProject, names.app_project()), &expected);
            prop_assert_eq!(&found(Named::Scc, names.scc()), &expected);
            prop_assert_eq!(&found(Named::ClusterQuota, names.cluster_quota()), &expected);
            prop_assert_eq!(&found(Named::Key, names.key_alias()), &expected);
            for (_, namespace) in names.namespaces() {
                prop_assert_eq!(&found(Named::Namespace, namespace.as_str()), &expected);
            }
            for application in names.applications() {
                prop_assert_eq!(&found(Named::Application, application.as_str()), &expected);
            }
            for set in names.application_sets() {
                prop_assert_eq!(&found(Named::ApplicationSet, set.as_str()), &expected);
            }
        }
    }
}
