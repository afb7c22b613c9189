//! The Kubernetes API: the only module that uses `kube`.
//!
//! Objects are JSON throughout: most kinds we touch are custom resources, and one way through the code for
//! all of them beats typed structs for some. What we own carries two labels ([`crate::names::Names::labels`]) and is
//! written by server-side apply under the field manager [`FIELD_MANAGER`]; what we contribute to a shared
//! object is written under a manager of the tenant's own, so that withdrawing it is one empty apply.

mod access;
mod client;
mod compare;
mod error;
mod hindrance;
mod kind;
mod release;
mod remove;
mod review;
mod settled;
mod transport;
mod wait;
mod watch;

pub use access::{Access, AccessError, Via};
pub use client::{Applied, Cluster, complete};
pub use error::{Cause, ClusterError};
pub use hindrance::{Hindrance, last_words, of_deployment};
pub use kind::{
    APP_PROJECT, APPLICATION, APPLICATION_SET, ARGO_CD, CLUSTER_QUOTA, CLUSTER_ROLE, CONFIG_MAP,
    CONSOLE_CONFIG, DEPLOYMENT, EVENT, GITEA, IDENTITY, INGRESS, INGRESS_CONFIG, INGRESS_CONTROLLER, JOB,
    Kind, LEASE, LIMIT_RANGE, MCP_SERVER, NAMESPACE, NETWORK_POLICY, ObjectRef, POD, RESOURCE_QUOTA,
    ROLE_BINDING, ROUTE, SCC, SECRET, SERVICE, SERVICE_ACCOUNT, STORAGE_CLASS, USER, VOLUME_CLAIM,
};
pub use kube::core::DynamicObject as Object;
pub use release::Released;
pub use remove::{Removal, carries};
pub use wait::{Found, Select, Verdict, remaining};

/// Field manager of everything that is ours alone.
pub const FIELD_MANAGER: &str = "tenant";
