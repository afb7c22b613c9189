//! The chart `mcp-openshift` with `oauth.enabled`, proven against a real Keycloak, a real API server and the real
//! MCP server: who is asked for a token, which tokens are taken, and whose rights a call has.
//!
//! A machine without Java, Maven or npm skips this, and says so where nobody overlooks it.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tenant_lab::{
    builds::{self, BuildError, keycloak, openshift_mcp, openshift_mcp::Release, progress::Progress},
    directories::Directories,
    oauth::{
        GuardedCluster, Issuer, Started,
        caller::{Answer, Caller},
        realm::{FOREIGN, LogIn, STRANGER, STUDENT, TRUSTED},
        unknown_authority,
    },
    skip::skipped,
};

use crate::checkout;

/// Namespaces that the chart's stored case lets the tenant's group read, and the next tenant's.
const OWN: &str = "librechat-mcpuser-x1";
const NEXT: &str = "librechat-mcpuser-x2";
/// The address in that case.
const PUBLISHED: &str = "https://mcp-openshift.apps.example.com/mcp";
/// Documents of the server's own.
const PROTECTED_RESOURCE: [&str; 2] =
    ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"];
/// Documents that are the issuer's.
const AUTHORIZATION_SERVER: [&str; 2] =
    ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];
/// A token good for ten seconds is refused after ten seconds; the machine may be busy.
const EXPIRY_LIMIT: Duration = Duration::from_mins(2);

#[tokio::test]
async fn the_openshift_mcp_server_asks_for_a_users_token_and_acts_with_the_users_rights() {
    let progress = Progress::stderr();
    let parts = builds::ensure(&Directories::from_environment(), progress).await;
    let parts = parts.unwrap_or_else(|error| panic!("the lab's parts are not there: {error}"));
    let server = openshift_mcp::ensure(&parts.cache, Release::Current, progress).await;
    let keycloak = keycloak::ensure(&parts.cache, progress).await;
    let (server, keycloak) = match (server, keycloak) {
        (Ok(server), Ok(keycloak)) => (server, keycloak),
        (Err(error @ BuildError::Missing { .. }), _) | (_, Err(error @ BuildError::Missing { .. })) => {
            return skipped("OAuth in front of the real OpenShift MCP server", &error.to_string());
        }
        (Err(error), _) | (_, Err(error)) => panic!("{error}"),
    };
    let cluster = GuardedCluster::start(&parts, &keycloak, server).await;
    let cluster = cluster.unwrap_or_else(|error| panic!("the cluster does not start: {error:#}"));
    let prepared = cluster.install(&[OWN, "agent-mcpuser-x1", NEXT]).await;
    prepared.unwrap_or_else(|error| panic!("the chart cannot be installed: {error:#}"));
    let url = serving(&cluster, "mcp").await;

    the_charts_handshake_takes_the_refusal_for_readiness(&url);
    only_tokens_of_the_realm_for_this_server_are_taken(&cluster, &url).await;
    the_well_known_documents_lead_to_the_issuer(&cluster, &url).await;
    a_user_sees_the_own_namespace_and_is_refused_the_next(&cluster, &url).await;
    a_token_that_expires_ends_no_session(&cluster, &url).await;
    a_wrong_issuer_or_authority_keeps_it_from_starting(&cluster).await;
    without_keycloak_valid_tokens_are_still_taken(&cluster, &url).await;
}

async fn serving(cluster: &GuardedCluster, name: &str) -> String {
    match cluster.serve(name, &cluster.issuer()).await {
        Ok(Started::Serving(url)) => url,
        Ok(Started::Ended { status, words }) => panic!("the MCP server ended with {status}:\n{words}"),
        Err(error) => panic!("{error:#}"),
    }
}

/// Runs the Job's script as its container does, with a `/tmp` of its own.
fn the_charts_handshake_takes_the_refusal_for_readiness(url: &str) {
    let tmp = tempfile::tempdir().expect("a folder");
    let mut command = Command::new("unshare");
    command.args([
        "--map-root-user",
        "--mount",
        "--",
        "sh",
        "-c",
        "mount --bind \"$1\" /tmp && exec sh -s",
        "sh",
    ]);
    command.arg(tmp.path()).current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped());
    command.env("MCP_URL", format!("{url}/mcp")).env("TIMEOUT_SECONDS", "20").env("EXPECT_LOGIN", "true");
    let mut job = command.spawn().expect("unshare runs");
    let script = checkout::read("tenant-charts/mcp-server/handshake.sh");
    job.stdin.take().expect("it is piped").write_all(script.as_bytes()).expect("sh reads");
    let output = job.wait_with_output().expect("sh ends");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("refused with 401, as it should be"), "{said}");
}

async fn only_tokens_of_the_realm_for_this_server_are_taken(cluster: &GuardedCluster, url: &str) {
    let caller = Caller::anonymous(url).expect("a caller");
    let good = token(cluster, LogIn::Usual, TRUSTED, STUDENT).await;
    let misdirected = token(cluster, LogIn::Misdirected, TRUSTED, STUDENT).await;
    let foreign = token(cluster, LogIn::Usual, FOREIGN, STUDENT).await;
    let cases = [
        ("no header", caller.clone(), "missing_token"),
        ("another scheme", caller.with("Basic c3R1ZGVudDpwYXNzd29yZA=="), "missing_token"),
        ("the scheme in lower case", caller.with(format!("bearer {good}")), "missing_token"),
        ("garbage", caller.bearing("a.b.c"), "invalid_token"),
        ("an OpenShift token, which is no JWT", caller.bearing("sha256~Zm9vYmFy"), "invalid_token"),
        ("an altered signature", caller.bearing(&altered(&good)), "invalid_token"),
        ("another audience", caller.bearing(&misdirected), "invalid_token"),
        ("another realm", caller.bearing(&foreign), "invalid_token"),
    ];
    for (case, caller, error) in cases {
        refused(case, &caller.initialize().await.expect("an answer"), error);
    }
    let answer = caller.get("/mcp").await.expect("an answer");
    refused("a stream without a token", &answer, "missing_token");
    let answer = caller.bearing(&good).initialize().await.expect("an answer");
    assert_eq!((answer.status, answer.session.is_some()), (200, true), "a good token: {answer:?}");
    let server = &answer.message()["result"]["serverInfo"]["name"];
    assert!(server.is_string(), "no MCP server answered: {answer:?}");
}

/// The whole answer to a request without a good token.
fn refused(case: &str, answer: &Answer, error: &str) {
    let challenge = format!("Bearer realm=\"Kubernetes MCP Server\", audience=\"mcp\", error=\"{error}\"");
    assert_eq!(answer.status, 401, "{case}: {answer:?}");
    assert_eq!(answer.challenge.as_deref(), Some(&*challenge), "{case}: {answer:?}");
    assert_eq!(answer.session, None, "{case}: {answer:?}");
    assert!(answer.body.starts_with("Unauthorized: "), "{case}: {answer:?}");
}

/// The token with one character of its signature changed; the last one may hold bits that do not count.
fn altered(token: &str) -> String {
    let middle = token.rfind('.').expect("a JWT has three parts") + 9;
    let other = if token[middle..].starts_with('A') { "B" } else { "A" };
    format!("{}{other}{}", &token[..middle], &token[middle + 1..])
}

async fn the_well_known_documents_lead_to_the_issuer(cluster: &GuardedCluster, url: &str) {
    let caller = Caller::anonymous(url).expect("a caller");
    let issuer = cluster.issuer().url;
    for path in PROTECTED_RESOURCE {
        let document = document(&caller, path).await;
        assert_eq!(document["resource"], PUBLISHED, "{path}: {document}");
        assert_eq!(document["authorization_servers"], json!([issuer]), "{path}: {document}");
        assert_eq!(document["scopes_supported"], json!(["openid", "profile", "email"]), "{path}: {document}");
    }
    for path in AUTHORIZATION_SERVER {
        let document = document(&caller, path).await;
        assert_eq!(document["issuer"], issuer, "{path}: {document}");
        assert_eq!(document["token_endpoint"], format!("{issuer}/protocol/openid-connect/token"), "{path}");
        assert!(document["registration_endpoint"].is_null(), "clients may not register themselves: {path}");
    }
    assert_eq!(caller.get("/healthz").await.expect("an answer").status, 200);
    // the counters have another port, and older servers other transports
    for path in ["/", "/metrics", "/stats", "/sse", "/message"] {
        refused(path, &caller.get(path).await.expect("an answer"), "missing_token");
    }
}

async fn document(caller: &Caller, path: &str) -> Value {
    let answer = caller.get(path).await.expect("an answer");
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.message()
}

async fn a_user_sees_the_own_namespace_and_is_refused_the_next(cluster: &GuardedCluster, url: &str) {
    let session = async |user: &str| {
        let token = token(cluster, LogIn::Usual, TRUSTED, user).await;
        let caller = Caller::anonymous(url).expect("a caller").bearing(&token);
        caller.opened().await.unwrap_or_else(|error| panic!("{user}: {error:#}"))
    };
    let pods = async |caller: &Caller, namespace: &str| {
        let answer = caller.call("pods_list_in_namespace", &json!({"namespace": namespace})).await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.result()
    };
    let (student, stranger) = (session(STUDENT).await, session(STRANGER).await);

    let tools = student.tools().await.expect("an answer").message();
    let tools = tools["result"]["tools"].as_array().cloned().unwrap_or_default();
    let read_only = |tool: &Value| tool["annotations"]["readOnlyHint"] == true;
    assert!(tools.len() > 5 && tools.iter().all(read_only), "{tools:#?}");
    let deletion = student.call("pods_delete", &json!({"name": "librechat", "namespace": OWN})).await;
    let deletion = deletion.expect("an answer").message();
    assert_eq!(deletion["error"]["code"], -32602, "a tool that is not offered: {deletion}");

    let (text, failed) = pods(&student, OWN).await;
    assert!(!failed && text.contains("librechat"), "own namespace: {text}");
    let forbidden = |user: &str, namespace: &str| {
        format!(
            "pods is forbidden: User \"sso:{user}\" cannot list resource \"pods\" in API group \"\" in the \
             namespace \"{namespace}\""
        )
    };
    // The server's own account may do everything here: had it been used, there would be pods to see.
    let (text, failed) = pods(&student, NEXT).await;
    assert!(failed && text.contains(&forbidden(STUDENT, NEXT)), "next namespace: {text}");
    let (text, failed) = pods(&stranger, OWN).await;
    assert!(failed && text.contains(&forbidden(STRANGER, OWN)), "somebody else: {text}");

    let secret = json!({"apiVersion": "v1", "kind": "Secret", "namespace": OWN});
    let (text, failed) = student.call("resources_list", &secret).await.expect("an answer").result();
    assert!(failed && text.contains("resource not allowed: /v1, Kind=Secret"), "{text}");

    // a session is nobody's: what counts is the token of each call
    let token = token(cluster, LogIn::Usual, TRUSTED, STRANGER).await;
    let (text, failed) = pods(&student.bearing(&token), OWN).await;
    assert!(failed && text.contains(&forbidden(STRANGER, OWN)), "another's session: {text}");
}

async fn a_token_that_expires_ends_no_session(cluster: &GuardedCluster, url: &str) {
    let brief = token(cluster, LogIn::Brief, TRUSTED, STUDENT).await;
    let caller = Caller::anonymous(url).expect("a caller").bearing(&brief);
    let session = caller.opened().await.unwrap_or_else(|error| panic!("{error:#}"));
    let answer = session.until_refused(EXPIRY_LIMIT).await.unwrap_or_else(|error| panic!("{error:#}"));
    refused("an expired token in a session", &answer, "invalid_token");
    refused("an expired token", &caller.initialize().await.expect("an answer"), "invalid_token");
    let fresh = token(cluster, LogIn::Usual, TRUSTED, STUDENT).await;
    let answer = session.bearing(&fresh).tools().await.expect("an answer");
    assert_eq!(answer.status, 200, "a fresh token in the same session: {answer:?}");
}

async fn a_wrong_issuer_or_authority_keeps_it_from_starting(cluster: &GuardedCluster) {
    let issuer = cluster.issuer();
    let cases = [
        (
            "slash",
            Issuer { url: format!("{}/", issuer.url), ..issuer.clone() },
            "issuer URL provided to client",
        ),
        ("nowhere", Issuer { url: cluster.keycloak.issuer("nowhere"), ..issuer.clone() }, "404 Not Found"),
        (
            "authority",
            Issuer { authority: unknown_authority().expect("an authority"), ..issuer },
            "certificate signed by unknown authority",
        ),
    ];
    for (name, issuer, words) in cases {
        ended(cluster, name, &issuer, words).await;
    }
}

async fn ended(cluster: &GuardedCluster, name: &str, issuer: &Issuer, expected: &str) {
    let started = cluster.serve(name, issuer).await.unwrap_or_else(|error| panic!("{name}: {error:#}"));
    match started {
        Started::Serving(url) => panic!("{name}: it serves at {url}"),
        Started::Ended { status, words } => {
            assert_eq!(status.code(), Some(1), "{name}: {words}");
            assert!(words.contains(expected), "{name}: it does not say {expected:?}:\n{words}");
        }
    }
}

/// The server keeps the issuer's keys: what is lost is log-ins, the documents that lead there, and restarts.
/// Nothing comes after this: Keycloak does not come back.
async fn without_keycloak_valid_tokens_are_still_taken(cluster: &GuardedCluster, url: &str) {
    let good = token(cluster, LogIn::Usual, TRUSTED, STUDENT).await;
    let caller = Caller::anonymous(url).expect("a caller");
    cluster.keycloak.stop();
    let answer = caller.bearing(&good).initialize().await.expect("an answer");
    assert_eq!(answer.status, 200, "a valid token: {answer:?}");
    refused("garbage", &caller.bearing("a.b.c").initialize().await.expect("an answer"), "invalid_token");
    for path in [PROTECTED_RESOURCE, AUTHORIZATION_SERVER].concat() {
        let answer = caller.get(path).await.expect("an answer");
        assert_eq!(answer.status, 500, "{path}: {answer:?}");
        assert_eq!(answer.body, "Failed to fetch well-known metadata\n", "{path}");
    }
    ended(cluster, "orphan", &cluster.issuer(), "connection refused").await;
}

async fn token(cluster: &GuardedCluster, how: LogIn, realm: &str, user: &str) -> String {
    let token = cluster.token(how, realm, user).await;
    token.unwrap_or_else(|error| panic!("{user} gets no token: {error:#}")).expose_secret().to_owned()
}
