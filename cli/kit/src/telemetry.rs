//! Log set-up: to stderr, compact text for people or JSON lines for collectors.

use std::io::{self, IsTerminal as _};

pub use tracing_subscriber::Registry;
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// Silences libraries that would print request and response bodies (async-openai logs a whole body that it
/// cannot decode), drown ours, or tell an error that the caller is told anyway (kube's client).
const QUIET: &str =
    "async_openai=off,hyper=warn,hyper_util=warn,h2=warn,rustls=warn,tower=warn,kube=error,kube_client=off";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For terminals.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging to stderr at `level` (`error` … `trace`, or a full filter such as `warn,tenant=debug`).
///
/// A second call is ignored, so tests may call it freely. An unreadable filter falls back to `info`.
pub fn init(level: &str, format: LogFormat) {
    init_traced(level, format, None::<tracing_subscriber::layer::Identity>, &[]);
}

/// The same, and spans of the given `crates` go to `traces` as well, whatever the level of the log.
///
/// Events do not: they are log lines, which may quote what a server said.
pub fn init_traced<L>(level: &str, format: LogFormat, traces: Option<L>, crates: &'static [&'static str])
where
    L: Layer<Registry> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(format!("{QUIET},{level}"))
        .unwrap_or_else(|_| EnvFilter::new(format!("{QUIET},info")));
    let ours = filter_fn(move |metadata| {
        metadata.is_span() && crates.iter().any(|name| metadata.target().starts_with(name))
    });
    // NO_COLOR is the library's own business
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = if io::stderr().is_terminal() { lines } else { lines.with_ansi(false) };
    let registry = tracing_subscriber::registry().with(traces.map(|traces| traces.with_filter(ours)));
    let _already_set = match format {
        LogFormat::Text => {
            registry.with(lines.without_time().with_target(false).compact().with_filter(filter)).try_init()
        }
        LogFormat::Json => registry.with(lines.json().flatten_event(true).with_filter(filter)).try_init(),
    };
}
