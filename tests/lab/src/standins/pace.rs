//! The only place where a stand-in lets time pass on purpose: configured slowness and retry intervals.

use std::time::Duration;

/// Lets `duration` pass.
#[expect(clippy::disallowed_methods, reason = "deliberate slowness and back-off have nothing to watch")]
pub(crate) async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// How long to wait before attempt `failures + 1` of something that failed: 20 ms, doubling, 2 s at most.
pub(crate) fn backoff(failures: u32) -> Duration {
    const FIRST: Duration = Duration::from_millis(20);
    const LONGEST: Duration = Duration::from_secs(2);
    FIRST.saturating_mul(1 << failures.min(16)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_and_stays_bounded() {
        assert_eq!([0, 1, 2].map(backoff), [20, 40, 80].map(Duration::from_millis));
        assert_eq!(backoff(u32::MAX), Duration::from_secs(2));
    }
}
