//! The one TLS provider of the process.

/// Makes aws-lc-rs the provider of every TLS connection; call it first thing in `main`.
///
/// A second call is harmless. Without it a process that links two providers panics at its first
/// Kubernetes connection (rustls cannot choose).
pub fn install_crypto() {
    let _already_there = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
