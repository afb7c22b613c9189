//! How requests travel to the API server: over one HTTP/2 connection where it speaks that, no more at once than
//! it takes, and again when it has certainly or harmlessly not acted.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::{BoxFuture, FutureExt as _};
use http::{Method, Request, Response, StatusCode, header};
use hyper_rustls::{FixedServerNameResolver, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use kube::{
    Client, Config, Error,
    client::{Body, ClientBuilder, ConfigExt as _},
};
use tenant_kit::{meter::Meter, throttle::Throttle};
use tower::{
    BoxError, Service, ServiceBuilder, ServiceExt as _,
    buffer::BufferLayer,
    retry::backoff::{Backoff as _, ExponentialBackoffMaker, MakeBackoff as _},
    util::rng::HasherRng,
};

/// Requests under way at once: enough for the widest step, kind to a shared API server.
const CONCURRENT_REQUESTS: usize = 32;
/// Attempts at a request that the API server turns away, the first included.
const ATTEMPTS: u32 = 6;
/// Attempts at a request that finds no API server, or loses it: nobody says that waiting will help.
const CONNECTIONS: u32 = 4;
/// Pauses between attempts grow from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// A `Retry-After` beyond this is not waited for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The head of an answer must come within this time. The API server itself gives up on a request after a minute
/// (its `--request-timeout`).
const ANSWER: Duration = Duration::from_secs(65);
/// A connection that stays silent this long is asked whether it is alive, and has as long to say so.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A client of the cluster that `config` describes.
pub(super) fn client(config: Config, meter: Arc<Meter>) -> Result<Client, Error> {
    let throttle = Arc::new(Throttle::new(CONCURRENT_REQUESTS));
    if config.proxy_url.is_some() {
        // kube knows how to go through a proxy (HTTP/1.1 only)
        let layer = tower::layer::layer_fn(move |inner| Paced::new(inner, &throttle, &meter));
        let through = ClientBuilder::try_from(config)?.with_layer(&BufferLayer::new(CONCURRENT_REQUESTS));
        return Ok(through.with_layer(&layer).build());
    }
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(config.connect_timeout);
    let mut https =
        HttpsConnectorBuilder::new().with_tls_config(config.rustls_client_config()?).https_or_http();
    if let Some(name) = config.tls_server_name.clone() {
        let name = name.try_into().map_err(|_| Error::TlsRequired)?;
        https = https.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    let connections = legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .http2_keep_alive_interval(KEEP_ALIVE)
        .http2_keep_alive_timeout(KEEP_ALIVE)
        .build(https.enable_all_versions().wrap_connector(tcp));
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(connections);
    Ok(Client::new(Paced::new(service, &throttle, &meter), config.default_namespace))
}

/// Sends requests at the pace the API server keeps up with.
#[derive(Clone)]
struct Paced<S> {
    inner: S,
    throttle: Arc<Throttle>,
    meter: Arc<Meter>,
}

impl<S> Paced<S> {
    fn new(inner: S, throttle: &Arc<Throttle>, meter: &Arc<Meter>) -> Self {
        Self { inner, throttle: Arc::clone(throttle), meter: Arc::clone(meter) }
    }
}

impl<S, B> Service<Request<Body>> for Paced<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<B>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.clone().send(request).boxed()
    }
}

impl<S, B> Paced<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError> + Clone + Send,
{
    async fn send(self, mut request: Request<Body>) -> Result<Response<B>, BoxError> {
        let repeatable = repeatable(&request);
        let pauses = ExponentialBackoffMaker::new(PAUSES.0, PAUSES.1, 0.5, HasherRng::new());
        let mut pauses = pauses.expect("the pauses are a range").make_backoff();
        for attempt in 1.. {
            let spare = copy(&request);
            let slot = self.throttle.slot().await;
            self.meter.sent();
            let Ok(answer) = tokio::time::timeout(ANSWER, self.inner.clone().oneshot(request)).await else {
                return Err(format!("nothing came within {} s", ANSWER.as_secs()).into());
            };
            let status = answer.as_ref().ok().map(Response::status);
            if status == Some(StatusCode::TOO_MANY_REQUESTS) {
                slot.refused();
            } else {
                slot.served();
            }
            drop(slot);
            let asked = answer.as_ref().ok().and_then(retry_after);
            let again = match &answer {
                Ok(response) => attempt < ATTEMPTS && passing(response.status(), repeatable),
                Err(error) => attempt < CONNECTIONS && (repeatable || never_sent(error.as_ref())),
            };
            match spare {
                Some(spare) if again && asked.is_none_or(|asked| asked <= LONGEST_PAUSE) => {
                    let pause = pauses.next_backoff();
                    match asked {
                        Some(asked) => rest(asked).await,
                        None => pause.await,
                    }
                    request = spare;
                }
                _ => return answer,
            }
        }
        unreachable!("the last attempt returns")
    }
}

/// Whether doing it twice is as good as once: what reads, deletes (we always name the UID) and applies.
fn repeatable(request: &Request<Body>) -> bool {
    match *request.method() {
        Method::GET | Method::HEAD | Method::DELETE => true,
        Method::PATCH => request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/apply-patch")),
        _ => false,
    }
}

/// An answer after which the same request may be sent again: 429 and 503 say that nothing was done.
fn passing(status: StatusCode, repeatable: bool) -> bool {
    matches!(status.as_u16(), 429 | 503) || repeatable && matches!(status.as_u16(), 500 | 502 | 504)
}

/// Whether there was not even a connection.
fn never_sent(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<legacy::Error>().is_some_and(legacy::Error::is_connect)
}

fn retry_after<B>(response: &Response<B>) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn copy(request: &Request<Body>) -> Option<Request<Body>> {
    let mut copy = Request::new(request.body().try_clone()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    Some(copy)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the API server says how long to wait, and sends no word after that"
)]
async fn rest(pause: Duration) {
    tokio::time::sleep(pause).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, kind: &str) -> Request<Body> {
        let request = Request::builder().method(method).header(header::CONTENT_TYPE, kind);
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn only_what_may_happen_twice_is_repeated() {
        for (method, kind, may) in [
            ("GET", "", true),
            ("DELETE", "application/json", true),
            ("PATCH", "application/apply-patch+yaml", true),
            ("PATCH", "application/merge-patch+json", false),
            ("POST", "application/json", false),
            ("PUT", "application/json", false),
        ] {
            assert_eq!(repeatable(&request(method, kind)), may, "{method} {kind}");
        }
    }

    #[test]
    fn a_server_that_did_nothing_is_asked_again_whatever_was_asked() {
        for (status, repeatable, may) in [
            (429, false, true),
            (503, false, true),
            (504, false, false),
            (500, true, true),
            (403, true, false),
            (200, true, false),
        ] {
            assert_eq!(passing(StatusCode::from_u16(status).unwrap(), repeatable), may, "{status}");
        }
    }

    /// Answers 429 to the first `refusals` requests.
    fn server(
        refusals: usize,
    ) -> impl Service<
        Request<Body>,
        Response = Response<()>,
        Error = BoxError,
        Future = futures::future::Ready<Result<Response<()>, BoxError>>,
    > + Clone {
        let left = Arc::new(std::sync::atomic::AtomicUsize::new(refusals));
        tower::service_fn(move |_: Request<Body>| {
            use std::sync::atomic::Ordering;
            let refuse =
                left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            let status = if refuse { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::OK };
            let answer = Response::builder().status(status).header(header::RETRY_AFTER, "1").body(());
            futures::future::ready(answer.map_err(BoxError::from))
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_server_is_given_the_time_it_asks_for() {
        let throttle = Arc::new(Throttle::new(8));
        let meter = Arc::new(Meter::new());
        let started = tokio::time::Instant::now();
        let answer = Paced::new(server(2), &throttle, &meter).send(request("POST", "")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(started.elapsed().as_secs(), 2, "two pauses of a second each");
        assert_eq!((throttle.limit(), meter.requests()), (2, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_stays_busy_is_told_as_it_is() {
        let (throttle, meter) = (Arc::new(Throttle::new(8)), Arc::new(Meter::new()));
        let answer = Paced::new(server(100), &throttle, &meter).send(request("GET", "")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(meter.requests(), u64::from(ATTEMPTS));
    }
}
