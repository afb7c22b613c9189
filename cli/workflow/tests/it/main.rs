//! The engine through its public interface, with scripted steps on a paused clock: hours pass in no time, and
//! moments compare exactly.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod cancellation;
mod deadlines;
mod foresight;
mod forward;
mod planning;
mod recipes;
mod reverse;
mod script;
mod selection;
mod trial;
