//! `tenant`: sets up one order's lab tenant on a shared cluster, and removes it without a trace.
//!
//! ```text
//!  args ─▶ program ─▶ commands ─▶ opening: order, cluster, record, names
//!                        │             │
//!                        │             ▼
//!                        │         recipe ─▶ steps ─▶ cluster (kube), services (reqwest)
//!                        ▼                     │
//!              tenant-workflow (walks) ◀───────┘
//!                        │ events
//!                        ▼
//!                     report ─▶ terminal, lines, JSON        outputs ─▶ user_data ─▶ files
//! ```
//!
//! What an order decides is read once into plain [`settings`]; [`names`] is the one place that derives names;
//! a [`tenant::Tenant`] is what all steps share; each file in [`steps`] is one step with its three directions.

pub mod access;
pub mod args;
pub mod cluster;
pub mod commands;
pub mod connections;
pub mod doctor;
pub mod env;
pub mod exit;
pub mod facts;
pub mod lease;
pub mod manifest;
pub mod names;
pub mod opening;
pub mod order;
pub mod orphans;
pub mod outputs;
pub mod passwords;
pub mod problem;
pub mod program;
pub mod recipe;
pub mod record;
pub mod report;
pub mod rights;
pub mod services;
pub mod settings;
pub mod steps;
pub mod tenant;
pub mod user_data;
