//! What is left of tenants nobody has a record of: found by our labels, by our field managers in shared objects,
//! and by the names our conventions give.
//!
//! `tenant destroy` removes what carries the label, the shares, users and keys. What only has such a name may be
//! anybody's; it is told with the command that would remove it by hand.

mod cluster;
mod services;

use std::collections::{BTreeMap, BTreeSet};

use tenant_workflow::step::StepError;

pub use self::cluster::RIGHTS;
use crate::{cluster::Cluster, record::RecordFacts, settings::Settings, tenant::Web};

/// Something that is left.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Orphan {
    /// Whose it is, or was.
    pub guid: String,
    /// What it is, in a few words.
    pub what: String,
    /// What removes it.
    pub removal: Removal,
}

/// What removes an orphan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Removal {
    /// `tenant destroy` of the guid.
    Destroy,
    /// As [`Removal::Destroy`], if no tenant of another cluster has the guid: the service is not this cluster's alone.
    DestroyIfOurs,
    /// This command, if it is a tenant's at all.
    ByHand(String),
}

/// What a search came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// What is left, by guid.
    pub orphans: BTreeMap<String, Vec<Orphan>>,
    /// Where nobody looked, and why.
    pub unseen: Vec<String>,
}

/// Where to look.
pub struct Grounds {
    /// The cluster.
    pub cluster: Cluster,
    /// What the variables say of services.
    pub settings: Settings,
    /// Domain of the cluster's hosts; empty when it is not known.
    pub domain: String,
    /// HTTP clients.
    pub web: Web,
}

/// The tenants that have a record.
#[derive(Debug, Default)]
pub struct Recorded {
    guids: BTreeSet<String>,
    users: BTreeSet<String>,
}

impl Recorded {
    /// From the records.
    pub fn new<'a>(records: impl IntoIterator<Item = &'a RecordFacts>) -> Self {
        let mut recorded = Self::default();
        for facts in records {
            recorded.guids.insert(facts.guid.clone());
            recorded.users.insert(facts.username.clone());
        }
        recorded
    }

    /// Whether a guid has a record.
    fn has(&self, guid: &str) -> bool {
        self.guids.contains(guid)
    }

    /// Whether a login belongs to a tenant that has one.
    fn has_user(&self, user: &str) -> bool {
        self.users.contains(user)
    }
}

impl Grounds {
    /// Looks everywhere; changes nothing.
    ///
    /// # Errors
    ///
    /// When the API server or a service does not answer or refuses: half a search would call things absent.
    pub async fn search(&self, recorded: &Recorded) -> Result<Search, StepError> {
        let (on_cluster, keys, users, gitea) = futures::try_join!(
            cluster::search(self, recorded),
            services::keys(self, recorded),
            services::users(self, recorded),
            services::gitea_users(self, recorded),
        )?;
        let mut found = Search::default();
        let mut all = on_cluster;
        for looked in [keys, users, gitea] {
            match looked {
                Looked::Found(orphans) => all.extend(orphans),
                Looked::Unseen(why) => found.unseen.push(why),
                Looked::Nothing => {}
            }
        }
        all.sort();
        for orphan in all {
            found.orphans.entry(orphan.guid.clone()).or_default().push(orphan);
        }
        // what else is left here says that it was this cluster's tenant
        for group in found.orphans.values_mut() {
            if group.iter().any(|one| one.removal == Removal::Destroy) {
                for one in group.iter_mut().filter(|one| one.removal == Removal::DestroyIfOurs) {
                    one.removal = Removal::Destroy;
                }
            }
        }
        Ok(found)
    }
}

/// What looking at one service came to.
enum Looked {
    Found(Vec<Orphan>),
    /// There is no such service here.
    Nothing,
    /// It could not be looked at, and why.
    Unseen(String),
}
