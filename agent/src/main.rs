//! The `agent` program: reads arguments, runs one command, prints one error.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use tenant_agent::command::{Arguments, Command};
use tenant_agent::diagnosis::Diagnosis;
use tenant_agent::dialogue::NoRepository;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain("error", error.as_ref());
            ExitCode::FAILURE
        }
    }
}

/// One line on stderr with the chain of causes.
fn complain(what: &str, error: &dyn std::error::Error) {
    let mut stderr = anstream::stderr().lock();
    // Nothing is left to be done when even the complaint cannot be written.
    let _unwritable = write!(stderr, "{what}: {error}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        let _unwritable = write!(stderr, ": {inner}");
        cause = inner.source();
    }
    let _unwritable = writeln!(stderr);
}

fn run(command: &Command) -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    match command {
        Command::Diagnose(diagnose) => {
            let evidence = diagnose.evidence()?;
            let mut diagnosis = Diagnosis::by_rules(&evidence);
            if let Some(advisor) = diagnose.model.advisor()? {
                tenant_kit::crypto::install_crypto();
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let outcome = runtime.block_on(advisor.diagnose(&evidence, diagnosis, &NoRepository));
                if let Some(why) = &outcome.degraded {
                    complain("warning: rules only", why);
                }
                diagnosis = outcome.diagnosis;
            }
            diagnose.print(&diagnosis, &evidence, &mut out)?;
        }
        Command::Rules(rules) => rules.print(&mut out)?,
    }
    Ok(())
}
