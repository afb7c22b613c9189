//! Who may do what, over the wire.

use std::sync::Mutex;

use axum::extract::State as Shared;

use super::*;
use crate::http::TokenReview;

const REPORT: &str = r#"{"namespace":"user1","pod_name":"p"}"#;

/// An API server that knows tokens: `<audience>.<namespace>.<account>`. Counts questions; with `refuses` it
/// answers 403.
#[derive(Default)]
struct ApiServer {
    asked: usize,
    refuses: bool,
}

async fn api_server(refuses: bool) -> (String, Arc<Mutex<ApiServer>>) {
    let seen = Arc::new(Mutex::new(ApiServer { asked: 0, refuses }));
    let answer =
        async |Shared(seen): Shared<Arc<Mutex<ApiServer>>>, headers: HeaderMap, Json(review): Json<Value>| {
            assert_eq!(headers["authorization"], "Bearer own", "the agent's own token");
            let mut seen = seen.lock().expect("lock");
            seen.asked += 1;
            if seen.refuses {
                return (StatusCode::FORBIDDEN, Json(json!({"kind": "Status"})));
            }
            let token = review["spec"]["token"].as_str().expect("a token").to_owned();
            let parts: Vec<_> = token.split('.').collect();
            let authenticated = parts[0] == review["spec"]["audiences"][0];
            let user = format!("system:serviceaccount:{}:{}", parts[1], parts[2]);
            let status =
                json!({"authenticated": authenticated, "audiences": [parts[0]], "user": {"username": user}});
            (StatusCode::CREATED, Json(json!({ "status": status })))
        };
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    let app = Router::new().route(path, post(answer)).with_state(Arc::clone(&seen));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    (format!("http://{address}"), seen)
}

fn reviewed(api: &str, own: &std::path::Path) -> Arc<Service> {
    std::fs::write(own, "own\n").expect("written");
    tenant_kit::crypto::install_crypto();
    let http = tenant_kit::http::client(&tenant_kit::http::ClientSettings::new("test")).expect("builds");
    let review = TokenReview::new(http, api, own.to_owned(), "agent".to_owned());
    service(Auth::new(None, None).with_review(Some(review)), |_| {})
}

async fn as_account(service: &Arc<Service>, token: &str) -> (StatusCode, Value) {
    let request = posting().header("authorization", format!("Bearer {token}"));
    let (status, _, value) = send(service, request, REPORT).await;
    (status, value)
}

#[tokio::test]
async fn a_service_account_reports_for_its_own_namespace_and_is_asked_about_once() {
    let own = tempfile::NamedTempFile::new().expect("temporary file");
    let (api, seen) = api_server(false).await;
    let service = reviewed(&api, own.path());
    for _ in 0..3 {
        assert_eq!(as_account(&service, "agent.user1.pipeline").await.0, StatusCode::OK);
    }
    assert_eq!(seen.lock().expect("lock").asked, 1, "a verdict is remembered");
    let (status, value) = as_account(&service, "agent.user2.pipeline").await;
    assert_eq!(
        (status, value["detail"].as_str()),
        (StatusCode::FORBIDDEN, Some("a service account may report for its own namespace only"))
    );
    assert_eq!(as_account(&service, "other.user1.pipeline").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(as_account(&service, "no-jwt").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(seen.lock().expect("lock").asked, 3, "what is no token is not asked about");
    assert_eq!(service.store.newest(10).len(), 1, "refusals cost nothing");
}

#[tokio::test]
async fn a_service_account_sees_reports_of_its_own_namespace_only() {
    let own = tempfile::NamedTempFile::new().expect("temporary file");
    let (api, _) = api_server(false).await;
    let service = reviewed(&api, own.path());
    as_account(&service, "agent.user1.pipeline").await;
    let id = service.store.newest(1)[0].id.clone();
    for (token, listed, one) in
        [("agent.user1.viewer", 1, StatusCode::OK), ("agent.user2.viewer", 0, StatusCode::NOT_FOUND)]
    {
        let get = |path: String| Request::get(path).header("authorization", format!("Bearer {token}"));
        let (_, _, list) = send(&service, get("/reports".to_owned()), "").await;
        assert_eq!(list.as_array().map(Vec::len), Some(listed), "{token}: {list}");
        assert_eq!(send(&service, get(format!("/reports/{id}")), "").await.0, one, "{token}");
        assert_eq!(send(&service, get("/config".to_owned()), "").await.0, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn without_an_answer_of_the_api_server_nobody_gets_in_and_is_told_to_try_again() {
    let own = tempfile::NamedTempFile::new().expect("temporary file");
    let (api, seen) = api_server(true).await;
    let service = reviewed(&api, own.path());
    let request = posting().header("authorization", "Bearer agent.user1.pipeline");
    let (status, headers, _) = send(&service, request, REPORT).await;
    assert_eq!((status, headers.contains_key("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, true));
    seen.lock().expect("lock").refuses = false;
    assert_eq!(as_account(&service, "agent.user1.pipeline").await.0, StatusCode::OK, "later it works");
}

#[tokio::test]
async fn pages_ask_a_browser_for_the_token_unless_they_are_open() {
    let auth = || Auth::new(Some("secret".to_owned().into()), None);
    let service = service(auth(), |_| {});
    for path in ["/", "/reports", "/reports/0", "/reports/0/events", "/reports/events", "/config"] {
        let (status, headers, _) = send(&service, Request::get(path).header("accept", "text/html"), "").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
        let challenge = headers["www-authenticate"].to_str().expect("text");
        assert!(challenge.starts_with("Basic"), "{path}: {challenge}");
    }
    // `any:secret`
    let request = Request::get("/reports").header("authorization", "Basic YW55OnNlY3JldA==");
    assert_eq!(send(&service, request, "").await.0, StatusCode::OK);
    let request = Request::post("/reports/0/retry").header("authorization", "Basic YW55OnNlY3JldA==");
    assert_eq!(send(&service, request, "").await.0, StatusCode::UNAUTHORIZED, "a browser's password acts");
    for path in ["/health", "/livez", "/metrics", "/openapi.json", "/page.css", "/live.js", "/icon.svg"] {
        assert_eq!(send(&service, Request::get(path), "").await.0, StatusCode::OK, "{path}");
    }
    let open = super::service(auth(), |options| options.open_pages = true);
    assert_eq!(send(&open, Request::get("/reports"), "").await.0, StatusCode::OK);
    assert_eq!(report(&open, REPORT).await.0, StatusCode::UNAUTHORIZED);
}
