//! Passing a request on to another server and its answer back, as every proxy does it. Bodies are streamed both ways.

use axum::{body::Body, extract::Request, response::Response};
use http::{HeaderMap, HeaderName, header};

/// A client for passing on: it hands redirects on instead of following them, and never uses a proxy itself.
pub(crate) fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy()
}

/// Sends the request to `origin` (scheme, host and port) under the path and the `Host` it came with.
///
/// # Errors
/// When nobody answers there.
pub(crate) async fn pass_on(
    client: &reqwest::Client,
    origin: &str,
    request: Request,
) -> Result<Response, reqwest::Error> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = parts.headers;
    let has_body =
        headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING);
    remove_hop_by_hop(&mut headers);
    let mut onward = client.request(parts.method, format!("{origin}{path}")).headers(headers);
    if has_body {
        onward = onward.body(reqwest::Body::wrap_stream(body.into_data_stream()));
    }
    let answer = onward.send().await?;
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    remove_hop_by_hop(&mut headers);
    let mut response = Response::new(Body::from_stream(answer.bytes_stream()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// RFC 9110, 7.6.1: these belong to one connection and are never passed on.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    const HOP_BY_HOP: [HeaderName; 8] = [
        header::CONNECTION,
        HeaderName::from_static("keep-alive"),
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}
