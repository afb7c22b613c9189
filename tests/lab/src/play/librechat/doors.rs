//! LibreChat's HTTP addresses.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use http::{StatusCode, header};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::{
    tools::Servers,
    users::{Refusal, Registration, Users},
};

/// Seconds a session's token is good for: LibreChat's `SESSION_EXPIRY`.
const SESSION: i64 = 15 * 60;

/// What the library behind `uaParser.js` takes for a browser begins or ends with one of these.
const BROWSERS: [&str; 6] = ["Mozilla/", "Opera/", "Firefox/", "Chrome/", "Safari/", "Edg/"];

/// A running LibreChat.
pub(super) struct Site {
    pub(super) users: Users,
    pub(super) servers: Servers,
    /// `JWT_SECRET`.
    pub(super) secret: String,
    /// Whether strangers may register.
    pub(super) registration: bool,
    /// Whether users whose address is not verified may log in.
    pub(super) unverified: bool,
}

pub(super) fn router(site: Arc<Site>) -> Router {
    let signed_in = Router::new()
        .route("/api/user", get(user))
        .route("/api/mcp/connection/status", get(statuses))
        .route("/api/mcp/connection/status/{server}", get(status))
        .route("/api/mcp/tools", get(tools))
        .layer(from_fn_with_state(Arc::clone(&site), require_token));
    let browsers = Router::new()
        .route("/api/auth/login", post(login))
        .route("/api/auth/register", post(register))
        .layer(from_fn(require_browser));
    Router::new()
        .merge(signed_in)
        .merge(browsers)
        .route("/health", get(async || "OK"))
        .route("/api/config", get(config))
        .route(
            "/",
            get(async || Html("<!doctype html><title>LibreChat</title><p>LibreChat's stand-in in the lab")),
        )
        .with_state(site)
}

async fn require_browser(request: Request, next: Next) -> Response {
    let agent = request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    if agent.is_some_and(|agent| BROWSERS.iter().any(|browser| agent.contains(browser))) {
        return next.run(request).await;
    }
    let error = format!("event: error\ndata: {}\n\n", json!({"message": "Illegal request"}));
    ([(header::CONTENT_TYPE, "text/event-stream")], error).into_response()
}

async fn require_token(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let value = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.strip_prefix("Bearer "));
    match token.and_then(|token| claims(&site.secret, token, jiff::Timestamp::now().as_second())) {
        Some(claims) => {
            let mut request = request;
            request.extensions_mut().insert(Arc::new(claims));
            next.run(request).await
        }
        None => (StatusCode::UNAUTHORIZED, "Unauthorized").into_response(),
    }
}

async fn config(State(site): State<Arc<Site>>) -> Json<Value> {
    Json(
        json!({"appTitle": "LibreChat", "emailLoginEnabled": true, "registrationEnabled": site.registration}),
    )
}

async fn user(request: Request) -> Json<Value> {
    let claims = request.extensions().get::<Arc<Value>>().map(|claims| (**claims).clone());
    Json(claims.unwrap_or_default())
}

async fn statuses(State(site): State<Arc<Site>>) -> Json<Value> {
    let seen = site.servers.states().await;
    let status: Map<_, _> = seen.iter().map(|seen| (seen.name.clone(), seen.status())).collect();
    Json(json!({"success": true, "connectionStatus": status}))
}

async fn status(State(site): State<Arc<Site>>, Path(server): Path<String>) -> Response {
    let all = site.servers.states().await;
    let Some(seen) = all.iter().find(|seen| seen.name == server) else {
        let error = format!("MCP server '{server}' not found in configuration");
        return (StatusCode::NOT_FOUND, Json(json!({"error": error}))).into_response();
    };
    let status = seen.status();
    Json(json!({"success": true, "serverName": server, "connectionStatus": status["connectionState"],
        "requiresOAuth": false}))
    .into_response()
}

async fn tools(State(site): State<Arc<Site>>) -> Json<Value> {
    let states = site.servers.states().await;
    let servers: Map<_, _> = states.iter().map(|seen| (seen.name.clone(), seen.listed())).collect();
    Json(json!({"servers": servers}))
}

async fn login(State(site): State<Arc<Site>>, Json(body): Json<Value>) -> Response {
    let text = |field: &str| body[field].as_str().unwrap_or_default();
    match site.users.login(text("email"), text("password"), site.unverified).await {
        Ok(Ok(user)) => {
            let token = token(&site.secret, &user, jiff::Timestamp::now().as_second());
            Json(json!({"token": token, "user": user})).into_response()
        }
        Ok(Err(refusal)) => {
            let status = if refusal == Refusal::NotVerified {
                StatusCode::UNPROCESSABLE_ENTITY
            } else {
                StatusCode::NOT_FOUND
            };
            (status, Json(json!({"message": refusal.message()}))).into_response()
        }
        Err(error) => {
            tracing::error!("[Login] {error:#}");
            let message = json!({"message": "Something went wrong"});
            (StatusCode::INTERNAL_SERVER_ERROR, Json(message)).into_response()
        }
    }
}

async fn register(State(site): State<Arc<Site>>, Json(body): Json<Value>) -> Response {
    if !site.registration {
        let message = json!({"message": "Registration is not allowed."});
        return (StatusCode::FORBIDDEN, Json(message)).into_response();
    }
    let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
    let (email, name, username, password) = (text("email"), text("name"), text("username"), text("password"));
    let username = if username.is_empty() { name.clone() } else { username };
    match site.users.register(Registration { email, name, username, password, verified: false }).await {
        Ok(()) => {
            Json(json!({"message": "Please check your email to verify your email address."})).into_response()
        }
        Err(error) => {
            let message = json!({"message": format!("{error:#}")});
            (StatusCode::UNPROCESSABLE_ENTITY, Json(message)).into_response()
        }
    }
}

/// A token for a user, good for [`SESSION`] from `now` (seconds since 1970): a JWT, signed with HS256.
fn token(secret: &str, user: &Value, now: i64) -> String {
    let header = json!({"alg": "HS256", "typ": "JWT"});
    let claims = json!({"id": user["id"], "username": user["username"], "email": user["email"],
        "provider": "local", "iat": now, "exp": now + SESSION});
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.encode(signature(secret, &signed).finalize().into_bytes());
    format!("{signed}.{signature}")
}

/// What a token says, if it is ours and still good.
fn claims(secret: &str, token: &str, now: i64) -> Option<Value> {
    let (signed, given) = token.rsplit_once('.')?;
    signature(secret, signed).verify_slice(&URL_SAFE_NO_PAD.decode(given).ok()?).ok()?;
    let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.')?.1).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    (claims["exp"].as_i64()? > now).then_some(claims)
}

fn signature(secret: &str, signed: &str) -> Hmac<Sha256> {
    let mut signature =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key for HMAC may have any length");
    signature.update(signed.as_bytes());
    signature
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_secret_and_its_time_only() {
        let token = token("secret", &json!({"id": "1", "username": "user-x1"}), 1000);
        assert_eq!(claims("secret", &token, 1001).unwrap()["username"], "user-x1");
        assert_eq!(claims("another", &token, 1001), None);
        assert_eq!(claims("secret", &token, 1000 + SESSION), None);
        assert_eq!(claims("secret", &token.replace('.', ""), 1001), None);
    }
}
