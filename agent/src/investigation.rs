//! From an accepted report to its outcome: the path every report takes, whatever fails on the way.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_mcp::{Arg, Capability, Client, Effect};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::cluster::Cluster;
use crate::diagnosis::Diagnosis;
use crate::dialogue::{Advisor, Repository};
use crate::evidence::Evidence;
use crate::evidence::plan::{PlanError, collect};
use crate::filing::{Filed, FilingError, Tracker};
use crate::issue::{Occurrence, render};
use crate::ledger::Ledger;
use crate::lines::clip;
use crate::metrics::{Label, Metrics};
use crate::redact::Redactor;
use crate::report::{Outcome, Record};
use crate::store::Store;

/// How long an unfinished report is worked on again and again.
const GIVE_UP: Duration = Duration::from_hours(24);
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);
/// Tries of reading the cluster before the issue is written without it.
const PATIENCE: u32 = 6;
/// Reports worked on at the same time.
const TOGETHER: usize = 128;

/// Everything an investigation needs.
#[derive(Debug)]
pub struct Investigator {
    /// The records.
    pub store: Arc<Store>,
    /// The OpenShift MCP server, if one is configured.
    pub cluster: Option<Client>,
    /// The issue tracker, if one is configured.
    pub tracker: Option<Tracker>,
    /// The model, if one is configured.
    pub advisor: Option<Advisor>,
    /// Tokens spent per namespace and day.
    pub ledger: Ledger,
    /// Where evidence is recorded for replay; `None` keeps none.
    pub recordings: Option<PathBuf>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Limits how many run at once.
    pub room: Semaphore,
}

/// What is kept of an investigation for `agent replay`.
#[derive(Debug, Deserialize, Serialize)]
pub struct Recording {
    /// Version of this shape.
    pub version: u32,
    /// Repository, part of the fingerprint.
    pub repository: String,
    /// The evidence, redacted.
    pub evidence: Evidence,
}

impl Investigator {
    /// Room for the usual number of investigations.
    pub fn room() -> Semaphore {
        Semaphore::new(TOGETHER)
    }

    /// Work on a report until its outcome is final. Interrupted at any point, it can be started again.
    pub async fn run(&self, id: &str) {
        let Ok(_place) = self.room.acquire().await else { return };
        let started = Instant::now();
        let Some(record) = self.store.get(id) else { return };
        let evidence = match self.evidence(&record).await {
            Ok(evidence) => evidence,
            Err(reason) => {
                self.finish(id, started, |r| {
                    r.outcome = Outcome::NoEvidence;
                    r.reason = Some(reason);
                })
                .await;
                return;
            }
        };
        self.count(&evidence);
        self.keep(id, &evidence).await;
        let diagnosis = self.diagnose(id, &record, &evidence).await;
        self.file(id, &record, &diagnosis, &evidence, started).await;
    }

    async fn evidence(&self, record: &Record) -> Result<Evidence, String> {
        let Some(client) = &self.cluster else {
            return Err("No tools available from MCP servers".to_owned());
        };
        let cluster = Cluster::new(client, &record.report.namespace);
        let mut tries = 0;
        loop {
            let mut redactor = Redactor::new(random_key());
            match collect(cluster, &record.report, &mut redactor).await {
                Ok(evidence) => return Ok(evidence),
                Err(PlanError::Nothing(reason)) => return Err(reason),
                Err(PlanError::Unavailable(error)) => {
                    tries += 1;
                    tracing::warn!(report = record.id, tries, %error, "the cluster cannot be read");
                    if tries >= PATIENCE {
                        return Ok(without_cluster(record, &error.to_string()));
                    }
                    pause(Duration::from_millis(400) * 2u32.pow(tries.min(6))).await;
                }
            }
        }
    }

    /// Rules first; the model only for failures that are new.
    async fn diagnose(&self, id: &str, record: &Record, evidence: &Evidence) -> Diagnosis {
        let rules = Diagnosis::by_rules(evidence);
        let fingerprint = rules.fingerprint(&self.repository(), evidence);
        let known = match &self.tracker {
            Some(tracker) => {
                let title = render(&rules, evidence, &fingerprint, None).map(|i| i.title).unwrap_or_default();
                tracker.known(&fingerprint, &title).await.unwrap_or(false)
            }
            None => false,
        };
        let mut degraded = None;
        let diagnosis = match &self.advisor {
            Some(advisor) if !known && !evidence.items.is_empty() => {
                let namespace = &record.report.namespace;
                if self.ledger.allows(namespace, Timestamp::now()) {
                    let source = BuiltSource::new(self.tracker.as_ref(), evidence);
                    let outcome = advisor.diagnose(evidence, rules, &source).await;
                    self.ledger.spend(namespace, outcome.tokens, Timestamp::now());
                    self.metrics.model_tokens.inc_by(outcome.tokens);
                    self.metrics.model_calls.inc_by(u64::from(outcome.calls));
                    self.metrics.dropped.inc_by(outcome.dropped as u64);
                    degraded = outcome.degraded.map(|d| d.to_string());
                    outcome.diagnosis
                } else {
                    degraded = Some("the budget of the namespace or the day is exhausted".to_owned());
                    rules
                }
            }
            _ => rules,
        };
        if let Some(why) = &degraded {
            self.metrics.degraded.get_or_create(&Label::new(why.as_str())).inc();
        }
        let kept = diagnosis.clone();
        self.store
            .update(id, |r| {
                r.diagnosis = Some(kept);
                r.fingerprint = Some(fingerprint);
                r.degraded = degraded;
            })
            .await;
        diagnosis
    }

    /// Into the tracker, again and again for up to a day if it is not there.
    async fn file(
        &self,
        id: &str,
        record: &Record,
        diagnosis: &Diagnosis,
        evidence: &Evidence,
        started: Instant,
    ) {
        let Some(tracker) = &self.tracker else {
            self.finish(id, started, |r| {
                r.outcome = Outcome::Diagnosed;
                r.reason = Some("no issue tracker is configured".to_owned());
            })
            .await;
            return;
        };
        let fingerprint = diagnosis.fingerprint(&self.repository(), evidence);
        let at = record.accepted.to_string();
        let seen = Occurrence { first: at.clone(), last: at.clone(), count: 1 };
        let issue = match render(diagnosis, evidence, &fingerprint, Some(seen)) {
            Ok(issue) => issue,
            Err(error) => {
                self.finish(id, started, |r| {
                    r.outcome = Outcome::Failed;
                    r.reason = Some(format!("render the issue: {error}"));
                })
                .await;
                return;
            }
        };
        let note = format!(
            "Seen again at {at}.\n\nRun `{}`, report `{id}`.",
            evidence.run.pipeline_run.as_deref().unwrap_or("not known")
        );
        let mut wait = Duration::from_secs(1);
        loop {
            let result = tracker.file(&issue, &fingerprint, &note, Timestamp::now()).await;
            let age = Timestamp::now().duration_since(record.accepted).unsigned_abs();
            match result {
                Ok(filed) => {
                    let (outcome, link) = match filed {
                        Filed::Created(link) => (Outcome::Created, link),
                        Filed::Recurred(link) => (Outcome::Recurred, link),
                    };
                    self.finish(id, started, |r| {
                        r.outcome = outcome;
                        r.reason = None;
                        r.issue = Some(link);
                    })
                    .await;
                    return;
                }
                Err(error @ (FilingError::Later(_) | FilingError::NotThere)) if age < GIVE_UP => {
                    tracing::warn!(report = id, %error, "the issue is filed later");
                    let reason = error.to_string();
                    self.store
                        .update(id, |r| {
                            r.outcome = Outcome::Queued;
                            r.reason = Some(reason);
                        })
                        .await;
                    pause(wait).await;
                    wait = (wait * 2).min(LONGEST_PAUSE);
                }
                Err(error) => {
                    tracing::error!(report = id, %error, "the issue cannot be filed");
                    self.finish(id, started, |r| {
                        r.outcome = Outcome::Failed;
                        r.reason = Some(clip(&error.to_string(), 300));
                    })
                    .await;
                    return;
                }
            }
        }
    }

    async fn finish(&self, id: &str, started: Instant, change: impl FnOnce(&mut Record)) {
        let record = self
            .store
            .update(id, |r| {
                change(r);
                r.finished = Some(Timestamp::now());
            })
            .await;
        if let Some(record) = record {
            self.metrics.reports.get_or_create(&Label::new(record.outcome.name())).inc();
            self.metrics.seconds.observe(started.elapsed().as_secs_f64());
            tracing::info!(report = id, outcome = record.outcome.name(), "report finished");
        }
    }

    fn count(&self, evidence: &Evidence) {
        for (kind, n) in &evidence.redactions {
            self.metrics.redactions.get_or_create(&Label::new(kind.as_str())).inc_by(*n);
        }
        if evidence.items.iter().any(|i| !i.instructions.is_empty()) {
            self.metrics.instructions.inc();
        }
    }

    /// Record the evidence; losing a recording costs a replay, not a report.
    async fn keep(&self, id: &str, evidence: &Evidence) {
        let Some(dir) = &self.recordings else { return };
        let recording = Recording { version: 1, repository: self.repository(), evidence: evidence.clone() };
        let path = dir.join(format!("{id}.json"));
        let written = match serde_json::to_vec(&recording) {
            Ok(bytes) => tokio::fs::write(&path, bytes).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = written {
            tracing::warn!(%error, report = id, "the evidence was not recorded");
        }
    }

    fn repository(&self) -> String {
        self.tracker.as_ref().map_or_else(|| "-".to_owned(), Tracker::repository)
    }
}

/// The issue that is written when the cluster stays out of reach: it says so, and names what was reported.
fn without_cluster(record: &Record, error: &str) -> Evidence {
    let mut evidence = Evidence::default();
    evidence.run.namespace = Some(record.report.namespace.clone());
    evidence.run.pod = Some(record.report.pod_name.clone()).filter(|p| !p.is_empty());
    evidence.run.container.clone_from(&record.report.container_name);
    evidence.run.pipeline_run.clone_from(&record.report.pipeline_run);
    evidence.missing.push(format!("everything: {error}"));
    evidence
}

/// Files of the repository at the commit that was built, through the tracker's server: only where the run
/// was built from that very repository.
struct BuiltSource<'a> {
    tracker: Option<&'a Tracker>,
    revision: String,
}

impl<'a> BuiltSource<'a> {
    fn new(tracker: Option<&'a Tracker>, evidence: &Evidence) -> Self {
        let run = &evidence.run;
        let own = |t: &&Tracker| {
            let url =
                run.git_url.as_deref().unwrap_or_default().trim_end_matches(".git").trim_end_matches('/');
            url.ends_with(&format!("/{}", t.repository()))
        };
        let revision =
            run.commit.clone().or_else(|| run.git_revision.clone()).unwrap_or_else(|| "main".to_owned());
        Self { tracker: tracker.filter(own), revision }
    }

    async fn fetch(&self, path: &str) -> Result<String, String> {
        let Some(tracker) = self.tracker else { return Err("the repository is not available".to_owned()) };
        let repository = tracker.repository();
        let (owner, repo) = repository.split_once('/').unwrap_or_default();
        let args = [
            Arg::must(&["owner"], owner),
            Arg::must(&["repo"], repo),
            Arg::must(&["ref"], self.revision.as_str()),
            Arg::must(&["path", "filePath"], path),
        ];
        let text =
            tracker.client().call(Capability::FileRead, &args, Effect::Read, Duration::from_secs(10)).await;
        match text {
            // The model's wire is an exit: what leaves is redacted.
            Ok(text) => Ok(Redactor::new(random_key()).text(&text)),
            Err(error) => Err(format!("not available: {}", clip(&error.to_string(), 200))),
        }
    }
}

impl Repository for BuiltSource<'_> {
    fn read<'a>(
        &'a self,
        path: &'a str,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>> {
        Box::pin(self.fetch(path))
    }
}

fn random_key() -> [u8; 16] {
    use secrecy::ExposeSecret;
    let hex = tenant_kit::secret::random_hex(16);
    let mut key = [0; 16];
    // 32 hex digits are 16 bytes; a failure would only make placeholders comparable.
    let _length_is_right = hex::decode_to_slice(hex.expose_secret(), &mut key);
    key
}

#[expect(clippy::disallowed_methods, reason = "a server that is away offers nothing to watch")]
async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}
