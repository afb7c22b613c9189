//! Plays Meilisearch 1.7 for LibreChat's stand-in: `/health`, `/version`, `/indexes`; nothing is indexed.
//!
//! Imitates Meilisearch's reference of instance options and of its API (meilisearch.com/docs): in production a master
//! key of 16 bytes or more is demanded before anything else, all but `/health` wants it as a bearer token, and the
//! directories of database, dumps and snapshots must be writable.

use std::{fs, net::SocketAddr, sync::Arc};

use anyhow::{Context as _, ensure};
use axum::{
    Json, Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};
use serde_json::json;

use super::{Given, listen};

/// Shortest master key in production, in bytes.
const SHORTEST_KEY: usize = 16;

pub(super) async fn serve(given: &Given) -> anyhow::Result<()> {
    let key = given.variable("MEILI_MASTER_KEY").unwrap_or_default();
    ensure!(
        given.variable("MEILI_ENV") != Some("production") || key.len() >= SHORTEST_KEY,
        "In production mode, you must provide a master key of at least {SHORTEST_KEY} bytes; MEILI_MASTER_KEY has {}",
        key.len()
    );
    for variable in ["MEILI_DB_PATH", "MEILI_DUMP_DIR", "MEILI_SNAPSHOT_DIR"] {
        if let Some(directory) = given.variable(variable) {
            fs::create_dir_all(directory).with_context(|| format!("make {variable} {directory}"))?;
        }
    }
    let address: SocketAddr = given.variable("MEILI_HTTP_ADDR").unwrap_or("0.0.0.0:7700").parse()?;
    listen(address, router(key)).await
}

fn router(key: &str) -> Router {
    let expected: Arc<str> = format!("Bearer {key}").into();
    let version = || async { Json(json!({"pkgVersion": "1.7.3", "commitSha": "", "commitDate": ""})) };
    let none = || async { Json(json!({"results": [], "offset": 0, "limit": 20, "total": 0})) };
    Router::new()
        .route("/version", get(version))
        .route("/indexes", get(none))
        .layer(from_fn_with_state(expected, check))
        .route("/health", get(async || Json(json!({"status": "available"}))))
}

async fn check(State(expected): State<Arc<str>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match given {
        _ if *expected == *"Bearer " => next.run(request).await,
        Some(given) if *given == *expected => next.run(request).await,
        Some(_) => refusal(StatusCode::FORBIDDEN, "The provided API key is invalid.", "invalid_api_key"),
        None => refusal(
            StatusCode::UNAUTHORIZED,
            "The Authorization header is missing. It must use the bearer authorization method.",
            "missing_authorization_header",
        ),
    }
}

fn refusal(status: StatusCode, message: &str, code: &str) -> Response {
    (status, Json(json!({"message": message, "code": code, "type": "auth"}))).into_response()
}
