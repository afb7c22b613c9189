//! What the agent counts, for Prometheus. Owner of prometheus-client.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// One label.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct Label {
    /// Outcome, reason, kind or server, by metric.
    pub is: String,
}

impl Label {
    /// A label.
    pub fn new(is: impl Into<String>) -> Self {
        Self { is: is.into() }
    }
}

/// All metrics.
#[derive(Debug)]
#[expect(missing_docs, reason = "the registration below carries the help texts")]
pub struct Metrics {
    registry: Registry,
    pub reports: Family<Label, Counter>,
    pub refused: Family<Label, Counter>,
    pub duplicates: Counter,
    pub seconds: Histogram,
    pub model_tokens: Counter,
    pub model_calls: Counter,
    pub degraded: Family<Label, Counter>,
    pub redactions: Family<Label, Counter>,
    pub instructions: Counter,
    pub dropped: Counter,
    pub mcp_up: Family<Label, Gauge>,
    pub open: Gauge,
    pub journal_bytes: Gauge,
    pub journal_degraded: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        // From 5 ms (rules only, everything local) to the two minutes of a slow model.
        let seconds = Histogram::new([0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0]);
        let mut all = Self {
            registry: Registry::with_prefix("agent"),
            seconds,
            reports: Family::default(),
            refused: Family::default(),
            duplicates: Counter::default(),
            model_tokens: Counter::default(),
            model_calls: Counter::default(),
            degraded: Family::default(),
            redactions: Family::default(),
            instructions: Counter::default(),
            dropped: Counter::default(),
            mcp_up: Family::default(),
            open: Gauge::default(),
            journal_bytes: Gauge::default(),
            journal_degraded: Gauge::default(),
        };
        let r = &mut all.registry;
        r.register("reports", "Reports finished, by outcome", all.reports.clone());
        r.register("refused", "Requests refused, by reason", all.refused.clone());
        r.register("duplicates", "Reports that repeated an earlier one", all.duplicates.clone());
        r.register("investigation_seconds", "From acceptance to the final outcome", all.seconds.clone());
        r.register("llm_tokens", "Tokens spent on models", all.model_tokens.clone());
        r.register("llm_calls", "Requests to models", all.model_calls.clone());
        r.register(
            "degraded",
            "Diagnoses by rules although a model is configured, by reason",
            all.degraded.clone(),
        );
        r.register("redactions", "Secrets removed from evidence, by kind", all.redactions.clone());
        r.register(
            "injection_flags",
            "Reports whose evidence has instruction-like text",
            all.instructions.clone(),
        );
        r.register("ungrounded", "Model statements dropped for want of evidence", all.dropped.clone());
        r.register("mcp_up", "Whether an MCP server answers", all.mcp_up.clone());
        r.register("queue_depth", "Reports accepted and not finished", all.open.clone());
        r.register("journal_bytes", "Size of the journal", all.journal_bytes.clone());
        r.register(
            "journal_degraded",
            "1 while reports are kept in memory only",
            all.journal_degraded.clone(),
        );
        all
    }
}

impl Metrics {
    /// The text format Prometheus reads.
    pub fn text(&self) -> String {
        let mut out = String::new();
        match encode(&mut out, &self.registry) {
            Ok(()) => out,
            Err(_) => String::new(),
        }
    }
}
