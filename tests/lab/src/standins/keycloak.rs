//! Stand-in for Keycloak's admin REST API, at `https://sso.{domain}` behind the router.
//!
//! Imitates: the provisioning reference 2.0.a and 3.2 and what was measured of Keycloak 26.4: the master
//! realm's token endpoint (`admin-cli`, password grant, tokens good for 60 s), the tenant realm's users
//! (create, search, count, get, reset password, delete) with their statuses, `Location` and
//! `errorMessage`, names in lower case, 404 for an unknown realm; and, as its operator does, the Secret
//! `keycloak-initial-admin` in namespace `keycloak`. The tenant realm's own token endpoint answers
//! password grants of its users, so that a test can see that a password works.
//!
//! Does not imitate: clients, roles, groups, sessions, signed tokens (they are opaque), the console,
//! password policies, realm administration. Passwords are only kept hashed.
//!
//! Faults: *absent* closes the connection, *failing* answers with that status, *wrong* answers 200 with
//! an HTML page, as a log-in page in front of the API would. Subject: path, query and body, and the name
//! of the user whose id is in the path.

mod realm;

use std::{fmt, sync::Arc};

use axum::{
    Form, Json, Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, Path, Query, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use http::{HeaderValue, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use self::realm::{Credential, HashedPassword, Realm, Refusal, Tokens, User};
use super::{
    cluster::{Cluster, ObjectKey},
    exposure::Exposure,
    kinds::Kind,
    server::{self, Connection, Verdict},
};
use crate::platform::{Backend, Credentials, Faults, Platform, StandIn, parking::Guarded};

/// The realm of the tenants' users.
pub(crate) const REALM: &str = "sso";
/// Where the RHBK operator lives.
pub(crate) const NAMESPACE: &str = "keycloak";
/// The Secret its operator keeps the first administrator in.
pub(crate) const ADMIN_SECRET: &str = "keycloak-initial-admin";

const BODY_LIMIT: usize = 1 << 20;
/// `expires_in` of Keycloak's default for the master realm.
const TOKEN_LIFE: SignedDuration = SignedDuration::from_secs(60);

/// The running Keycloak.
#[derive(Clone)]
pub struct Keycloak {
    /// Its address with scheme, without a trailing slash.
    pub url: String,
    /// The realm of the tenants' users.
    pub realm: String,
    /// The administrator of the master realm.
    pub admin: Credentials,
    state: Arc<Server>,
}

impl fmt::Debug for Keycloak {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Keycloak").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Keycloak {
    /// The names of every user of the tenants' realm, sorted.
    pub fn users(&self) -> Vec<String> {
        let users = self.state.realm.with(|realm| realm.search(None, false));
        users.into_iter().map(|user| user.username).collect()
    }
}

struct Server {
    admin: String,
    password: HashedPassword,
    realm: Guarded<Realm>,
    tokens: Guarded<Tokens>,
    faults: Arc<Faults>,
}

/// Starts Keycloak and publishes it under `sso.{domain}`.
///
/// # Errors
/// When its objects cannot be created.
pub(crate) async fn start(platform: &Platform, cluster: &Cluster) -> anyhow::Result<Keycloak> {
    let admin = Credentials {
        username: "temp-admin".to_owned(),
        password: tenant_kit::secret::random_password().expose_secret().to_owned(),
    };
    let state = server_of(&admin, platform.faults.clone());
    platform.backends.set(NAMESPACE, "keycloak-service", Backend::Responder(service(state.clone())));
    publish(platform, cluster, &admin).await?;
    let url = format!("https://sso.{}", platform.domain);
    Ok(Keycloak { url, realm: REALM.to_owned(), admin, state })
}

fn server_of(admin: &Credentials, faults: Arc<Faults>) -> Arc<Server> {
    Arc::new(Server {
        admin: admin.username.clone(),
        password: HashedPassword::new(&admin.password),
        realm: Guarded::default(),
        tokens: Guarded::default(),
        faults,
    })
}

async fn publish(platform: &Platform, cluster: &Cluster, admin: &Credentials) -> anyhow::Result<()> {
    const MANAGER: &str = "keycloak-operator";
    cluster.apply(MANAGER, &ObjectKey::new(Kind::Namespace, "", NAMESPACE), json!({})).await?;
    let secret = json!({ "type": "kubernetes.io/basic-auth",
        "stringData": { "username": admin.username, "password": admin.password } });
    cluster.apply(MANAGER, &ObjectKey::new(Kind::Secret, NAMESPACE, ADMIN_SECRET), secret).await?;
    let service = json!({ "spec": { "ports": [{ "name": "http", "port": 8080 }] } });
    cluster.apply(MANAGER, &ObjectKey::new(Kind::Service, NAMESPACE, "keycloak-service"), service).await?;
    let host = format!("sso.{}", platform.domain);
    let exposure = Exposure {
        name: "keycloak",
        namespace: NAMESPACE,
        service: "keycloak-service",
        port: "http".into(),
        host: Some(&host),
        tls: true,
        metadata: json!({}),
    };
    exposure.apply(cluster, MANAGER, platform.openshift, &platform.domain).await?;
    Ok(())
}

fn service(state: Arc<Server>) -> Router {
    let admin = Router::new()
        .route("/admin/realms/{realm}/users", post(create).get(search))
        .route("/admin/realms/{realm}/users/count", get(count))
        .route("/admin/realms/{realm}/users/{id}", get(one).delete(remove))
        .route("/admin/realms/{realm}/users/{id}/reset-password", put(reset_password))
        .layer(middleware::from_fn_with_state(state.clone(), authenticate));
    Router::new()
        .route("/realms/{realm}/protocol/openid-connect/token", post(token))
        .route("/realms/{realm}", get(describe))
        .merge(admin)
        .fallback(async || (StatusCode::NOT_FOUND, Json(json!({ "error": "HTTP 404 Not Found" }))))
        .layer(middleware::from_fn_with_state(state.clone(), misbehave))
        .with_state(state)
}

async fn misbehave(
    State(server): State<Arc<Server>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_LIMIT).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let mut subject = format!("{} {}", parts.uri, String::from_utf8_lossy(&body));
    let mentioned = server.realm.with(|realm| realm.search(None, false));
    for user in mentioned.iter().filter(|user| parts.uri.path().contains(&user.id)) {
        subject.push_str(&user.username);
    }
    match server::judge(&server.faults, StandIn::Keycloak, &subject, &connection).await {
        Verdict::Answer(response) => response,
        Verdict::Proceed { wrong: true } => {
            axum::response::Html("<html><body>Sign in to your account</body></html>").into_response()
        }
        Verdict::Proceed { wrong: false } => next.run(Request::from_parts(parts, Body::from(body))).await,
    }
}

async fn authenticate(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|header| header.strip_prefix("Bearer ")).unwrap_or_default();
    if !server.tokens.with(|tokens| tokens.is_valid(token, Timestamp::now())) {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": "HTTP 401 Unauthorized" }))).into_response();
    }
    // Of the realms under /admin there is only one; the master realm's users are nobody's business here.
    if request.uri().path().split('/').nth(3) != Some(REALM) {
        return (StatusCode::NOT_FOUND, Json(json!({ "error": "Realm not found." }))).into_response();
    }
    next.run(request).await
}

#[derive(Deserialize)]
struct Grant {
    #[serde(default, rename = "grant_type")]
    kind: String,
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
}

async fn token(
    State(server): State<Arc<Server>>,
    Path(realm): Path<String>,
    Form(grant): Form<Grant>,
) -> Response {
    let refused = |status, error: &str, description: &str| {
        (status, Json(json!({ "error": error, "error_description": description }))).into_response()
    };
    if realm != REALM && realm != "master" {
        return (StatusCode::NOT_FOUND, Json(json!({ "error": "Realm does not exist" }))).into_response();
    }
    if grant.kind != "password" {
        return refused(StatusCode::BAD_REQUEST, "unsupported_grant_type", "Unsupported grant_type");
    }
    if grant.client_id != "admin-cli" {
        let description = "Invalid client or Invalid client credentials";
        return refused(StatusCode::UNAUTHORIZED, "invalid_client", description);
    }
    let known = if realm == "master" {
        grant.username == server.admin && server.password.matches(&grant.password)
    } else {
        server.realm.with(|realm| realm.login(&grant.username, &grant.password).is_some())
    };
    if !known {
        return refused(StatusCode::UNAUTHORIZED, "invalid_grant", "Invalid user credentials");
    }
    let token = if realm == "master" {
        server.tokens.with(|tokens| tokens.issue(TOKEN_LIFE, Timestamp::now()))
    } else {
        // A user's token opens nothing here; it only proves that the password works.
        tenant_kit::secret::random_hex(32).expose_secret().to_owned()
    };
    let answer = json!({
        "access_token": token,
        "expires_in": TOKEN_LIFE.as_secs(),
        "token_type": "Bearer",
        "not-before-policy": 0,
        "scope": "email profile",
    });
    Json(answer).into_response()
}

async fn describe(Path(realm): Path<String>) -> Response {
    if realm == REALM || realm == "master" {
        Json(json!({ "realm": realm })).into_response()
    } else {
        (StatusCode::NOT_FOUND, Json(json!({ "error": "Realm does not exist" }))).into_response()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Invalid(message) => {
                (StatusCode::BAD_REQUEST, Json(json!({ "errorMessage": message }))).into_response()
            }
            Self::Conflict(message) => {
                (StatusCode::CONFLICT, Json(json!({ "errorMessage": message }))).into_response()
            }
            Self::NotFound => {
                (StatusCode::NOT_FOUND, Json(json!({ "error": "User not found" }))).into_response()
            }
        }
    }
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|_| Refusal::Invalid("Cannot parse the JSON"))
}

async fn create(
    State(server): State<Arc<Server>>,
    Path(realm): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let base = format!("https://{host}/admin/realms/{realm}/users");
    let body = axum::body::to_bytes(request.into_body(), BODY_LIMIT).await;
    let user: User = read(&body.map_err(|_| Refusal::Invalid("Cannot read the body"))?)?;
    let id = server.realm.with(|realm| realm.create(user))?;
    let mut response = StatusCode::CREATED.into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("{base}/{id}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

#[derive(Deserialize)]
struct Search {
    username: Option<String>,
    exact: Option<String>,
    first: Option<usize>,
    max: Option<usize>,
}

impl Search {
    fn run(&self, server: &Server) -> Vec<User> {
        let exact = self.exact.as_deref() == Some("true");
        server.realm.with(|realm| realm.search(self.username.as_deref(), exact))
    }
}

/// At most 100 users unless `max` says otherwise, as in Keycloak.
async fn search(State(server): State<Arc<Server>>, Query(query): Query<Search>) -> Json<Vec<User>> {
    let found = query.run(&server).into_iter();
    Json(found.skip(query.first.unwrap_or(0)).take(query.max.unwrap_or(100)).collect())
}

async fn count(State(server): State<Arc<Server>>, Query(query): Query<Search>) -> Json<usize> {
    Json(query.run(&server).len())
}

async fn one(
    State(server): State<Arc<Server>>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<User>, Refusal> {
    server.realm.with(|realm| realm.get(&id).cloned()).map(Json)
}

async fn remove(
    State(server): State<Arc<Server>>,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    server.realm.with(|realm| realm.delete(&id)).map(|()| StatusCode::NO_CONTENT)
}

async fn reset_password(
    State(server): State<Arc<Server>>,
    Path((_, id)): Path<(String, String)>,
    body: Bytes,
) -> Result<StatusCode, Refusal> {
    let credential: Credential = read(&body)?;
    server.realm.with(|realm| realm.set_password(&id, &credential)).map(|()| StatusCode::NO_CONTENT)
}
