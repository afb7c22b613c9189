//! The lab: a real control plane and real Gitea instances on one machine, without Docker and without an
//! image registry, and stand-ins for what cannot run there.
//!
//! [`builds`] makes the real parts from Go modules, once. A [`supervisor::Supervisor`] runs one lab:
//! [`controlplane`], [`gitea`] and [`standins`], all of which share a [`platform::Platform`]. It lives
//! either in a process of its own ([`daemon`], the command `lab`) or inside a test ([`lab::Lab`]). What
//! a tenant leaves behind shows in a [`snapshot::Snapshot`]. A [`proxy::Proxy`] between a program and the lab
//! spoils the program's requests.

pub mod accept;
pub mod bare;
pub mod builds;
pub mod cluster;
pub mod container;
pub mod control;
pub mod controlplane;
pub mod daemon;
pub mod directories;
pub mod eval;
pub mod faults;
pub mod files;
pub mod gitea;
pub mod images;
pub mod installation;
pub mod keycloak;
pub mod lab;
pub mod matrix;
pub mod node;
pub mod oauth;
pub mod objects;
pub mod operators;
pub mod pki;
pub mod platform;
pub mod play;
pub mod polling;
mod ports;
pub mod processes;
pub mod proxy;
pub mod residence;
mod resolver;
pub mod skip;
pub mod snapshot;
pub mod standins;
pub mod state;
pub mod story;
pub mod supervisor;
pub mod visit;

/// 128 random bits as hexadecimal text: passwords, tokens and keys of one lab.
pub(crate) fn random_text() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system provides randomness");
    hex::encode(bytes)
}
