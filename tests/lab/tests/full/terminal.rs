//! A terminal as the readers of the charts' READMEs have it: helm and kubectl on the path, the cluster's administrator,
//! the charts in the current folder.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
    process::{Output, Stdio},
};

use tokio::process::Command;

use crate::world::{World, checkout};

pub(crate) struct Terminal {
    folder: tempfile::TempDir,
    kubeconfig: PathBuf,
}

impl Terminal {
    pub(crate) fn open(world: &World) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let at = |name: &str| folder.path().join(name);
        symlink(checkout("tenant-charts"), at("tenant-charts")).expect("a link can be made");
        fs::create_dir(at("bin")).expect("a folder can be made");
        symlink(&world.programs.helm, at("bin/helm")).expect("a link can be made");
        // one binary is all of a node's programs
        let kubectl = format!("#!/bin/sh\nexec '{}' kubectl \"$@\"\n", world.programs.node.display());
        fs::write(at("bin/kubectl"), kubectl).expect("a file can be written");
        fs::set_permissions(at("bin/kubectl"), fs::Permissions::from_mode(0o755)).expect("it is ours");
        Self { folder, kubeconfig: world.lab().kubeconfig().to_owned() }
    }

    /// Writes a file into the current folder.
    pub(crate) fn write(&self, name: &str, content: &str) {
        fs::write(self.folder.path().join(name), content).expect("a file can be written");
    }

    /// Runs commands, one after the other until one fails.
    pub(crate) async fn tried(&self, commands: &str) -> Output {
        let folder = self.folder.path();
        let path = format!("{}/bin:/usr/local/bin:/usr/bin:/bin", folder.display());
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", commands]).current_dir(folder).stdin(Stdio::null());
        shell.env_clear().env("PATH", path).env("HOME", folder).env("KUBECONFIG", &self.kubeconfig);
        shell.output().await.expect("there is a shell")
    }

    /// As [`Terminal::tried`]; fails the test unless all succeed. Returns what they printed.
    pub(crate) async fn run(&self, commands: &str) -> String {
        let output = self.tried(commands).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{commands}\nended with {}:\n{said}{complaint}", output.status);
        said
    }
}
