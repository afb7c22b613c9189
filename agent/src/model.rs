//! The language model behind an OpenAI-compatible endpoint. Owner of async-openai.
//!
//! Knows how to ask and how asking can fail; knows nothing of pipelines ([`crate::dialogue`] does).

mod breaker;
pub mod wire;

pub use breaker::Breaker;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use secrecy::{ExposeSecret, SecretString};
use wire::{Answer, Request};

/// An answer larger than this is refused, in bytes.
const LARGEST: usize = 2 * 1024 * 1024;
/// `Retry-After` beyond this is not worth waiting for.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// Why a request brought no answer. Bodies are never kept: they may quote the log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// 429, or 503 with `Retry-After`.
    #[error("the model endpoint is busy")]
    Busy {
        /// What the endpoint asked for, at most 20 s.
        retry_after: Option<Duration>,
    },
    /// 5xx, or the connection broke.
    #[error("the model endpoint is unavailable ({0})")]
    Unavailable(String),
    /// 401 or 403: another try cannot help.
    #[error("the model endpoint refuses the credentials (HTTP {0})")]
    Refused(u16),
    /// The prompt is longer than the model's window.
    #[error("the prompt is too long for the model")]
    TooLong,
    /// Another 4xx.
    #[error("the model endpoint refuses the request (HTTP {0})")]
    Rejected(u16),
    /// 200, but not a chat completion.
    #[error("the answer of the model endpoint cannot be read")]
    Garbled,
    /// No answer within the time given.
    #[error("the model endpoint did not answer in time")]
    Timeout,
}

/// What a model costs, in US dollars per million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Price {
    /// Tokens of the prompt.
    pub input: f64,
    /// Tokens of the answer.
    pub output: f64,
}

impl Price {
    /// The price of so many tokens, in US dollars.
    #[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
    pub fn of(self, input: u64, output: u64) -> f64 {
        (self.input * input as f64 + self.output * output as f64) / 1e6
    }
}

/// Where models are served.
#[derive(Clone)]
pub struct Endpoint {
    http: reqwest::Client,
    base: String,
    key: SecretString,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// `base` with or without `/v1` and trailing slash, as `LITELLM_URL` has always been given.
    pub fn new(http: reqwest::Client, base: &str, key: &SecretString) -> Self {
        let base = base.trim().trim_end_matches('/');
        let base = if base.ends_with("/v1") { base.to_owned() } else { format!("{base}/v1") };
        let key = SecretString::from(key.expose_secret().trim().to_owned());
        Self { http, base, key }
    }

    /// One request, one answer, no retry: the caller owns the budget. `within` covers everything.
    pub async fn chat(&self, request: &Request<'_>, within: Duration) -> Result<Answer, ModelError> {
        let seen: Arc<Mutex<Option<ModelError>>> = Arc::default();
        let (http, note) = (self.http.clone(), Arc::clone(&seen));
        let service = tower::service_fn(move |factory: HttpRequestFactory| {
            let (http, note) = (http.clone(), Arc::clone(&note));
            async move {
                let response = http.execute(factory.build().await?).await?;
                match checked(response).await {
                    Ok(response) => Ok(response),
                    Err(error) => {
                        let text = error.to_string();
                        *note.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error);
                        Err(OpenAIError::InvalidArgument(text))
                    }
                }
            }
        });
        // Every field is set: the default reads OPENAI_* variables of the environment.
        let config = OpenAIConfig::new()
            .with_api_base(&self.base)
            .with_api_key(self.key.expose_secret())
            .with_org_id("")
            .with_project_id("");
        let client = async_openai::Client::build(self.http.clone(), config).with_http_service(service);
        let chat = client.chat();
        let asked = tokio::time::timeout(within, chat.create_byot::<_, Answer>(request)).await;
        let noted = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        match asked {
            Err(_) => Err(ModelError::Timeout),
            Ok(Ok(answer)) if answer.choices.is_empty() => Err(ModelError::Garbled),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(noted.unwrap_or_else(|| classify(&error))),
        }
    }
}

/// Status and size before anybody parses; the body of an error is read only for the word "context".
async fn checked(response: reqwest::Response) -> Result<reqwest::Response, ModelError> {
    let status = response.status();
    let after = response.headers().get("retry-after").and_then(|v| v.to_str().ok()?.trim().parse().ok());
    let after = after.map(Duration::from_secs).map(|d| d.min(LONGEST_WAIT));
    let body = bounded(response).await?;
    match status.as_u16() {
        200..=299 => {
            let whole = http::Response::builder().status(status).header("content-type", "application/json");
            whole.body(body).map(reqwest::Response::from).map_err(|_| ModelError::Garbled)
        }
        429 => Err(ModelError::Busy { retry_after: after }),
        503 if after.is_some() => Err(ModelError::Busy { retry_after: after }),
        code @ (401 | 403) => Err(ModelError::Refused(code)),
        code @ (400 | 413 | 422) => {
            let text = String::from_utf8_lossy(&body).to_ascii_lowercase();
            let long = [
                "context length",
                "context_length",
                "context window",
                "maximum context",
                "too long",
                "too many tokens",
            ];
            if code == 413 || long.iter().any(|l| text.contains(l)) {
                Err(ModelError::TooLong)
            } else {
                Err(ModelError::Rejected(code))
            }
        }
        code @ 500.. => Err(ModelError::Unavailable(format!("HTTP {code}"))),
        code => Err(ModelError::Rejected(code)),
    }
}

async fn bounded(mut response: reqwest::Response) -> Result<Vec<u8>, ModelError> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(body),
            Ok(Some(chunk)) if body.len() + chunk.len() <= LARGEST => body.extend_from_slice(&chunk),
            Ok(Some(_)) => return Err(ModelError::Garbled),
            Err(_) => return Err(ModelError::Unavailable("the connection broke".to_owned())),
        }
    }
}

fn classify(error: &OpenAIError) -> ModelError {
    match error {
        OpenAIError::JSONDeserialize(..) => ModelError::Garbled,
        OpenAIError::Reqwest(e) if e.is_timeout() => ModelError::Timeout,
        OpenAIError::Reqwest(e) if e.is_connect() => ModelError::Unavailable("no connection".to_owned()),
        _ => ModelError::Unavailable("the request failed".to_owned()),
    }
}
