//! What people and programs read: the consumers of the engine's events, and the words and tables of the
//! commands.
//!
//! Owner of `indicatif`, `console`, `anstyle` and `anstream`. Every renderer takes the same events and has no
//! other source:
//!
//! ```text
//!                        ┌─ lines ────▶ stderr   logs, pipes, CI, --verbose
//!   engine ──▶ events ───┼─ progress ─▶ stderr   a terminal
//!                        └─ json ─────▶ stdout   --output json
//! ```
//!
//! [`Printer`](printer::Printer) decides once which of them it is. stdout carries data, stderr everything else;
//! a reader that goes away (a closed pipe) is no error; no meaning is in colour alone. The text of every event,
//! error and table cell passes the [`Redactor`](tenant_kit::secret::Redactor) and loses its control
//! characters: services echo what they were sent, and a terminal obeys what it is shown.
//!
//! Not here: exit codes, logs (`tenant_kit::telemetry`), user-data files.

mod entry;
mod failure;
pub mod json;
mod lines;
pub mod printer;
mod progress;
mod runs;
mod summary;
pub mod tables;
pub mod wording;

#[cfg(test)]
mod script;
