//! How much may be asked of a service at once: half as much whenever it says that it is too much, and one more
//! again after every full round that went well.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// A limit on requests under way that adapts to refusals (429).
#[derive(Debug)]
pub struct Throttle {
    most: usize,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug)]
struct State {
    limit: usize,
    under_way: usize,
    /// Answers since the limit last moved.
    served: usize,
    /// Counts the halvings, so that the refusals of one round halve once.
    round: u64,
}

impl Throttle {
    /// At most `most` (one at least) requests at once, to begin with and ever.
    pub fn new(most: usize) -> Self {
        let most = most.max(1);
        let state = State { limit: most, under_way: 0, served: 0, round: 0 };
        Self { most, state: Mutex::new(state), freed: Notify::new() }
    }

    /// Waits for a slot; it is given back when dropped.
    pub async fn slot(&self) -> Slot<'_> {
        loop {
            // asked for before looking: a slot freed in between is not missed
            let freed = self.freed.notified();
            if let Some(slot) = self.try_slot() {
                return slot;
            }
            freed.await;
        }
    }

    fn try_slot(&self) -> Option<Slot<'_>> {
        let mut state = self.lock();
        if state.under_way >= state.limit {
            return None;
        }
        state.under_way += 1;
        let round = state.round;
        let more = state.under_way < state.limit;
        drop(state);
        if more {
            // whoever woke us may have freed more than one slot
            self.freed.notify_one();
        }
        Some(Slot { throttle: self, round })
    }

    /// How many requests may be under way now.
    pub fn limit(&self) -> usize {
        self.lock().limit
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to one request.
#[derive(Debug)]
pub struct Slot<'throttle> {
    throttle: &'throttle Throttle,
    round: u64,
}

impl Slot<'_> {
    /// The service answered: after a full round of answers there is room for one more.
    pub fn served(&self) {
        let mut state = self.throttle.lock();
        state.served += 1;
        if state.served >= state.limit && state.limit < self.throttle.most {
            state.limit += 1;
            state.served = 0;
        }
    }

    /// The service said that it was too much: half as many from now on.
    pub fn refused(&self) {
        let mut state = self.throttle.lock();
        if state.round == self.round {
            state.round += 1;
            state.limit = (state.limit / 2).max(1);
            state.served = 0;
        }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.throttle.lock().under_way -= 1;
        self.throttle.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[test]
    fn refusals_of_one_round_halve_once_and_answers_bring_it_back() {
        let throttle = Throttle::new(8);
        let slots: Vec<_> = (0..8).map(|_| throttle.try_slot().unwrap()).collect();
        assert!(throttle.try_slot().is_none(), "a ninth of eight");
        slots.iter().for_each(Slot::refused);
        assert_eq!(throttle.limit(), 4);
        drop(slots);
        let slot = throttle.try_slot().unwrap();
        (0..4).for_each(|_| slot.served());
        assert_eq!(throttle.limit(), 5, "one more after a round of four");
        (0..100).for_each(|_| slot.served());
        assert_eq!(throttle.limit(), 8, "never beyond the most");
    }

    #[test]
    fn one_request_is_always_allowed() {
        let throttle = Throttle::new(0);
        for _ in 0..5 {
            throttle.try_slot().expect("nothing is under way").refused();
        }
        assert_eq!(throttle.limit(), 1);
    }

    #[tokio::test]
    async fn many_share_a_few_slots_and_all_get_one() {
        let throttle = Arc::new(Throttle::new(3));
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let each = (0..200).map(|_| {
            let (throttle, now, most) = (Arc::clone(&throttle), Arc::clone(&now), Arc::clone(&most));
            tokio::spawn(async move {
                let slot = throttle.slot().await;
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                slot.served();
            })
        });
        for task in each.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }
}
