//! How long `tenant` waited for services to do their work, from the events it printed.

use std::time::Duration;

use serde::Deserialize;

/// The lab guide starts beside the applications; what is waited for it alone is no time of anybody else's.
const BESIDE: &str = "showroom";

/// The end of a wait, as in the events of `tenant-workflow`.
#[derive(Deserialize)]
struct Event {
    kind: String,
    at_ms: u64,
    took_ms: u64,
    step: String,
}

/// The time in which at least one step waited for something to get ready or go away.
pub(super) fn told(stdout: &str) -> Duration {
    let events = stdout.lines().filter_map(|line| serde_json::from_str::<Event>(line).ok());
    let waits = events.filter(|event| event.kind == "step-ready" && event.step != BESIDE);
    let mut spans: Vec<_> =
        waits.map(|event| (event.at_ms.saturating_sub(event.took_ms), event.at_ms)).collect();
    spans.sort_unstable();
    let (mut total, mut covered) = (0, 0);
    for (begun, ended) in spans {
        total += ended.saturating_sub(begun.max(covered));
        covered = covered.max(ended);
    }
    Duration::from_millis(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_waits_count_once_and_other_lines_not_at_all() {
        let event = |kind: &str, step: &str, at: u64, took: u64| {
            format!(r#"{{"v":1,"kind":"{kind}","step":"{step}","at_ms":{at},"took_ms":{took},"what":"it"}}"#)
        };
        let lines = [
            event("step-ready", "gitea-instance", 100, 60),
            event("step-ready", "application-sets", 120, 70),
            event("step-ready", "application-sets", 110, 10),
            event("step-ready", "showroom", 900, 500),
            event("step-finished", "gitea-instance", 300, 300),
            r#"{"v":1,"kind":"result","of":"account","data":{}}"#.to_owned(),
            "no JSON".to_owned(),
        ];
        assert_eq!(told(&lines.join("\n")), Duration::from_millis(80));
    }
}
