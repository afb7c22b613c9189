//! The lab: a real control plane and real Gitea instances on one machine, without Docker and without an
//! image registry, and stand-ins for what cannot run there.

pub mod faults;
pub mod gitea;
pub mod pki;
pub mod platform;
pub mod standins;
