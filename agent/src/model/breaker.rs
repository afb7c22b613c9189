//! A circuit breaker: after repeated failures a dependency is left alone for a while.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Failures in a row that open the circuit.
const LIMIT: u32 = 5;
/// How long it stays open before one request may try again.
const REST: Duration = Duration::from_secs(30);

/// State of one dependency.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    /// Whether a request may go out now. After the rest exactly one may, until it reports back.
    pub fn allows(&self, now: Instant) -> bool {
        let mut state = self.state();
        match state.open_until {
            Some(until) if now < until => false,
            Some(_) => {
                state.open_until = Some(now + REST);
                true
            }
            None => true,
        }
    }

    /// A request succeeded.
    pub fn succeeded(&self) {
        *self.state() = State::default();
    }

    /// A request failed in a way that says something about the dependency.
    pub fn failed(&self, now: Instant) {
        let mut state = self.state();
        state.failures += 1;
        if state.failures >= LIMIT {
            state.open_until = Some(now + REST);
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_after_repeated_failures_tries_once_after_the_rest_and_closes_on_success() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        for _ in 0..LIMIT {
            assert!(breaker.allows(start));
            breaker.failed(start);
        }
        assert!(!breaker.allows(start + REST / 2));
        assert!(breaker.allows(start + REST), "one try after the rest");
        assert!(!breaker.allows(start + REST), "and only one");
        breaker.succeeded();
        assert!(breaker.allows(start + REST));
    }
}
