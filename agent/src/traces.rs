//! Traces over OTLP/HTTP, where an address for them is configured. Owner of the opentelemetry crates.
//!
//! One trace per report: `report` → `plan`, `execute_tool …`, `chat …`, `file`. Attributes follow the semantic
//! conventions for generative AI (`gen_ai.*`); prompts, answers, tool arguments and results, and log lines are
//! in none of them.

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::runtime::Tokio;
use opentelemetry_sdk::trace::span_processor_with_async_runtime::BatchSpanProcessor;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use reqwest::Client;
use tenant_kit::telemetry::Registry;
use tracing_opentelemetry::OpenTelemetryLayer;

/// Crates whose spans are traced.
pub const TRACED: &[&str] = &["tenant_agent", "agent_mcp"];
/// Time for one delivery, and for the last one at the end of the program.
const WITHIN: Duration = Duration::from_secs(5);

/// Why there are no traces.
#[derive(Debug, thiserror::Error)]
#[error("set up traces to {endpoint}")]
pub struct TracesError {
    endpoint: String,
    #[source]
    source: ExporterBuildError,
}

/// Where spans go.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Spans of `service` go to the collector at `endpoint` (without `/v1/traces`), in batches. Has to be
    /// called in a runtime.
    pub fn to(endpoint: &str, service: String, http: Client) -> Result<Self, TracesError> {
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(http)
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .with_timeout(WITHIN)
            .build()
            .map_err(|source| TracesError { endpoint: endpoint.to_owned(), source })?;
        let resource = Resource::builder()
            .with_service_name(service)
            .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(exporter, Tokio).build())
            .with_resource(resource)
            .build();
        Ok(Self(provider))
    }

    /// The layer that turns spans into traces. Places in the source are left out: they say nothing to an
    /// operator and double the size.
    pub fn layer(&self) -> OpenTelemetryLayer<Registry, SdkTracer> {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("pipeline-agent"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
    }

    /// Send what is left, within a time.
    pub async fn end(self) {
        let last = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(WITHIN));
        let delivered = matches!(tokio::time::timeout(WITHIN, last).await, Ok(Ok(Ok(()))));
        if !delivered {
            tracing::warn!("the last traces could not be delivered");
        }
    }
}
