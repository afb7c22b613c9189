//! The program around the commands: runtime, signals, output, exit code.

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _},
    process::ExitCode as ProcessExit,
    sync::{Arc, OnceLock},
};

use clap::CommandFactory as _;
use tenant_kit::{
    meter::Meter,
    secret::Redactor,
    telemetry::{self, LogFormat},
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    access::Environment,
    args::{Cli, Command, DisplayArgs, OutputFormat},
    commands,
    env::EnvVars,
    exit::ExitCode,
    opening::Workplace,
    order::known,
    problem::Problem,
    report::printer::{Format, Printer, Surroundings, Verbosity},
};

/// The environment as text; entries that are no text are left out.
pub fn environment(variables: impl Iterator<Item = (OsString, OsString)>) -> Environment {
    variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Runs the command and says how it ended.
pub fn run(cli: Cli, environment: Environment) -> ProcessExit {
    let log = if cli.display.verbose >= 2 { "debug" } else { "warn" };
    let format = match cli.display.output {
        OutputFormat::Text => LogFormat::Text,
        OutputFormat::Json => LogFormat::Json,
    };
    telemetry::init(log, format);
    let redactor = Arc::new(Redactor::new());
    let printer = printer(&cli.display, &environment, &redactor);
    let code = match cli.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "tenant", &mut script);
            printer.data(&String::from_utf8_lossy(&script));
            ExitCode::Done
        }
        Command::Variables(args) => {
            printer.data(&if args.asciidoc { known::asciidoc() } else { known::plain() });
            ExitCode::Done
        }
        command => {
            let workplace = Workplace {
                printer: printer.clone(),
                environment,
                meter: Arc::new(Meter::new()),
                redactor,
                cancel: CancellationToken::new(),
                connections: Arc::default(),
                together: None,
            };
            run_async(command, &workplace)
        }
    };
    if let Err(error) = printer.finish() {
        printer.failure(&error, Some("the results could not be written to stdout"));
        return ProcessExit::from(ExitCode::Failed);
    }
    ProcessExit::from(code)
}

fn printer(display: &DisplayArgs, environment: &Environment, redactor: &Arc<Redactor>) -> Printer {
    let set = |name: &str| environment.get(name).is_some_and(|value| !value.is_empty());
    let around = Surroundings {
        stdout_terminal: io::stdout().is_terminal(),
        stderr_terminal: io::stderr().is_terminal(),
        no_color: set(EnvVars::NO_COLOR),
        dumb: environment.get(EnvVars::TERM).is_some_and(|term| term == "dumb"),
        ci: set(EnvVars::CI),
    };
    let verbosity = match (display.quiet, display.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, 0) => Verbosity::Normal,
        (false, _) => Verbosity::Verbose,
    };
    let format = match display.output {
        OutputFormat::Text => Format::Text,
        OutputFormat::Json => Format::Json,
    };
    Printer::new(around, verbosity, format, Arc::clone(redactor))
}

fn run_async(command: Command, workplace: &Workplace) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            workplace.printer.failure(&error, Some("this process may not start threads"));
            return ExitCode::Failed;
        }
    };
    let first = OnceLock::new();
    let code = runtime.block_on(async {
        let signals = signals(workplace.cancel.clone(), &first);
        tokio::select! {
            code = dispatch(command, workplace) => code,
            code = signals => code,
        }
    });
    // a second signal ends the process at once, whatever still runs
    runtime.shutdown_background();
    match first.get() {
        // a run knows that it was stopped, and not by which signal
        Some(signal) if code == ExitCode::Interrupted => *signal,
        _ => code,
    }
}

async fn dispatch(command: Command, workplace: &Workplace) -> ExitCode {
    let ended = match command {
        Command::Provision(args) => commands::provision(workplace, &args).await,
        Command::Destroy(args) if args.dry_run => commands::forecast(workplace, &args.change).await,
        Command::Destroy(args) => commands::destroy(workplace, &args).await,
        Command::Status(args) => commands::status(workplace, &args).await,
        Command::Plan(args) => commands::plan(workplace, &args).await,
        Command::Render(args) => commands::render(workplace, &args).await,
        Command::List(args) => commands::list(workplace, &args).await,
        Command::Extend(args) => commands::extend(workplace, &args).await,
        Command::Doctor(args) => commands::doctor(workplace, &args).await,
        Command::Variables(_) | Command::Completions { .. } => Ok(ExitCode::Done),
    };
    match ended {
        Ok(code) => code,
        Err(Problem { failure, error, hint }) => {
            workplace.printer.failure(error.as_ref(), hint.as_deref());
            ExitCode::from(failure)
        }
    }
}

/// The `first` SIGINT or SIGTERM asks the run to stop at its next safe point; the second ends this future.
async fn signals(cancel: CancellationToken, first: &OnceLock<ExitCode>) -> ExitCode {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    let stopped = next(&mut interrupt, &mut terminate).await;
    first.get_or_init(|| stopped);
    cancel.cancel();
    next(&mut interrupt, &mut terminate).await
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) -> ExitCode {
    tokio::select! {
        _ = interrupt.recv() => ExitCode::Interrupted,
        _ = terminate.recv() => ExitCode::Terminated,
    }
}
