//! MCP clients: one tool server, whichever transport, version and tool names it has.
//!
//! Owner of rmcp. Streamable HTTP goes through rmcp; the legacy HTTP+SSE transport of 2024-11-05, which
//! rmcp dropped, is our own ([`legacy`]). Callers name a [`Capability`] and arguments by meaning; which
//! tool that is, and how it spells its arguments, is found out from `tools/list` on every connection.

mod binding;
mod client;
mod detect;
mod endpoint;
pub mod legacy;
mod observer;
mod session;
mod tools;

pub use binding::{Arg, Binding, Capability};
pub use client::{CallError, Client, Effect};
pub use detect::ConnectError;
pub use endpoint::{Credential, Endpoint, TransportChoice};
pub use observer::{CallResult, Observer};
pub use tools::ToolIndex;
