//! Waiting for a report on behalf of a caller, and telling them honestly what came of it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::report::{Outcome, Record};
use crate::store::Store;

/// The record once it is settled; `None` if it is not within the time.
pub(super) async fn settled(
    store: &Store,
    changes: &mut broadcast::Receiver<String>,
    record: &Record,
    within: Duration,
) -> Option<Record> {
    let settle = async {
        loop {
            match store.get(&record.id) {
                // Queued may take a day: the caller is told so at once.
                Some(now) if now.outcome != Outcome::Pending => return Some(now),
                None => return None,
                Some(_) => {}
            }
            if let Err(broadcast::error::RecvError::Closed) = changes.recv().await {
                return None;
            }
        }
    };
    tokio::time::timeout(within, settle).await.ok().flatten()
}

/// The body existing callers read (`status`, `result`), and everything newer beside it.
pub(super) fn answer(record: &Record) -> Value {
    json!({
        "status": "success",
        "result": result(record),
        "report_id": record.id,
        "outcome": record.outcome,
        "issue_url": record.issue.as_ref().map(|i| &i.url),
        "issue_number": record.issue.as_ref().map(|i| i.number),
        "fingerprint": record.fingerprint,
        "recurrence": record.recurrence,
        "confidence": record.diagnosis.as_ref().map(|d| d.confidence.name()),
        "degraded": record.degraded,
    })
}

/// `Issue created:` is said only with a number and an address that were read back.
fn result(record: &Record) -> String {
    let reason = record.reason.as_deref().unwrap_or("no reason is known");
    match (&record.outcome, &record.issue) {
        (Outcome::Created, Some(issue)) => {
            let link = json!({"Result": {"html_url": issue.url, "number": issue.number}});
            format!("Issue created: {link}")
        }
        (Outcome::Recurred, Some(issue)) => format!("Issue {} updated: {}", issue.number, issue.url),
        (Outcome::Pending, _) => format!("Report {} is being worked on", record.id),
        (Outcome::Queued, _) => format!("Report {} is diagnosed; the issue follows: {reason}", record.id),
        (Outcome::Diagnosed, _) => {
            let cause = record.diagnosis.as_ref().map_or("not known", |d| d.cause.as_str());
            format!("Diagnosed, not filed ({reason}): {cause}")
        }
        _ => format!("Error: {reason}"),
    }
}
