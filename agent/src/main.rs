//! The `agent` program: reads arguments, runs one command, prints one error.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use tenant_agent::command::model::ModelArguments;
use tenant_agent::command::{Arguments, Command};
use tenant_agent::diagnosis::Diagnosis;
use tenant_agent::dialogue::NoRepository;
use tenant_agent::evidence::Evidence;
use tenant_agent::traces::{TRACED, Traces};
use tenant_kit::telemetry::{LogFormat, init_traced};

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

/// By rules, and by the model if one is named.
fn judge(evidence: &Evidence, model: &ModelArguments) -> Result<Diagnosis, Box<dyn std::error::Error>> {
    let rules = Diagnosis::by_rules(evidence);
    tenant_kit::crypto::install_crypto();
    let Some(advisor) = model.advisor()? else { return Ok(rules) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(advisor.diagnose(evidence, rules, &NoRepository));
    if let Some(why) = &outcome.degraded {
        complain("warning: rules only", why);
    }
    Ok(outcome.diagnosis)
}

fn run(command: &Command) -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    match command {
        Command::Diagnose(diagnose) => {
            let evidence = diagnose.evidence()?;
            let diagnosis = judge(&evidence, &diagnose.model)?;
            diagnose.print(&diagnosis, &evidence, &mut out)?;
        }
        Command::Replay(replay) => {
            let recording = replay.read()?;
            let diagnosis = judge(&recording.evidence, &replay.model)?;
            replay.print(&diagnosis, &recording, &mut out)?;
        }
        Command::Serve(serve) => {
            drop(out);
            tenant_kit::crypto::install_crypto();
            // rmcp reports every handshake at INFO; our own line says the same in one.
            let level = format!("rmcp=warn,opentelemetry=warn,{}", serve.log_level);
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(async {
                let traces = serve.traces()?;
                let layer = traces.as_ref().map(Traces::layer);
                init_traced(&level, LogFormat::Json, layer, TRACED);
                let served = serve.run().await;
                if let Some(traces) = traces {
                    traces.end().await;
                }
                served
            })?;
        }
        Command::Rules(rules) => rules.print(&mut out)?,
    }
    Ok(())
}
