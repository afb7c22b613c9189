//! `playbooks-compat`, run by the real ansible-core with kubernetes.core beside it.
//!
//! The checks themselves are `tests/ansible/check.py` and `check_sandbox.py`, which tell what they look at. Here is what
//! they run with: pinned packages from the Python package index, installed once and kept in the lab's cache, and a lab
//! for each. A machine that cannot install them skips these checks, and says so where nobody overlooks it.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tenant_lab::{
    builds::{
        BuildError,
        cache::{Cache, Key},
        progress::Progress,
    },
    directories::Directories,
};

use crate::{
    checkout,
    program::{built, tenant},
    world::World,
};

#[tokio::test]
async fn catalogs_of_every_generation_go_forth_and_back() {
    check("check.py").await;
}

#[tokio::test]
async fn orders_live_in_placements_of_the_sandbox_api() {
    check("check_sandbox.py").await;
}

/// Runs a program of `tests/ansible` against a lab of its own; it compares everything the lab holds.
async fn check(program: &str) {
    let python = match python().await {
        Ok(python) => python,
        Err(error) => return skip(program, &error),
    };
    let world = World::own(false).await;
    let lab = world.lab();
    lab.state().write(world.folder()).expect("the lab's state can be written");
    let snapshot = format!("{} snapshot --name {}", built("lab", "tenant-lab").display(), lab.state().name);
    let run = Command::new(python)
        .arg(checkout::root().join("tests/ansible").join(program))
        .current_dir(world.folder())
        .envs(lab.env())
        .env("ANSIBLE_HOME", world.folder().join("ansible"))
        .env("LAB_VARS", world.platform())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SNAPSHOT", snapshot)
        .env("TENANT", tenant())
        .output()
        .unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
    assert!(run.status.success(), "{program} ends with {}\n{}", run.status, text(&run));
}

/// The Python of an environment with the pinned packages.
async fn python() -> Result<PathBuf, BuildError> {
    let requirements = checkout::root().join("tests/ansible/requirements.txt");
    let missing = BuildError::Missing { program: "python3", hint: "apt-get install python3-venv" };
    let version = Command::new("python3").arg("--version").output().map_err(|_| missing)?;
    let key = Key::default().with("python", text(&version)).with("packages", read(&requirements));
    let progress = Progress::stderr();
    let environment = Cache::new(Directories::from_environment().builds())
        .entry("ansible", &key, progress, async |partial| {
            let task = progress.begin("installing Ansible");
            install(partial, &requirements)?;
            task.done();
            Ok(())
        })
        .await?;
    Ok(interpreter(&environment))
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()))
}

/// Makes the environment. It works wherever it is moved to, but for its scripts: `python -m ansible` stands for them.
fn install(environment: &Path, requirements: &Path) -> Result<(), BuildError> {
    run(Command::new("python3").args(["-m", "venv"]).arg(environment))?;
    let options = ["-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check", "-r"];
    run(Command::new(interpreter(environment)).args(options).arg(requirements))
}

fn interpreter(environment: &Path) -> PathBuf {
    environment.join("bin/python")
}

fn run(command: &mut Command) -> Result<(), BuildError> {
    let what = "the Python environment";
    let done = command.output().map_err(|source| BuildError::Start { what, source })?;
    if done.status.success() { Ok(()) } else { Err(BuildError::Failed { what, output: text(&done) }) }
}

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

/// Says that a check was not made. Written past the test harness, which shows what is printed only for failures.
fn skip(program: &str, reason: &BuildError) {
    let notice = format!("\n!!! SKIPPED: tests/ansible/{program} was not run. {reason}\n\n");
    io::stderr().write_all(notice.as_bytes()).expect("standard error takes a notice");
}
