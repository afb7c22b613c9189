//! Waiting for what cannot be watched: a process that has just been started, a state of the whole cluster.

use std::time::Duration;

use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Calls `probe` until it has an answer or `limit` has passed, with pauses from 5 to 50 ms.
pub async fn until<T>(limit: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(answer) = probe().await {
            return Some(answer);
        }
        if Instant::now() + pause > deadline {
            return None;
        }
        #[expect(clippy::disallowed_methods, reason = "nothing tells that a foreign process is ready")]
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}
