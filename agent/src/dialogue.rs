//! The bounded conversation with a model: it may look at evidence and must end in one submission.
//!
//! The model has no tool that changes anything, so the worst a hostile log can achieve through it is a
//! wrong sentence, and every sentence is verified afterwards ([`verify`]). Whatever happens here, there is
//! an outcome: the verified diagnosis, or the rules' own with the reason why.

mod answer;
mod prompt;
mod tools;
mod verify;

pub use answer::Submission;
pub use tools::{NoRepository, Repository};

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use tracing::Instrument as _;

use crate::diagnosis::{Author, Diagnosis};
use crate::evidence::Evidence;
use crate::model::wire::{Call, EchoedCall, EchoedFunction, Message, Request, Said};
use crate::model::{Breaker, Endpoint, ModelError, Price};
use answer::{TextCall, json_of, text_call};

/// Limits of one report.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Requests to the model.
    pub calls: u32,
    /// Tokens, as reported, or estimated at four bytes each where the server does not report.
    pub tokens: u64,
    /// Wall-clock time for the whole dialogue.
    pub time: Duration,
    /// Time for one request.
    pub per_call: Duration,
    /// Size of the evidence in the first prompt, in bytes.
    pub prompt: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            calls: 6,
            tokens: 30_000,
            time: Duration::from_secs(75),
            per_call: Duration::from_secs(45),
            prompt: 16 * 1024,
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// The diagnosis to file.
    pub diagnosis: Diagnosis,
    /// Requests made.
    pub calls: u32,
    /// Tokens spent.
    pub tokens: u64,
    /// US dollars spent, by the configured prices.
    pub cost: f64,
    /// Model asked last.
    pub model: String,
    /// Why the model's answer was not used; `None` if it was.
    pub degraded: Option<Degraded>,
    /// Statements dropped because the evidence does not contain them.
    pub dropped: usize,
}

/// Why a diagnosis rests on rules alone although a model is configured.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Degraded {
    /// Calls, tokens or time used up.
    #[error("the budget for the model is exhausted")]
    Budget,
    /// The endpoint failed.
    #[error("the model could not be asked")]
    Model(#[source] ModelError),
    /// Too many failures before; not asked at all.
    #[error("the model endpoint failed repeatedly and is left alone for a while")]
    Open,
    /// No submission, or nothing in it could be verified.
    #[error("the model gave no answer that the evidence supports")]
    Useless,
}

impl Degraded {
    /// One word, for metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::Model(_) => "model",
            Self::Open => "breaker",
            Self::Useless => "useless",
        }
    }
}

/// A model endpoint with an ordered list of models to try.
#[derive(Debug)]
pub struct Advisor {
    /// Where.
    pub endpoint: Endpoint,
    /// First choice first.
    pub models: Vec<String>,
    /// What tokens cost, by model; what is missing costs nothing.
    pub prices: BTreeMap<String, Price>,
    /// Shared over all reports.
    pub breaker: Breaker,
    /// Limits.
    pub budget: Budget,
}

impl Advisor {
    /// Ask, within the budget, and verify. Never fails: see [`Outcome::degraded`].
    pub async fn diagnose(
        &self,
        evidence: &Evidence,
        rules: Diagnosis,
        repository: &dyn Repository,
    ) -> Outcome {
        let mut talk = Talk::new(self, evidence, &rules);
        let said = if self.breaker.allows(Instant::now()) {
            talk.run(repository).await
        } else {
            Err(Degraded::Open)
        };
        let (calls, tokens, cost, model) = (talk.calls, talk.tokens, talk.cost, talk.model.to_owned());
        let result = said.and_then(|(submission, model)| {
            let author = Author::Model { name: model, tokens, calls };
            verify::verify(&submission, &rules, evidence, author).ok_or(Degraded::Useless)
        });
        match result {
            Ok(v) => {
                let (diagnosis, dropped) = (v.diagnosis, v.dropped);
                Outcome { diagnosis, calls, tokens, cost, model, degraded: None, dropped }
            }
            Err(why) => {
                Outcome { diagnosis: rules, calls, tokens, cost, model, degraded: Some(why), dropped: 0 }
            }
        }
    }
}

/// One conversation under way.
struct Talk<'a> {
    advisor: &'a Advisor,
    evidence: &'a Evidence,
    rules: &'a Diagnosis,
    messages: Vec<Message>,
    seen: Vec<(String, Value)>,
    calls: u32,
    tokens: u64,
    cost: f64,
    model: &'a str,
    started: Instant,
    prompt: usize,
}

/// What came of a turn.
enum Turn {
    /// The end.
    Submitted(Box<Submission>),
    /// Something was looked up.
    Learnt,
    /// Nothing: no call that can be answered, or only ones that were.
    Idle,
}

impl<'a> Talk<'a> {
    fn new(advisor: &'a Advisor, evidence: &'a Evidence, rules: &'a Diagnosis) -> Self {
        let prompt = advisor.budget.prompt;
        let messages = prompt::opening(evidence, rules, prompt);
        let started = Instant::now();
        let model = advisor.models.first().map_or("", String::as_str);
        let (seen, calls, tokens, cost) = (Vec::new(), 0, 0, 0.0);
        Self { advisor, evidence, rules, messages, seen, calls, tokens, cost, model, started, prompt }
    }

    async fn run(&mut self, repository: &dyn Repository) -> Result<(Submission, String), Degraded> {
        let mut last = Degraded::Useless;
        for model in &self.advisor.models {
            self.model = model;
            match self.with(model, repository).await {
                Ok(submission) => return Ok((submission, model.clone())),
                // A refused key is refused for every model; a spent budget is spent.
                Err(stop @ (Degraded::Budget | Degraded::Model(ModelError::Refused(_)))) => return Err(stop),
                Err(why) => last = why,
            }
            self.messages = prompt::opening(self.evidence, self.rules, self.prompt);
            self.seen.clear();
        }
        Err(last)
    }

    /// After a turn that brought nothing only the submission is offered; after another one it is over.
    async fn with(&mut self, model: &str, repository: &dyn Repository) -> Result<Submission, Degraded> {
        let mut idle = false;
        loop {
            let said = self.ask(model, idle).await?;
            match self.turn(said, repository).await {
                Turn::Submitted(submission) => return Ok(*submission),
                Turn::Learnt => {}
                Turn::Idle if !idle => idle = true,
                Turn::Idle => return Err(Degraded::Useless),
            }
        }
    }

    /// One request with its retries. Counts calls and tokens.
    async fn ask(&mut self, model: &str, forced: bool) -> Result<Said, Degraded> {
        let mut retried = false;
        loop {
            let budget = &self.advisor.budget;
            let left = budget.time.saturating_sub(self.started.elapsed());
            if self.calls >= budget.calls || self.tokens >= budget.tokens || left.is_zero() {
                return Err(Degraded::Budget);
            }
            let last =
                forced || self.calls + 1 >= budget.calls || self.tokens + self.estimate() >= budget.tokens;
            let tools = tools::definitions(last);
            let choice =
                last.then(|| serde_json::json!({"type": "function", "function": {"name": tools::SUBMIT}}));
            let request = Request {
                model,
                messages: &self.messages,
                tools: &tools,
                tool_choice: choice,
                max_tokens: 1_500,
                temperature: 0.0,
                stream: false,
            };
            self.calls += 1;
            let span = chat_span(model);
            let asked = self.advisor.endpoint.chat(&request, budget.per_call.min(left));
            let error = match asked.instrument(span.clone()).await {
                Ok(answer) => {
                    // The endpoint works, whatever the model makes of it.
                    self.advisor.breaker.succeeded();
                    let usage = answer.usage.as_ref().map(crate::model::wire::Usage::parts);
                    let (input, output) = usage.filter(|u| *u != (0, 0)).unwrap_or((self.estimate(), 0));
                    span.record("gen_ai.usage.input_tokens", input);
                    span.record("gen_ai.usage.output_tokens", output);
                    self.tokens += input + output;
                    self.cost += self.advisor.prices.get(model).map_or(0.0, |p| p.of(input, output));
                    let message = answer.choices.into_iter().next().and_then(|c| c.message);
                    return Ok(message.unwrap_or_default());
                }
                Err(error) => error,
            };
            span.record("otel.status_code", "ERROR");
            span.record("error.type", tracing::field::display(&error));
            if !matches!(error, ModelError::TooLong | ModelError::Rejected(_)) {
                self.advisor.breaker.failed(Instant::now());
            }
            tracing::warn!(model, error = %error, "model request failed");
            match &error {
                ModelError::TooLong if self.prompt > 2_048 => {
                    self.prompt /= 2;
                    self.messages = prompt::opening(self.evidence, self.rules, self.prompt);
                }
                ModelError::Busy { retry_after } if !retried && retry_after.is_none_or(|d| d < left) => {
                    retried = true;
                    pause(retry_after.unwrap_or(Duration::from_millis(500))).await;
                }
                ModelError::Unavailable(_) | ModelError::Garbled if !retried => {
                    retried = true;
                    pause(Duration::from_millis(250)).await;
                }
                _ => return Err(Degraded::Model(error)),
            }
        }
    }

    /// React to what the model said.
    async fn turn(&mut self, said: Said, repository: &dyn Repository) -> Turn {
        if !said.tool_calls.is_empty() {
            return self.native(said, repository).await;
        }
        let text = said.content.unwrap_or_default();
        let value = json_of(&text);
        self.messages.push(Message::Assistant { content: Some(clipped(&text)), tool_calls: Vec::new() });
        let call = value.as_ref().and_then(text_call);
        let submitted = match &call {
            Some(call) if call.name == tools::SUBMIT => Submission::read(&call.arguments),
            Some(_) => None,
            None => value.as_ref().and_then(Submission::read),
        };
        if let Some(submission) = submitted {
            return Turn::Submitted(Box::new(submission));
        }
        let Some(call) = call else {
            self.messages.push(Message::User { content: prompt::NUDGE.to_owned() });
            return Turn::Idle;
        };
        let (result, learnt) = self.result(&call, repository).await;
        self.messages
            .push(Message::User { content: format!("Result of {}:\n{result}", clipped(&call.name)) });
        if learnt { Turn::Learnt } else { Turn::Idle }
    }

    async fn native(&mut self, said: Said, repository: &dyn Repository) -> Turn {
        let calls: Vec<_> =
            said.tool_calls.into_iter().take(8).enumerate().map(|(i, c)| named(i, &c)).collect();
        for (_, call) in &calls {
            if call.name == tools::SUBMIT
                && let Some(submission) = Submission::read(&call.arguments)
            {
                return Turn::Submitted(Box::new(submission));
            }
        }
        let echo = |(id, call): &(String, TextCall)| EchoedCall {
            id: id.clone(),
            r#type: "function",
            function: EchoedFunction { name: call.name.clone(), arguments: call.arguments.to_string() },
        };
        self.messages.push(Message::Assistant {
            content: said.content.map(|c| clipped(&c)),
            tool_calls: calls.iter().map(echo).collect(),
        });
        // Every call is answered exactly once, whatever it asked for: servers insist on it.
        let mut turn = Turn::Idle;
        for (tool_call_id, call) in calls {
            let (content, learnt) = self.result(&call, repository).await;
            self.messages.push(Message::Tool { tool_call_id, content });
            if learnt {
                turn = Turn::Learnt;
            }
        }
        turn
    }

    /// The answer to a call, and whether it tells the model something it did not have.
    async fn result(&mut self, call: &TextCall, repository: &dyn Repository) -> (String, bool) {
        let key = (call.name.clone(), call.arguments.clone());
        if self.seen.contains(&key) {
            return ("You have this result already. Call submit_diagnosis now.".to_owned(), false);
        }
        self.seen.push(key);
        (tools::answer(call, self.evidence, repository).await, tools::reads(&call.name))
    }

    /// Tokens of the next request, at four bytes each.
    fn estimate(&self) -> u64 {
        self.messages.iter().map(|m| m.size() as u64 + 16).sum::<u64>() / 4
    }
}

/// A request to a model in traces, by the semantic conventions for generative AI; content stays out.
fn chat_span(model: &str) -> tracing::Span {
    tracing::info_span!(
        "chat",
        otel.name = format!("chat {model}"),
        otel.kind = "client",
        otel.status_code = tracing::field::Empty,
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = "openai",
        gen_ai.request.model = model,
        gen_ai.usage.input_tokens = tracing::field::Empty,
        gen_ai.usage.output_tokens = tracing::field::Empty,
        error.type = tracing::field::Empty,
    )
}

fn named(index: usize, call: &Call) -> (String, TextCall) {
    let id = call.id.clone().filter(|id| !id.is_empty()).unwrap_or_else(|| format!("call-{index}"));
    let arguments = answer::arguments(&call.function.arguments);
    (id, TextCall { name: call.function.name.clone(), arguments })
}

fn clipped(text: &str) -> String {
    crate::lines::clip(text, 2_000)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a model endpoint offers nothing to watch; bounded by the budget"
)]
async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

#[cfg(test)]
mod tests;
