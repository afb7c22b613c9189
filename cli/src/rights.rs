//! Who needs what at the API server: the rights of the account `tenant` runs as, to the verb.
//!
//! Each step says beside its code what it does ([`TABLE`] gathers that); `doctor` asks the API server for exactly
//! these rights, and `doctor --print-rbac` prints them as a `ClusterRole`. The acceptance suite runs everything with
//! that role and nothing else, and compares it with what the API server's audit log saw.

pub mod role;

use std::fmt;

use crate::{
    cluster::{
        CLUSTER_ROLE, DEPLOYMENT, EVENT, INGRESS_CONFIG, Kind, LEASE, NAMESPACE, POD, SECRET, STORAGE_CLASS,
    },
    orphans, record,
    steps::{
        app_project, application_sets, console_embed, gitea_instance, gitea_user, keycloak_user, mcp_servers,
        namespaces, showroom, withdrawal,
    },
};

/// A verb of Kubernetes' authorisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Reads one.
    Get,
    /// Reads all.
    List,
    /// Follows changes.
    Watch,
    /// Makes one; a server-side apply of what is not there asks for this, too.
    Create,
    /// Replaces one.
    Update,
    /// Changes one; server-side apply is this.
    Patch,
    /// Removes one.
    Delete,
    /// Hands a role to others without having all of its rights oneself.
    Bind,
}

impl Verb {
    /// As RBAC spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::Bind => "bind",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What applying an object of one's own takes, and comparing it.
pub const KEEP: &[Verb] = &[Verb::Get, Verb::Create, Verb::Patch];
/// What applying and removing an object of one's own takes.
pub const OWN: &[Verb] = &[Verb::Get, Verb::Create, Verb::Patch, Verb::Delete];
/// What waiting for objects takes.
pub const FOLLOW: &[Verb] = &[Verb::List, Verb::Watch];

/// Verbs on one kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Right {
    /// The kind.
    pub kind: Kind,
    /// What is done with it.
    pub verbs: &'static [Verb],
    /// Only with the objects of these names; empty: with any.
    pub names: &'static [&'static str],
    /// Only on clusters that do not serve this kind.
    pub instead_of: Option<Kind>,
}

impl Right {
    /// Verbs on all objects of a kind.
    pub const fn on(kind: Kind, verbs: &'static [Verb]) -> Self {
        Self { kind, verbs, names: &[], instead_of: None }
    }

    /// The right to hand this `ClusterRole` to others.
    pub const fn to_bind(role: &'static [&'static str]) -> Self {
        Self::on(CLUSTER_ROLE, &[Verb::Bind]).named(role)
    }

    /// Limits it to objects of these names.
    #[must_use]
    pub const fn named(mut self, names: &'static [&'static str]) -> Self {
        self.names = names;
        self
    }

    /// Limits it to clusters that do not serve `kind`.
    #[must_use]
    pub const fn instead_of(mut self, kind: Kind) -> Self {
        self.instead_of = Some(kind);
        self
    }
}

/// Who needs which rights. What is no step is needed whichever steps run.
pub const TABLE: &[(&str, &[Right])] = &[
    (
        "every command",
        &[
            Right::on(SECRET, &[Verb::Get]),
            Right::on(NAMESPACE, &[Verb::List]),
            Right::on(INGRESS_CONFIG, &[Verb::Get]).named(&["cluster"]),
        ],
    ),
    ("record", record::RIGHTS),
    ("lease", &[Right::on(LEASE, &[Verb::Get, Verb::Create, Verb::Update, Verb::Delete])]),
    ("keycloak-user", keycloak_user::RIGHTS),
    ("namespaces", namespaces::RIGHTS),
    ("app-project", app_project::RIGHTS),
    ("gitea-instance", gitea_instance::RIGHTS),
    ("gitea-user", gitea_user::RIGHTS),
    ("mcp-servers", mcp_servers::RIGHTS),
    ("application-sets", application_sets::RIGHTS),
    ("console-embed", console_embed::RIGHTS),
    ("showroom", showroom::RIGHTS),
    // applications that go before their namespace and project do
    ("withdrawal of MCP servers", withdrawal::RIGHTS),
    // asked only when a workload takes long
    (
        "explanations",
        &[
            Right::on(DEPLOYMENT, &[Verb::List]),
            Right::on(POD, &[Verb::List]),
            Right::on(EVENT, &[Verb::List]),
        ],
    ),
    ("list", orphans::RIGHTS),
    ("doctor", &[Right::on(STORAGE_CLASS, &[Verb::List])]),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::steps::DEFAULT_RECIPE;

    #[test]
    fn every_step_that_meets_the_api_server_is_in_the_table() {
        let listed: BTreeSet<&str> = TABLE.iter().map(|(who, _)| *who).collect();
        assert_eq!(listed.len(), TABLE.len(), "somebody is listed twice");
        // the virtual key is a matter of LiteLLM alone
        for step in DEFAULT_RECIPE.iter().filter(|step| **step != "litellm-key") {
            assert!(listed.contains(step), "{step} does not say what it needs");
        }
    }

    #[test]
    fn no_right_says_nothing() {
        for (who, right) in TABLE.iter().flat_map(|(who, rights)| rights.iter().map(move |one| (who, one))) {
            let mut verbs = right.verbs.to_vec();
            verbs.sort();
            verbs.dedup();
            assert!(!right.verbs.is_empty() && verbs == right.verbs, "{who}: {right:?}");
            assert!(!right.verbs.contains(&Verb::Bind) || !right.names.is_empty(), "{who} binds any role");
        }
    }
}
