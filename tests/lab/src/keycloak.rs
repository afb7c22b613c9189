//! A real Keycloak on loopback, with the lab's authority behind its https.
//!
//! For what has to be proven against signed tokens and real issuers; the platform's log-in is a stand-in
//! ([`crate::standins`]), which starts in no time. Facts: OAuth reference, section 1.

use std::{
    fmt, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tenant_kit::http::{ClientError, ClientSettings};

use crate::{
    builds::keycloak::{Distribution, java},
    files::{private, tail},
    pki::Pki,
    polling, ports,
    processes::{Processes, Program},
};

/// The component name, as in `lab logs`.
pub const KEYCLOAK: &str = "keycloak";
/// The realm of its administrators.
const MASTER: &str = "master";
/// A client that every realm has; password grants are what it is for.
const ADMINISTRATION: &str = "admin-cli";
/// It needs 8 s of one core; a busy machine may not have one to give.
const START_LIMIT: Duration = Duration::from_mins(2);

/// A running Keycloak.
pub struct Keycloak {
    /// Its address, `https://127.0.0.1:PORT`.
    pub url: String,
    /// The authority to trust, PEM.
    pub ca: PathBuf,
    administrator: &'static str,
    password: SecretString,
    http: reqwest::Client,
    processes: Arc<Processes>,
}

impl fmt::Debug for Keycloak {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Keycloak").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Who asks for a token, by password: no test has a browser.
#[derive(Clone, Copy, Debug)]
pub struct Applicant<'a> {
    /// The realm.
    pub realm: &'a str,
    /// A public client of the realm that allows password grants.
    pub client: &'a str,
    /// The user's name.
    pub user: &'a str,
    /// The user's password.
    pub password: &'a str,
}

impl Keycloak {
    /// Starts it with its data below `directory`; returns when it serves.
    ///
    /// # Errors
    /// When it cannot be started, ends early or does not serve within two minutes.
    pub async fn start(
        distribution: &Distribution,
        directory: &Path,
        pki: &Pki,
        processes: &Arc<Processes>,
    ) -> Result<Self, KeycloakError> {
        let home = directory.join(KEYCLOAK);
        let address = ports::free().map_err(KeycloakError::Files)?;
        let files = Files::write(distribution, &home, pki).map_err(KeycloakError::Files)?;
        let url = format!("https://{address}");
        let program = Program {
            name: KEYCLOAK.into(),
            path: "java".into(),
            arguments: java(&home, &files.options(address, &url)),
            directory: home,
            environment: Vec::new(),
        };
        processes.start(&program).map_err(KeycloakError::Start)?;
        // A realm is two seconds' work, which a busy machine makes many.
        let settings = ClientSettings {
            extra_roots: Some(files.ca.clone()),
            timeout: Some(START_LIMIT),
            ..ClientSettings::new("tenant-lab")
        };
        let started = Self {
            url,
            ca: files.ca,
            administrator: distribution.administrator,
            password: distribution.password.clone().into(),
            http: tenant_kit::http::client(&settings)?,
            processes: Arc::clone(processes),
        };
        started.ready().await?;
        Ok(started)
    }

    /// Ends it: from then on nobody answers at its address.
    pub fn stop(&self) {
        self.processes.stop(KEYCLOAK);
    }

    /// What the tokens of a realm name as their issuer.
    pub fn issuer(&self, realm: &str) -> String {
        format!("{}/realms/{realm}", self.url)
    }

    /// Creates a realm with everything its representation holds: clients, mappers, groups, users.
    ///
    /// # Errors
    /// When Keycloak refuses it.
    pub async fn create_realm(&self, representation: &Value) -> Result<(), KeycloakError> {
        // It is good for a minute only, so each operation has its own.
        let token = self.token(self.administrator()).await?;
        let request = self.http.post(format!("{}/admin/realms", self.url));
        let request = request.bearer_auth(token.expose_secret()).json(representation);
        self.send("create a realm", request).await.map(drop)
    }

    /// An access token.
    ///
    /// # Errors
    /// When Keycloak refuses it.
    pub async fn token(&self, applicant: Applicant<'_>) -> Result<SecretString, KeycloakError> {
        let form = [
            ("grant_type", "password"),
            ("client_id", applicant.client),
            ("username", applicant.user),
            ("password", applicant.password),
        ];
        let url = format!("{}/protocol/openid-connect/token", self.issuer(applicant.realm));
        let answer = self.send("issue a token", self.http.post(url).form(&form)).await?;
        let token = answer["access_token"].as_str();
        token.map(SecretString::from).ok_or_else(|| KeycloakError::Refused {
            operation: "issue a token",
            status: 200,
            body: answer.to_string(),
        })
    }

    fn administrator(&self) -> Applicant<'_> {
        Applicant {
            realm: MASTER,
            client: ADMINISTRATION,
            user: self.administrator,
            password: self.password.expose_secret(),
        }
    }

    /// What it answers, `null` if that is empty.
    async fn send(
        &self,
        operation: &'static str,
        request: reqwest::RequestBuilder,
    ) -> Result<Value, KeycloakError> {
        let failed = |source| KeycloakError::Request { operation, source };
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        let body = answer.text().await.map_err(failed)?;
        if status.is_success() {
            return Ok(serde_json::from_str(&body).unwrap_or_default());
        }
        Err(KeycloakError::Refused { operation, status: status.as_u16(), body })
    }

    async fn ready(&self) -> Result<(), KeycloakError> {
        let master = self.issuer(MASTER);
        let log = || tail(&self.processes.log(KEYCLOAK));
        let outcome = polling::until(START_LIMIT, async || {
            if self.processes.ended(KEYCLOAK).is_some() {
                return Some(Err(KeycloakError::Unready { problem: "ended early", log: log() }));
            }
            let answer = self.http.get(&master).send().await;
            answer.is_ok_and(|answer| answer.status().is_success()).then_some(Ok(()))
        });
        let late = || Err(KeycloakError::Unready { problem: "does not serve after two minutes", log: log() });
        outcome.await.unwrap_or_else(late)
    }
}

/// The files it is given by path.
struct Files {
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn write(distribution: &Distribution, home: &Path, pki: &Pki) -> io::Result<Self> {
        fs::create_dir_all(home)?;
        distribution.furnish(home)?;
        let pem = |name: &str, content: &str| {
            let path = home.join(name);
            private(&path, content).map(|()| path)
        };
        Ok(Self {
            ca: pem("ca.crt", &pki.ca)?,
            certificate: pem("tls.crt", &pki.apiserver.certificate)?,
            key: pem("tls.key", &pki.apiserver.key)?,
        })
    }

    /// Without a fixed name of its own, the issuer would be whatever host a request names.
    fn options(&self, address: SocketAddr, url: &str) -> Vec<String> {
        vec![
            "start".into(),
            "--optimized".into(),
            "--cache=local".into(),
            format!("--hostname={url}"),
            format!("--http-host={}", address.ip()),
            format!("--https-port={}", address.port()),
            format!("--https-certificate-file={}", self.certificate.display()),
            format!("--https-certificate-key-file={}", self.key.display()),
        ]
    }
}

/// Why Keycloak does not run, or does not do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum KeycloakError {
    /// Its home cannot be made, or no port is free.
    #[error("prepare Keycloak's home")]
    Files(#[source] io::Error),
    /// It cannot be started.
    #[error("start Keycloak")]
    Start(#[source] io::Error),
    /// It does not come up.
    #[error("Keycloak {problem}; its log ends with:\n{log}")]
    Unready {
        /// What is wrong.
        problem: &'static str,
        /// The end of its log.
        log: String,
    },
    /// The client that talks to it cannot be built.
    #[error("set up the lab's HTTP client")]
    HttpClient(#[from] ClientError),
    /// It cannot be talked to.
    #[error("ask Keycloak to {operation}")]
    Request {
        /// What it was asked.
        operation: &'static str,
        /// The cause.
        #[source]
        source: reqwest::Error,
    },
    /// It does not do it.
    #[error("Keycloak does not {operation}: HTTP {status}: {body}")]
    Refused {
        /// What it was asked.
        operation: &'static str,
        /// The status of its answer.
        status: u16,
        /// Its answer.
        body: String,
    },
}
