//! The packages: which may use which, and what they bring along.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::source::Source;
use crate::checkout;

/// Which packages of ours a package may use outside its tests. All may be used by `tenant-lab` and `acceptance`.
const ARROWS: &[(&str, &[&str])] = &[
    ("tenant-kit", &[]),
    ("tenant-workflow", &["tenant-kit"]),
    ("tenant-cli", &["tenant-kit", "tenant-workflow"]),
    ("agent-mcp", &["tenant-kit"]),
    ("tenant-agent", &["tenant-kit", "agent-mcp"]),
];

/// Outside libraries that must be in the programs once: two copies mean two sets of types, or two TLS stacks.
const SINGLE: &[&str] = &["hyper", "kube-core", "reqwest", "rmcp", "rustls", "schemars", "tokio-tungstenite"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `None` for a normal dependency, else `dev` or `build`.
    kind: Option<String>,
    rename: Option<String>,
    /// Set for packages of this repository.
    path: Option<String>,
}

impl Package {
    fn all() -> Vec<Self> {
        let text = checkout::cargo(&["metadata", "--format-version=1", "--no-deps", "--offline"]);
        let metadata: Metadata = serde_json::from_str(&text).expect("cargo metadata prints its format 1");
        metadata.packages
    }

    /// Its folder from the top of the repository.
    fn folder(&self) -> String {
        let root = checkout::root().canonicalize().expect("the repository is there");
        let manifest = std::path::Path::new(&self.manifest_path);
        let folder = manifest.parent().and_then(|folder| folder.strip_prefix(&root).ok());
        folder.and_then(std::path::Path::to_str).expect("packages lie within the repository").to_owned()
    }

    fn of_tests(&self) -> bool {
        self.folder().starts_with("tests")
    }
}

/// The outside libraries linked into packages: versions by name, build tools left out.
fn linked(packages: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let mut arguments = vec!["tree", "--edges=normal,no-proc-macro", "--prefix=none", "--frozen"];
    arguments.extend(packages.iter().flat_map(|package| ["--package", *package]));
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in checkout::cargo(&arguments).lines() {
        let mut words = line.split(' ');
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            versions.entry(name.to_owned()).or_default().insert(version.to_owned());
        }
    }
    versions
}

#[test]
fn arrows_between_packages_go_one_way() {
    let mut wrong = Vec::new();
    for package in Package::all().iter().filter(|package| !package.of_tests()) {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == package.name) else {
            wrong.push(format!("{} is not in the table of arrows", package.name));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
            if !allowed.contains(&dependency.name.as_str()) {
                let kind = dependency.kind.as_deref().unwrap_or("normal");
                wrong.push(format!("{} must not use {} ({kind})", package.name, dependency.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_engine_knows_neither_cluster_nor_network_nor_command_line() {
    let linked = linked(&["tenant-workflow"]);
    let found: Vec<_> = ["clap", "hyper", "k8s-openapi", "kube", "kube-client", "reqwest", "rustls"]
        .into_iter()
        .filter(|name| linked.contains_key(*name))
        .collect();
    assert!(found.is_empty(), "tenant-workflow brings in {found:?}");
    assert!(linked.contains_key("tokio"), "the list is not what it should be: {linked:?}");
}

#[test]
fn the_programs_have_one_tls_stack_and_one_copy_of_what_counts() {
    let linked = linked(&["tenant-cli", "tenant-agent"]);
    assert!(linked.contains_key("aws-lc-rs"), "the list is not what it should be: {linked:?}");
    for second_stack in ["ring", "openssl", "native-tls"] {
        let who = "`cargo tree -e normal -i` says who brings it in";
        assert!(!linked.contains_key(second_stack), "{second_stack} is linked beside aws-lc-rs; {who}");
    }
    for name in SINGLE {
        let versions = linked.get(*name).map_or(0, BTreeSet::len);
        assert!(versions <= 1, "{name} is linked in {versions} versions: {:?}", linked[*name]);
    }
}

#[test]
fn every_package_takes_the_lints_of_the_workspace() {
    for package in Package::all() {
        let path = format!("{}/Cargo.toml", package.folder());
        let manifest = checkout::read(&path);
        let mut lines = manifest.lines().skip_while(|line| *line != "[lints]").skip(1);
        assert_eq!(lines.next(), Some("workspace = true"), "{path} has no `[lints]` with `workspace = true`");
    }
}

#[test]
fn every_dependency_is_used() {
    // named for its feature, which the programs choose for kube
    let by_feature =
        [("tenant-cli", "k8s-openapi"), ("tenant-lab", "k8s-openapi"), ("acceptance", "k8s-openapi")];
    let (packages, sources) = (Package::all(), Source::all());
    let folders: Vec<String> = packages.iter().map(Package::folder).collect();
    let mut idle = Vec::new();
    for (package, folder) in packages.iter().zip(&folders) {
        let inner = |path: &str| {
            folders.iter().filter(|inner| path.starts_with(&format!("{inner}/"))).map(String::len).max()
        };
        let own: Vec<&Source> = sources
            .iter()
            .filter(|source| {
                inner(&source.path) == Some(folder.len()) && source.path.starts_with(&format!("{folder}/"))
            })
            .collect();
        for dependency in &package.dependencies {
            let name = dependency.rename.as_ref().unwrap_or(&dependency.name);
            let library = if name == "md-5" { "md5".to_owned() } else { name.replace('-', "_") };
            let used = own.iter().any(|source| source.uses(&library).next().is_some());
            if !used && !by_feature.contains(&(package.name.as_str(), name)) {
                idle.push(format!("{folder}/Cargo.toml names {name}, which no source of the package uses"));
            }
        }
    }
    assert!(idle.is_empty(), "{}", idle.join("\n"));
}

#[test]
fn every_version_of_the_workspace_is_asked_for() {
    let manifest = checkout::read("Cargo.toml");
    let (_, after) =
        manifest.split_once("[workspace.dependencies]\n").expect("versions are kept in one place");
    let entries = after.lines().take_while(|line| !line.starts_with('['));
    let names = entries.filter_map(|line| Some(line.split_once(" = ")?.0.trim()));
    let packages = Package::all();
    let asked = |name: &str| {
        let mut dependencies = packages.iter().flat_map(|package| &package.dependencies);
        dependencies.any(|dependency| dependency.rename.as_ref().unwrap_or(&dependency.name) == name)
    };
    let idle: Vec<&str> = names.filter(|name| !asked(name)).collect();
    assert!(idle.is_empty(), "Cargo.toml states versions that no package asks for: {idle:?}");
}
