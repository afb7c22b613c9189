//! What the stand-ins hold outside the cluster: the other half of a residue snapshot.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::{gitea_operator, keycloak::Keycloak, litellm::Litellm};
use crate::platform::Platform;

/// Everything a tenant may leave outside the cluster, sorted, so that two inventories can be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Aliases of LiteLLM's virtual keys (the hash, for a key without alias).
    pub litellm_keys: Vec<String>,
    /// Users of Keycloak's tenant realm.
    pub keycloak_users: Vec<String>,
    /// Running Gitea instances.
    pub gitea: Vec<GiteaInventory>,
}

/// What one Gitea holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GiteaInventory {
    /// Name of the process.
    pub name: String,
    /// Lines `user {name}`, `repo {owner}/{name}`, `token {user}/{name}`; never a value of a token.
    pub content: Vec<String>,
}

/// Takes the inventory; every running Gitea is asked, the shared one included.
pub(super) async fn take(
    platform: &Platform,
    litellm: &Litellm,
    keycloak: &Keycloak,
) -> anyhow::Result<Inventory> {
    let mut gitea = Vec::new();
    for instance in platform.gitea.list() {
        let content = gitea_operator::content(&instance).await;
        // An instance whose resource has just been deleted may end while it is asked.
        match content {
            Ok(content) => gitea.push(GiteaInventory { name: instance.name, content }),
            Err(_) if platform.gitea.get(&instance.name).is_none() => {}
            Err(error) => return Err(error).with_context(|| format!("ask {} what it holds", instance.name)),
        }
    }
    gitea.sort();
    Ok(Inventory { litellm_keys: litellm.keys(), keycloak_users: keycloak.users(), gitea })
}
