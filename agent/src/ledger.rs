//! Tokens per namespace and hour, and per day: the operator's upper bound on cost.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// Limits in tokens.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// One namespace within an hour.
    pub namespace_hour: u64,
    /// Everything within a day.
    pub day: u64,
}

/// What was spent.
#[derive(Debug)]
pub struct Ledger {
    limits: Limits,
    spent: Mutex<Spent>,
}

#[derive(Debug, Default)]
struct Spent {
    hour: i64,
    day: i64,
    in_hour: HashMap<String, u64>,
    in_day: u64,
}

impl Ledger {
    /// An empty ledger.
    pub fn new(limits: Limits) -> Self {
        Self { limits, spent: Mutex::default() }
    }

    /// Whether a model may be asked for this namespace now.
    pub fn allows(&self, namespace: &str, now: Timestamp) -> bool {
        let spent = self.at(now);
        spent.in_day < self.limits.day
            && spent.in_hour.get(namespace).is_none_or(|t| *t < self.limits.namespace_hour)
    }

    /// Note what was spent.
    pub fn spend(&self, namespace: &str, tokens: u64, now: Timestamp) {
        let mut spent = self.at(now);
        spent.in_day += tokens;
        *spent.in_hour.entry(namespace.to_owned()).or_default() += tokens;
    }

    /// The ledger of the current hour and day; older entries are forgotten.
    fn at(&self, now: Timestamp) -> std::sync::MutexGuard<'_, Spent> {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let (hour, day) = (now.as_second().div_euclid(3_600), now.as_second().div_euclid(86_400));
        if spent.hour != hour {
            spent.hour = hour;
            spent.in_hour.clear();
        }
        if spent.day != day {
            spent.day = day;
            spent.in_day = 0;
        }
        spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_recovers_with_the_hour_and_everything_with_the_day() {
        let ledger = Ledger::new(Limits { namespace_hour: 100, day: 250 });
        let at = |s| Timestamp::from_second(s).expect("valid");
        ledger.spend("a", 100, at(0));
        assert!(!ledger.allows("a", at(10)) && ledger.allows("b", at(10)));
        assert!(ledger.allows("a", at(3_600)));
        ledger.spend("b", 200, at(3_600));
        assert!(!ledger.allows("c", at(7_200)), "the day is spent");
        assert!(ledger.allows("c", at(86_400)));
    }
}
