//! One HTTP exchange with a service: bounded retries, and errors that name service and operation.

use std::{sync::Arc, time::Duration};

use reqwest::{Method, RequestBuilder, StatusCode, header::RETRY_AFTER};
use serde_json::Value;
use tenant_kit::{cause::innermost, meter::Meter, secret::Redactor, throttle::Throttle};
use tenant_workflow::step::{Failure, StepError};

/// Attempts at one exchange, the first included.
const ATTEMPTS: u32 = 4;
/// First pause between attempts; doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// A `Retry-After` beyond this is not waited for.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A service at a base URL.
#[derive(Clone)]
pub struct Service {
    /// Name for people: `LiteLLM`, `Gitea gitea-user-x1`.
    pub name: String,
    /// Base URL without a trailing slash.
    pub base: String,
    http: reqwest::Client,
    throttle: Arc<Throttle>,
    meter: Arc<Meter>,
    redactor: Arc<Redactor>,
}

/// An exchange that failed.
#[derive(Debug, thiserror::Error)]
#[error("{operation} at {service}")]
pub struct ServiceError {
    /// Service and base URL.
    pub service: String,
    /// What was tried.
    pub operation: String,
    /// Why it failed.
    #[source]
    pub trouble: Trouble,
}

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The service answered, but not with what was asked for.
    #[error("it answered {status}{}", if message.is_empty() { String::new() } else { format!(": {message}") })]
    Answered {
        /// HTTP status.
        status: u16,
        /// What the body says, one line, secrets masked.
        message: String,
    },
    /// No answer.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// An answer that lacks what was promised.
    #[error("{0}")]
    Malformed(String),
}

impl ServiceError {
    /// HTTP status of the answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self.trouble {
            Trouble::Answered { status, .. } => Some(status),
            Trouble::Unreachable(_) | Trouble::Malformed(_) => None,
        }
    }
}

impl From<ServiceError> for StepError {
    fn from(error: ServiceError) -> Self {
        let (failure, hint) = match error.trouble {
            Trouble::Answered { status: 401 | 403, .. } => {
                (Failure::Denied, Some("check the credentials the order gives for this service"))
            }
            Trouble::Answered { status: 429, .. } => {
                (Failure::Busy, Some("it is overloaded: run again later"))
            }
            Trouble::Unreachable(_) => {
                (Failure::Service, Some("check its address and the network, then run again"))
            }
            Trouble::Answered { .. } | Trouble::Malformed(_) => (Failure::Service, None),
        };
        let step = StepError::new(failure, error.to_string()).because(error.trouble);
        match hint {
            Some(hint) => step.hint(hint),
            None => step,
        }
    }
}

/// A service's answer, whatever its status.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Service {
    /// A service at `base`, reached through `http` and no faster than `throttle` lets it.
    pub fn new(
        name: impl Into<String>,
        base: &str,
        http: reqwest::Client,
        throttle: Arc<Throttle>,
        meter: Arc<Meter>,
        redactor: Arc<Redactor>,
    ) -> Self {
        Self {
            name: name.into(),
            base: base.trim().trim_end_matches('/').to_owned(),
            http,
            throttle,
            meter,
            redactor,
        }
    }

    /// Sends `METHOD base/path`; `shape` adds credentials and body. Retries while the service has certainly
    /// not acted (connection refused, 429, 503), and for methods that may be repeated (all but POST and
    /// PATCH) also on other gateway errors and broken connections.
    pub(super) async fn send(
        &self,
        operation: &str,
        method: Method,
        path: &str,
        shape: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, ServiceError> {
        let repeatable = !matches!(method, Method::POST | Method::PATCH);
        let url = format!("{}{path}", self.base);
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let last = attempt == ATTEMPTS;
            let slot = self.throttle.slot().await;
            let sent = {
                let _waiting = self.meter.waiting();
                self.meter.sent();
                match shape(self.http.request(method.clone(), &url)).send().await {
                    Ok(response) => {
                        let (status, after) = (response.status(), retry_after(&response));
                        response.bytes().await.map(|body| (status, after, body))
                    }
                    Err(error) => Err(error),
                }
            };
            match &sent {
                Ok((StatusCode::TOO_MANY_REQUESTS, ..)) => slot.refused(),
                _ => slot.served(),
            }
            drop(slot);
            match sent {
                Ok((status, after, _)) if !last && passing(status, repeatable) => {
                    let asked = after.unwrap_or(pause);
                    if asked > LONGEST_PAUSE {
                        return Err(self.error(
                            operation,
                            Trouble::Answered {
                                status: status.as_u16(),
                                message: format!("and asks to wait {} s", asked.as_secs()),
                            },
                        ));
                    }
                    rest(asked).await;
                }
                Ok((status, _, body)) => {
                    let body = serde_json::from_slice(&body)
                        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
                    return Ok(Answer { status: status.as_u16(), body });
                }
                Err(error) if !last && (error.is_connect() || repeatable) => rest(pause).await,
                Err(error) => {
                    return Err(self.error(operation, Trouble::Unreachable(innermost(&error.without_url()))));
                }
            }
            pause *= 2;
        }
        unreachable!("the last attempt returns")
    }

    /// HTTP status of one `GET`, without another attempt.
    pub(super) async fn once(&self, operation: &str, path: &str) -> Result<u16, ServiceError> {
        let _waiting = self.meter.waiting();
        match self.http.get(format!("{}{path}", self.base)).send().await {
            Ok(response) => Ok(response.status().as_u16()),
            Err(error) => Err(self.error(operation, Trouble::Unreachable(innermost(&error.without_url())))),
        }
    }

    /// As [`Service::send`], with a JSON body if there is one.
    pub(super) async fn send_json(
        &self,
        operation: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
        authorised: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, ServiceError> {
        self.send(operation, method, path, |request| match body {
            Some(body) => authorised(request).json(body),
            None => authorised(request),
        })
        .await
    }

    /// The error for an answer that was not asked for.
    pub(super) fn unexpected(&self, operation: &str, answer: &Answer) -> ServiceError {
        let message = self.redactor.clean(&said(&answer.body)).into_owned();
        self.error(operation, Trouble::Answered { status: answer.status, message })
    }

    pub(super) fn malformed(&self, operation: &str, what: &str) -> ServiceError {
        self.error(operation, Trouble::Malformed(what.to_owned()))
    }

    fn error(&self, operation: &str, trouble: Trouble) -> ServiceError {
        let service = format!("{} ({})", self.name, self.base);
        ServiceError { service, operation: operation.to_owned(), trouble }
    }
}

fn passing(status: StatusCode, repeatable: bool) -> bool {
    matches!(status.as_u16(), 429 | 503) || repeatable && matches!(status.as_u16(), 500 | 502 | 504)
}

fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[expect(clippy::disallowed_methods, reason = "the pause between attempts: there is nothing to watch")]
async fn rest(pause: Duration) {
    tokio::time::sleep(pause).await;
}

/// The message in an error body, whichever of the usual places it is in; one line, cut at 300 characters.
fn said(body: &Value) -> String {
    let places = ["/error/message", "/message", "/error_description", "/errorMessage", "/error", "/detail"];
    let found = places.iter().find_map(|place| body.pointer(place).and_then(Value::as_str));
    let text = found.or_else(|| body.as_str()).unwrap_or_default().trim();
    if text.starts_with('<') {
        return "a page instead of an API answer".to_owned();
    }
    text.lines().next().unwrap_or_default().chars().take(300).collect()
}
