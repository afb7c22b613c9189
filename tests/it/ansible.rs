//! `playbooks-compat`, run by the real ansible-core with kubernetes.core beside it.
//!
//! The checks themselves are `tests/ansible/check.py` and `check_sandbox.py`, which tell what they look at. Here is
//! what they run with: pinned packages from the Python package index, which `environment.sh` installs once into the
//! lab's cache, and a lab for each. A machine that cannot install them skips these checks, and says so where nobody
//! overlooks it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tenant_lab::skip::skipped;

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
    let python = match python() {
        Ok(python) => python,
        Err(error) => return skipped(&format!("tests/ansible/{program}"), &error),
    };
    let world = World::own(false).await;
    let lab = world.lab();
    lab.state().write(world.folder()).expect("the lab's state can be written");
    let snapshot = format!("{} snapshot --name {}", built("lab", "tenant-lab").display(), lab.state().name);
    let run = Command::new(&python)
        .arg(checkout::root().join("tests/ansible").join(program))
        .current_dir(world.folder())
        .envs(lab.env())
        .env("ANSIBLE_HOME", world.folder().join("ansible"))
        .env("LAB_VARS", world.platform())
        // compiled modules are kept, but not in the checkout: a play takes half the processor time with them
        .env("PYTHONPYCACHEPREFIX", python.with_file_name("pycache"))
        .env_remove("PYTHONDONTWRITEBYTECODE")
        .env("SNAPSHOT", snapshot)
        .env("TENANT", tenant())
        .output()
        .unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
    assert!(run.status.success(), "{program} ends with {}\n{}", run.status, text(&run));
}

/// The Python of an environment with the pinned packages; what went wrong if there is none.
fn python() -> Result<PathBuf, String> {
    let folder = checkout::root().join("tests/ansible");
    let made = Command::new(folder.join("environment.sh")).arg(folder.join("requirements.txt")).output();
    let made = made.map_err(|error| format!("environment.sh cannot be run: {error}"))?;
    if made.status.success() {
        Ok(Path::new(String::from_utf8_lossy(&made.stdout).trim()).join("python"))
    } else {
        Err(text(&made))
    }
}

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}
