//! The Debian that images stand on which need more than one static program: this machine's release, so that programs
//! built here run there.

use std::collections::BTreeSet;

use tokio::process::Command;

use super::{LAYER, archive::Layer};
use crate::{
    builds::{
        BuildError,
        cache::{Cache, Key},
        progress::Progress,
        tool,
    },
    play::images as table,
};

/// What every image has: a shell's usual tools, clones, Node.js and Python; the C compiler that the builder of our own
/// image needs; the Redis of Argo CD, for the image that brings it into an existing cluster.
const PACKAGES: [&str; 10] = [
    "ca-certificates",
    "curl",
    "gcc",
    "git",
    "libc6-dev",
    "nodejs",
    "procps",
    "python3",
    "python3-venv",
    "redis-server",
];

/// All packages: there is one Debian for all images, which is cheaper than one each.
fn packages() -> String {
    let wanted = table::IMAGES.iter().flat_map(|image| image.packages).chain(&PACKAGES);
    wanted.copied().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(",")
}

/// Installs release `$1` in folder `$2`, with the packages that follow.
const INSTALL: &str = "set -e; debootstrap --variant=minbase \"$1\" \"$2\"; root=$2; shift 2
printf '#!/bin/sh\\nexit 101\\n' >\"$root/usr/sbin/policy-rc.d\"; chmod 755 \"$root/usr/sbin/policy-rc.d\"
mount -t proc proc \"$root/proc\"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
chroot \"$root\" apt-get install --quiet --yes --no-install-recommends -o Dpkg::Options::=--force-unsafe-io \"$@\"
umount \"$root/proc\"; rm \"$root/usr/sbin/policy-rc.d\"";

const WHAT: &str = "Debian for images";

/// What is left out: device files, which need more rights than a container has, and what only apt wants.
const LEFT_OUT: [&str; 4] = ["./dev/*", "./var/cache/apt/*", "./var/lib/apt/lists/*", "./var/log/*"];

/// The layer, made by debootstrap if it is not cached.
///
/// # Errors
/// When debootstrap is missing or fails.
pub async fn ensure(cache: &Cache, progress: Progress) -> Result<Layer, BuildError> {
    let release = release().await?;
    let packages = packages();
    let key = Key::default().with("release", &release).with("packages", &packages).with("revision", "2");
    let entry = cache
        .entry("debian", &key, progress, async |partial| {
            let task = progress.begin(format_args!("installing {WHAT} (once)"));
            let root = partial.join("root");
            // What is mounted below the folder is gone when this ends, however it does. debootstrap knows no alternatives
            // among dependencies: what is wanted is installed by the system's own apt, which starts no service.
            let mut install = Command::new("unshare");
            install.args(["--mount", "--pid", "--fork", "--kill-child", "bash", "-c", INSTALL, "install"]);
            install.arg(&release).arg(&root).args(packages.split(','));
            tool::run(WHAT, install).await?;
            let mut pack = Command::new("tar");
            pack.args(["--create", "--numeric-owner", "--one-file-system"])
                .arg("--file")
                .arg(partial.join(LAYER));
            pack.args(LEFT_OUT.map(|pattern| format!("--exclude={pattern}")));
            pack.arg("--directory").arg(&root).arg(".");
            tool::run(WHAT, pack).await?;
            std::fs::remove_dir_all(&root)
                .map_err(|source| BuildError::Cache { path: root.clone(), source })?;
            task.done();
            Ok(())
        })
        .await?;
    Layer::of(&entry.join(LAYER)).map_err(|source| BuildError::Cache { path: entry, source })
}

/// The code name of this machine's Debian.
async fn release() -> Result<String, BuildError> {
    let text = tokio::fs::read_to_string("/etc/os-release").await.unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    name.map(|name| name.trim_matches('"').to_owned()).ok_or(BuildError::Missing {
        program: "Debian",
        hint: "images are made from a Debian of this machine's release",
    })
}
