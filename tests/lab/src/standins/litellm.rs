//! Stand-in for the LiteLLM proxy's key API.
//!
//! Imitates: the provisioning reference, section 5, checked against LiteLLM 1.106.2's own `/openapi.json`
//! and the answers of that program started without a database: `/key/generate`, `/key/list` (ten keys a
//! page unless asked otherwise, at most 100), `/key/info`, `/key/delete`, `/key/update`,
//! `/health/liveliness`, `/v1/models`; the master key and virtual keys as bearers; the error shape
//! `{"error": {message, type, param, code}}` and, for bodies and queries of a wrong shape, 422 with
//! `detail`.
//!
//! Does not imitate: spend, budgets, teams, users, rate limits, completions, the archive of deleted keys
//! (newer versions still describe a deleted key under `/key/info`; here it is 404), expiry of access. The
//! state lives in memory and ends with the lab. No key is logged or kept: only hashes are.
//!
//! Faults: *absent* closes the connection, *failing* answers with that status, *wrong* answers 200 with
//! `{"status": "success"}`, whatever was asked, and does nothing. Subject: path, query and body, and the
//! aliases of the hashes named there.

mod duration;
mod keys;
#[cfg(test)]
mod shapes;

use std::{fmt, sync::Arc};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, Extension, Query, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{StatusCode, header};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use self::keys::{DeleteRequest, GenerateRequest, KeyTable, ListQuery, Refusal, UpdateRequest};
use super::server::{self, Connection, Verdict};
use crate::platform::{Faults, Platform, StandIn, parking::Guarded};

/// Larger than any body the key API is sent.
const BODY_LIMIT: usize = 1 << 20;

/// The models the proxy offers to a key that names none.
const MODELS: [&str; 4] =
    ["granite-3-2-8b-instruct", "deepseek-r1-distill-qwen-14b", "llama-scout-17b", "qwen3-14b"];

/// The running proxy.
#[derive(Clone)]
pub struct Litellm {
    /// Its address with scheme, without a trailing slash.
    pub url: String,
    /// Its administrator's key.
    pub master_key: String,
    state: Arc<Proxy>,
}

impl fmt::Debug for Litellm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Litellm").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Litellm {
    /// Alias (or hash, for a key without one) of every key, sorted.
    pub fn keys(&self) -> Vec<String> {
        let mut names: Vec<_> = self.state.table.with(|table| {
            table.iter().map(|key| key.alias.clone().unwrap_or_else(|| key.hash.clone())).collect()
        });
        names.sort();
        names
    }
}

struct Proxy {
    master: String,
    table: Guarded<KeyTable>,
    faults: Arc<Faults>,
}

/// Starts the proxy on a free loopback port, plain HTTP, with a random master key.
///
/// # Errors
/// When it cannot listen.
pub(crate) async fn start(platform: &Platform) -> anyhow::Result<Litellm> {
    launch(platform.faults.clone(), platform.shutdown.clone()).await
}

async fn launch(faults: Arc<Faults>, shutdown: CancellationToken) -> anyhow::Result<Litellm> {
    let secret = tenant_kit::secret::random_hex(16);
    let master_key = format!("sk-{}", secret.expose_secret());
    let state = Arc::new(Proxy { master: keys::hash(&master_key), table: Guarded::default(), faults });
    let address = server::serve(service(state.clone()), None, shutdown).await?;
    Ok(Litellm { url: format!("http://{address}"), master_key, state })
}

fn service(state: Arc<Proxy>) -> Router {
    Router::new()
        .route("/key/generate", post(generate))
        .route("/key/update", post(update))
        .route("/key/delete", post(delete))
        .route("/key/list", get(list))
        .route("/key/info", get(info))
        .route("/v1/models", get(models))
        .route("/models", get(models))
        .layer(middleware::from_fn_with_state(state.clone(), authenticate))
        .route("/health/liveliness", get(async || Json("I'm alive!")))
        .route("/health/liveness", get(async || Json("I'm alive!")))
        .fallback(async || (StatusCode::NOT_FOUND, Json(json!({ "detail": "Not Found" }))))
        .layer(middleware::from_fn_with_state(state.clone(), misbehave))
        .with_state(state)
}

/// Who asks.
#[derive(Clone, Debug)]
enum Caller {
    Master,
    /// Hash of a virtual key.
    Key(String),
}

async fn misbehave(
    State(proxy): State<Arc<Proxy>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_LIMIT).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let mut subject = format!("{} {}", parts.uri, String::from_utf8_lossy(&body));
    let aliases: Vec<String> = proxy.table.with(|table| {
        let mentioned = table.iter().filter(|key| subject.contains(&key.hash));
        mentioned.filter_map(|key| key.alias.clone()).collect()
    });
    subject.push_str(&aliases.join(" "));
    match server::judge(&proxy.faults, StandIn::Litellm, &subject, &connection).await {
        Verdict::Answer(response) => response,
        Verdict::Proceed { wrong: true } => Json(json!({ "status": "success" })).into_response(),
        Verdict::Proceed { wrong: false } => next.run(Request::from_parts(parts, Body::from(body))).await,
    }
}

async fn authenticate(State(proxy): State<Arc<Proxy>>, mut request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(header) = header else { return unauthorized("No api key passed in.", "auth_error", "None") };
    let Some(key) = header.strip_prefix("Bearer ") else {
        let message = "Malformed API Key passed in. Ensure Key has `Bearer ` prefix.";
        return unauthorized(message, "auth_error", "None");
    };
    let hash = keys::hash(key.trim());
    let caller = if hash == proxy.master {
        Caller::Master
    } else if proxy.table.with(|table| table.get(&hash).is_some()) {
        Caller::Key(hash)
    } else {
        let message = format!(
            "Invalid proxy server token passed. Key Hash (Token) ={hash}. Unable to find token in cache or \
             `LiteLLM_VerificationTokenTable`"
        );
        return unauthorized(&message, "token_not_found_in_db", "key");
    };
    let open_to_keys = ["/v1/models", "/models", "/key/info"].contains(&request.uri().path());
    if matches!(caller, Caller::Key(_)) && !open_to_keys {
        let message =
            "Only proxy admin can be used to generate, delete, update info for new keys/users/teams.";
        return unauthorized(message, "auth_error", "None");
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

fn unauthorized(message: &str, kind: &'static str, param: &'static str) -> Response {
    let message = format!("Authentication Error, {message}");
    Refusal { status: 401, message, kind, param: Some(param) }.into_response()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = if status == StatusCode::UNPROCESSABLE_ENTITY {
            let message = format!("Value error, {}", self.message);
            json!({ "detail": [{ "type": self.kind, "loc": ["body"], "msg": message }] })
        } else {
            json!({ "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.status.to_string(),
            } })
        };
        (status, Json(body)).into_response()
    }
}

/// Reads a body as `FastAPI` does: whatever does not fit is 422.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal {
        status: 422,
        // The position says enough; the text would quote the body.
        message: format!("JSON decode error at column {}", error.column()),
        kind: "json_invalid",
        param: None,
    })
}

async fn generate(State(proxy): State<Arc<Proxy>>, body: Bytes) -> Result<Json<Value>, Refusal> {
    let request: GenerateRequest = read(&body)?;
    proxy.table.with(|table| table.generate(request, Timestamp::now())).map(Json)
}

async fn update(State(proxy): State<Arc<Proxy>>, body: Bytes) -> Result<Json<Value>, Refusal> {
    let request: UpdateRequest = read(&body)?;
    proxy.table.with(|table| table.update(request, Timestamp::now())).map(Json)
}

async fn delete(State(proxy): State<Arc<Proxy>>, body: Bytes) -> Result<Json<Value>, Refusal> {
    let request: DeleteRequest = read(&body)?;
    proxy.table.with(|table| table.delete(&request)).map(Json)
}

/// Query of `/key/list` as sent: numbers are checked by hand, to refuse them as `FastAPI` does.
#[derive(Debug, Deserialize)]
struct ListParameters {
    page: Option<String>,
    size: Option<String>,
    key_alias: Option<String>,
    user_id: Option<String>,
    key_hash: Option<String>,
    return_full_object: Option<String>,
}

async fn list(
    State(proxy): State<Arc<Proxy>>,
    Query(sent): Query<ListParameters>,
) -> Result<Json<Value>, Refusal> {
    let number = |text: Option<&String>, default: usize, most: usize| match text.map(|text| text.parse()) {
        None => Ok(default),
        Some(Ok(number)) if (1..=most).contains(&number) => Ok(number),
        Some(_) => Err(Refusal {
            status: 422,
            message: format!("Input should be between 1 and {most}"),
            kind: "less_than_equal",
            param: None,
        }),
    };
    let query = ListQuery {
        page: number(sent.page.as_ref(), 1, usize::MAX)?,
        size: number(sent.size.as_ref(), 10, 100)?,
        full: sent
            .return_full_object
            .is_some_and(|text| ["true", "1", "yes", "on"].contains(&text.to_ascii_lowercase().as_str())),
        key_alias: sent.key_alias,
        user_id: sent.user_id,
        key_hash: sent.key_hash,
    };
    Ok(Json(proxy.table.with(|table| table.list(&query))))
}

#[derive(Debug, Deserialize)]
struct InfoParameters {
    key: Option<String>,
}

/// Without `key`, describes the calling key; the master key is not in the table and hence not found.
async fn info(
    State(proxy): State<Arc<Proxy>>,
    Extension(caller): Extension<Caller>,
    Query(sent): Query<InfoParameters>,
) -> Result<Json<Value>, Refusal> {
    let own = match &caller {
        Caller::Master => &proxy.master,
        Caller::Key(hash) => hash,
    };
    let asked = sent.key.filter(|key| !key.is_empty()).unwrap_or_else(|| own.clone());
    if matches!(caller, Caller::Key(_)) && keys::as_hash(&asked) != *own {
        let message = "You are not allowed to access this key's info.".to_owned();
        return Err(Refusal { status: 403, message, kind: "internal_server_error", param: Some("None") });
    }
    proxy.table.with(|table| table.info(&asked)).map(Json)
}

async fn models(State(proxy): State<Arc<Proxy>>, Extension(caller): Extension<Caller>) -> Json<Value> {
    let own = match caller {
        Caller::Master => Vec::new(),
        Caller::Key(hash) => {
            proxy.table.with(|table| table.get(&hash).map(|key| key.models.clone()).unwrap_or_default())
        }
    };
    let names = if own.is_empty() { MODELS.map(str::to_owned).to_vec() } else { own };
    let data: Vec<_> = names
        .into_iter()
        .map(|id| json!({ "id": id, "object": "model", "created": 1_677_610_602, "owned_by": "openai" }))
        .collect();
    Json(json!({ "data": data, "object": "list" }))
}
