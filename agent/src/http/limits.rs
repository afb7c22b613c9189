//! Rate limits as token buckets: one for everybody, one for each namespace.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Requests a second and how many may come at once.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Per namespace: sustained requests a second.
    pub namespace: f64,
    /// Altogether.
    pub total: f64,
    /// Times the sustained second that may come at once.
    pub burst: f64,
}

/// Namespaces remembered; more than that and the buckets start over.
const MOST: usize = 10_000;

#[derive(Debug)]
pub(super) struct Limits {
    rate: Rate,
    buckets: Mutex<(Option<Bucket>, HashMap<String, Bucket>)>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Limits {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, buckets: Mutex::default() }
    }

    /// Take one, if there is one.
    pub(super) fn allow(&self, namespace: &str, now: Instant) -> bool {
        let mut guard = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let (total, each) = &mut *guard;
        if each.len() > MOST {
            each.clear();
        }
        let (of_total, of_namespace) =
            (self.rate.total * self.rate.burst, self.rate.namespace * self.rate.burst);
        let total = total.get_or_insert(Bucket { tokens: of_total, filled: now });
        let one = each.entry(namespace.to_owned()).or_insert(Bucket { tokens: of_namespace, filled: now });
        one.fill(self.rate.namespace, of_namespace, now);
        total.fill(self.rate.total, of_total, now);
        let allowed = one.tokens >= 1.0 && total.tokens >= 1.0;
        if allowed {
            one.tokens -= 1.0;
            total.tokens -= 1.0;
        }
        allowed
    }
}

impl Bucket {
    fn fill(&mut self, rate: f64, most: f64, now: Instant) {
        let since = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + since * rate).min(most);
        self.filled = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_loud_namespace_does_not_silence_another_and_recovers() {
        let (limits, start) = (Limits::new(Rate { namespace: 1.0, total: 10.0, burst: 2.0 }), Instant::now());
        assert!(limits.allow("a", start) && limits.allow("a", start));
        assert!(!limits.allow("a", start));
        assert!(limits.allow("b", start));
        assert!(limits.allow("a", start + Duration::from_secs(1)));
    }
}
