//! The evaluation of the agent: known failures in, issues out, graded by code.
//!
//! [`case`] holds the cases as data, [`scene`] makes a cluster's objects of one. The program under test is the real
//! `agent serve` ([`service`]). It sees scenes on a [`stage`]: a real API server behind the real OpenShift MCP server
//! ([`apiserver`]), or memory behind a stand-in for it ([`openshift`]), which is quicker and can be made to fail. It
//! files through gitea-mcp in its three generations over issues in memory or a real Gitea ([`tracker`]), and asks
//! scripted [`models`]. The stand-ins are tool servers of [`mcp`] that keep every call. A [`suite`] plays cases on it;
//! [`mutation`] disturbs them, [`advised`] plays them with each model, [`hostile`] plants instructions that a model
//! obeys, [`secrets`] what must not leave, [`faults`] lets logs, servers and models fail. [`grade`] says what an issue is
//! worth, [`table`] prints it.

pub mod advised;
pub mod apiserver;
pub mod case;
pub mod faults;
pub mod grade;
pub mod hostile;
mod kubelet;
pub mod mcp;
pub mod models;
pub mod mutation;
pub mod openshift;
pub mod scene;
pub mod secrets;
pub mod service;
pub mod stage;
pub mod suite;
pub mod table;
pub mod tracker;
