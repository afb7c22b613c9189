//! From an accepted report to its outcome: the path every report takes, whatever fails on the way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_mcp::Client;
use jiff::Timestamp;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::cluster::Cluster;
use crate::diagnosis::Diagnosis;
use crate::dialogue::Advisor;
use crate::evidence::Evidence;
use crate::evidence::plan::{PlanError, collect};
use crate::filing::{Filed, FilingError, Tracker};
use crate::issue::{Occurrence, render};
use crate::ledger::{Ledger, Limits};
use crate::lines::clip;
use crate::metrics::Metrics;
use crate::recording::{Recording, Recordings};
use crate::redact::Redactor;
use crate::report::{Outcome, Record};
use crate::routes::Routes;
use crate::source::BuiltSource;
use crate::store::Store;

/// How long an unfinished report is worked on again and again.
const GIVE_UP: Duration = Duration::from_hours(24);
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);
/// How long the cluster is tried to be read before the issue is written without it: callers wait for 110 s.
const PATIENCE: Duration = Duration::from_secs(95);
/// Longest pause between two such tries: a server that is back is used within two seconds.
const NEXT_LOOK: Duration = Duration::from_millis(1_100);
/// Reports worked on at the same time.
const TOGETHER: usize = 128;

/// Everything an investigation needs.
#[derive(Debug)]
pub struct Investigator {
    /// The records.
    pub store: Arc<Store>,
    /// The OpenShift MCP server, if one is configured.
    pub cluster: Option<Client>,
    /// Issue trackers, as far as they are configured.
    pub routes: Routes,
    /// The model, if one is configured.
    pub advisor: Option<Advisor>,
    /// Tokens spent per namespace and day.
    pub ledger: Ledger,
    /// Where evidence is recorded for replay; `None` keeps none.
    pub recordings: Option<Recordings>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Limits how many run at once.
    pub room: Semaphore,
    /// Ends pauses: who waits for a server that is away stops, and goes on at the next start.
    pub stop: CancellationToken,
    /// Ends pauses: whoever waits tries again now.
    pub wake: Notify,
}

/// The program is about to end.
struct Stopped;

impl Investigator {
    /// Neither servers nor model yet; the ledger knows no limits.
    pub fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            cluster: None,
            routes: Routes::default(),
            advisor: None,
            ledger: Ledger::new(Limits { namespace_hour: u64::MAX, day: u64::MAX }),
            recordings: None,
            metrics: Arc::default(),
            room: Semaphore::new(TOGETHER),
            stop: CancellationToken::new(),
            wake: Notify::new(),
        }
    }

    /// Work on a report until its outcome is final. Interrupted at any point, it can be started again.
    pub async fn run(&self, id: &str) {
        let Ok(_place) = self.room.acquire().await else { return };
        let Some(record) = self.store.get(id) else { return };
        let span = tracing::info_span!(
            "report",
            report = id,
            outcome = tracing::field::Empty,
            otel.status_code = tracing::field::Empty,
            k8s.namespace.name = record.report.namespace,
        );
        // Stopped on the way, the record stays unfinished in the journal.
        let _stopped = self.work(id, &record).instrument(span.clone()).await;
        if let Some(outcome) = self.store.get(id).map(|record| record.outcome) {
            span.record("outcome", outcome.name());
            if outcome == Outcome::Failed {
                span.record("otel.status_code", "ERROR");
            }
        }
    }

    async fn work(&self, id: &str, record: &Record) -> Result<(), Stopped> {
        let started = Instant::now();
        let plan = tracing::info_span!("plan", items = tracing::field::Empty);
        let collected = self.evidence(record).instrument(plan.clone()).await?;
        let evidence = match collected {
            Ok(evidence) => evidence,
            Err(reason) => {
                self.finish(id, started, |r| {
                    r.outcome = Outcome::NoEvidence;
                    r.reason = Some(reason);
                })
                .await;
                return Ok(());
            }
        };
        plan.record("items", evidence.items.len());
        self.count(&evidence);
        if let Some(recordings) = &self.recordings {
            let repository = self.repository(record);
            recordings.keep(id, &Recording { version: 1, repository, evidence: evidence.clone() }).await;
        }
        let diagnosis = self.diagnose(id, record, &evidence).await;
        let file = tracing::info_span!("file", "issue.number" = tracing::field::Empty);
        self.file(id, record, &diagnosis, &evidence, started).instrument(file).await
    }

    async fn evidence(&self, record: &Record) -> Result<Result<Evidence, String>, Stopped> {
        let Some(client) = &self.cluster else {
            return Ok(Err("No tools available from MCP servers".to_owned()));
        };
        let cluster = Cluster::new(client, &record.report.namespace);
        let since = Instant::now();
        let mut pause = Duration::from_millis(400);
        loop {
            let mut redactor = Redactor::new(random_key());
            match collect(cluster, &record.report, &mut redactor).await {
                Ok(evidence) => return Ok(Ok(evidence)),
                Err(PlanError::Nothing(reason)) => return Ok(Err(reason)),
                Err(PlanError::Unavailable(error)) => {
                    tracing::warn!(%error, "the cluster cannot be read");
                    if since.elapsed() >= PATIENCE {
                        return Ok(Ok(without_cluster(record, &error.to_string())));
                    }
                    self.pause(pause).await?;
                    pause = (pause * 2).min(NEXT_LOOK);
                }
            }
        }
    }

    /// Rules first; the model only for failures that are new.
    async fn diagnose(&self, id: &str, record: &Record, evidence: &Evidence) -> Diagnosis {
        let rules = Diagnosis::by_rules(evidence);
        let fingerprint = rules.fingerprint(&self.repository(record), evidence);
        let tracker = self.routes.tracker(&record.report.namespace);
        let known = match tracker {
            Some(tracker) => {
                let title = render(&rules, evidence, &fingerprint, None).map(|i| i.title).unwrap_or_default();
                tracker.known(&fingerprint, &title).await.unwrap_or(false)
            }
            None => false,
        };
        let mut degraded: Option<(&'static str, String)> = None;
        let diagnosis = match &self.advisor {
            Some(advisor) if !known && !evidence.items.is_empty() => {
                let namespace = &record.report.namespace;
                if self.ledger.allows(namespace, Timestamp::now()) {
                    let source = BuiltSource::new(tracker, evidence);
                    let outcome = advisor.diagnose(evidence, rules, &source).await;
                    self.ledger.spend(namespace, outcome.tokens, Timestamp::now());
                    self.metrics.dialogue(&outcome.model, outcome.calls, outcome.tokens, outcome.cost);
                    self.metrics.ungrounded(outcome.dropped);
                    degraded = outcome.degraded.map(|why| (why.name(), why.to_string()));
                    outcome.diagnosis
                } else {
                    let why = "the budget of the namespace or the day is exhausted";
                    degraded = Some(("budget_of_namespace_or_day", why.to_owned()));
                    rules
                }
            }
            _ => rules,
        };
        if let Some((name, _)) = &degraded {
            self.metrics.degraded(name);
        }
        let kept = diagnosis.clone();
        self.store
            .update(id, |r| {
                r.diagnosis = Some(kept);
                r.fingerprint = Some(fingerprint);
                r.degraded = degraded.map(|(_, why)| why);
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
    ) -> Result<(), Stopped> {
        let Some(tracker) = self.routes.tracker(&record.report.namespace) else {
            self.finish(id, started, |r| {
                r.outcome = Outcome::Diagnosed;
                r.reason = Some("no issue tracker is configured".to_owned());
            })
            .await;
            return Ok(());
        };
        let fingerprint = diagnosis.fingerprint(&self.repository(record), evidence);
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
                return Ok(());
            }
        };
        let note = format!(
            "Seen again at {at}.\n\nRun `{}`, report `{id}`.",
            evidence.run.pipeline_run.as_deref().unwrap_or("not known")
        );
        let mut wait = Duration::from_secs(1);
        loop {
            let result = tracker.file(&issue, &fingerprint, id, &note, Timestamp::now()).await;
            let age = Timestamp::now().duration_since(record.accepted).unsigned_abs();
            match result {
                Ok(filed) => {
                    let (outcome, link) = match filed {
                        Filed::Created(link) => (Outcome::Created, link),
                        Filed::Recurred(link) => (Outcome::Recurred, link),
                    };
                    tracing::Span::current().record("issue.number", link.number);
                    self.finish(id, started, |r| {
                        r.outcome = outcome;
                        r.reason = None;
                        r.issue = Some(link);
                    })
                    .await;
                    return Ok(());
                }
                Err(error @ (FilingError::Later(_) | FilingError::NotThere)) if age < GIVE_UP => {
                    tracing::warn!(%error, "the issue is filed later");
                    let reason = error.to_string();
                    self.store
                        .update(id, |r| {
                            r.outcome = Outcome::Queued;
                            r.reason = Some(reason);
                        })
                        .await;
                    self.pause(wait).await?;
                    wait = (wait * 2).min(LONGEST_PAUSE);
                }
                Err(error) => {
                    tracing::error!(%error, "the issue cannot be filed");
                    self.finish(id, started, |r| {
                        r.outcome = Outcome::Failed;
                        r.reason = Some(clip(&error.to_string(), 300));
                    })
                    .await;
                    return Ok(());
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
            self.metrics.finished(record.outcome, started.elapsed());
            tracing::info!(outcome = record.outcome.name(), "report finished");
        }
    }

    fn count(&self, evidence: &Evidence) {
        for (kind, n) in &evidence.redactions {
            self.metrics.redacted(kind, *n);
        }
        if evidence.items.iter().any(|i| !i.instructions.is_empty()) {
            self.metrics.injection();
        }
    }

    /// `owner/repository` the report's issue goes to; part of the fingerprint.
    fn repository(&self, record: &Record) -> String {
        let tracker = self.routes.tracker(&record.report.namespace);
        tracker.map_or_else(|| "-".to_owned(), Tracker::repository)
    }

    /// Wait for a server that is away: it offers nothing to watch. Ends early when woken or stopped.
    #[expect(clippy::disallowed_methods, reason = "a server that is away offers nothing to watch")]
    async fn pause(&self, time: Duration) -> Result<(), Stopped> {
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            () = self.wake.notified() => Ok(()),
            () = self.stop.cancelled() => Err(Stopped),
        }
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

/// A key for placeholders: comparable within a report, and nowhere else.
pub(crate) fn random_key() -> [u8; 16] {
    use secrecy::ExposeSecret;
    let hex = tenant_kit::secret::random_hex(16);
    let mut key = [0; 16];
    // 32 hex digits are 16 bytes; a failure would only make placeholders comparable.
    let _length_is_right = hex::decode_to_slice(hex.expose_secret(), &mut key);
    key
}
