//! The services besides Kubernetes: the only modules of this program that use `reqwest`.

mod call;
pub mod gitea;
pub mod keycloak;
pub mod litellm;
pub mod web;

pub use call::{Service, ServiceError, Trouble};
