//! `tenant`: parse, run, exit.

use std::process::ExitCode;

use clap::Parser as _;
use tenant_cli::{args::Cli, program};

fn main() -> ExitCode {
    tenant_kit::crypto::install_crypto();
    let environment = program::environment(std::env::vars_os());
    program::run(Cli::parse(), environment)
}
