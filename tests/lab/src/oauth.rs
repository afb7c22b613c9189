//! A cluster whose users log in at a real Keycloak, and the real OpenShift MCP server in front of it, as the chart
//! `mcp-openshift` configures it with `oauth.enabled`.
//!
//! The chart's stored rendering is what runs: its container, its configuration byte for byte, its bindings. Only
//! the issuer's address is another, and flags tell the server where to listen. Facts: OAuth reference.

pub mod caller;
pub mod realm;

use std::{fs, net::SocketAddr, path::PathBuf, process::ExitStatus, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, api::PostParams};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tempfile::TempDir;
use tenant_kit::http::ClientSettings;

use crate::{
    builds::{Parts, keycloak::Distribution, progress::Progress},
    container::{Cluster, Container, FileSet, Rendering, service::Service},
    controlplane::{ControlPlane, prepared},
    files::{private, tail},
    installation,
    keycloak::Keycloak,
    pki::Pki,
    polling, ports,
    processes::Processes,
};

/// What the chart renders for `tests/charts/mcp-openshift/oauth-route.yaml`.
const RENDERED: &str = include_str!("../../charts/mcp-openshift/oauth-route.snap");
/// The issuer of that case.
const RENDERED_ISSUER: &str = "https://sso.apps.example.com/realms/lab";
/// The `ConfigMap` with the issuer's authority that it names.
const AUTHORITY: &str = "issuer-ca";
const DEPLOYMENT: &str = "openshift";

const START_LIMIT: Duration = Duration::from_secs(30);
/// An API server looks for the keys of an issuer that was not there every ten seconds.
const TRUST_LIMIT: Duration = Duration::from_mins(1);

/// The cluster; everything ends when it is dropped.
pub struct GuardedCluster {
    /// The control plane, which takes the tokens of the realm [`realm::TRUSTED`].
    pub plane: ControlPlane,
    /// Where its users log in.
    pub keycloak: Keycloak,
    ca: String,
    api: SocketAddr,
    service: Service,
    program: PathBuf,
    processes: Arc<Processes>,
    directory: TempDir,
}

/// What an MCP server is told of its issuer.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Its address.
    pub url: String,
    /// The authority that vouches for it, PEM.
    pub authority: String,
}

/// How starting an MCP server ended.
#[derive(Clone, Debug)]
pub enum Started {
    /// It serves at this address.
    Serving(String),
    /// It ended.
    Ended {
        /// How.
        status: ExitStatus,
        /// What it said.
        words: String,
    },
}

impl GuardedCluster {
    /// Starts Keycloak and a control plane that trusts it; `program` is the MCP server's.
    ///
    /// # Errors
    /// When one of them does not come up or refuses what it is given.
    pub async fn start(parts: &Parts, keycloak: &Distribution, program: PathBuf) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let processes = Processes::new(directory.path()).context("make the cluster's folders")?;
        let pki = Pki::new("oauth.lab.test")?;
        let keycloak = Keycloak::start(keycloak, directory.path(), &pki, &processes).await?;
        for name in [realm::TRUSTED, realm::FOREIGN] {
            keycloak.create_realm(&realm::representation(name)).await?;
        }
        prepared::copy(&prepared::ensure(parts, true, Progress::stderr()).await?, directory.path())?;
        let trust = directory.path().join("authentication.json");
        private(&trust, realm::authentication(&keycloak.issuer(realm::TRUSTED), &pki.ca).to_string())?;
        let trust = [("authentication-config", trust.into_os_string())];
        let plane =
            ControlPlane::start(&parts.control_plane, directory.path(), &pki, &processes, &trust).await?;
        let api = plane.url.trim_start_matches("https://").parse().context("an address and a port")?;
        let service = Service::leading_to(api).await.context("open the way to the API server")?;
        let cluster = Self { plane, keycloak, ca: pki.ca, api, service, program, processes, directory };
        cluster.trusting().await?;
        Ok(cluster)
    }

    /// The issuer as it is.
    pub fn issuer(&self) -> Issuer {
        Issuer { url: self.keycloak.issuer(realm::TRUSTED), authority: self.ca.clone() }
    }

    /// A token of somebody who logs in.
    ///
    /// # Errors
    /// When Keycloak refuses it.
    pub async fn token(&self, how: realm::LogIn, realm: &str, user: &str) -> anyhow::Result<SecretString> {
        Ok(self.keycloak.token(how.of(realm, user)).await?)
    }

    /// Installs what the chart renders beside the server itself: its account, and what callers may read. The
    /// account gets all rights there are, which no chart of ours would give: a call that had them would show.
    ///
    /// # Errors
    /// When the API server refuses an object.
    pub async fn install(&self, namespaces: &[&str]) -> anyhow::Result<()> {
        let rendering = Rendering::read(RENDERED)?;
        let container = container(&rendering, &self.issuer())?;
        let client = &self.plane.client;
        let rooms = namespaces.iter().copied().chain([container.namespace.as_str()]);
        let room = |name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        installation::create(client, rooms.map(room).collect()).await?;
        let mut objects = [rendering.all("ServiceAccount"), rendering.all("RoleBinding")].concat();
        objects.push(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "mcp-server-may-do-everything"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": container.service_account,
                "namespace": container.namespace}],
        }));
        for namespace in namespaces {
            objects.extend(inhabited(namespace));
        }
        Ok(installation::create(client, objects).await?)
    }

    /// Starts an MCP server, called `name`, as the chart configures it for that issuer.
    ///
    /// # Errors
    /// When it cannot be started, or neither serves nor ends.
    pub async fn serve(&self, name: &str, issuer: &Issuer) -> anyhow::Result<Started> {
        let rendering = Rendering::read(&RENDERED.replace(RENDERED_ISSUER, &issuer.url))?;
        let container = container(&rendering, issuer)?;
        let address = ports::free()?;
        let token = self.account(&container).await?;
        let cluster = Cluster { api: self.api, service: self.service.address, ca: &self.ca, token: &token };
        let room = self.directory.path().join(name);
        let mut program = container.program(name, &self.program, &room, &cluster)?;
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        let counters = ports::free()?.port().to_string();
        let listen = ["--bind-address", &host, "--port", &port, "--metrics-port", &counters];
        program.arguments.extend(listen.map(Into::into));
        self.processes.start(&program).with_context(|| format!("start {}", self.program.display()))?;

        let http = tenant_kit::http::client(&ClientSettings::new("tenant-lab"))?;
        let ready = format!("http://{address}{}", container.readiness);
        let log = || tail(&self.processes.log(name));
        let outcome = polling::until(START_LIMIT, async || {
            if let Some(status) = self.processes.ended(name) {
                return Some(Started::Ended { status, words: self.complaint(name) });
            }
            let answer = http.get(&ready).send().await;
            let serves = answer.is_ok_and(|answer| answer.status().is_success());
            serves.then(|| Started::Serving(format!("http://{address}")))
        });
        outcome.await.with_context(|| format!("{name} neither serves nor ends:\n{}", log()))
    }

    /// What a server said before it showed how it is used.
    fn complaint(&self, name: &str) -> String {
        let log = fs::read_to_string(self.processes.log(name)).unwrap_or_default();
        log.lines().take_while(|line| *line != "Usage:").collect::<Vec<_>>().join("\n")
    }

    /// A token of the container's own account.
    async fn account(&self, container: &Container) -> anyhow::Result<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.plane.client.clone(), &container.namespace);
        let request = TokenRequest { spec: TokenRequestSpec::default(), ..TokenRequest::default() };
        let name = &container.service_account;
        let answer = accounts.create_token_request(name, &PostParams::default(), &request).await?;
        Ok(answer.status.map(|status| status.token).unwrap_or_default())
    }

    /// Waits until the API server takes a user's token.
    async fn trusting(&self) -> anyhow::Result<()> {
        let settings =
            ClientSettings { extra_roots: Some(self.plane.ca.clone()), ..ClientSettings::new("tenant-lab") };
        let http = tenant_kit::http::client(&settings)?;
        let token = self.token(realm::LogIn::Usual, realm::TRUSTED, realm::STUDENT).await?;
        let review = format!("{}/apis/authentication.k8s.io/v1/selfsubjectreviews", self.plane.url);
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let mut last = Value::Null;
        let known = polling::until(TRUST_LIMIT, async || {
            let request = http.post(&review).bearer_auth(token.expose_secret()).json(&body);
            last = request.send().await.ok()?.json().await.ok()?;
            (last["status"]["userInfo"]["username"] == format!("sso:{}", realm::STUDENT)).then_some(())
        });
        if known.await.is_none() {
            bail!("the API server does not know a user of Keycloak: {last}");
        }
        Ok(())
    }
}

fn container(rendering: &Rendering, issuer: &Issuer) -> anyhow::Result<Container> {
    let authority = FileSet::from([("ca.crt".to_owned(), issuer.authority.clone())]);
    Container::of(rendering, DEPLOYMENT, &[(AUTHORITY, authority)])
}

/// A pod that never gets to a node, and the account it needs.
fn inhabited(namespace: &str) -> [Value; 2] {
    let placed = |name: &str| json!({"name": name, "namespace": namespace});
    [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": placed("default")}),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": placed("librechat"),
            "spec": {"containers": [{"name": "web", "image": "example.test/web:1"}]}}),
    ]
}

/// The authority of nobody the lab knows, PEM.
///
/// # Errors
/// When it cannot be made.
pub fn unknown_authority() -> anyhow::Result<String> {
    Ok(Pki::new("unknown.lab.test")?.ca)
}
