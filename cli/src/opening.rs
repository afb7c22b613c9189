//! What every command on a tenant begins with: read the order, reach the cluster, open the record.
//!
//! An order that names nothing but a guid is completed from the tenant's record, so that the guid is all a
//! later `destroy`, `status` or `provision` needs.

use std::{path::PathBuf, sync::Arc, time::Duration};

use secrecy::SecretString;
use serde_json::json;
use tenant_kit::{
    http::{ClientSettings, Detour},
    meter::Meter,
    secret::Redactor,
};
use tenant_workflow::{event::Sink, recipe::Recipe, step::Failure};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    access::{self, Environment},
    args::{ClusterArgs, OrderArgs},
    cluster::{Access, Cluster, ClusterError, INGRESS_CONFIG, NAMESPACE, Object, ObjectRef},
    connections::Connections,
    facts::Facts,
    names::{self, Component, Findings, MCP_SERVERS},
    order::{
        Argument, Vars,
        source::Origin,
        workloads::{self, Direction},
    },
    outputs::Order,
    passwords::Passwords,
    problem::Problem,
    recipe::{self, Ingredients},
    record::{self, Record},
    report::{
        json::Json,
        printer::{Format, Printer, Verbosity},
    },
    settings::Settings,
    tenant::{Tenant, Web},
};

/// Sent with every request.
const USER_AGENT: &str = concat!("tenant/", env!("CARGO_PKG_VERSION"));

/// What a command works in. Clones share everything but what is said of one tenant.
#[derive(Clone)]
pub struct Workplace {
    /// Where output goes.
    pub printer: Printer,
    /// The environment, read once.
    pub environment: Environment,
    /// Our own share of time.
    pub meter: Arc<Meter>,
    /// Known secrets.
    pub redactor: Arc<Redactor>,
    /// Cancelled by the first signal.
    pub cancel: CancellationToken,
    /// Connections that all tenants of this process share.
    pub connections: Arc<Connections>,
    /// Where the events of several tenants go; each run has a sink of its own where there is but one.
    pub together: Option<Together>,
}

/// What the runs of several tenants have in common.
#[derive(Clone)]
pub struct Together {
    /// Hears of all of them.
    pub sink: Arc<dyn Sink>,
    /// Zero of their clock.
    pub epoch: Instant,
}

/// Why a command looks at a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To set it up.
    Provision,
    /// To look.
    Look,
    /// To remove it.
    Destroy,
}

/// An order, read and not yet brought to a cluster.
pub struct Read {
    /// Its variables.
    pub vars: Vars,
    /// Its guid, as given.
    pub guid: String,
    /// Its recipe.
    pub recipe: Recipe,
    /// Whether it holds more than a guid.
    given: bool,
}

/// A tenant, ready to be worked on.
pub struct Opened {
    /// Its variables, completed from the record.
    pub vars: Vars,
    /// The tenant.
    pub tenant: Arc<Tenant>,
    /// All its steps are made from.
    pub ingredients: Ingredients,
    /// Whether a record of it was found.
    pub recorded: bool,
}

/// How the cluster was found.
pub enum Reached {
    /// It answers.
    Cluster(Cluster),
    /// It is gone for good: its host does not exist, or nobody knows our token any more.
    Gone(ClusterError),
}

impl Workplace {
    /// Tells whoever asked for details how much of the time was our own, and how often others were asked.
    /// Of several tenants only together: they share it.
    pub fn account(&self, guid: Option<&str>) {
        if self.printer.verbosity() != Verbosity::Verbose || guid.is_some() && self.together.is_some() {
            return;
        }
        let (own, elapsed, requests) = (self.meter.own(), self.meter.elapsed(), self.meter.requests());
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        match self.printer.format() {
            Format::Json => {
                let data = json!({
                    "own_ms": milliseconds(own),
                    "elapsed_ms": milliseconds(elapsed),
                    "requests": requests,
                });
                Json::new(self.printer.clone()).result("account", guid, data);
            }
            Format::Text => self.printer.status(&format!(
                "{} of {} ms were spent without waiting for one of {requests} requests",
                milliseconds(own),
                milliseconds(elapsed),
            )),
        }
    }

    /// Reads an order and checks it as far as that goes without a cluster. Touches nothing.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the order.
    pub fn read(
        &self,
        guid: Option<&str>,
        args: &OrderArgs,
        recipe: Option<&PathBuf>,
    ) -> Result<Read, Problem> {
        let (vars, given) = self.variables(args)?;
        let recipe = recipe::read(recipe.map(PathBuf::as_path))?;
        let guid = names::guid(guid, &vars)?.to_string();
        let vars = vars.with("guid", guid.clone(), Origin::Flag("--guid"));
        let settings = Settings::read(&vars, &guid, &recipe, &Findings::default())?;
        for warning in settings.names.warnings() {
            self.printer.warning(warning);
        }
        Ok(Read { vars, guid, recipe, given })
    }

    /// Reads an order's variables; whether there are any.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with them.
    pub fn variables(&self, args: &OrderArgs) -> Result<(Vars, bool), Problem> {
        let files = args.vars_file.iter().cloned().map(Argument::File);
        let arguments: Vec<Argument> =
            files.chain(args.extra_vars.iter().cloned().map(Argument::Extra)).collect();
        let mut vars = Vars::read(&arguments, self.environment.clone())?;
        if let Some(list) = &args.mcp_servers {
            // a list even when it is empty: an empty text would count as not given
            let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
            vars = vars.with(MCP_SERVERS, names.collect::<Vec<_>>(), Origin::Flag("--mcp-servers"));
        }
        for warning in vars.near_misses() {
            self.printer.warning(&warning);
        }
        for direction in [Direction::Provision, Direction::Destroy] {
            workloads::selection(&vars, direction, args.ignore_unknown_workloads)?;
        }
        Ok((vars, !arguments.is_empty()))
    }

    /// Connects to the cluster of flags, variables and environment.
    ///
    /// # Errors
    ///
    /// Settings that lead nowhere, and a cluster that does not answer or refuses.
    pub async fn reach(&self, args: &ClusterArgs, vars: &Vars) -> Result<(Access, Reached), Problem> {
        let (access, warnings) = access::resolve(args, vars, &self.environment)?;
        for warning in warnings {
            self.printer.warning(&warning);
        }
        let reached = match self.connections.cluster(&access, &self.meter).await? {
            Ok(cluster) if self.together.is_some() => Reached::Cluster(cluster.shared()),
            Ok(cluster) => Reached::Cluster(cluster),
            Err(error) if error.is_unknown_host() || error.is_unauthorized() => Reached::Gone(error),
            Err(error) => {
                let problem = Problem::from(error);
                return Err(match problem.hint {
                    Some(_) if problem.failure == Failure::Service => problem
                        .hint(format!("tried {}: check the address and the network", access.describe())),
                    _ => problem,
                });
            }
        };
        Ok((access, reached))
    }

    /// Connects, and takes no for an answer as the failure it is.
    ///
    /// # Errors
    ///
    /// As [`Workplace::reach`], and a cluster that is gone.
    pub async fn connect(&self, args: &ClusterArgs, vars: &Vars) -> Result<Cluster, Problem> {
        match self.reach(args, vars).await? {
            (_, Reached::Cluster(cluster)) => Ok(cluster),
            (access, Reached::Gone(error)) => {
                let unauthorized = error.is_unauthorized();
                let problem = Problem::from(error);
                Err(problem.hint(if unauthorized {
                    format!("the token for {} is not valid (any more)", access.describe())
                } else {
                    format!("is {} the right address?", access.describe())
                }))
            }
        }
    }

    /// Opens a tenant on its cluster: record, passwords, clients. Writes nothing.
    ///
    /// # Errors
    ///
    /// What is wrong with the completed order, or with reading the cluster.
    pub async fn open(
        &self,
        read: &Read,
        cluster: Cluster,
        args: &ClusterArgs,
        purpose: Purpose,
    ) -> Result<Opened, Problem> {
        let kept = cluster.get(&record::location(&read.guid)).await?;
        let completed = purpose != Purpose::Provision || !read.given;
        let mut remembered = kept.as_ref().map(record::variables).unwrap_or_default();
        let servers = remembered.remove(MCP_SERVERS);
        let mut vars = read.vars.clone();
        if completed {
            vars = vars.with_defaults(remembered);
        }
        // servers come and go by being named, not by an order that says nothing of them
        if let (Some(servers), None) = (servers, vars.first_set(&[MCP_SERVERS])?) {
            vars = vars.with(MCP_SERVERS, servers, Origin::Default);
        }
        let findings = findings(&cluster, &read.guid, kept.as_ref()).await?;
        let settings = Settings::read(&vars, &read.guid, &read.recipe, &findings)?;
        let domain = domain(&settings, &cluster, purpose).await.map_err(|problem| {
            if kept.is_some() || read.given || problem.failure != Failure::Usage {
                return problem;
            }
            problem.hint(format!(
                "there is no record of tenant {} here: give its order with -e, or check the guid",
                read.guid
            ))
        })?;
        let web = self.web(args, &settings, &domain)?;
        let names = settings.names.clone();
        let record = Record::open(Some(cluster.clone()), kept, &names, Arc::clone(&self.redactor))?;
        record.remember(&vars).await;
        let passwords = settings.passwords.clone().choose(&record).await;
        let tenant = Tenant { names, cluster, record, facts: Facts::default(), domain, web };
        let recorded = tenant.record.existed();
        let tenant = Arc::new(tenant);
        let ingredients = ingredients(&tenant, settings, passwords);
        Ok(Opened { vars, tenant, ingredients, recorded })
    }

    /// The HTTP clients an order asks for.
    ///
    /// # Errors
    ///
    /// When a CA bundle cannot be read.
    pub fn web(&self, args: &ClusterArgs, settings: &Settings, domain: &str) -> Result<Web, Problem> {
        if args.insecure_routes {
            self.printer.warning("certificates of hosts behind the cluster's router are not verified");
        }
        let routes = ClientSettings {
            extra_roots: args.ingress_ca.clone(),
            verify: !args.insecure_routes,
            // a repository is copied within one request
            timeout: Some(Duration::from_mins(2)),
            detour: args
                .ingress_address
                .filter(|_| !domain.is_empty())
                .map(|address| Detour { domain: domain.to_owned(), address }),
            ..ClientSettings::new(USER_AGENT)
        };
        let key = &settings.litellm_key;
        if !key.verify {
            self.printer.warning("LiteLLM's certificate is not verified");
        }
        let litellm = ClientSettings {
            verify: key.verify,
            timeout: Some(Duration::from_secs(key.timeout)),
            ..ClientSettings::new(USER_AGENT)
        };
        if let Some(secret) = &key.master_key {
            self.redactor.learn(secret);
        }
        Ok(self.connections.web(&routes, &litellm, &self.meter, &self.redactor)?)
    }
}

/// What the cluster says of a tenant's names: its record, and namespaces the Sandbox API made for the order
/// (`created-by=sandbox-api,guid=<guid>`, named `sandbox-<guid>[-<n>]-<part>`; provisioning.md 1.3).
async fn findings(cluster: &Cluster, guid: &str, kept: Option<&Object>) -> Result<Findings, Problem> {
    let facts = kept.and_then(record::facts);
    let labels = format!("created-by=sandbox-api,guid={guid}");
    let made = if facts.is_none() { cluster.list(&NAMESPACE, "", &labels).await? } else { Vec::new() };
    let mut parts: Vec<&str> = Component::ALL.iter().map(|component| component.suffix()).collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.len())); // `mcp-gitea` before `gitea`
    let discovered = made.into_iter().filter_map(|namespace| {
        let name = namespace.metadata.name?;
        let part = parts.iter().find(|part| name.ends_with(&format!("-{part}")))?;
        Some(((*part).to_owned(), name))
    });
    Ok(Findings {
        discovered: discovered.collect(),
        username: facts.as_ref().map(|facts| facts.username.clone()),
        recorded: facts.map(|facts| facts.namespaces).unwrap_or_default(),
    })
}

/// Puts together what the steps are made from.
pub fn ingredients(tenant: &Arc<Tenant>, settings: Settings, passwords: Passwords) -> Ingredients {
    let gitea: SecretString = passwords.gitea.clone();
    let order = Order {
        api_url: settings.api_url.clone(),
        password: passwords.user.clone(),
        argo_cd_password: passwords.argo_cd.clone(),
        applications: settings.application_sets.applications(
            &tenant.names,
            &tenant.domain,
            passwords.librechat.clone(),
            gitea,
        ),
        key_told: settings.litellm_key.told,
    };
    Ingredients { tenant: Arc::clone(tenant), settings, passwords, order }
}

/// The domain of the cluster's routes: of the order, else of OpenShift's own configuration. Only destroy can
/// do without.
pub(crate) async fn domain(
    settings: &Settings,
    cluster: &Cluster,
    purpose: Purpose,
) -> Result<String, Problem> {
    if let Some(domain) = &settings.domain {
        return Ok(domain.clone());
    }
    if cluster.serves(&INGRESS_CONFIG) {
        let found = cluster.get(&ObjectRef::cluster(INGRESS_CONFIG, "cluster")).await?;
        if let Some(domain) = found.as_ref().and_then(|object| object.data["spec"]["domain"].as_str()) {
            return Ok(domain.to_owned());
        }
    }
    match purpose {
        Purpose::Destroy => Ok(String::new()),
        Purpose::Provision | Purpose::Look => Err(Problem::usage(
            "the domain of the cluster's hosts is not known: it has no OpenShift configuration to ask",
        )
        .hint("set openshift_cluster_ingress_domain, such as apps.example.com")),
    }
}
