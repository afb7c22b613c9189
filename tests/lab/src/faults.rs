//! How stand-ins are told to misbehave: one table, consulted by every stand-in, filled by
//! `lab misbehave` and by tests.
//!
//! A fault may be limited to subjects that contain a text (a guid, a user name, a namespace), so that
//! tests running side by side in one lab do not disturb each other.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::platform::parking::Guarded;

/// A part of the lab that can be told to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StandIn {
    /// Argo CD: `ApplicationSet` to `Application`s, sync and health.
    Argocd,
    /// The Gitea operator: instance, Route, users, status of a `Gitea` resource.
    GiteaOperator,
    /// The real Gitea behind the router: faults are injected by the router, never in Gitea.
    Gitea,
    /// Route admission: host and conditions.
    Routes,
    /// The operators that give `MCPServer` resources their Deployments and status.
    McpOperators,
    /// Readiness of Deployments, stateful sets, Jobs, volume claims.
    Workloads,
    /// The LiteLLM proxy's key API.
    Litellm,
    /// Keycloak's admin API.
    Keycloak,
    /// The router itself, for every host that no other entry stands for.
    Router,
}

impl StandIn {
    /// Every stand-in, in the order `lab status` prints them.
    pub const ALL: [Self; 9] = [
        Self::Argocd,
        Self::GiteaOperator,
        Self::Gitea,
        Self::Routes,
        Self::McpOperators,
        Self::Workloads,
        Self::Litellm,
        Self::Keycloak,
        Self::Router,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Argocd => "argocd",
            Self::GiteaOperator => "gitea-operator",
            Self::Gitea => "gitea",
            Self::Routes => "routes",
            Self::McpOperators => "mcp-operators",
            Self::Workloads => "workloads",
            Self::Litellm => "litellm",
            Self::Keycloak => "keycloak",
            Self::Router => "router",
        }
    }
}

impl fmt::Display for StandIn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for StandIn {
    type Err = ParseFault;

    fn from_str(text: &str) -> Result<Self, ParseFault> {
        Self::ALL.into_iter().find(|stand_in| stand_in.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            ParseFault(format!("no stand-in is called {text:?}; there are {names}"))
        })
    }
}

/// What a stand-in does instead of its work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// Its work.
    #[default]
    Normal,
    /// Its work, this much later: before each answer, or before each change of status.
    Slow(Duration),
    /// Nothing: a server closes connections unanswered, a controller leaves objects untouched.
    Absent,
    /// Failure: a server answers with this HTTP status, a controller reports failed conditions.
    Failing(u16),
    /// Success that is a lie: an answer of another shape, a status that contradicts the object.
    Wrong,
}

impl FromStr for Behaviour {
    type Err = ParseFault;

    /// `normal`, `absent`, `wrong`, `slow:2s` (or `500ms`), `failing` (503) or `failing:500`.
    fn from_str(text: &str) -> Result<Self, ParseFault> {
        let (word, argument) = text.split_once(':').map_or((text, None), |(word, rest)| (word, Some(rest)));
        let wrong = || {
            ParseFault(format!("no behaviour {text:?}; use normal, absent, wrong, slow:2s or failing:503"))
        };
        match (word, argument) {
            ("normal", None) => Ok(Self::Normal),
            ("absent", None) => Ok(Self::Absent),
            ("wrong", None) => Ok(Self::Wrong),
            ("slow", Some(delay)) => duration(delay).map(Self::Slow).ok_or_else(wrong),
            ("failing", None) => Ok(Self::Failing(503)),
            ("failing", Some(status)) => match status.parse() {
                Ok(status @ 400..=599) => Ok(Self::Failing(status)),
                _ => Err(wrong()),
            },
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Behaviour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => formatter.write_str("normal"),
            Self::Slow(delay) => write!(formatter, "slow:{}ms", delay.as_millis()),
            Self::Absent => formatter.write_str("absent"),
            Self::Failing(status) => write!(formatter, "failing:{status}"),
            Self::Wrong => formatter.write_str("wrong"),
        }
    }
}

/// `2s` or `500ms`, at most an hour.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|character: char| !character.is_ascii_digit())?);
    let number: u64 = number.parse().ok()?;
    let delay = match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        _ => return None,
    };
    (delay <= Duration::from_hours(1)).then_some(delay)
}

/// The text names no stand-in or no behaviour.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ParseFault(String);

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Who misbehaves.
    pub stand_in: StandIn,
    /// How.
    pub behaviour: Behaviour,
    /// Only towards subjects that contain this text; `None` is everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
}

/// The table of faults. Empty means that everything does its work.
#[derive(Debug)]
pub struct Faults {
    table: Guarded<Vec<Fault>>,
    version: watch::Sender<u64>,
}

impl Default for Faults {
    fn default() -> Self {
        Self { table: Guarded::default(), version: watch::Sender::new(0) }
    }
}

impl Faults {
    /// How `stand_in` is to treat `subject`: whatever names the thing at hand, such as a namespace, a
    /// key alias, a user name, a host or a request path. The most recently set fault that fits wins.
    pub fn behaviour(&self, stand_in: StandIn, subject: &str) -> Behaviour {
        self.table.with(|table| {
            let fits = |fault: &&Fault| {
                fault.stand_in == stand_in && fault.only.as_deref().is_none_or(|only| subject.contains(only))
            };
            table.iter().rev().find(fits).map_or(Behaviour::Normal, |fault| fault.behaviour)
        })
    }

    /// Adds a fault, replacing one for the same stand-in and subjects. [`Behaviour::Normal`] for all
    /// subjects only removes; for some it is an exception from a fault for all.
    pub fn set(&self, fault: Fault) {
        self.table.with(|table| {
            table.retain(|known| known.stand_in != fault.stand_in || known.only != fault.only);
            if fault.behaviour != Behaviour::Normal || fault.only.is_some() {
                table.push(fault);
            }
        });
        self.version.send_modify(|version| *version += 1);
    }

    /// The table, oldest first.
    pub fn list(&self) -> Vec<Fault> {
        self.table.with(|table| table.clone())
    }

    /// Wakes whenever the table changed, so that a controller looks at its objects again.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(stand_in: StandIn, behaviour: &str, only: Option<&str>) -> Fault {
        Fault { stand_in, behaviour: behaviour.parse().unwrap(), only: only.map(str::to_owned) }
    }

    #[test]
    fn the_newest_fault_that_fits_wins_and_normal_removes_it() {
        let faults = Faults::default();
        faults.set(fault(StandIn::Argocd, "absent", None));
        faults.set(fault(StandIn::Argocd, "slow:2s", Some("x1")));
        assert_eq!(faults.behaviour(StandIn::Argocd, "user-x2"), Behaviour::Absent);
        assert_eq!(faults.behaviour(StandIn::Argocd, "user-x1"), Behaviour::Slow(Duration::from_secs(2)));
        assert_eq!(faults.behaviour(StandIn::Litellm, "user-x1"), Behaviour::Normal);
        faults.set(fault(StandIn::Argocd, "normal", None));
        assert_eq!(faults.behaviour(StandIn::Argocd, "user-x2"), Behaviour::Normal);
    }

    #[test]
    fn behaviours_survive_a_round_trip_and_nonsense_is_refused() {
        for text in ["normal", "absent", "wrong", "slow:1500ms", "failing:500"] {
            assert_eq!(text.parse::<Behaviour>().unwrap().to_string(), text);
        }
        for text in ["", "slow", "slow:s", "slow:2", "slow:9999999s", "failing:200", "failing:x", "normal:1"]
        {
            assert!(text.parse::<Behaviour>().is_err(), "{text:?} was taken");
        }
        assert!("argo".parse::<StandIn>().is_err());
    }
}
