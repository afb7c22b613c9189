//! `cargo lab`: the lab on the command line.

mod acceptance;
mod args;
mod bench;
mod commands;
mod demo;
mod evaluate;
mod kill;
mod spoil;

use std::process::ExitCode;

use args::{Arguments, Command};
use clap::Parser;
use tenant_lab::directories::Directories;

fn main() -> ExitCode {
    tenant_kit::crypto::install_crypto();
    let arguments = Arguments::parse();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            let outcome = runtime.block_on(run(arguments.command));
            runtime.shutdown_background();
            outcome
        });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            commands::say(&format!("lab: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let directories = Directories::from_environment();
    match command {
        // it ends as the command under it does
        Command::Spoil(arguments) => return spoil::run(&directories, arguments).await,
        // it ends as the suite does
        Command::Accept(arguments) => return acceptance::run(&directories, arguments).await,
        Command::Up(arguments) => commands::up(&directories, arguments).await,
        Command::Down(lab) => commands::down(&directories, &lab.name).await,
        Command::Status(lab) => commands::status(&directories, &lab.name).await,
        Command::Env(arguments) => commands::env(&directories, &arguments),
        Command::Logs(arguments) => commands::logs(&directories, &arguments).await,
        Command::Misbehave(arguments) => commands::misbehave(&directories, arguments).await,
        Command::Snapshot(lab) => commands::snapshot(&directories, &lab.name).await,
        Command::Matrix(arguments) => kill::run(arguments).await,
        Command::Bench(arguments) => Box::pin(bench::run(arguments)).await,
        Command::Eval(arguments) => evaluate::run(arguments, &directories).await,
        Command::Demo(arguments) => demo::run(&directories, arguments).await,
        Command::Serve(arguments) => commands::serve(&directories, arguments).await,
        Command::Play(arguments) => commands::play(arguments).await,
    }?;
    Ok(ExitCode::SUCCESS)
}
