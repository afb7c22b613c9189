//! Issues through the Gitea MCP server, exactly once per failure.
//!
//! Every issue carries a hidden marker with the fingerprint. Before anything is written the tracker is
//! searched for it; after a write with unknown outcome it is searched again instead of writing twice; what
//! was written is read back. Targets come from configuration, never from a log or a model.

mod wire;

use std::time::Duration;

use agent_mcp::{Arg, CallError, Capability, Client, Effect};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::issue::{Issue, MARKER, marker};
use crate::report::IssueLink;
use wire::{TrackerIssue, issue, issues};

const OWNER: &[&str] = &["owner"];
const REPO: &[&str] = &["repo"];
const NUMBER: &[&str] = &["issue_number", "index"];
const PAGE_SIZE: &[&str] = &["per_page", "perPage", "pageSize"];
/// Time for one call.
const CALL: Duration = Duration::from_secs(20);
/// Pages searched for a marker, newest issues first; Gitea gives at most 50 a page.
const PAGES: u32 = 6;
/// Comments about recurrences before only the tally is edited.
const COMMENTS: u64 = 5;
/// A closed issue is reopened within this time; later a new one is written.
const REOPEN_WITHIN: i64 = 14 * 24 * 3600;

/// What the agent must be able to do in the tracker.
pub const REQUIRED: [Capability; 3] = [Capability::IssueCreate, Capability::IssueList, Capability::IssueGet];

/// Why filing failed, for now or for good.
#[derive(Debug, thiserror::Error)]
pub enum FilingError {
    /// Worth another try later.
    #[error("the issue tracker cannot be used at the moment")]
    Later(#[source] CallError),
    /// The tracker refuses: permissions, repository, size.
    #[error("the issue tracker refuses: {0}")]
    Refused(String),
    /// The call succeeded and yet there is no issue as we wrote it.
    #[error("the issue tracker reported success, but the issue cannot be read back")]
    NotThere,
}

/// What was done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Filed {
    /// A new issue.
    Created(IssueLink),
    /// The issue existed; a comment or tally says that it happened again.
    Recurred(IssueLink),
}

/// One repository's issues.
#[derive(Debug)]
pub struct Tracker {
    client: Client,
    owner: String,
    repo: String,
    /// Search and create are one step: two reports of one failure must not both find nothing.
    turn: Mutex<()>,
}

impl Tracker {
    /// The issues of `owner/repo`.
    pub fn new(client: Client, owner: String, repo: String) -> Self {
        Self { client, owner, repo, turn: Mutex::new(()) }
    }

    /// `owner/repo`.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.owner, self.repo)
    }

    /// The server behind it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whether the failure is known already: an open issue with its marker.
    pub async fn known(&self, fingerprint: &str, title: &str) -> Result<bool, FilingError> {
        Ok(self.find(fingerprint, title).await?.is_some_and(|i| i.open))
    }

    /// Create the issue, or say on the existing one that it happened again. Interrupted at any point and
    /// called again for the same report, it finishes what was begun.
    pub async fn file(
        &self,
        text: &Issue,
        fingerprint: &str,
        report: &str,
        note: &str,
        now: Timestamp,
    ) -> Result<Filed, FilingError> {
        let _turn = self.turn.lock().await;
        let trace = trace(report);
        if let Some(found) = self.find(fingerprint, &text.title).await? {
            if found.body.as_deref().is_some_and(|body| body.contains(&trace)) {
                return Ok(Filed::Created(found.link()));
            }
            let fresh = found.updated.is_none_or(|t| now.as_second() - t.as_second() < REOPEN_WITHIN);
            if found.open || fresh {
                return self.recur(found, report, note).await;
            }
        }
        let body = format!("{}\n{trace}\n", text.body.trim_end());
        let args = [
            Arg::must(OWNER, self.owner.as_str()),
            Arg::must(REPO, self.repo.as_str()),
            Arg::must(&["title"], text.title.as_str()),
            Arg::must(&["body"], body),
        ];
        let created = match self.client.call(Capability::IssueCreate, &args, Effect::Write, CALL).await {
            Ok(answer) => issue(&answer),
            // It may exist: look instead of writing again.
            Err(CallError::Unknown(server)) => match self.find(fingerprint, &text.title).await? {
                Some(found) => Some(found),
                None => return Err(FilingError::Later(CallError::Unknown(server))),
            },
            Err(error) => return Err(refused(error)),
        };
        let number = created.ok_or(FilingError::NotThere)?.number;
        let there = self.get(number).await?.filter(|i| i.carries(fingerprint) && i.title == text.title);
        let there = there.ok_or(FilingError::NotThere)?;
        self.label(number, &text.labels).await;
        Ok(Filed::Created(there.link()))
    }

    /// The newest issue with the marker, open ones first.
    async fn find(&self, fingerprint: &str, title: &str) -> Result<Option<TrackerIssue>, FilingError> {
        let mut closed = None;
        for page in 1..=PAGES {
            let args = [
                Arg::must(OWNER, self.owner.as_str()),
                Arg::must(REPO, self.repo.as_str()),
                Arg::may(&["state"], "all"),
                Arg::may(&["type"], "issues"),
                Arg::may(&["page"], page),
                Arg::may(PAGE_SIZE, 50),
            ];
            let text =
                self.client.call(Capability::IssueList, &args, Effect::Read, CALL).await.map_err(refused)?;
            let listed = issues(&text);
            let count = listed.len();
            for mut candidate in listed {
                if candidate.body.is_none() && near(&candidate.title, title) {
                    candidate = self.get(candidate.number).await?.unwrap_or(candidate);
                }
                if candidate.carries(fingerprint) {
                    if candidate.open {
                        return Ok(Some(candidate));
                    }
                    closed.get_or_insert(candidate);
                }
            }
            if count < 30 {
                break;
            }
        }
        Ok(closed)
    }

    async fn get(&self, number: u64) -> Result<Option<TrackerIssue>, FilingError> {
        let args = self.numbered(number);
        let text =
            self.client.call(Capability::IssueGet, &args, Effect::Read, CALL).await.map_err(refused)?;
        Ok(issue(&text))
    }

    /// One comment per occurrence up to a limit, then a tally in the body.
    async fn recur(&self, found: TrackerIssue, report: &str, note: &str) -> Result<Filed, FilingError> {
        if found.comments > 0 && self.told(found.number, report).await {
            return Ok(Filed::Recurred(found.link()));
        }
        if !found.open {
            let mut args = self.numbered(found.number);
            args.push(Arg::must(&["state"], "open"));
            self.client.call(Capability::IssueUpdate, &args, Effect::Write, CALL).await.map_err(refused)?;
        }
        if found.comments < COMMENTS {
            let mut args = self.numbered(found.number);
            args.push(Arg::must(&["body"], note));
            match self.client.call(Capability::IssueComment, &args, Effect::Write, CALL).await {
                // A second comment would be worse than none.
                Ok(_) | Err(CallError::Unknown(_) | CallError::Missing { .. }) => {}
                Err(error) => return Err(refused(error)),
            }
        } else if let Some(body) = &found.body {
            let mut args = self.numbered(found.number);
            args.push(Arg::must(&["body"], wire::with_tally(body, note)));
            args.push(Arg::may(&["title"], found.title.as_str()));
            if let Err(error) = self.client.call(Capability::IssueUpdate, &args, Effect::Write, CALL).await {
                tracing::warn!(%error, issue = found.number, "the tally could not be edited");
            }
        }
        Ok(Filed::Recurred(found.link()))
    }

    /// Whether a comment tells of this report already: the program ended before it could note that down.
    async fn told(&self, number: u64, report: &str) -> bool {
        let args = self.numbered(number);
        let comments = self.client.call(Capability::IssueComments, &args, Effect::Read, CALL).await;
        comments.is_ok_and(|text| text.contains(report))
    }

    /// Labels are a help, not a duty: without the tools, or on failure, the issue stands without.
    async fn label(&self, number: u64, wanted: &[String]) {
        if !self.client.has(Capability::LabelAdd) || !self.client.has(Capability::LabelList) {
            return;
        }
        if let Err(error) = self.try_label(number, wanted).await {
            tracing::warn!(%error, issue = number, "the issue stays without labels");
        }
    }

    async fn try_label(&self, number: u64, wanted: &[String]) -> Result<(), CallError> {
        let base = [Arg::must(OWNER, self.owner.as_str()), Arg::must(REPO, self.repo.as_str())];
        let mut args = base.to_vec();
        args.push(Arg::may(PAGE_SIZE, 50));
        let known = wire::labels(&self.client.call(Capability::LabelList, &args, Effect::Read, CALL).await?);
        let mut ids = Vec::new();
        for name in wanted {
            if let Some(id) = known.get(name) {
                ids.push(*id);
            } else if self.client.has(Capability::LabelCreate) {
                let mut args = base.to_vec();
                args.extend([Arg::must(&["name"], name.as_str()), Arg::may(&["color"], colour(name))]);
                let text = self.client.call(Capability::LabelCreate, &args, Effect::Write, CALL).await?;
                ids.extend(wire::label_id(&text));
            }
        }
        if ids.is_empty() {
            return Ok(());
        }
        let mut args = self.numbered(number);
        args.push(Arg::must(&["labels"], json!(ids)));
        self.client.call(Capability::LabelAdd, &args, Effect::Write, CALL).await.map(drop)
    }

    fn numbered(&self, number: u64) -> Vec<Arg> {
        vec![
            Arg::must(OWNER, self.owner.as_str()),
            Arg::must(REPO, self.repo.as_str()),
            Arg::must(NUMBER, Value::from(number)),
        ]
    }
}

/// Hidden line that tells which report an issue was written for.
fn trace(report: &str) -> String {
    format!("<!-- pfa:report {report} -->")
}

/// Lists of newer servers have no bodies: only issues with our kind of title are worth a look inside.
fn near(candidate: &str, title: &str) -> bool {
    let path = |t: &str| t.split_once(": ").map_or_else(|| t.to_owned(), |(p, _)| p.to_owned());
    path(candidate) == path(title)
}

fn colour(label: &str) -> &'static str {
    if label.starts_with("cause/") {
        "#0e8a16"
    } else if label.starts_with("confidence/") {
        "#c5def5"
    } else {
        "#d93f0b"
    }
}

/// Refusals are final; everything else is worth another try.
fn refused(error: CallError) -> FilingError {
    match error {
        CallError::Tool(text) => {
            let lower = text.to_ascii_lowercase();
            let passing = ["500", "502", "503", "504", "timeout", "connection", "rate limit", "429", "eof"];
            if passing.iter().any(|p| lower.contains(p)) {
                FilingError::Later(CallError::Tool(text))
            } else {
                FilingError::Refused(crate::lines::clip(&text, 300))
            }
        }
        CallError::Argument { .. } => FilingError::Refused(error.to_string()),
        other => FilingError::Later(other),
    }
}

impl TrackerIssue {
    fn carries(&self, fingerprint: &str) -> bool {
        let first = self.body.as_deref().and_then(|b| b.lines().next()).unwrap_or_default();
        first.starts_with(MARKER) && first == marker(fingerprint)
    }

    fn link(&self) -> IssueLink {
        IssueLink { number: self.number, url: self.url.clone() }
    }
}
