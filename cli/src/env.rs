//! Every environment variable this program reads, with the contract it comes from.

/// Names of environment variables.
#[derive(Debug, Clone, Copy)]
pub struct EnvVars;

impl EnvVars {
    /// Address of the API server, as Ansible's Kubernetes modules read it (agnosticd-compat.md 2.1).
    pub const K8S_AUTH_HOST: &'static str = "K8S_AUTH_HOST";
    /// Bearer token; goes with [`Self::K8S_AUTH_HOST`].
    pub const K8S_AUTH_API_KEY: &'static str = "K8S_AUTH_API_KEY";
    /// Whether the API server's certificate is verified; `0`, `false` and `no` are false, in any case.
    pub const K8S_AUTH_VERIFY_SSL: &'static str = "K8S_AUTH_VERIFY_SSL";
    /// PEM bundle of the API server's CA.
    pub const K8S_AUTH_SSL_CA_CERT: &'static str = "K8S_AUTH_SSL_CA_CERT";
    /// A kubeconfig, used when host and token are not both given.
    pub const K8S_AUTH_KUBECONFIG: &'static str = "K8S_AUTH_KUBECONFIG";
    /// Context in the kubeconfig.
    pub const K8S_AUTH_CONTEXT: &'static str = "K8S_AUTH_CONTEXT";
    /// Where to connect for hosts of the cluster's routes, `address:port`, when their DNS entry is not visible.
    pub const TENANT_INGRESS_ADDRESS: &'static str = "TENANT_INGRESS_ADDRESS";
    /// PEM bundle trusted for hosts of the cluster's routes, besides the system's.
    pub const TENANT_INGRESS_CA: &'static str = "TENANT_INGRESS_CA";
    /// No colour, whatever its value unless empty (no-color.org).
    pub const NO_COLOR: &'static str = "NO_COLOR";
    /// The terminal; `dumb` means neither colour nor a moving cursor.
    pub const TERM: &'static str = "TERM";
    /// Set by most CI systems: no progress display.
    pub const CI: &'static str = "CI";
}
