//! The `agent` program: reads arguments, runs one command, prints one error.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use tenant_agent::command::{Arguments, Command};
use tenant_agent::diagnosis::Diagnosis;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut stderr = anstream::stderr().lock();
            // Nothing is left to be done when even the complaint cannot be written.
            let _unwritable = write!(stderr, "error: {error}");
            let mut cause = error.source();
            while let Some(inner) = cause {
                let _unwritable = write!(stderr, ": {inner}");
                cause = inner.source();
            }
            let _unwritable = writeln!(stderr);
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    match command {
        Command::Diagnose(diagnose) => {
            let evidence = diagnose.evidence()?;
            diagnose.print(&Diagnosis::by_rules(&evidence), &evidence, &mut out)?;
        }
        Command::Rules(rules) => rules.print(&mut out)?,
    }
    Ok(())
}
