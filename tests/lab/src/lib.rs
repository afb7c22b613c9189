//! The lab: a real control plane and real Gitea instances on one machine, without Docker and without an
//! image registry, and stand-ins for what cannot run there.

pub mod builds;
pub mod controlplane;
pub mod directories;
pub mod faults;
pub mod gitea;
pub mod installation;
pub mod objects;
pub mod pki;
pub mod platform;
mod polling;
mod ports;
pub mod processes;
pub mod state;
pub mod supervisor;
pub mod standins;

/// 128 random bits as hexadecimal text: passwords, tokens and keys of one lab.
pub(crate) fn random_text() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system provides randomness");
    hex::encode(bytes)
}
