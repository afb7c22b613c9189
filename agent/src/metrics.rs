//! What the agent counts, for Prometheus. Owner of prometheus-client.
//!
//! Every name begins with `agent_`; counters end in `_total` and times are in seconds, as Prometheus wants
//! them. No label carries a value from a report, so that nobody who reports can make new series.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::report::Outcome;

/// How reports ended.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByOutcome {
    outcome: &'static str,
}

/// Why something was refused or done without.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByReason {
    reason: &'static str,
}

/// What was recognised as known: the report, or the failure.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByWhat {
    what: &'static str,
}

/// Kinds of secrets.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByKind {
    kind: String,
}

/// Tool servers; a handful, named by configuration.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByServer {
    server: String,
}

/// Tools of the capabilities we use, and how a call ended.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByTool {
    server: String,
    tool: String,
    result: &'static str,
}

/// Models, as configured.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByModel {
    model: String,
}

type Seconds = Gauge<f64, AtomicU64>;
type Times<L> = Family<L, Histogram, fn() -> Histogram>;

/// What was recognised at a repetition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Repeated {
    /// The same report came again.
    Report,
    /// Another run failed in the same way.
    Failure,
}

/// All metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reports: Family<ByOutcome, Counter>,
    refused: Family<ByReason, Counter>,
    repeated: Family<ByWhat, Counter>,
    investigation: Histogram,
    tools: Times<ByTool>,
    llm_tokens: Family<ByModel, Counter>,
    llm_calls: Family<ByModel, Counter>,
    llm_cost: Counter<f64, AtomicU64>,
    degraded: Family<ByReason, Counter>,
    ungrounded: Counter,
    redactions: Family<ByKind, Counter>,
    injections: Counter,
    mcp_up: Family<ByServer, Gauge>,
    queue_depth: Gauge,
    journal_lag: Seconds,
    journal_commit: Seconds,
    journal_backlog: Gauge,
    journal_bytes: Gauge,
    journal_degraded: Gauge,
}

/// From 5 ms (rules only, everything local) to the two minutes of a slow model.
fn investigations() -> Histogram {
    Histogram::new([0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0])
}

fn tool_times() -> Histogram {
    Histogram::new([0.002, 0.01, 0.05, 0.2, 1.0, 5.0, 20.0])
}

impl Default for Metrics {
    fn default() -> Self {
        let mut all = Self {
            registry: Registry::with_prefix("agent"),
            reports: Family::default(),
            refused: Family::default(),
            repeated: Family::default(),
            investigation: investigations(),
            tools: Family::new_with_constructor(tool_times as fn() -> Histogram),
            llm_tokens: Family::default(),
            llm_calls: Family::default(),
            llm_cost: Counter::default(),
            degraded: Family::default(),
            ungrounded: Counter::default(),
            redactions: Family::default(),
            injections: Counter::default(),
            mcp_up: Family::default(),
            queue_depth: Gauge::default(),
            journal_lag: Seconds::default(),
            journal_commit: Seconds::default(),
            journal_backlog: Gauge::default(),
            journal_bytes: Gauge::default(),
            journal_degraded: Gauge::default(),
        };
        all.register_work();
        all.register_service();
        all
    }
}

impl Metrics {
    fn register_work(&mut self) {
        let r = &mut self.registry;
        r.register("reports", "Reports finished, by outcome", self.reports.clone());
        r.register(
            "dedupe",
            "Repetitions that made no second issue, by what was known",
            self.repeated.clone(),
        );
        r.register(
            "investigation_seconds",
            "From the start of an investigation to its outcome",
            self.investigation.clone(),
        );
        r.register("tool_seconds", "Calls of MCP tools, by server, tool and result", self.tools.clone());
        r.register("llm_tokens", "Tokens spent on models", self.llm_tokens.clone());
        r.register("llm_calls", "Requests to models", self.llm_calls.clone());
        r.register("llm_cost", "US dollars spent on models, by the configured prices", self.llm_cost.clone());
        r.register(
            "degraded",
            "Diagnoses by rules although a model is configured, by reason",
            self.degraded.clone(),
        );
        r.register(
            "ungrounded",
            "Statements of models dropped for want of evidence",
            self.ungrounded.clone(),
        );
        r.register("redactions", "Secrets removed from evidence, by kind", self.redactions.clone());
        r.register(
            "injection_flags",
            "Reports whose evidence has instruction-like text",
            self.injections.clone(),
        );
    }

    fn register_service(&mut self) {
        let r = &mut self.registry;
        r.register("refused", "Requests refused, by reason", self.refused.clone());
        r.register("mcp_up", "1 if the MCP server answered when last asked", self.mcp_up.clone());
        r.register("queue_depth", "Reports accepted and not finished", self.queue_depth.clone());
        r.register(
            "journal_lag_seconds",
            "Age of the oldest entry the disk has refused; 0 when all are on disk",
            self.journal_lag.clone(),
        );
        r.register(
            "journal_commit_seconds",
            "Time the last group of entries took to disk",
            self.journal_commit.clone(),
        );
        r.register("journal_backlog", "Entries that are not on disk yet", self.journal_backlog.clone());
        r.register("journal_bytes", "Size of the journal", self.journal_bytes.clone());
        r.register(
            "journal_degraded",
            "1 while reports are kept in memory only",
            self.journal_degraded.clone(),
        );
    }

    /// A report is finished.
    pub fn finished(&self, outcome: Outcome, after: Duration) {
        self.reports.get_or_create(&ByOutcome { outcome: outcome.name() }).inc();
        self.investigation.observe(after.as_secs_f64());
        if outcome == Outcome::Recurred {
            self.repeated(Repeated::Failure);
        }
    }

    /// Something known came again.
    pub fn repeated(&self, what: Repeated) {
        let what = match what {
            Repeated::Report => "report",
            Repeated::Failure => "failure",
        };
        self.repeated.get_or_create(&ByWhat { what }).inc();
    }

    /// A request was refused. Reasons are words of ours.
    pub fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&ByReason { reason }).inc();
    }

    /// What a dialogue cost. `cost` is in US dollars.
    pub fn dialogue(&self, model: &str, calls: u32, tokens: u64, cost: f64) {
        let by = ByModel { model: model.to_owned() };
        self.llm_calls.get_or_create(&by).inc_by(u64::from(calls));
        self.llm_tokens.get_or_create(&by).inc_by(tokens);
        self.llm_cost.inc_by(cost);
    }

    /// Statements of a model that the evidence does not hold.
    pub fn ungrounded(&self, statements: usize) {
        self.ungrounded.inc_by(statements as u64);
    }

    /// A diagnosis rests on rules although a model is configured.
    pub fn degraded(&self, reason: &'static str) {
        self.degraded.get_or_create(&ByReason { reason }).inc();
    }

    /// Secrets of a kind were removed.
    pub fn redacted(&self, kind: &str, times: u64) {
        self.redactions.get_or_create(&ByKind { kind: kind.to_owned() }).inc_by(times);
    }

    /// Evidence reads like instructions to a model.
    pub fn injection(&self) {
        self.injections.inc();
    }

    /// A tool server answered, or did not.
    pub fn server(&self, server: &str, up: bool) {
        self.mcp_up.get_or_create(&ByServer { server: server.to_owned() }).set(i64::from(up));
    }

    /// What is read when the metrics are.
    pub fn state(&self, open: usize, journal: &crate::journal::Health) {
        use std::sync::atomic::Ordering::Relaxed;
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.queue_depth.set(number(open as u64));
        self.journal_lag.set(journal.lag().as_secs_f64());
        self.journal_commit.set(journal.commit().as_secs_f64());
        self.journal_backlog.set(number(journal.backlog.load(Relaxed)));
        self.journal_bytes.set(number(journal.bytes.load(Relaxed)));
        self.journal_degraded.set(i64::from(journal.degraded.load(Relaxed)));
    }

    /// The text format Prometheus reads.
    pub fn text(&self) -> String {
        let mut out = String::new();
        match encode(&mut out, &self.registry) {
            Ok(()) => out,
            Err(_) => String::new(),
        }
    }
}

/// Calls of tools, as the MCP clients tell of them.
impl agent_mcp::Observer for Metrics {
    fn called(&self, server: &str, tool: &str, time: Duration, result: agent_mcp::CallResult) {
        let result = match result {
            agent_mcp::CallResult::Ok => "ok",
            agent_mcp::CallResult::ToolError => "tool_error",
            agent_mcp::CallResult::NoAnswer => "no_answer",
        };
        let by = ByTool { server: server.to_owned(), tool: tool.to_owned(), result };
        self.tools.get_or_create(&by).observe(time.as_secs_f64());
    }

    fn answers(&self, server: &str, up: bool) {
        self.server(server, up);
    }
}
