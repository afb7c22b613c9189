//! What happens on a client, for those who count.

use std::time::Duration;

/// How a call ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CallResult {
    /// With a result.
    Ok,
    /// The tool failed and said so.
    ToolError,
    /// Without an answer: no connection, no session, no time.
    NoAnswer,
}

/// Is told of calls and connections. Called on the way of every call, so it must not block.
pub trait Observer: std::fmt::Debug + Send + Sync {
    /// A tool was called; `time` is that of this one attempt.
    fn called(&self, server: &str, tool: &str, time: Duration, result: CallResult);
    /// A connection was opened (`up`), or could not be.
    fn answers(&self, server: &str, up: bool);
}
