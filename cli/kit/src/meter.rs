//! Measures a program's own share of its time, which is what is not spent waiting for a service, and counts requests.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

/// Counts the waits under way and adds up the time in which there were none.
#[derive(Debug)]
pub struct Meter {
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    under_way: usize,
    idle_since: Instant,
    own: Duration,
    requests: u64,
}

impl Default for Meter {
    fn default() -> Self {
        Self::new()
    }
}

impl Meter {
    /// Starts counting now, with nothing under way.
    pub fn new() -> Self {
        let started = Instant::now();
        let state = State { under_way: 0, idle_since: started, own: Duration::ZERO, requests: 0 };
        Self { started, state: Mutex::new(state) }
    }

    /// A wait for a service begins; it ends when the guard is dropped.
    pub fn waiting(&self) -> Waiting<'_> {
        let mut state = self.lock();
        if state.under_way == 0 {
            let idle = state.idle_since.elapsed();
            state.own += idle;
        }
        state.under_way += 1;
        drop(state);
        Waiting(self)
    }

    /// Time since the meter was made.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Time in which nothing was under way, so far.
    pub fn own(&self) -> Duration {
        let state = self.lock();
        if state.under_way == 0 { state.own + state.idle_since.elapsed() } else { state.own }
    }

    /// A request goes out.
    pub fn sent(&self) {
        self.lock().requests += 1;
    }

    /// Requests sent so far, watches and repetitions included.
    pub fn requests(&self) -> u64 {
        self.lock().requests
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A wait under way.
#[derive(Debug)]
pub struct Waiting<'meter>(&'meter Meter);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.under_way -= 1;
        if state.under_way == 0 {
            state.idle_since = Instant::now();
        }
    }
}
