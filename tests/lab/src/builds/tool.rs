//! Tools of this machine that build something: run to their end, their output kept for the error.

use std::process::Stdio;

use tokio::process::Command;

use super::BuildError;

/// How many lines of a failed tool's output an error quotes.
pub(super) const TAIL_LINES: usize = 20;

/// What the tool printed on standard output, once it has ended well. `what` is being built.
///
/// # Errors
/// When it cannot be started or fails.
pub(crate) async fn run(what: &'static str, mut command: Command) -> Result<String, BuildError> {
    let asked = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = asked.map_err(|source| BuildError::Start { what, source })?;
    let [printed, complained] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if output.status.success() {
        return Ok(printed);
    }
    let said = printed + &complained;
    let lines: Vec<_> = said.lines().collect();
    Err(BuildError::Failed { what, output: lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n") })
}
