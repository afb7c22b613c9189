//! What reverting a step would come to, found without changing anything.

use futures::future::try_join_all;
use tenant_workflow::step::{Seen, State, StepError};

use crate::{
    cluster::{Object, ObjectRef},
    tenant::Tenant,
};

/// What goes, and what is there and stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Outlook {
    goes: Vec<String>,
    stays: Vec<String>,
}

impl Outlook {
    /// These objects, as far as they are there: those that are the tenant's own go, others stay.
    pub(super) async fn on(tenant: &Tenant, objects: Vec<ObjectRef>) -> Result<Self, StepError> {
        let looked = objects.into_iter().filter(|at| tenant.cluster.serves(&at.kind)).map(|at| async move {
            let found = tenant.cluster.get(&at).await?;
            Ok::<_, StepError>((at, found))
        });
        let mut outlook = Self::default();
        for (at, found) in try_join_all(looked).await? {
            match found {
                Some(object) if tenant.owns(&object) => outlook.object(&at, &object),
                Some(_) => outlook.stays(format!("{at} is not the tenant's own")),
                None => {}
            }
        }
        Ok(outlook)
    }

    /// This object goes.
    pub(super) fn object(&mut self, at: &ObjectRef, object: &Object) {
        let already = object.metadata.deletion_timestamp.is_some();
        self.goes(if already { format!("{at} (being deleted already)") } else { at.to_string() });
    }

    /// This goes.
    pub(super) fn goes(&mut self, what: impl Into<String>) {
        self.goes.push(what.into());
    }

    /// This is there and stays, and why.
    pub(super) fn stays(&mut self, what: impl Into<String>) {
        self.stays.push(what.into());
    }

    /// All of another one, too.
    pub(super) fn extend(&mut self, other: Self) {
        self.goes.extend(other.goes);
        self.stays.extend(other.stays);
    }

    /// As what a look found.
    pub(super) fn seen(self) -> Seen {
        let state = if self.goes.is_empty() { State::Absent } else { State::Present };
        let stays = self.stays.into_iter().map(|what| format!("stays: {what}"));
        Seen::new(state, self.goes.into_iter().chain(stays))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_no_reason_to_remove_anything() {
        let mut outlook = Outlook::default();
        assert_eq!(outlook.clone().seen(), Seen::new(State::Absent, []));
        outlook.stays("Namespace a is not the tenant's own");
        let stays = "stays: Namespace a is not the tenant's own".to_owned();
        assert_eq!(outlook.clone().seen(), Seen::new(State::Absent, [stays.clone()]));
        outlook.goes("Namespace b");
        assert_eq!(outlook.seen(), Seen::new(State::Present, ["Namespace b".to_owned(), stays]));
    }
}
