//! The workflow engine: steps with declared needs, walked forward, in reverse, or read-only.
//!
//! It knows nothing of Kubernetes, HTTP or the command line; it knows order, time, failure and how to stop.
//!
//! ```text
//!   recipe (data) ──Recipe::make──▶ steps ──Plan::new──▶ plan ──Run──▶ report
//!                                                               │
//!                            provision  ───────────▶            └────▶ events
//!   namespaces ◀─needs── gitea-instance ◀─needs── gitea-user
//!                            ◀───────────  destroy
//! ```
//!
//! **[`Step`](step::Step)**: one thing to set up, in one place with how to look at it (`probe`) and how to
//! take it away (`revert`). It declares what it needs and gets a [`Scope`](scope::Scope): its deadline, the
//! way to be told to stop, and a voice.
//!
//! **[`Recipe`](recipe::Recipe)**: which steps, in which order, with which settings. Data; a catalogue turns
//! it into steps.
//!
//! **[`Plan`](plan::Plan)**: the list, checked before anything is touched. It must work in its own order, so
//! a need stands before its user. With a [`Selection`](plan::Selection), what is left out but needed is looked
//! at: if it is not there as ordered, its user is blocked, with the reason.
//!
//! **[`Run`](walk::Run)**: walks a plan. A step starts the moment all it waits for has ended; there are no
//! levels. The rules, all of them:
//!
//! | | forward (`provision`) | reverse (`destroy`) | looking (`look`) |
//! |---|---|---|---|
//! | a step waits for | its needs | [`RevertAfter`](step::RevertAfter), by default its users | its needs |
//! | `serial` | the list | the list reversed, except where `RevertAfter` says otherwise | the list |
//! | a failure blocks | what needs it | what goes after it | nothing |
//! | and stops | all that has not started | nothing else | nothing |
//! | skipped counts as | done | gone | – |
//! | left out by selection | looked at if needed | counts as gone | looked at if needed |
//!
//! Time: at its deadline, the earlier of its own and the run's, a step is dropped; the error says what it was
//! waiting for. Once told to stop, a run starts nothing new; its steps have a grace period to reach a safe
//! point before they are dropped. A panic is that step's failure (where panics unwind). What a step spawned
//! as tasks of its own is not dropped with it, but its scope is cancelled.
//!
//! **[`Event`](event::Event)s** are the only output on the way; the [`Report`](report::Report) says how each
//! step ended. **[`Slot`](slot::Slot)s** carry facts between steps: typed, filled once.
//!
//! ```
//! use std::sync::Arc;
//!
//! use futures::future::{BoxFuture, FutureExt, ready};
//! use tenant_workflow::{event::Event, plan::*, scope::Scope, slot::Slot, step::*, walk::Run};
//!
//! /// Fills the fact `address`; the real one would ask a service.
//! struct Lookup(Arc<Slot<String>>);
//!
//! impl Step for Lookup {
//!     fn id(&self) -> StepId { "lookup" }
//!     fn title(&self) -> &'static str { "Find the address" }
//!     fn probe<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
//!         ready(Ok(Seen::new(State::Present, []))).boxed()
//!     }
//!     fn foresee<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
//!         ready(Ok(Seen::new(State::Absent, []))).boxed()
//!     }
//!     fn apply<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
//!         async move {
//!             scope.note("looking around");
//!             let address = self.0.fill("10.0.0.1".to_owned())?;
//!             Ok(Outcome::changed(format!("found {address}")))
//!         }
//!         .boxed()
//!     }
//!     fn revert<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
//!         ready(Ok(Outcome::unchanged("nothing to take away"))).boxed()
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let address = Arc::new(Slot::new("the address", "lookup"));
//! let plan = Plan::new(vec![Arc::new(Lookup(address.clone()))], &Selection::default()).unwrap();
//! let lines = |event: &Event| println!("{}", serde_json::to_string(event).unwrap());
//! let report = Run::new(Arc::new(lines)).provision(&plan).await;
//! assert_eq!(report.worst_failure(), None);
//! assert_eq!(address.get().unwrap(), "10.0.0.1");
//! # }
//! ```
//!
//! Not here: retries (a step's own business), records of past runs (a step must do without), exit codes (the
//! command line maps [`Failure`](step::Failure) to them).

pub mod event;
mod obstacle;
pub mod plan;
pub mod recipe;
pub mod report;
pub mod scope;
pub mod slot;
pub mod step;
pub mod walk;
