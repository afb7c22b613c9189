//! The command line: clap's types, and nothing that acts on them.

mod examples;
mod time;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::Timestamp;

pub use self::time::life;
use self::{
    examples::{DESTROY_EXAMPLES, DOCTOR_EXAMPLES, EXAMPLES, EXTEND_EXAMPLES, LIST_EXAMPLES},
    time::{duration, moment},
};
use crate::env::EnvVars;

const ABOUT: &str = "Sets up one order's lab tenant on a shared cluster, and removes it without a trace";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "tenant", version, about = ABOUT, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// How output looks.
    #[command(flatten)]
    pub display: DisplayArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set a tenant up; run again to resume or to repair
    Provision(ChangeArgs),
    /// Remove a tenant, whatever state it is in
    Destroy(DestroyArgs),
    /// Look at a tenant, step by step; changes nothing
    Status(LookArgs),
    /// Say what provision would do; changes nothing
    Plan(LookArgs),
    /// Print the objects provision would write, secrets masked; needs no cluster
    Render(RenderArgs),
    /// List the tenants of the cluster
    List(ListArgs),
    /// Let a tenant live longer: its virtual key at LiteLLM, and its own record
    Extend(ExtendArgs),
    /// Check that a cluster and its services are ready for tenants; changes nothing
    Doctor(DoctorArgs),
    /// Print the variables an order may set
    Variables(VariablesArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// How output looks.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct DisplayArgs {
    /// text for people; json for one event per line, ending with the result
    #[arg(long, short = 'o', global = true, value_enum, default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
    /// Print results and errors only
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print more: notes; twice for the log
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Shape of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    Text,
    /// One JSON document per line.
    Json,
}

/// Which tenant.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Order")]
pub struct GuidArg {
    /// Short id of the order; all names derive from it
    #[arg(long, short, value_name = "GUID")]
    pub guid: Option<String>,
}

/// Which tenants.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Order")]
pub struct GuidsArgs {
    /// Short id of the order; all names derive from it. Repeat it for several tenants of the same variables
    #[arg(long, short, value_name = "GUID")]
    pub guid: Vec<String>,
    /// File with a guid per line (- for stdin); # begins a comment
    #[arg(long, value_name = "FILE")]
    pub guids_from: Option<PathBuf>,
    /// Of several tenants, work on this many at once
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub parallel: u16,
}

/// The order's variables.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Order")]
pub struct OrderArgs {
    /// Variables as for ansible-playbook: key=value, @file, or a map in JSON or YAML; later ones win
    #[arg(long = "extra-vars", short = 'e', value_name = "VARS")]
    pub extra_vars: Vec<String>,
    /// A variables file, read before all -e
    #[arg(long, value_name = "FILE")]
    pub vars_file: Vec<PathBuf>,
    /// MCP servers, of openshift, gitea, rhoai, kubeflow [default: those on record, else openshift,gitea]
    #[arg(long, value_name = "LIST")]
    pub mcp_servers: Option<String>,
    /// Accept roles in `workloads` that tenant has no step for
    #[arg(long)]
    pub ignore_unknown_workloads: bool,
}

/// Which cluster, and how to reach it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArgs {
    /// Address of the API server; goes with --token-file
    #[arg(long, value_name = "URL", requires = "token_file")]
    pub api_url: Option<String>,
    /// File with the bearer token (a token never belongs on a command line)
    #[arg(long, value_name = "FILE", requires = "api_url")]
    pub token_file: Option<PathBuf>,
    /// Kubeconfig to use
    #[arg(long, value_name = "FILE", conflicts_with = "api_url")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Use the service account of the pod this runs in
    #[arg(long, conflicts_with_all = ["api_url", "kubeconfig"])]
    pub in_cluster: bool,
    /// Accept any certificate of the API server
    #[arg(long)]
    pub insecure_skip_tls_verify: bool,
    /// Accept any certificate of hosts behind the cluster's router
    #[arg(long)]
    pub insecure_routes: bool,
    /// Connect here for hosts behind the cluster's router, when their DNS entry is not visible
    #[arg(long, value_name = "ADDRESS:PORT", env = EnvVars::TENANT_INGRESS_ADDRESS)]
    pub ingress_address: Option<SocketAddr>,
    /// PEM bundle trusted for hosts behind the cluster's router, besides the system's
    #[arg(long, value_name = "FILE", env = EnvVars::TENANT_INGRESS_CA)]
    pub ingress_ca: Option<PathBuf>,
}

impl ClusterArgs {
    /// No cluster at all.
    pub fn offline() -> Self {
        Self {
            api_url: None,
            token_file: None,
            kubeconfig: None,
            context: None,
            in_cluster: false,
            insecure_skip_tls_verify: false,
            insecure_routes: false,
            ingress_address: None,
            ingress_ca: None,
        }
    }
}

/// Which steps, and for how long.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Run")]
pub struct RunArgs {
    /// A recipe of your own instead of the one compiled in
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// Run these steps only
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Leave these steps out
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    pub skip: Vec<String>,
    /// One step at a time, in the order of the recipe
    #[arg(long)]
    pub serial: bool,
    /// Give up after this long: 90s, 25m, 1h
    #[arg(long, value_name = "TIME", default_value = "25m", value_parser = duration)]
    pub timeout: Duration,
    /// Give up on a single wait after this long, and say what was last seen
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub wait_timeout: Option<Duration>,
}

/// Where the results go besides stdout.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Results")]
pub struct ResultArgs {
    /// files: as the plugin `agnosticd_user_info` leaves them; result: one JSON file; none
    #[arg(long, value_name = "HOW", value_enum)]
    pub user_info: Option<UserInfo>,
    /// Directory of the user data files (default: the order's `output_dir`; without one, none are written)
    #[arg(long, value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
    /// The JSON file of --user-info=result
    #[arg(long, value_name = "FILE")]
    pub result_file: Option<PathBuf>,
}

/// How user data are handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UserInfo {
    /// `provision-user-data.yaml` and its siblings.
    Files,
    /// One JSON file, for the Ansible roles.
    Result,
    /// Not at all.
    None,
}

/// Arguments of `provision` and `destroy`.
#[derive(Debug, Clone, Args)]
pub struct ChangeArgs {
    /// Wait this long for another provision or destroy of the same guid to finish
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = duration, help_heading = "Run")]
    pub lock_timeout: Duration,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub tenants: GuidsArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub order: OrderArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub run: RunArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub results: ResultArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub cluster: ClusterArgs,
}

/// Arguments of `destroy`.
#[derive(Debug, Clone, Args)]
#[command(after_help = DESTROY_EXAMPLES)]
pub struct DestroyArgs {
    /// Say what would be removed, step by step, and change nothing
    #[arg(long, help_heading = "Run", conflicts_with = "force_finalizers")]
    pub dry_run: bool,
    /// Take the finalizers away from what an earlier destroy left half deleted, and list them: for when whoever
    /// should finish is gone. What they guard, outside of the cluster too, may be left behind
    #[arg(long, help_heading = "Run")]
    pub force_finalizers: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub change: ChangeArgs,
}

/// Arguments of `status` and `plan`.
#[derive(Debug, Clone, Args)]
pub struct LookArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub tenant: GuidArg,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub order: OrderArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub run: RunArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub cluster: ClusterArgs,
}

/// Arguments of `render`.
#[derive(Debug, Clone, Args)]
pub struct RenderArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub tenant: GuidArg,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub order: OrderArgs,
    /// Render for a cluster without OpenShift's APIs
    #[arg(long)]
    pub plain: bool,
    /// Render these steps only
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    pub only: Vec<String>,
}

/// Arguments of `list`.
#[derive(Debug, Clone, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub struct ListArgs {
    /// What is left of tenants that have no record, with what removes it; give LiteLLM's variables, too
    #[arg(long)]
    pub orphans: bool,
    /// Variables that say where the cluster is, as for provision
    #[arg(long = "extra-vars", short = 'e', value_name = "VARS")]
    pub extra_vars: Vec<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub cluster: ClusterArgs,
}

/// Arguments of `extend`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXTEND_EXAMPLES)]
pub struct ExtendArgs {
    /// Live this long from now: 24h, 7d, 2w [default: the order's `runtime`, else 168h]
    #[arg(long = "for", value_name = "TIME", value_parser = life, conflicts_with = "until", help_heading = "Life")]
    pub span: Option<Duration>,
    /// Live until then: 2026-12-24, 2026-12-24T18:00 (UTC), or with a zone 2026-12-24T18:00:00+01:00
    #[arg(long, value_name = "MOMENT", value_parser = moment, help_heading = "Life")]
    pub until: Option<Timestamp>,
    /// Wait this long for a provision or destroy of the same guid to finish
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = duration, help_heading = "Run")]
    pub lock_timeout: Duration,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub tenant: GuidArg,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub order: OrderArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub cluster: ClusterArgs,
}

/// Arguments of `doctor`.
#[derive(Debug, Clone, Args)]
#[command(after_help = DOCTOR_EXAMPLES)]
pub struct DoctorArgs {
    /// Print the cluster role of all that tenant does, and check nothing; needs no cluster
    #[arg(long)]
    pub print_rbac: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub tenant: GuidArg,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub order: OrderArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub cluster: ClusterArgs,
}

/// Arguments of `variables`.
#[derive(Debug, Clone, Args)]
pub struct VariablesArgs {
    /// As the table of the README, in AsciiDoc
    #[arg(long, hide = true)]
    pub asciidoc: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
