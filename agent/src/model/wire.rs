//! Chat completions as they are on the wire: strict in what we send, tolerant in what we read.
//!
//! Servers differ (measured against LiteLLM, vLLM and Ollama shapes): arguments as object or null, ids
//! missing, content as a list of parts, unknown finish reasons. None of that may lose an answer.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// A request.
#[derive(Debug, Serialize)]
pub struct Request<'a> {
    /// Model name.
    pub model: &'a str,
    /// The dialogue so far.
    pub messages: &'a [Message],
    /// Tools offered.
    #[serde(skip_serializing_if = "<[Value]>::is_empty")]
    pub tools: &'a [Value],
    /// `auto`, or one function that must be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<Value>,
    /// Upper bound of the answer.
    pub max_tokens: u32,
    /// 0: the same evidence should give the same diagnosis.
    pub temperature: f32,
    /// Always false.
    pub stream: bool,
}

/// One message of the dialogue.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase", tag = "role")]
pub enum Message {
    /// Our instructions.
    System {
        /// Text.
        content: String,
    },
    /// Evidence and follow-ups.
    User {
        /// Text.
        content: String,
    },
    /// What the model said.
    Assistant {
        /// Text; `null` is sent when absent, some servers insist on the key.
        content: Option<String>,
        /// Calls it made.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<EchoedCall>,
    },
    /// The result of a call.
    Tool {
        /// Id of the call.
        tool_call_id: String,
        /// Text.
        content: String,
    },
}

impl Message {
    /// Length of the text, in bytes.
    pub fn size(&self) -> usize {
        match self {
            Self::System { content } | Self::User { content } | Self::Tool { content, .. } => content.len(),
            Self::Assistant { content, tool_calls } => {
                content.as_deref().map_or(0, str::len)
                    + tool_calls.iter().map(|c| c.function.arguments.len() + 40).sum::<usize>()
            }
        }
    }
}

/// A call as we send it back.
#[derive(Clone, Debug, Serialize)]
pub struct EchoedCall {
    /// Id.
    pub id: String,
    /// Always `function`.
    pub r#type: &'static str,
    /// What was called.
    pub function: EchoedFunction,
}

/// Name and arguments of a call as we send it back.
#[derive(Clone, Debug, Serialize)]
pub struct EchoedFunction {
    /// Name.
    pub name: String,
    /// Arguments as JSON text.
    pub arguments: String,
}

/// An answer.
#[derive(Debug, Deserialize)]
pub struct Answer {
    /// Alternatives; we read the first.
    #[serde(default)]
    pub choices: Vec<Choice>,
    /// Tokens spent.
    #[serde(default)]
    pub usage: Option<Usage>,
}

/// One alternative.
#[derive(Debug, Deserialize)]
pub struct Choice {
    /// The message.
    #[serde(default)]
    pub message: Option<Said>,
    /// Why it ended; `length` means it was cut.
    #[serde(default)]
    pub finish_reason: Option<String>,
}

/// What the model said.
#[derive(Debug, Default, Deserialize)]
pub struct Said {
    /// Text, if any.
    #[serde(default, deserialize_with = "text")]
    pub content: Option<String>,
    /// Calls, if any.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub tool_calls: Vec<Call>,
}

/// A call.
#[derive(Debug, Deserialize)]
pub struct Call {
    /// Id; may be missing.
    #[serde(default)]
    pub id: Option<String>,
    /// What is called.
    #[serde(default)]
    pub function: Function,
}

/// Name and arguments.
#[derive(Debug, Default, Deserialize)]
pub struct Function {
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Arguments: JSON text, an object, or null.
    #[serde(default)]
    pub arguments: Value,
}

/// Tokens spent; servers send integers, floats or nothing.
#[derive(Debug, Default, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are the wire's")]
pub struct Usage {
    #[serde(default)]
    total_tokens: Value,
    #[serde(default)]
    prompt_tokens: Value,
    #[serde(default)]
    completion_tokens: Value,
}

impl Usage {
    /// Tokens of prompt and completion; a total that is not split counts as prompt. 0 if the server did not
    /// say.
    pub fn parts(&self) -> (u64, u64) {
        let read =
            |v: &Value| v.as_u64().or_else(|| v.as_f64().filter(|f| f.is_finite()).map(whole)).unwrap_or(0);
        let output = read(&self.completion_tokens);
        let input = read(&self.total_tokens).saturating_sub(output).max(read(&self.prompt_tokens));
        (input, output)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range first")]
fn whole(tokens: f64) -> u64 {
    tokens.clamp(0.0, 1e9) as u64
}

fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::String(text) => Some(text),
        Value::Array(parts) => {
            let texts: Vec<_> = parts.iter().filter_map(|p| p.get("text")?.as_str()).collect();
            Some(texts.concat())
        }
        _ => None,
    })
}

fn null_is_empty<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Call>, D::Error> {
    Ok(Option::<Vec<Call>>::deserialize(from)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &str) -> Said {
        let json =
            format!(r#"{{"choices":[{{"message":{message},"finish_reason":"eos"}}],"service_tier":"x"}}"#);
        let mut answer: Answer = serde_json::from_str(&json).expect("tolerated");
        answer.choices.remove(0).message.expect("present")
    }

    #[test]
    fn every_shape_servers_send_is_read() {
        assert_eq!(
            read(r#"{"role":"model","content":[{"type":"text","text":"a"},{"text":"b"}]}"#)
                .content
                .as_deref(),
            Some("ab")
        );
        assert_eq!(read(r#"{"content":null,"tool_calls":null}"#).tool_calls.len(), 0);
        let said = read(r#"{"tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]}"#);
        assert_eq!(said.tool_calls[0].function.arguments["a"], 1);
        let said =
            read(r#"{"tool_calls":[{"id":null,"type":null,"function":{"name":"f","arguments":null}}]}"#);
        assert!(said.tool_calls[0].function.arguments.is_null());
        let usage: Usage =
            serde_json::from_str(r#"{"prompt_tokens":10.0,"completion_tokens":5}"#).expect("tolerated");
        assert_eq!(usage.parts(), (10, 5));
    }
}
