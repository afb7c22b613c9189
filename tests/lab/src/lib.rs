//! The lab: a real control plane and real Gitea instances on one machine, without Docker and without an
//! image registry, and stand-ins for what cannot run there.

pub mod builds;
pub mod directories;
pub mod faults;
pub mod gitea;
pub mod pki;
pub mod platform;
mod polling;
mod ports;
pub mod processes;
pub mod standins;
