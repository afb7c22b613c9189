//! Scripted models behind an OpenAI-compatible endpoint, over real HTTP: from the one that knows every answer to those
//! that give none, or a wrong one.
//!
//! Tokens are counted honestly, at four bytes each, of what came and of what is answered.

mod answer;
mod broken;
mod prompt;

use std::{collections::BTreeMap, future::pending, io, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::State,
    response::{IntoResponse as _, Response},
    routing::post,
};
use futures::stream;
use http::StatusCode;
use serde_json::Value;
use tokio::net::TcpListener;

pub use self::answer::{CANARY, INVENTED};
use self::prompt::Question;
use super::case::Case;
use crate::platform::parking::Guarded;

/// How a model behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Character {
    /// Looks something up once, then names the cause of the case it is asked about and quotes a line that shows it.
    Good,
    /// Submits that it does not know, or nothing at all; quotes nothing.
    Lazy,
    /// Talks, calls the same tool again and again, and submits only when nothing else is left.
    Chatty,
    /// Knows what the good one knows, and writes its calls into the text, as small models do.
    TextForm,
    /// Knows what the good one knows, and answers in every way that cannot be read.
    Broken,
    /// Makes up files, pods, commits and quotes, and files issues by itself, ten at a time.
    Inventor,
    /// Does whatever any text in its prompt asks for.
    Obedient,
    /// Asks for everything it is offered, and quotes whatever comes first.
    Curious,
}

impl Character {
    /// Those that all cases are played with.
    pub const ALL: [Self; 6] =
        [Self::Good, Self::Lazy, Self::Chatty, Self::TextForm, Self::Broken, Self::Inventor];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Lazy => "lazy",
            Self::Chatty => "chatty",
            Self::TextForm => "text form",
            Self::Broken => "broken",
            Self::Inventor => "inventor",
            Self::Obedient => "obedient",
            Self::Curious => "curious",
        }
    }
}

/// A model that is served.
pub struct Model {
    /// Its address.
    pub url: String,
    serving: Arc<Serving>,
}

/// What an endpoint does instead of answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ailment {
    /// This status.
    Status(u16),
    /// 429, with so many seconds in `Retry-After`.
    Busy(u32),
    /// 400 for a prompt that is too long, from so many bytes on.
    Short(usize),
    /// Never an answer.
    Silence,
    /// Half an answer, then the connection is gone.
    Cut,
}

/// The name under which an endpoint is ailing; under any other it is well.
const AILING: &str = "ailing";

struct Serving {
    character: Character,
    ailment: Option<Ailment>,
    cases: Vec<Case>,
    seen: Guarded<Vec<String>>,
    spent: Guarded<BTreeMap<String, Spent>>,
}

/// What a report cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Requests.
    pub calls: u64,
    /// Tokens of prompts and answers.
    pub tokens: u64,
}

impl Model {
    /// Serves a model that knows `cases`, as far as its character lets it.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn open(character: Character, cases: &[Case]) -> std::io::Result<Self> {
        Self::serve(character, None, cases).await
    }

    /// Serves two models: one that is ailing, and a good one.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn ailing(ailment: Ailment, cases: &[Case]) -> std::io::Result<Self> {
        Self::serve(Character::Good, Some(ailment), cases).await
    }

    async fn serve(character: Character, ailment: Option<Ailment>, cases: &[Case]) -> std::io::Result<Self> {
        let cases = cases.to_vec();
        let (seen, spent) = (Guarded::default(), Guarded::default());
        let serving = Arc::new(Serving { character, ailment, cases, seen, spent });
        let app = Router::new().route("/v1/chat/completions", post(chat)).with_state(Arc::clone(&serving));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { url, serving })
    }

    /// Name and address, as an agent is told them.
    pub fn setup(&self) -> Option<(String, String)> {
        let name = self.serving.character.name().replace(' ', "-");
        let names = if self.serving.ailment.is_some() { format!("{AILING},{name}") } else { name };
        Some((names, self.url.clone()))
    }

    /// What the reports of a case cost so far.
    pub fn spent_on(&self, case: &str) -> Spent {
        self.serving.spent.with(|spent| spent.get(case).copied().unwrap_or_default())
    }

    /// Bodies of all requests so far.
    pub fn seen(&self) -> Vec<String> {
        self.serving.seen.with(|seen| seen.clone())
    }
}

async fn chat(State(serving): State<Arc<Serving>>, body: String) -> Response {
    let request: Value = serde_json::from_str(&body).unwrap_or_default();
    if let Some(ailment) = serving.ailment.filter(|_| request["model"] == AILING)
        && let Some(response) = ailing(ailment, body.len())
    {
        serving.seen.with(|seen| seen.push(body));
        return response;
    }
    let question = Question::read(&request);
    let case = serving.cases.iter().find(|case| question.is_about(&case.id));
    let answer = match serving.character {
        Character::Good => answer::good(&question, case),
        Character::Lazy => answer::lazy(&question),
        Character::Chatty => answer::chatty(&question, case),
        Character::TextForm => answer::text_form(&question, case),
        Character::Broken => broken::answer(&question, case),
        Character::Inventor => answer::inventor(&question),
        Character::Obedient => answer::obedient(&question),
        Character::Curious => answer::curious(&question),
    };
    let (response, tokens) = answer.response(body.len());
    if let Some(case) = case {
        serving.spent.with(|all| {
            let spent = all.entry(case.id.clone()).or_default();
            *spent = Spent { calls: spent.calls + 1, tokens: spent.tokens + tokens };
        });
    }
    serving.seen.with(|seen| seen.push(body));
    response
}

/// What comes instead of an answer to a request of so many bytes; nothing where it is answered after all.
fn ailing(ailment: Ailment, length: usize) -> Option<Response> {
    let status = |code: u16| StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Some(match ailment {
        Ailment::Status(code) => (status(code), "{\"error\":{\"message\":\"no\"}}").into_response(),
        Ailment::Busy(after) => {
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", after.to_string())], "slow down").into_response()
        }
        Ailment::Short(window) if length <= window => return None,
        Ailment::Short(_) => {
            let why = "{\"error\":{\"message\":\"This model's maximum context length is exceeded\"}}";
            (StatusCode::BAD_REQUEST, why).into_response()
        }
        Ailment::Silence => Response::new(Body::from_stream(stream::once(pending::<io::Result<String>>()))),
        Ailment::Cut => {
            let half = Ok("{\"choices\":[{\"message\":{\"content\":\"the cause".to_owned());
            let broken = Err(io::Error::from(io::ErrorKind::ConnectionReset));
            let headers = [("content-type", "application/json")];
            (headers, Body::from_stream(stream::iter([half, broken]))).into_response()
        }
    })
}
