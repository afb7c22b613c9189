//! Which cluster: flags, then the order's variables, then the environment, then kubectl's own choice
//! (agnosticd-compat.md 2.3). Host and token are taken as a pair from one level.
//!
//! A pod's own service account is used on request only: in an automation pod it belongs to the wrong cluster.

use std::{collections::BTreeMap, path::PathBuf};

use secrecy::SecretString;

use crate::{
    args::ClusterArgs,
    cluster::{Access, Via},
    env::EnvVars,
    order::{VarError, Vars},
};

/// Pairs of variables that name a cluster, in order of precedence.
const PAIRS: [(&str, &str); 4] = [
    ("sandbox_openshift_api_url", "cluster_admin_agnosticd_sa_token"),
    ("openshift_api_url", "openshift_cluster_admin_token"),
    ("sandbox_openshift_api_url", "sandbox_openshift_api_token"),
    ("sandbox_openshift_api_url", "sandbox_openshift_api_key"),
];

/// The environment, read once.
pub type Environment = BTreeMap<String, String>;

/// Why the settings name no cluster.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The token file cannot be read.
    #[error("read the token file {}", path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A variable cannot be used.
    #[error(transparent)]
    Variable(#[from] VarError),
}

/// Resolves flags, variables and environment to one way in. The second value warns of half a pair, or of a
/// weak token.
///
/// # Errors
///
/// When the token file cannot be read or a variable cannot be rendered.
pub fn resolve(
    args: &ClusterArgs,
    vars: &Vars,
    environment: &Environment,
) -> Result<(Access, Vec<String>), SettingsError> {
    let mut warnings = Vec::new();
    let via = via(args, vars, environment, &mut warnings)?;
    let set = |name: &str| environment.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    let asked = set(EnvVars::K8S_AUTH_VERIFY_SSL)
        .is_none_or(|text| !matches!(text.to_ascii_lowercase().as_str(), "0" | "false" | "no" | "off"));
    let verify = asked && !args.insecure_skip_tls_verify;
    if !verify {
        warnings.push("the API server's certificate is not verified".to_owned());
    }
    let ca_file = match &via {
        Via::Token { .. } => set(EnvVars::K8S_AUTH_SSL_CA_CERT).map(PathBuf::from),
        Via::Kubeconfig { .. } | Via::InCluster => None,
    };
    Ok((Access { via, verify, ca_file }, warnings))
}

fn via(
    args: &ClusterArgs,
    vars: &Vars,
    environment: &Environment,
    warnings: &mut Vec<String>,
) -> Result<Via, SettingsError> {
    if args.in_cluster {
        return Ok(Via::InCluster);
    }
    if let (Some(host), Some(path)) = (&args.api_url, &args.token_file) {
        let token = std::fs::read_to_string(path)
            .map_err(|source| SettingsError::TokenFile { path: path.clone(), source })?;
        let origin = "--api-url".to_owned();
        return Ok(Via::Token { host: host.clone(), token: SecretString::from(token.trim()), origin });
    }
    if args.kubeconfig.is_some() || args.context.is_some() {
        return Ok(Via::Kubeconfig { path: args.kubeconfig.clone(), context: args.context.clone() });
    }
    for (rank, (host_name, token_name)) in PAIRS.into_iter().enumerate() {
        match (vars.text(&[host_name])?, vars.secret(&[token_name])?) {
            (Some(host), Some(token)) => {
                if rank >= 2 {
                    warnings.push(format!("using `{token_name}`, which may be limited to one namespace"));
                }
                return Ok(Via::Token { host, token, origin: format!("`{host_name}`") });
            }
            (Some(_), None) if rank == 1 => {
                warnings.push(format!("`{host_name}` is set without `{token_name}`: not used"));
            }
            _ => {}
        }
    }
    let set = |name: &str| {
        environment
            .get(name)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty() && *value != "unknown")
    };
    match (set(EnvVars::K8S_AUTH_HOST), set(EnvVars::K8S_AUTH_API_KEY)) {
        (Some(host), Some(token)) => {
            let token = SecretString::from(token.to_owned());
            return Ok(Via::Token {
                host: host.to_owned(),
                token,
                origin: EnvVars::K8S_AUTH_HOST.to_owned(),
            });
        }
        (Some(_), None) => {
            let (host, token) = (EnvVars::K8S_AUTH_HOST, EnvVars::K8S_AUTH_API_KEY);
            warnings.push(format!("{host} is set without {token}: not used"));
        }
        _ => {}
    }
    let path = set(EnvVars::K8S_AUTH_KUBECONFIG).map(PathBuf::from);
    Ok(Via::Kubeconfig { path, context: set(EnvVars::K8S_AUTH_CONTEXT).map(str::to_owned) })
}
