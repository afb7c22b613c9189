//! Plays two of Showroom's containers (provisioning reference, 7.3): the content server on port 8000 and the terminal on
//! port 7681 under `/terminal/`.
//!
//! The content server shows a frame with the tabs of the guide's `ui-config.yml`, `${DOMAIN}`, `${USER}` and `${GUID}`
//! filled in, and what Antora has built under `/www/`. The terminal runs one line of shell in the home directory, as the
//! pod's user and with its rights. Not imitated: the frame's looks, `ttyd`'s protocol and its session.

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use axum::{
    Router,
    extract::{Path as Segments, State},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use http::{StatusCode, header};
use serde_json::Value;
use tokio::{fs, process::Command, time::timeout};

use super::{Given, antora::escaped, listen};

/// Time for one line of shell.
const LINE: Duration = Duration::from_mins(1);

struct Guide {
    folder: PathBuf,
    /// What stands in place of `${NAME}` in addresses of tabs.
    names: [(&'static str, String); 3],
}

/// `lab play showroom-content [--directory /showroom] [--port 8000]`.
pub(super) async fn content(given: &Given) -> anyhow::Result<()> {
    let names =
        ["DOMAIN", "USER", "GUID"].map(|name| (name, given.variable(name).unwrap_or_default().to_owned()));
    let folder = PathBuf::from(given.flag(&["directory"]).unwrap_or("/showroom"));
    anyhow::ensure!(
        folder.join("www").is_dir(),
        "there is no {}: Antora has built nothing",
        folder.display()
    );
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, given.port(&["port"], 8000)?));
    let router = Router::new()
        .route("/", get(frame))
        .route("/www/", get(async |guide: State<Arc<Guide>>| page(&guide.folder, "index.html").await))
        .route(
            "/www/{*path}",
            get(async |guide: State<Arc<Guide>>, Segments(path): Segments<String>| {
                page(&guide.folder, &path).await
            }),
        )
        .with_state(Arc::new(Guide { folder, names }));
    listen(address, router).await
}

async fn frame(State(guide): State<Arc<Guide>>) -> Html<String> {
    let text = fs::read_to_string(guide.folder.join("repo/ui-config.yml")).await.unwrap_or_default();
    let config: Value = tenant_kit::yaml::from_str(&text).unwrap_or_default();
    let mut page = "<!doctype html><meta charset=utf-8><title>Showroom</title>\n<ul>\n".to_owned();
    for (name, url) in tabs(&config, &guide.names) {
        let _ = writeln!(page, "<li><a href=\"{}\">{}</a>", escaped(&url), escaped(&name));
    }
    page += "</ul>\n<iframe src=\"/www/\"></iframe>\n";
    Html(page)
}

/// Names and addresses of the tabs.
fn tabs(config: &Value, names: &[(&str, String)]) -> Vec<(String, String)> {
    let tabs = config["tabs"].as_array().into_iter().flatten();
    tabs.filter_map(|tab| {
        let url = tab["url"].as_str().or(tab["path"].as_str())?.to_owned();
        let url = names.iter().fold(url, |url, (name, value)| url.replace(&format!("${{{name}}}"), value));
        Some((tab["name"].as_str()?.to_owned(), url))
    })
    .collect()
}

/// A file below `www`; paths that lead out of it are not found.
async fn page(folder: &Path, path: &str) -> Response {
    let parts = path.split('/').filter(|part| !part.is_empty());
    if parts.clone().any(|part| part.starts_with('.')) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let mut file = parts.fold(folder.join("www"), |file, part| file.join(part));
    if file.is_dir() {
        file.push("index.html");
    }
    let kind = match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    };
    match fs::read(&file).await {
        Ok(bytes) => ([(header::CONTENT_TYPE, kind)], bytes).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// `lab play showroom-terminal [--directory /home/lab-user] [--port 7681]`.
pub(super) async fn terminal(given: &Given) -> anyhow::Result<()> {
    let home: Arc<Path> = Path::new(given.flag(&["directory"]).unwrap_or("/home/lab-user")).into();
    let probe = home.join(".terminal");
    std::fs::write(&probe, "").with_context(|| format!("write to the home directory {}", home.display()))?;
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, given.port(&["port"], 7681)?));
    let form =
        "<!doctype html><title>Terminal</title><p>One line of shell, as the body of a POST to /terminal/run";
    let router = Router::new()
        .route("/terminal/", get(async move || Html(form)))
        .route("/terminal/run", post(run))
        .with_state(home);
    listen(address, router).await
}

async fn run(State(home): State<Arc<Path>>, line: String) -> Response {
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]).current_dir(&home).env("HOME", home.as_os_str()).kill_on_drop(true);
    match timeout(LINE, shell.output()).await {
        Ok(Ok(done)) => {
            let status =
                if done.status.success() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
            (status, [done.stdout, done.stderr].concat()).into_response()
        }
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("start sh: {error}\n")).into_response(),
        Err(_) => (StatusCode::GATEWAY_TIMEOUT, "it took longer than a minute\n").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tabs_have_their_names_filled_in_and_those_without_an_address_are_left_out() {
        let config = json!({"tabs": [
            {"name": "LibreChat", "url": "https://librechat-librechat-${USER}.${DOMAIN}"},
            {"name": "Terminal", "path": "/terminal/"},
            {"name": "empty"},
        ]});
        let names = [("DOMAIN", "apps.test".to_owned()), ("USER", "user-x1".to_owned())];
        assert_eq!(
            tabs(&config, &names),
            [
                ("LibreChat".to_owned(), "https://librechat-librechat-user-x1.apps.test".to_owned()),
                ("Terminal".to_owned(), "/terminal/".to_owned()),
            ]
        );
    }
}
