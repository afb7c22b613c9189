//! The journal of a proxy: what came through, in which order, and what was done to it.

use std::{fmt, str::FromStr, time::Instant};

use tokio::sync::watch;

use super::{ParseSpoil, Rule, Spoil};
use crate::platform::parking::Guarded;

/// Who a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// The API server.
    Kubernetes,
    /// A tenant's Gitea, behind the router.
    Gitea,
    /// Keycloak, behind the router.
    Keycloak,
    /// Any other host behind the router.
    Web,
    /// The LiteLLM proxy.
    Litellm,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Kubernetes, Self::Gitea, Self::Keycloak, Self::Web, Self::Litellm];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Gitea => "gitea",
            Self::Keycloak => "keycloak",
            Self::Web => "web",
            Self::Litellm => "litellm",
        }
    }

    /// Who answers behind the router under a host, which begins with the name of a Route.
    pub(super) fn behind(host: &str) -> Self {
        match host.split(['-', '.']).next() {
            Some("gitea") => Self::Gitea,
            Some("keycloak" | "sso") => Self::Keycloak,
            _ => Self::Web,
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Service {
    type Err = ParseSpoil;

    fn from_str(text: &str) -> Result<Self, ParseSpoil> {
        Self::ALL.into_iter().find(|service| service.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            ParseSpoil(format!("no service is called {text:?}; there are {names}"))
        })
    }
}

/// One request and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Its place among the requests of all services, from 1.
    pub number: u64,
    /// When it arrived.
    pub at: Instant,
    /// Who it is for.
    pub service: Service,
    /// Its HTTP method.
    pub method: String,
    /// Its path and query.
    pub path: String,
    /// What was done to it.
    pub spoil: Option<Spoil>,
    /// The status the service answered with; `None` while it has not, or was not asked.
    pub answered: Option<u16>,
}

impl fmt::Display for Exchange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, service, method, path, spoil, answered, at: _ } = self;
        write!(formatter, "{number:>4}  {service:<10}  {method:<6}  ")?;
        match answered {
            Some(status) => write!(formatter, "{status}  {path}")?,
            None => write!(formatter, "---  {path}")?,
        }
        match spoil {
            Some(spoil) => write!(formatter, "  [{spoil}]"),
            None => Ok(()),
        }
    }
}

/// What the listeners share: the rules, the counter, what came through.
pub(super) struct Journal {
    rules: Guarded<Vec<Rule>>,
    exchanges: Guarded<Vec<Exchange>>,
    killing: watch::Sender<Option<u64>>,
}

impl Journal {
    pub(super) fn new(rules: Vec<Rule>) -> Self {
        Self { rules: Guarded::new(rules), exchanges: Guarded::default(), killing: watch::Sender::new(None) }
    }

    /// Takes down a request; its number, and how it is to be spoiled by the first rule that wants it.
    pub(super) fn arrive(&self, service: Service, method: &str, path: &str) -> (u64, Option<Spoil>) {
        self.exchanges.with(|exchanges| {
            let number = exchanges.len() as u64 + 1;
            let spoil = self
                .rules
                .with(|rules| rules.iter_mut().find_map(|rule| rule.strike(number, service, method, path)));
            let (method, path) = (method.to_owned(), path.to_owned());
            exchanges.push(Exchange {
                number,
                at: Instant::now(),
                service,
                method,
                path,
                spoil,
                answered: None,
            });
            (number, spoil)
        })
    }

    pub(super) fn answered(&self, number: u64, status: u16) {
        self.exchanges.with(|exchanges| {
            if let Some(exchange) = exchanges.iter_mut().find(|exchange| exchange.number == number) {
                exchange.answered = Some(status);
            }
        });
    }

    pub(super) fn exchanges(&self) -> Vec<Exchange> {
        self.exchanges.with(|exchanges| exchanges.clone())
    }

    /// It is time to kill the client.
    pub(super) fn kill(&self, number: u64) {
        self.killing.send_replace(Some(number));
    }

    pub(super) fn killing(&self) -> watch::Receiver<Option<u64>> {
        self.killing.subscribe()
    }

    /// Whether the client is as good as dead.
    pub(super) fn over(&self) -> bool {
        self.killing.borrow().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_tell_who_answers() {
        for (host, service) in [
            ("gitea-gitea-user-x1.apps.test", Service::Gitea),
            ("sso.apps.test", Service::Keycloak),
            ("keycloak-keycloak.apps.test", Service::Keycloak),
            ("librechat-librechat-user-x1.apps.test", Service::Web),
        ] {
            assert_eq!(Service::behind(host), service, "{host}");
        }
    }

    #[test]
    fn an_exchange_is_one_line_whose_columns_stand_below_each_other() {
        let exchange = Exchange {
            number: 7,
            at: Instant::now(),
            service: Service::Gitea,
            method: "GET".into(),
            path: "/api/v1/user".into(),
            spoil: Some(Spoil::CutAfter),
            answered: None,
        };
        assert_eq!(exchange.to_string(), "   7  gitea       GET     ---  /api/v1/user  [cut-after]");
    }
}
