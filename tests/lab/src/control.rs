//! The running lab's ear: a small HTTP API on loopback, for `lab status`, `lab misbehave` and
//! `lab snapshot`. Callers show the token from the lab's state file.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Request, State as Extract},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::net::TcpListener;

use crate::{
    faults::{Fault, StandIn},
    snapshot::Snapshot,
    state::State,
    supervisor::Supervisor,
};

/// One part of a running lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name, as `lab logs` or `lab misbehave` take it.
    pub name: String,
    /// Whether it is the real thing.
    pub real: bool,
    /// Where it answers, if it does.
    pub address: String,
    /// How it is: `running`, `ended: …`, or how it misbehaves.
    pub health: String,
}

/// Answers until the lab's process ends; returns where it listens.
///
/// # Errors
/// When no port can be bound.
pub async fn serve(supervisor: Arc<Supervisor>, token: &str) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let expected = format!("Bearer {token}");
    let guard = move |request: Request, next: Next| {
        let shown = request.headers().get(header::AUTHORIZATION);
        let known = shown.is_some_and(|shown| shown.as_bytes() == expected.as_bytes());
        async move { if known { next.run(request).await } else { StatusCode::UNAUTHORIZED.into_response() } }
    };
    let router = Router::new()
        .route("/status", get(status))
        .route("/faults", get(faults).post(misbehave))
        .route("/snapshot", get(snapshot))
        .layer(middleware::from_fn(guard))
        .with_state(supervisor);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn status(Extract(supervisor): Extract<Arc<Supervisor>>) -> Json<Vec<Part>> {
    Json(parts(&supervisor))
}

async fn faults(Extract(supervisor): Extract<Arc<Supervisor>>) -> Json<Vec<Fault>> {
    Json(supervisor.faults.list())
}

async fn misbehave(
    Extract(supervisor): Extract<Arc<Supervisor>>,
    Json(fault): Json<Fault>,
) -> Json<Vec<Fault>> {
    supervisor.faults.set(fault);
    Json(supervisor.faults.list())
}

async fn snapshot(Extract(supervisor): Extract<Arc<Supervisor>>) -> Response {
    match supervisor.snapshot().await {
        Ok(snapshot) => Json(snapshot).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

/// What runs, the real parts first.
pub fn parts(supervisor: &Supervisor) -> Vec<Part> {
    use crate::controlplane::API_SERVER;
    let mut parts: Vec<Part> = supervisor
        .processes
        .names()
        .into_iter()
        .map(|name| {
            let gitea = supervisor.gitea.get(&name).map(|instance| instance.url());
            let address = match gitea {
                Some(url) => url,
                None if name == API_SERVER => supervisor.cluster.url.clone(),
                None => String::new(),
            };
            let health = match supervisor.processes.ended(&name) {
                None => "running".to_owned(),
                Some(status) => format!("ended: {status}"),
            };
            Part { name, real: true, address, health }
        })
        .collect();
    let stand_ins = &supervisor.stand_ins;
    let faults = supervisor.faults.list();
    let selection = supervisor.cluster.selection;
    let playing = StandIn::ALL.into_iter().filter(|stand_in| selection.plays(*stand_in));
    parts.extend(playing.map(|stand_in| {
        let address = match stand_in {
            StandIn::Litellm => stand_ins.litellm.url.clone(),
            StandIn::Keycloak => stand_ins.keycloak.url.clone(),
            StandIn::Router => format!("https://{}", stand_ins.router),
            _ => String::new(),
        };
        let own = faults.iter().filter(|fault| fault.stand_in == stand_in);
        let told: Vec<_> = own
            .map(|fault| match &fault.only {
                None => fault.behaviour.to_string(),
                Some(only) => format!("{} for {only}", fault.behaviour),
            })
            .collect();
        let health = if told.is_empty() { "running".to_owned() } else { told.join(", ") };
        Part { name: stand_in.name().to_owned(), real: false, address, health }
    }));
    parts
}

/// Asks a running lab.
pub struct Caller {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Caller {
    /// A caller of the lab with that state.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(state: &State) -> anyhow::Result<Self> {
        let settings = tenant_kit::http::ClientSettings {
            timeout: Some(Duration::from_mins(1)),
            ..tenant_kit::http::ClientSettings::new("lab")
        };
        let http = tenant_kit::http::client(&settings)?;
        Ok(Self { http, base: format!("http://{}", state.control), token: state.control_token.clone() })
    }

    /// What runs.
    ///
    /// # Errors
    /// When the lab does not answer.
    pub async fn parts(&self) -> anyhow::Result<Vec<Part>> {
        self.send(self.http.get(format!("{}/status", self.base))).await
    }

    /// How the stand-ins are told to misbehave.
    ///
    /// # Errors
    /// When the lab does not answer.
    pub async fn faults(&self) -> anyhow::Result<Vec<Fault>> {
        self.send(self.http.get(format!("{}/faults", self.base))).await
    }

    /// Tells a stand-in how to behave; returns the whole table.
    ///
    /// # Errors
    /// When the lab does not answer.
    pub async fn misbehave(&self, fault: &Fault) -> anyhow::Result<Vec<Fault>> {
        self.send(self.http.post(format!("{}/faults", self.base)).json(fault)).await
    }

    /// Everything the lab holds.
    ///
    /// # Errors
    /// When the lab or its API server does not answer.
    pub async fn snapshot(&self) -> anyhow::Result<Snapshot> {
        self.send(self.http.get(format!("{}/snapshot", self.base))).await
    }

    async fn send<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> anyhow::Result<T> {
        let answer = request.bearer_auth(&self.token).send().await?;
        let status = answer.status();
        if !status.is_success() {
            anyhow::bail!("the lab answers {status}: {}", answer.text().await.unwrap_or_default());
        }
        Ok(answer.json().await?)
    }
}
