//! The command line: what can be asked for, in words that teach.

pub mod diagnose;
pub mod model;
pub mod replay;
pub mod serve;

use clap::{Parser, Subcommand};

/// The pipeline-failure agent: one failed pipeline in, one correct issue out.
#[derive(Debug, Parser)]
#[command(name = "agent", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  agent diagnose --log build.log              what failed, why, and what to do, by rules alone
  oc logs POD -c step-build | agent diagnose --log -
  agent diagnose --log build.log --issue      the issue as it would be filed
  agent diagnose --log build.log --model llama-scout-17b --model-url http://litellm:4000
  agent rules                                 the failures the agent knows";

/// Subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Diagnose a log file, without a cluster.
    ///
    /// Reads the log once, of any size, removes secrets, finds known failures and prints the cause, the
    /// lines that show it, and what to do. Nothing is sent anywhere unless a model is named; then the
    /// redacted and reduced log goes to its endpoint, and its answer is checked against the log.
    Diagnose(Box<diagnose::Diagnose>),
    /// Serve: take reports of failed pipelines and write issues.
    ///
    /// Reads the cluster through the OpenShift MCP server, writes issues through the Gitea MCP server.
    /// Works without a model (rules only) and starts before the servers are up.
    Serve(Box<serve::Serve>),
    /// Diagnose a recorded investigation again, offline, and print the issue.
    Replay(Box<replay::Replay>),
    /// List the failures the agent knows.
    Rules(diagnose::Rules),
}
