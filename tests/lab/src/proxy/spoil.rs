//! How a request is spoiled.

use std::{fmt, str::FromStr, time::Duration};

use crate::faults::duration;

/// What happens to a request instead of being passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoil {
    /// It never reaches the service; this status is the answer, in the words of that service.
    Status {
        /// 400 to 599.
        status: u16,
        /// Seconds for `Retry-After`.
        retry_after: Option<u32>,
    },
    /// It is passed on this much later.
    Delay(Duration),
    /// It never reaches the service; the connection is closed.
    Cut,
    /// The service acts; the connection is closed in place of its answer.
    CutAfter,
    /// The service acts; half of its answer's body arrives, then the connection is closed.
    Truncate,
    /// The service acts; its answer is 200 with a body that is not JSON.
    Garbage,
    /// The service acts; the head of its answer arrives, then nothing, for ever.
    Freeze,
    /// The API server says that the resource version is too old: 410, reason `Expired`.
    Expired,
    /// A watch begins and says the same as its only event; anything else is answered as for `Expired`.
    ExpiredEvent,
    /// The client is to be killed: see [`super::Proxy::killing`].
    Kill {
        /// Whether the service acts first.
        acted: bool,
    },
}

/// What `FromStr` takes, for help texts.
const FORMS: &str = "status:503, status:429:2 (with Retry-After), delay:2s, cut, cut-after, truncate, garbage, \
                     freeze, expired, expired-event, kill, kill-before";

impl FromStr for Spoil {
    type Err = ParseSpoil;

    fn from_str(text: &str) -> Result<Self, ParseSpoil> {
        let wrong = || ParseSpoil(format!("no way to spoil a request is called {text:?}; there are {FORMS}"));
        let status = |text: &str| text.parse().ok().filter(|status| (400..=599).contains(status));
        let parts: Vec<&str> = text.split(':').collect();
        Ok(match parts[..] {
            ["status", code] => Self::Status { status: status(code).ok_or_else(wrong)?, retry_after: None },
            ["status", code, seconds] => Self::Status {
                status: status(code).ok_or_else(wrong)?,
                retry_after: Some(seconds.parse().map_err(|_| wrong())?),
            },
            ["delay", time] => Self::Delay(duration(time).ok_or_else(wrong)?),
            ["cut"] => Self::Cut,
            ["cut-after"] => Self::CutAfter,
            ["truncate"] => Self::Truncate,
            ["garbage"] => Self::Garbage,
            ["freeze"] => Self::Freeze,
            ["expired"] => Self::Expired,
            ["expired-event"] => Self::ExpiredEvent,
            ["kill"] => Self::Kill { acted: true },
            ["kill-before"] => Self::Kill { acted: false },
            _ => return Err(wrong()),
        })
    }
}

impl fmt::Display for Spoil {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { status, retry_after: None } => write!(formatter, "status:{status}"),
            Self::Status { status, retry_after: Some(seconds) } => {
                write!(formatter, "status:{status}:{seconds}")
            }
            Self::Delay(time) => write!(formatter, "delay:{}ms", time.as_millis()),
            Self::Cut => formatter.write_str("cut"),
            Self::CutAfter => formatter.write_str("cut-after"),
            Self::Truncate => formatter.write_str("truncate"),
            Self::Garbage => formatter.write_str("garbage"),
            Self::Freeze => formatter.write_str("freeze"),
            Self::Expired => formatter.write_str("expired"),
            Self::ExpiredEvent => formatter.write_str("expired-event"),
            Self::Kill { acted: true } => formatter.write_str("kill"),
            Self::Kill { acted: false } => formatter.write_str("kill-before"),
        }
    }
}

/// The text names no way to spoil a request, or no service.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ParseSpoil(pub(super) String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_help_survives_a_round_trip_and_nonsense_is_refused() {
        let forms = FORMS.split(", ").map(|form| form.split(' ').next().unwrap_or_default());
        for form in forms.filter(|form| !form.is_empty()) {
            let spoil: Spoil = form.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(spoil.to_string().parse::<Spoil>().unwrap(), spoil);
        }
        for text in
            ["", "status", "status:200", "status:503:x", "status:1:2:3", "delay:2", "cut:1", "explode"]
        {
            assert!(text.parse::<Spoil>().is_err(), "{text:?} was taken");
        }
    }
}
