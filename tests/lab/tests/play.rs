//! The programs that play in containers, as processes on loopback: what the charts and the demo rely on.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
};

use axum::{Json, Router, routing::get};
use reqwest::{StatusCode, header};
use serde_json::{Value, json};
use tenant_kit::http::{ClientSettings, client};
use tenant_lab::play::images;

/// A program that plays; it ends with the test.
struct Playing {
    child: Child,
    /// Where it listens, on loopback.
    address: String,
}

impl Playing {
    fn start(arguments: &[&str], environment: &[(&str, &str)], directory: &Path) -> Self {
        let mut command = lab(arguments, environment, directory);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the lab's program starts");
        let mut said = String::new();
        let mut lines = BufReader::new(child.stderr.take().expect("standard error is a pipe"));
        let port = loop {
            let mut line = String::new();
            let read = lines.read_line(&mut line).expect("programs write text");
            assert_ne!(read, 0, "{arguments:?} ended, and said:\n{said}");
            if let Some((_, port)) = line.split_once("listening").and_then(|(_, rest)| rest.rsplit_once(':'))
            {
                break port.trim().to_owned();
            }
            said += &line;
        };
        // it goes on talking, and must not wait for a reader
        std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        Self { child, address: format!("127.0.0.1:{port}") }
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `lab play …` with this environment only.
fn lab(arguments: &[&str], environment: &[(&str, &str)], directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.arg("play").args(arguments).env_clear().env("PATH", path).current_dir(directory);
    command.envs(environment.iter().copied()).stdin(Stdio::null());
    command
}

/// Gitea's API, as far as a credential check goes.
async fn gitea() -> String {
    let user = async |headers: axum::http::HeaderMap| {
        let known = headers.get("authorization").is_some_and(|value| value == "token t0");
        let (status, body) = if known {
            (StatusCode::OK, json!({"id": 7, "login": "user-x1", "email": "user-x1@lab.example"}))
        } else {
            (StatusCode::UNAUTHORIZED, json!({"message": "token is required"}))
        };
        (status, Json(body))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("a listener has an address");
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/api/v1/user", get(user))).await });
    format!("http://{address}")
}

/// What MCP servers answer in an event stream.
fn last_event(body: &str) -> Value {
    let data = body.lines().filter_map(|line| line.strip_prefix("data: ")).next_back();
    serde_json::from_str(data.unwrap_or_else(|| panic!("no event in {body}"))).expect("events are JSON")
}

#[tokio::test]
async fn gitea_mcp_speaks_mcp_and_acts_with_its_token() {
    let (folder, host) = (tempfile::tempdir().unwrap(), gitea().await);
    let http = client(&ClientSettings::new("test")).unwrap();
    for (token, expected) in [("t0", "user-x1"), ("wrong", "token is required")] {
        let server = Playing::start(
            &["gitea-mcp", "-t", "http", "-port", "0"],
            &[("GITEA_HOST", &host), ("GITEA_ACCESS_TOKEN", token)],
            folder.path(),
        );
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "get_me", "arguments": {}}});
        let answer = http.post(format!("http://{}/mcp", server.address)).json(&call).send().await.unwrap();
        let answer = last_event(&answer.text().await.unwrap());
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(expected), "{answer}");
        let health = http.get(format!("http://{}/healthz", server.address)).send().await.unwrap();
        assert_eq!(health.text().await.unwrap(), "ok");
    }
}

#[tokio::test]
async fn librechat_keeps_its_users_and_reaches_its_mcp_servers() {
    let (folder, data, host) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), gitea().await);
    let (folder, http) = (folder.path(), client(&ClientSettings::new("test")).unwrap());
    let mcp = Playing::start(&["gitea-mcp", "-t", "http", "-port", "0"], &[("GITEA_HOST", &host)], folder);
    let key = "0123456789abcdef0123456789abcdef";
    let search = [("MEILI_MASTER_KEY", key), ("MEILI_ENV", "production"), ("MEILI_HTTP_ADDR", "127.0.0.1:0")];
    let search = Playing::start(&["meilisearch"], &search, folder);
    let health = http.get(format!("http://{}/health", search.address)).send().await.unwrap();
    assert_eq!(health.json::<Value>().await.unwrap()["status"], "available");
    let config = json!({"version": "1.3.1", "mcpServers": {
        "gitea": {"type": "streamable-http", "url": format!("http://{}/mcp", mcp.address)},
        "gone": {"type": "streamable-http", "url": "http://127.0.0.1:1/mcp"},
    }});
    fs::write(folder.join("librechat.yaml"), config.to_string()).unwrap();

    let arguments =
        ["mongodb", "--wiredTigerCacheSizeGB", "0.25", "--bind_ip_all", "--port", "0", "--dbpath"];
    let database = data.path().to_str().unwrap();
    let root = [("MONGO_INITDB_ROOT_USERNAME", "root"), ("MONGO_INITDB_ROOT_PASSWORD", "s3cret/")];
    let password = "correct horse";
    for round in ["first", "after a restart"] {
        let mongodb = Playing::start(&[&arguments[..], &[database]].concat(), &root, folder);
        let uri = format!("mongodb://root:s3cret%2F@{}/LibreChat?authSource=admin", mongodb.address);
        let meili = format!("http://{}", search.address);
        let environment = [
            ("HOST", "127.0.0.1"),
            ("PORT", "0"),
            ("MONGO_URI", &uri),
            ("SEARCH", "true"),
            ("MEILI_HOST", &meili),
            ("MEILI_MASTER_KEY", key),
            ("CREDS_KEY", &key.repeat(2)),
            ("CREDS_IV", key),
            ("JWT_SECRET", "a"),
            ("JWT_REFRESH_SECRET", "b"),
        ];
        let chat = Playing::start(&["librechat"], &environment, folder);
        let at = |path: &str| format!("http://{}{path}", chat.address);
        assert_eq!(http.get(at("/health")).send().await.unwrap().text().await.unwrap(), "OK");
        let login = async |agent: &str, password: &str| {
            let body = json!({"email": "user-x1@lab.example", "password": password});
            let request = http.post(at("/api/auth/login")).header(header::USER_AGENT, agent).json(&body);
            let answer = request.send().await.unwrap();
            (answer.status(), answer.text().await.unwrap())
        };
        let browser = "Mozilla/5.0 (tenant)";
        if round == "first" {
            assert_eq!(login(browser, password).await.0, StatusCode::NOT_FOUND);
            let words = ["create-user", "user-x1@lab.example", "user-x1", "user-x1", "--email-verified=true"];
            for (made, expected) in [(true, "User created"), (false, "already exists")] {
                let mut tool = lab(&words, &environment, folder);
                let mut tool = tool.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
                writeln!(tool.stdin.take().unwrap(), "{password}").unwrap();
                let done = tool.wait_with_output().unwrap();
                let said = String::from_utf8_lossy(&done.stderr);
                assert!(done.status.success() == made && said.contains(expected), "{said}");
            }
        }
        assert_eq!(login(browser, "wrong").await.0, StatusCode::NOT_FOUND, "{round}");
        let (status, said) = login("curl/8.0", password).await;
        assert!(status == StatusCode::OK && said.contains("Illegal request"), "{round}: {status} {said}");
        let (status, said) = login(browser, password).await;
        assert_eq!(status, StatusCode::OK, "{round}: {said}");
        let said: Value = serde_json::from_str(&said).unwrap();
        assert!(said["user"]["password"].is_null(), "the hash is handed out: {said}");

        let token = said["token"].as_str().unwrap();
        let ask = async |path: &str| -> Value {
            http.get(at(path)).bearer_auth(token).send().await.unwrap().json().await.unwrap()
        };
        let status = ask("/api/mcp/connection/status").await;
        assert_eq!(status["connectionStatus"]["gitea"]["connectionState"], "connected", "{status}");
        assert_eq!(status["connectionStatus"]["gone"]["connectionState"], "error", "{status}");
        let tools = ask("/api/mcp/tools").await;
        let gitea = tools["servers"]["gitea"]["tools"].as_array().unwrap();
        assert!(gitea.iter().any(|tool| tool["pluginKey"] == "issue_write_mcp_gitea"), "{tools}");
        let stranger = http.get(at("/api/mcp/tools")).send().await.unwrap();
        assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_missing_key_ends_librechat_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let done = lab(&["librechat"], &[("CREDS_KEY", "short")], folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(!done.status.success() && said.contains("CREDS_KEY is not 64 hexadecimal digits"), "{said}");
}

#[tokio::test]
async fn a_guide_is_cloned_built_with_the_tenants_data_and_served() {
    let folder = tempfile::tempdir().unwrap();
    let (guide, showroom) = (folder.path().join("guide"), folder.path().join("showroom"));
    let write = |path: &str, text: &str| {
        fs::create_dir_all(guide.join(path).parent().unwrap()).unwrap();
        fs::write(guide.join(path), text).unwrap();
    };
    write("default-site.yml", "content: {sources: [{url: ., start_path: content}]}\n");
    write("content/antora.yml", "name: modules\nversion: ~\n");
    write("content/modules/ROOT/pages/index.adoc", "= Lab\n\nYour name is {user}.\n");
    write("ui-config.yml", "tabs: [{name: Chat, url: 'https://chat-${USER}.${DOMAIN}'}]\n");
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@lab.example"];
        let mut git = Command::new("git");
        assert!(
            git.args(identity).args(arguments).current_dir(&guide).status().unwrap().success(),
            "{arguments:?}"
        );
    };
    for arguments in [
        &["init", "--quiet", "--initial-branch", "main"][..],
        &["add", "."],
        &["commit", "--quiet", "-m", "guide"],
    ] {
        git(arguments);
    }
    fs::create_dir(&showroom).unwrap();
    let cloner = images::find("ghcr.io/rhpds/git-cloner:v1.0.0").unwrap().files[0].content;
    let clone = Command::new("sh")
        .args(["-c", cloner, "git-cloner", showroom.to_str().unwrap()])
        .envs([("GIT_REPO_URL", guide.to_str().unwrap()), ("GIT_REPO_REF", "main")])
        .status()
        .unwrap();
    assert!(clone.success(), "{clone}");
    let data = folder.path().join("user_data.yml");
    fs::write(&data, "user: \"user-x1\"\n").unwrap();
    let (to, data) =
        (format!("--to-dir={}/www", showroom.display()), format!("--user-data={}", data.display()));
    let repository = showroom.join("repo");
    let missing = lab(&["antora", &to, "site.yml"], &[], &repository).output().unwrap();
    assert!(!missing.status.success(), "there is no site.yml");
    let built = lab(&["antora", &to, &data, "default-site.yml"], &[], &repository).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    let arguments = ["showroom-content", "--port", "0", "--directory", showroom.to_str().unwrap()];
    let content = Playing::start(&arguments, &[("DOMAIN", "apps.test"), ("USER", "user-x1")], folder.path());
    let http = client(&ClientSettings::new("test")).unwrap();
    let read = async |path: &str| {
        let answer = http.get(format!("http://{}{path}", content.address)).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    let (_, frame) = read("/").await;
    assert!(frame.contains("https://chat-user-x1.apps.test"), "{frame}");
    let (_, page) = read("/www/modules/index.html").await;
    assert!(page.contains("Your name is user-x1."), "{page}");
    assert_eq!(read("/www/%2e%2e/repo/ui-config.yml").await.0, StatusCode::NOT_FOUND);

    let arguments = ["showroom-terminal", "--port", "0", "--directory", folder.path().to_str().unwrap()];
    let terminal = Playing::start(&arguments, &[], folder.path());
    let run = http.post(format!("http://{}/terminal/run", terminal.address)).body("echo $((6 * 7)); ls");
    let said = run.send().await.unwrap().text().await.unwrap();
    assert!(said.starts_with("42\n") && said.contains("guide"), "{said}");
}
