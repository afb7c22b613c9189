//! The image of our two programs, built from the checkout's `Containerfile` by buildah.
//!
//! The builder is the lab's Debian with this machine's Rust mounted into it, and what cargo has downloaded for this
//! checkout already; what it compiled last is kept beside the finished images.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tokio::process::Command;

use super::{
    Built,
    archive::{self, Image, Layer},
    key_of,
};
use crate::builds::{
    BuildError,
    cache::{Cache, Key},
    progress::Progress,
    tool,
};

/// The image's name, as the chart `agent` has it.
pub const REFERENCE: &str = "quay.io/rhpds/tenant:0.1.0";

/// What the image is made from.
const INPUTS: [&str; 8] =
    [".cargo", "Cargo.lock", "Cargo.toml", "Containerfile", "LICENSE", "agent", "cli", "tests/Cargo.toml"];

const WHAT: &str = "the image of tenant and agent";
const BASE: &str = "localhost/lab-debian:1";
const BUILDER: &str = "localhost/lab-rust:1";
const RUST: &str = "/usr/local/rust";
const ARCHIVE: &str = "tenant.tar";

/// The image, built if it is not cached.
///
/// # Errors
/// When buildah or Rust is missing, or the build fails.
pub async fn ensure(cache: &Cache, base: &Layer, progress: Progress) -> Result<Built, BuildError> {
    let checkout = checkout();
    // everything the image depends on but the Debian under it
    let key = key_of(Key::default().with("revision", "3"), &checkout, &INPUTS)
        .map_err(|source| BuildError::Cache { path: checkout.clone(), source })?;
    let entry = cache.entry("own-image", &key, progress, async |partial| {
        let task = progress.begin(format_args!("building {WHAT} (once for each state of the sources)"));
        build(&checkout, base, cache, partial).await?;
        task.done();
        Ok(())
    });
    let entry = entry.await?;
    let archive = entry.join(ARCHIVE);
    let digest = fs::read_to_string(entry.join("digest"))
        .map_err(|source| BuildError::Cache { path: entry.clone(), source })?;
    Ok(Built { reference: REFERENCE.to_owned(), digest: digest.trim().to_owned(), archive })
}

/// The checkout this program was built from.
fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

async fn build(checkout: &Path, base: &Layer, cache: &Cache, partial: &Path) -> Result<(), BuildError> {
    let unusable = |source| BuildError::Cache { path: partial.to_owned(), source };
    let (root, work) = (partial.join("buildah"), cache.folder("own-image-target"));
    fs::create_dir_all(&work).map_err(unusable)?;
    let bases = partial.join("bases.tar");
    let image = |reference: &str, config: Value| Image {
        reference: reference.to_owned(),
        layers: vec![base.clone()],
        config,
    };
    let rust = json!({"Env": [
        format!("PATH={RUST}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        "CARGO_HOME=/cargo",
        // everything was downloaded when this program was built
        "CARGO_NET_OFFLINE=true",
        // what is published is optimised, across crates too; here that would be most of the time, again with each change
        "CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16",
        "CARGO_PROFILE_RELEASE_LTO=off",
        "CARGO_PROFILE_RELEASE_OPT_LEVEL=1",
    ]});
    for (reference, config) in [(BASE, json!({})), (BUILDER, rust)] {
        archive::write(&[image(reference, config)], File::create(&bases).map_err(unusable)?)
            .map_err(unusable)?;
        let mut pull = buildah(&root, "pull");
        pull.arg("--quiet").arg(format!("oci-archive:{}", bases.display()));
        let pulled = tool::run(WHAT, pull).await?;
        let mut tag = buildah(&root, "tag");
        tag.args([pulled.trim(), reference]);
        tool::run(WHAT, tag).await?;
    }
    let sysroot = tool::run(WHAT, rustc()).await?;
    let mut build = buildah(&root, "build");
    build
        .args(["--isolation=chroot", "--layers=false", "--pull-never", "--format=oci", "--tag", REFERENCE])
        .arg(format!("--build-arg=BUILDER_IMAGE={BUILDER}"))
        .arg(format!("--build-arg=BASE_IMAGE={BASE}"))
        .arg(format!("--volume={}:{RUST}:ro", sysroot.trim()))
        .arg(format!("--volume={}:/cargo/registry", cargo_home().join("registry").display()))
        .arg(format!("--volume={}:/src/target", work.display()))
        .arg(checkout);
    tool::run(WHAT, build).await?;
    let mut push = buildah(&root, "push");
    push.args(["--quiet", "--disable-compression", "--digestfile"])
        .arg(partial.join("digest"))
        .arg(REFERENCE);
    push.arg(format!("oci-archive:{}:{REFERENCE}", partial.join(ARCHIVE).display()));
    tool::run(WHAT, push).await?;
    fs::remove_file(&bases).and_then(|()| fs::remove_dir_all(&root)).map_err(unusable)
}

fn buildah(root: &Path, command: &str) -> Command {
    // whatever it mounts is gone when it ends, however it does
    let mut buildah = Command::new("unshare");
    buildah
        .args(["--mount", "buildah", "--root"])
        .arg(root.join("storage"))
        .arg("--runroot")
        .arg(root.join("run"));
    // containers share the Debian, as on a node: copies of it take minutes to write and remove
    buildah.args(["--storage-driver", "overlay", command]);
    buildah
}

/// Asks where this checkout's Rust is.
fn rustc() -> Command {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "sysroot"]).current_dir(checkout());
    rustc
}

/// Where cargo keeps what it has downloaded.
fn cargo_home() -> PathBuf {
    let given = |name| std::env::var_os(name).map(PathBuf::from);
    given("CARGO_HOME").or_else(|| given("HOME").map(|home| home.join(".cargo"))).unwrap_or_default()
}
