//! The evaluation of the agent: known failures in, issues out, graded by code.
//!
//! [`case`] holds the cases as data, [`scene`] makes a cluster's objects of one. The program under test is the real
//! `agent serve` ([`service`]). Around it stand an OpenShift MCP server over scenes in memory ([`openshift`]) or the
//! and gitea-mcp in its three generations over issues in memory or a real Gitea ([`tracker`]), both as tool servers of
//! [`mcp`] that keep every call. A [`suite`] plays cases on it; [`mutation`] disturbs them, [`hostile`] plants instructions
//! that a scripted model obeys. [`grade`] says what an issue
//! is worth, [`table`] prints it.

pub mod case;
pub mod grade;
pub mod hostile;
pub mod mcp;
pub mod mutation;
pub mod openshift;
pub mod scene;
pub mod service;
pub mod suite;
pub mod table;
pub mod tracker;
