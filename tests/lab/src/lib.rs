//! The lab: a real control plane and real Gitea instances on one machine, without Docker and without an
//! image registry, and stand-ins for what cannot run there.

pub mod builds;
pub mod cluster;
pub mod control;
pub mod controlplane;
pub mod daemon;
pub mod directories;
pub mod faults;
pub mod files;
pub mod gitea;
pub mod installation;
pub mod lab;
pub mod objects;
pub mod pki;
pub mod platform;
mod polling;
mod ports;
pub mod processes;
pub mod residence;
pub mod snapshot;
pub mod standins;
pub mod state;
pub mod supervisor;

/// 128 random bits as hexadecimal text: passwords, tokens and keys of one lab.
pub(crate) fn random_text() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system provides randomness");
    hex::encode(bytes)
}
