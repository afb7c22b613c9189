//! The command line, and nothing else.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use tenant_lab::{
    faults::{Behaviour, StandIn},
    matrix::Cell,
    play::Part,
    proxy::{Service, Spoil, Which},
    supervisor::Size,
};

/// A real control plane and real Gitea instances on this machine, and stand-ins for what cannot run
/// here. Needs Go, a C compiler and git; no root, no Docker, no image registry.
#[derive(Debug, Parser)]
#[command(name = "lab", bin_name = "cargo lab", arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  cargo lab demo                      provision a tenant in a fresh lab and show it
  cargo lab demo agent                report a failed build and show the issue
  cargo lab up                        start the lab (the first time builds it: about ten minutes)
  eval \"$(cargo lab env)\"             point this shell at it
  cargo lab env --vars > lab.yml      the platform's share of an order, for `tenant … -e @lab.yml`
  cargo lab misbehave argocd absent --only x1
  cargo lab spoil --help              break single requests of a command
  cargo lab accept --kubeconfig FILE  play the acceptance suite on an existing cluster
  cargo lab down")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the lab and wait until it is ready. Says what runs; nothing happens if it runs already.
    Up(UpArguments),
    /// Stop everything the lab started and remove its data. Builds stay cached.
    Down(Name),
    /// Show what runs: what is real, what stands in, where, and how it is.
    Status(Name),
    /// Print `export` lines for a shell, or the platform's share of an order.
    Env(EnvArguments),
    /// Print a component's log; without a component, name those that have one.
    Logs(LogsArguments),
    /// Tell a stand-in to be slow, absent, failing or wrong; without arguments, show the table.
    Misbehave(MisbehaveArguments),
    /// Run a command and break some of its requests; `--trace` shows them all, numbered.
    Spoil(SpoilArguments),
    /// Print everything the lab holds as JSON, for comparing before and after.
    Snapshot(Name),
    /// Play the acceptance suite on an existing cluster whose pods run, one of kind's say.
    Accept(AcceptArguments),
    /// From nothing to a tenant, or (`demo agent`) from a failed build to an issue.
    Demo(DemoArguments),
    /// Measure `tenant` in a lab of its own, beside the same writes sent bare; prints tables.
    Bench(BenchArguments),
    /// Kill `tenant` at every request it sends, and cut every connection, and see that the next run sets things right.
    Matrix(MatrixArguments),
    /// Evaluate the agent: known failures in, issues out, graded; prints a table.
    Eval(EvalArguments),
    /// Run a lab in the foreground; `up` does this in the background.
    #[command(hide = true)]
    Serve(UpArguments),
    /// Be, inside a container, a program whose image is not to be had.
    #[command(hide = true)]
    Play(PlayArguments),
}

#[derive(Debug, Args)]
pub(crate) struct PlayArguments {
    /// Which program.
    #[arg(value_enum)]
    pub(crate) part: Part,
    /// Its arguments, as the real program gets them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Name {
    /// Which lab; several run side by side.
    #[arg(long, default_value = "default", value_name = "NAME")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct UpArguments {
    #[command(flatten)]
    pub(crate) lab: Name,
    /// A cluster without any OpenShift API: no Routes, no SCCs.
    #[arg(long)]
    pub(crate) plain: bool,
    /// Use the existing cluster of this kubeconfig, and install only what it lacks.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// How much of a cluster to start.
    #[arg(
        long,
        value_enum,
        default_value = "control-plane",
        conflicts_with = "kubeconfig",
        value_name = "SIZE"
    )]
    pub(crate) size: Size,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The suite is brought into the cluster as images: those of the charts, and one with the suite,
tenant, the operators and the stand-ins, which runs as pod ingress-nginx/tenant-lab-suite. The
cluster should be a fresh one, without an Argo CD, Tekton or ToolHive of its own; its name server
has to be CoreDNS as kubeadm installs it. What was brought is removed again; a suite that failed
is left there for a look, until the next time. Images need root.

Examples:
  tests/kind/accept                   make a cluster with kind, play the suite there, remove the cluster
  cargo lab accept --kubeconfig kind.kubeconfig
  cargo lab accept --kubeconfig FILE --load 'ctr --namespace k8s.io images import'")]
pub(crate) struct AcceptArguments {
    /// The cluster, with the rights of its administrator.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: PathBuf,
    /// Imports an archive of images, whose path is added, into every node. Not needed for clusters of kind's.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) load: Option<String>,
    /// Play only the tests whose names contain this text.
    #[arg(long, value_name = "TEXT")]
    pub(crate) only: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// How often everything is measured.
    #[arg(long, default_value_t = 5, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) runs: u16,
    /// Also measure so many tenants in one process, such as 1,10,100.
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=500))]
    pub(crate) tenants: Vec<u16>,
    /// Also measure with operators that take this much longer over everything, such as 2s.
    #[arg(long, value_name = "TIME", value_parser = slowness)]
    pub(crate) slow: Option<Duration>,
    /// Measure this build of `tenant` instead of a new release build.
    #[arg(long, value_name = "FILE")]
    pub(crate) tenant: Option<PathBuf>,
}

fn slowness(text: &str) -> Result<Duration, String> {
    match format!("slow:{text}").parse() {
        Ok(Behaviour::Slow(delay)) => Ok(delay),
        _ => Err("use a time such as 2s or 500ms".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct MatrixArguments {
    /// Play only every so many-th cell.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub(crate) every: usize,
    /// Of these, begin with this one.
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    pub(crate) offset: usize,
    /// Play this cell, such as `provision-destroy:kill:31`. May be repeated.
    #[arg(long, value_name = "CELL", conflicts_with_all = ["every", "offset"])]
    pub(crate) cell: Vec<Cell>,
    /// Play so many cells side by side.
    #[arg(long, default_value_t = 2, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) jobs: u8,
    /// Use this build of `tenant` instead of a new one.
    #[arg(long, value_name = "FILE")]
    pub(crate) tenant: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// What to show instead of a tenant.
    #[arg(value_enum)]
    pub(crate) show: Option<Show>,
    /// The whole story on a full cluster: two tenants, a failed pipeline, its issue, the fix, and the end. Needs root.
    #[arg(long, conflicts_with_all = ["show", "size", "kubeconfig"])]
    pub(crate) full: bool,
    #[command(flatten)]
    pub(crate) up: UpArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Show {
    /// A failed build, reported by curl, becomes an issue in a real Gitea.
    Agent,
}

#[derive(Debug, Args)]
pub(crate) struct EvalArguments {
    /// Only this case, such as `F07`. May be repeated.
    #[arg(long, value_name = "CASE")]
    pub(crate) case: Vec<String>,
    /// Only the cases as recorded: by rules alone, and with each scripted model.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Use this build of `agent` instead of a new release build.
    #[arg(long, value_name = "FILE")]
    pub(crate) agent: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct EnvArguments {
    #[command(flatten)]
    pub(crate) lab: Name,
    /// A YAML variables file instead of `export` lines.
    #[arg(long)]
    pub(crate) vars: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArguments {
    #[command(flatten)]
    pub(crate) lab: Name,
    /// Whose log: `lab` (supervisor and stand-ins), `kube-apiserver`, `forge`, …
    pub(crate) component: Option<String>,
    /// Go on as it grows, until interrupted.
    #[arg(short, long, requires = "component")]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Requests to all services are numbered together, in the order of their arrival. Ways to break one:
  status:503, status:429:2   it never arrives; this is the answer (with Retry-After)
  delay:2s                   it arrives later
  cut, cut-after             the connection is closed before, or after, the service has acted
  truncate, garbage          the service acts; half an answer, or no JSON, comes back
  freeze                     the head of the answer comes, then nothing
  expired, expired-event     410 as the answer, or as the event of a watch
  kill, kill-before          the command is killed after, or before, the service has acted

Examples:
  cargo lab spoil 31 kill --trace -- target/debug/tenant provision --guid x1 -e @tests/data/order.yml -e @{vars}
  cargo lab spoil .. status:401 --service kubernetes -- target/debug/tenant destroy --guid x1 -e @{vars}
  cargo lab spoil .. freeze --path watch=true --times 2 -- …")]
pub(crate) struct SpoilArguments {
    #[command(flatten)]
    pub(crate) lab: Name,
    /// Which requests: `12`, `12..` (from there on), `..` (all).
    pub(crate) which: Which,
    /// How they are broken; see below.
    pub(crate) how: Spoil,
    /// Only those to one service: kubernetes, gitea, keycloak, web, litellm.
    #[arg(long)]
    pub(crate) service: Option<Service>,
    /// Only those whose path and query contain this text.
    #[arg(long, value_name = "TEXT")]
    pub(crate) path: Option<String>,
    /// Only those with this method.
    #[arg(long, value_name = "METHOD")]
    pub(crate) method: Option<String>,
    /// Of these, only the first so many.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) times: Option<u64>,
    /// Show every request at the end.
    #[arg(long)]
    pub(crate) trace: bool,
    /// The command. It gets the lab's environment, and `{vars}` in it is the file of the platform's variables.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct MisbehaveArguments {
    #[command(flatten)]
    pub(crate) lab: Name,
    /// argocd, gitea-operator, gitea, routes, mcp-operators, workloads, litellm, keycloak, router.
    #[arg(requires = "behaviour")]
    pub(crate) stand_in: Option<StandIn>,
    /// normal, absent, wrong, slow:2s, failing:503.
    pub(crate) behaviour: Option<Behaviour>,
    /// Only towards what contains this text: a guid, a user name, a namespace.
    #[arg(long, value_name = "TEXT")]
    pub(crate) only: Option<String>,
}
