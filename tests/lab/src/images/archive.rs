//! Container images, put together from layers and streamed as one OCI archive.
//!
//! Formats: OCI image layout and image specification 1.1; containerd takes the name of an image from the annotation
//! `io.containerd.image.name` (lab reference, section 4). Layers are not compressed: they go through a pipe.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A file system's worth of changes, as a tar file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    path: PathBuf,
    digest: String,
    size: u64,
}

impl Layer {
    /// The layer in that tar file. The digest is kept beside it, as reading half a gigabyte takes a while.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of(path: &Path) -> io::Result<Self> {
        let kept = path.with_extension("digest");
        let size = fs::metadata(path)?.len();
        let digest = match fs::read_to_string(&kept) {
            Ok(digest) => digest,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let digest = digest_of(path)?;
                fs::write(&kept, &digest)?;
                digest
            }
            Err(error) => return Err(error),
        };
        Ok(Self { path: path.to_owned(), digest, size })
    }

    fn descriptor(&self) -> Value {
        json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": self.digest, "size": self.size})
    }
}

/// Asked of coreutils: a program that is not optimised takes a minute over half a gigabyte.
fn digest_of(path: &Path) -> io::Result<String> {
    let output = Command::new("sha256sum").arg("--zero").arg(path).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    match said.split(' ').next() {
        Some(digest) if output.status.success() && digest.len() == 64 => Ok(format!("sha256:{digest}")),
        _ => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}

/// An image: its name, what it holds, and what it starts.
#[derive(Clone, Debug)]
pub struct Image {
    /// The full name, with registry and tag, as manifests say it.
    pub reference: String,
    /// From the bottom up.
    pub layers: Vec<Layer>,
    /// The `config` object of the image specification: `Entrypoint`, `Cmd`, `User`, `Env`, `WorkingDir`.
    pub config: Value,
}

impl Image {
    /// The digest of its manifest: what containerd lists it by.
    pub fn digest(&self) -> String {
        Blob::of(&self.manifest()).digest
    }

    fn configuration(&self) -> Value {
        json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
            "config": self.config,
            "rootfs": {
                "type": "layers",
                "diff_ids": self.layers.iter().map(|layer| &layer.digest).collect::<Vec<_>>(),
            },
        })
    }

    fn manifest(&self) -> Value {
        json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": Blob::of(&self.configuration()).descriptor("application/vnd.oci.image.config.v1+json"),
            "layers": self.layers.iter().map(Layer::descriptor).collect::<Vec<_>>(),
        })
    }
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A small document of an archive.
struct Blob {
    digest: String,
    bytes: Vec<u8>,
}

impl Blob {
    fn of(document: &Value) -> Self {
        let bytes = document.to_string().into_bytes();
        Self { digest: format!("sha256:{}", hex::encode(Sha256::digest(&bytes))), bytes }
    }

    fn descriptor(&self, media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": self.digest, "size": self.bytes.len()})
    }
}

/// Writes one archive with all of the images; what they share is in it once.
///
/// # Errors
/// When a layer cannot be read or nobody reads the archive.
pub fn write(images: &[Image], output: impl Write) -> io::Result<()> {
    let mut archive = tar::Builder::new(io::BufWriter::with_capacity(1 << 20, output));
    let mut written = std::collections::HashSet::new();
    let mut manifests = Vec::new();
    for image in images {
        for layer in &image.layers {
            if written.insert(layer.digest.clone()) {
                append(&mut archive, &blob(&layer.digest), layer.size, File::open(&layer.path)?)?;
            }
        }
        let (configuration, manifest) = (Blob::of(&image.configuration()), Blob::of(&image.manifest()));
        let mut listed = manifest.descriptor(MANIFEST);
        listed["annotations"] = json!({"io.containerd.image.name": image.reference});
        manifests.push(listed);
        for document in [configuration, manifest] {
            if written.insert(document.digest.clone()) {
                append(&mut archive, &blob(&document.digest), document.bytes.len() as u64, &*document.bytes)?;
            }
        }
    }
    let documents = [
        ("index.json", json!({"schemaVersion": 2, "manifests": manifests})),
        ("oci-layout", json!({"imageLayoutVersion": "1.0.0"})),
    ];
    for (name, document) in documents {
        let bytes = document.to_string();
        append(&mut archive, name, bytes.len() as u64, bytes.as_bytes())?;
    }
    archive.into_inner()?.flush()
}

fn blob(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

fn append(
    archive: &mut tar::Builder<impl Write>,
    name: &str,
    size: u64,
    content: impl Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, content)
}

/// A layer under construction.
pub struct Packing {
    archive: tar::Builder<File>,
}

impl Packing {
    /// Begins a layer in a new tar file.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn begin(path: &Path) -> io::Result<Self> {
        Ok(Self { archive: tar::Builder::new(File::create(path)?) })
    }

    /// Adds a file of this machine.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn file(&mut self, path: &str, mode: u32, source: &Path) -> io::Result<()> {
        let file = File::open(source)?;
        let size = file.metadata()?.len();
        self.entry(path, mode, size, file)
    }

    /// Adds a file with that content.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn content(&mut self, path: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        self.entry(path, mode, content.len() as u64, content)
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        self.archive.append_link(&mut header, relative(path), target)
    }

    /// Adds a folder of this machine with everything in it.
    ///
    /// # Errors
    /// When something in it cannot be read.
    pub fn folder(&mut self, path: &str, source: &Path) -> io::Result<()> {
        self.archive.append_dir_all(relative(path), source)
    }

    /// Adds an empty folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn empty_folder(&mut self, path: &str, mode: u32) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_size(0);
        header.set_mode(mode);
        self.archive.append_data(&mut header, relative(path), io::empty())
    }

    /// Ends the layer.
    ///
    /// # Errors
    /// When the end cannot be written.
    pub fn finish(self) -> io::Result<()> {
        self.archive.into_inner()?.sync_data()
    }

    fn entry(&mut self, path: &str, mode: u32, size: u64, content: impl Read) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(mode);
        self.archive.append_data(&mut header, relative(path), content)
    }
}

fn relative(path: &str) -> &str {
    path.trim_start_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(folder: &Path, name: &str, content: &str) -> Layer {
        let path = folder.join(format!("{name}.tar"));
        let mut packing = Packing::begin(&path).unwrap();
        packing.content(&format!("/etc/{name}"), 0o644, content.as_bytes()).unwrap();
        packing.link("/etc/link", name).unwrap();
        packing.finish().unwrap();
        Layer::of(&path).unwrap()
    }

    #[test]
    fn an_archive_holds_every_blob_once_under_its_digest() {
        let folder = tempfile::tempdir().unwrap();
        let (base, own) = (layer(folder.path(), "base", "b"), layer(folder.path(), "own", "o"));
        let image = |reference: &str, layers: &[&Layer]| Image {
            reference: reference.to_owned(),
            layers: layers.iter().map(|&layer| layer.clone()).collect(),
            config: json!({"Cmd": ["/bin/sh"]}),
        };
        let images = [image("a.test/x:1", &[&base]), image("a.test/y:1", &[&base, &own])];
        let mut archive = Vec::new();
        write(&images, &mut archive).unwrap();

        let mut blobs = std::collections::BTreeMap::new();
        let mut index = Value::Null;
        for entry in tar::Archive::new(&*archive).entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_string_lossy().into_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            match name.strip_prefix("blobs/sha256/") {
                Some(digest) => {
                    assert_eq!(hex::encode(Sha256::digest(&content)), digest);
                    assert!(
                        blobs.insert(format!("sha256:{digest}"), content).is_none(),
                        "{name} is in it twice"
                    );
                }
                None if name == "index.json" => index = serde_json::from_slice(&content).unwrap(),
                None => assert_eq!(name, "oci-layout"),
            }
        }
        for (image, listed) in images.iter().zip(index["manifests"].as_array().unwrap()) {
            assert_eq!(listed["annotations"]["io.containerd.image.name"], *image.reference);
            assert_eq!(listed["digest"], *image.digest());
            let manifest: Value = serde_json::from_slice(&blobs[&image.digest()]).unwrap();
            let held = manifest["layers"].as_array().unwrap().iter().chain([&manifest["config"]]);
            for blob in held {
                let content = &blobs[blob["digest"].as_str().unwrap()];
                assert_eq!(blob["size"], content.len(), "{blob}");
            }
        }
        assert_eq!(blobs.len(), 6, "two layers, two configurations, two manifests");
    }
}
