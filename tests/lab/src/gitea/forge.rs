//! The forge: a Gitea that plays `https://github.com` for the repositories that orders migrate.
//!
//! Their content is small and ours. The repository with the tenant charts carries the charts of this
//! checkout below `tenant/`, as upstream's does.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use base64::Engine as _;
use http::Method;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use super::{
    GiteaError, GiteaFactory, GiteaInstance, GiteaProgram, config,
    template::{self, Template},
};
use crate::{
    builds::{BuildError, Parts, progress::Progress},
    files::copy_folder,
    processes::Processes,
};

/// The instance's name in the lab.
pub const NAME: &str = "forge";
/// What it stands for, as Git's `insteadOf` wants it.
pub const PUBLIC_URL: &str = "https://github.com/";

/// The Git configuration of clients on a node, where the forge answers as `github.com`, without TLS.
pub fn over_http() -> String {
    format!("[url \"{}\"]\n\tinsteadOf = {PUBLIC_URL}\n", PUBLIC_URL.replace("https", "http"))
}

/// A repository of the forge.
struct Repository {
    owner: &'static str,
    name: &'static str,
    files: BTreeMap<String, Vec<u8>>,
    branches: &'static [Branch],
    tags: &'static [&'static str],
}

/// A branch beside `main`.
#[derive(Debug)]
struct Branch {
    name: &'static str,
    /// The file of `main` that it lacks.
    lacks: Option<&'static str>,
}

/// Owners and names of the forge's repositories, `owner/name`.
pub const REPOSITORIES: [&str; 4] = [
    "danny-avila/LibreChat",
    "rhpds/lb1726-mcp-showroom",
    "rhpds/ocpsandbox-mcp-with-openshift-gitops",
    "rhpds/showroom_template_default",
];

fn repositories() -> io::Result<Vec<Repository>> {
    let text = |path: &str, content: &str| (path.to_owned(), content.as_bytes().to_vec());
    let chart = |name: &str| format!("apiVersion: v2\nname: {name}\nversion: 0.0.1\n");
    let mut charts = BTreeMap::from([text("README.adoc", "= Tenant charts\n")]);
    for name in ["agent", "librechat", "mcp-gitea", "mcp-openshift"] {
        charts.extend([text(&format!("tenant/{name}/Chart.yaml"), &chart(name))]);
    }
    collect(&checkout_charts(), Path::new("tenant"), &mut charts)?;
    // What the pipeline of the chart `agent` builds: without a base image, as there is no registry to pull one from.
    charts.extend([
        text("agent/Containerfile", "FROM scratch\nCOPY requirements.txt ./\nCOPY main.py ./\n"),
        text("agent/main.py", "print('agent')\n"),
        text("agent/requirements.txt", "fastapi==0.116.1\n"),
    ]);
    let playbook = |title: &str| {
        format!("site:\n  title: {title}\ncontent:\n  sources:\n  - url: .\n    start_path: content\n")
    };
    let guide = |title: &str| {
        BTreeMap::from([
            text("default-site.yml", &playbook(title)),
            text("site.yml", &playbook(title)),
            text("content/antora.yml", "name: modules\ntitle: Lab\nversion: ~\n"),
            text("content/modules/ROOT/pages/index.adoc", &format!("= {title}\n\nUser: {{user}}\n")),
            text("ui-config.yml", "type: showroom\ntabs: []\n"),
        ])
    };
    Ok(vec![
        Repository {
            owner: "danny-avila",
            name: "LibreChat",
            files: BTreeMap::from([text("helm/librechat/Chart.yaml", &chart("librechat"))]),
            branches: &[],
            tags: &["v0.8.1"],
        },
        Repository {
            owner: "rhpds",
            name: "lb1726-mcp-showroom",
            files: guide("MCP with OpenShift"),
            branches: &[Branch { name: "sandbox-login-instructions", lacks: None }],
            tags: &[],
        },
        Repository {
            owner: "rhpds",
            name: "ocpsandbox-mcp-with-openshift-gitops",
            files: charts,
            // The lab guide has its reader build a branch on which a file is missing.
            branches: &[Branch { name: "broken", lacks: Some("agent/requirements.txt") }],
            tags: &[],
        },
        Repository {
            owner: "rhpds",
            name: "showroom_template_default",
            files: guide("Showroom"),
            branches: &[],
            tags: &[],
        },
    ])
}

/// The charts of the checkout this program was built from.
fn checkout_charts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tenant-charts")
}

/// Adds the files below `folder`, under `prefix`; a folder that does not exist has none.
fn collect(folder: &Path, prefix: &Path, files: &mut BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let path = prefix.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &path, files)?;
        } else {
            files.insert(path.to_string_lossy().into_owned(), fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// The forge's template, prepared if it is not cached. Changed charts make another one.
///
/// # Errors
/// When the charts cannot be read, Gitea refuses a call, or the cache cannot be written.
pub async fn ensure(parts: &Parts, tenant: &Template, progress: Progress) -> Result<Template, BuildError> {
    let unreadable = |source| BuildError::Cache { path: checkout_charts(), source };
    let repositories = repositories().map_err(unreadable)?;
    let mut key = parts.gitea_key.clone().with("template", config::REVISION);
    for repository in &repositories {
        key = key.with("repository", format!("{}/{}", repository.owner, repository.name));
        key = key.with("refs", format!("{:?} {:?}", repository.branches, repository.tags));
        key = repository.files.iter().fold(key, |key, (path, content)| key.with(path, content));
    }
    let entry = parts
        .cache
        .entry("forge-data", &key, progress, async |partial| {
            let task = progress.begin("preparing the forge's repositories");
            fill(&GiteaProgram::from(parts), tenant, &repositories, partial).await?;
            task.done();
            Ok(())
        })
        .await?;
    template::open(&entry)
}

/// Starts a Gitea from the tenants' template, creates the repositories, and keeps its data.
async fn fill(
    program: &GiteaProgram,
    tenant: &Template,
    repositories: &[Repository],
    partial: &Path,
) -> Result<(), BuildError> {
    let unwritable = |source| BuildError::Cache { path: partial.to_owned(), source };
    let what = "the forge's repositories";
    let failed = |error: GiteaError| BuildError::Failed { what, output: error.to_string() };

    let scratch = partial.join("scratch");
    let processes = Processes::new(&scratch).map_err(unwritable)?;
    let factory = GiteaFactory::new(program.clone(), processes.clone(), scratch.clone(), tenant.clone());
    let forge = factory.map_err(failed)?.start_forge(tenant).await.map_err(failed)?;
    let calls = Calls { http: client().map_err(failed)?, forge: &forge };
    for repository in repositories {
        calls.create(repository).await.map_err(failed)?;
    }
    processes.stop_all();
    copy_folder(&scratch.join(NAME), &partial.join("data"))
        .and_then(|()| template::store(partial, &tenant.admin))
        .and_then(|()| fs::remove_dir_all(&scratch))
        .map_err(unwritable)
}

fn client() -> Result<reqwest::Client, GiteaError> {
    let settings = tenant_kit::http::ClientSettings::new("tenant-lab");
    tenant_kit::http::client(&settings).map_err(GiteaError::Client)
}

struct Calls<'a> {
    http: reqwest::Client,
    forge: &'a GiteaInstance,
}

impl Calls<'_> {
    async fn create(&self, repository: &Repository) -> Result<(), GiteaError> {
        let Repository { owner, name, .. } = repository;
        if self.call(Method::GET, &format!("orgs/{owner}"), Value::Null).await.is_err() {
            self.call(Method::POST, "orgs", json!({"username": owner})).await?;
        }
        let new = json!({"name": name, "default_branch": "main"});
        self.call(Method::POST, &format!("orgs/{owner}/repos"), new).await?;

        let encoded = |content| base64::engine::general_purpose::STANDARD.encode(content);
        let file =
            |(path, content)| json!({"operation": "create", "path": path, "content": encoded(content)});
        let files: Vec<_> = repository.files.iter().map(file).collect();
        let commit = json!({"new_branch": "main", "message": "Content of the lab", "files": files});
        self.call(Method::POST, &format!("repos/{owner}/{name}/contents"), commit).await?;
        for branch in repository.branches {
            let new = json!({"new_branch_name": branch.name, "old_branch_name": "main"});
            self.call(Method::POST, &format!("repos/{owner}/{name}/branches"), new).await?;
            if let Some(path) = branch.lacks {
                self.delete(repository, branch.name, path).await?;
            }
        }
        for tag in repository.tags {
            let new = json!({"tag_name": tag, "target": "main"});
            self.call(Method::POST, &format!("repos/{owner}/{name}/tags"), new).await?;
        }
        Ok(())
    }

    /// Removes a file from a branch. Gitea wants to be told which version of it: the hash of its Git object.
    async fn delete(&self, repository: &Repository, branch: &str, path: &str) -> Result<(), GiteaError> {
        let content = repository.files.get(path).map(Vec::as_slice).unwrap_or_default();
        let hash =
            Sha1::new().chain_update(format!("blob {}\0", content.len())).chain_update(content).finalize();
        let file = json!({"operation": "delete", "path": path, "sha": hex::encode(hash)});
        let commit = json!({"branch": branch, "message": format!("Remove {path}"), "files": [file]});
        let Repository { owner, name, .. } = repository;
        self.call(Method::POST, &format!("repos/{owner}/{name}/contents"), commit).await
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Result<(), GiteaError> {
        let call = format!("{method} {path}");
        let url = format!("{}/api/v1/{path}", self.forge.url());
        let admin = &self.forge.admin;
        let request = self.http.request(method, url).basic_auth(&admin.username, Some(&admin.password));
        let request = if body.is_null() { request } else { request.json(&body) };
        let failed = |reason: String| GiteaError::Call { call: call.clone(), reason };
        let answer = request.send().await.map_err(|error| failed(error.to_string()))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let text = answer.text().await.unwrap_or_default();
        Err(failed(format!("{status} {}", text.chars().take(200).collect::<String>())))
    }
}
