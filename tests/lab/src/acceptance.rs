//! `cargo lab accept`: the acceptance suite on an existing cluster.

use std::process::ExitCode;

use tenant_lab::{
    accept::{self, Acceptance},
    builds::progress::Progress,
    directories::Directories,
};

use crate::{
    args::AcceptArguments,
    commands::{print, say},
    demo,
};

/// The suite that needs pods that run: a test program of the lab.
const SUITE: &str = "story";

pub(crate) async fn run(directories: &Directories, arguments: AcceptArguments) -> anyhow::Result<ExitCode> {
    let load = match arguments.load {
        Some(load) => load,
        None => accept::load(&arguments.kubeconfig)?,
    };
    let acceptance = Acceptance {
        kubeconfig: arguments.kubeconfig,
        load,
        suite: demo::cargo(&["test", "--workspace", "--no-run", "--test", SUITE]).await?,
        tenant: demo::build_tenant(&[]).await?,
        only: arguments.only,
    };
    let tell = |line: &str| {
        // whoever reads it may have gone
        let _ = print(&format!("{line}\n"));
    };
    if acceptance.play(directories, Progress::stderr(), &tell).await? {
        say("the cluster passes; nothing of the suite is left there\n");
        return Ok(ExitCode::SUCCESS);
    }
    say("the cluster does not pass; the suite and what it made are still there, for a look\n");
    Ok(ExitCode::FAILURE)
}
