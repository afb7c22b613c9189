//! `cargo lab spoil`: a command behind the proxy, so that a person can repeat by hand what a test or the kill
//! matrix has found.

use std::{ffi::OsString, os::unix::process::ExitStatusExt as _, path::Path, process::ExitCode};

use anyhow::Context as _;
use tenant_lab::{
    directories::Directories,
    proxy::{Exchange, Proxy, Rule, Which},
};
use tokio::process::Command;

use crate::{
    args::SpoilArguments,
    commands::{running, say},
};

/// In the command's arguments, the file of the platform's variables.
const VARS: &str = "{vars}";

pub(crate) async fn run(directories: &Directories, arguments: SpoilArguments) -> anyhow::Result<ExitCode> {
    let lab = running(directories, &arguments.lab.name)?;
    let proxy = Proxy::start(&lab, vec![Rule::new(which(&arguments), arguments.how)])?;
    let words: Vec<OsString> =
        arguments.command.iter().map(|word| filled_in(word, proxy.vars_file())).collect();
    let (program, rest) = words.split_first().context("no command is given")?;
    let mut child = Command::new(program)
        .args(rest)
        .envs(proxy.env())
        .spawn()
        .with_context(|| format!("run {}", program.display()))?;

    // An interrupt is the command's affair: we stay to show what it did.
    tokio::spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
    let mut killing = proxy.killing();
    let killed = async { killing.wait_for(Option::is_some).await.map(drop) };
    let ended = tokio::select! {
        ended = child.wait() => Some(ended),
        Ok(()) = killed => None,
    };
    let status = if let Some(ended) = ended {
        ended?
    } else {
        child.start_kill().context("kill the command")?;
        child.wait().await?
    };
    say(&told(&proxy.exchanges(), arguments.trace));
    say(&format!("the command ended with {status}\n"));
    // a shell's way of telling death by a signal
    let code =
        status.code().or(status.signal().map(|signal| 128 + signal)).and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

fn which(arguments: &SpoilArguments) -> Which {
    let SpoilArguments { service, path, method, times, .. } = arguments;
    let which = arguments.which.clone();
    let which = service.iter().fold(which, |which, service| which.to(*service));
    let which = path.iter().fold(which, |which, text| which.path(text));
    let which = method.iter().fold(which, |which, method| which.method(method));
    times.iter().fold(which, |which, times| which.times(*times))
}

fn filled_in(word: &OsString, vars: &Path) -> OsString {
    match word.to_str() {
        Some(text) => text.replace(VARS, &vars.display().to_string()).into(),
        None => word.clone(),
    }
}

/// The requests: all of them, or those that were spoiled.
fn told(exchanges: &[Exchange], all: bool) -> String {
    let spoiled = exchanges.iter().filter(|exchange| exchange.spoil.is_some()).count();
    let shown = exchanges.iter().filter(|exchange| all || exchange.spoil.is_some());
    let lines: String = shown.map(|exchange| exchange.to_string() + "\n").collect();
    let hint = if exchanges.is_empty() {
        format!(": the command does not come here; give it `-e @{VARS}`, or no address of its own")
    } else {
        String::new()
    };
    format!("\n{lines}{} requests, {spoiled} of them spoiled{hint}\n", exchanges.len())
}
