//! What both programs need, and nothing else.
//!
//! Owner of rustls (the TLS provider), of `tracing-subscriber`, of the YAML crates and of the way HTTP
//! clients are built. Knows neither Kubernetes nor MCP nor the command line.

pub mod cause;
pub mod crypto;
pub mod http;
pub mod meter;
pub mod secret;
pub mod telemetry;
pub mod throttle;
pub mod yaml;
