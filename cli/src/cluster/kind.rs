//! The kinds of objects we work with, as a fixed table: discovery may be forbidden, plurals are not
//! guessable, and a reader sees here what the program can touch.

use kube::core::{ApiResource, GroupVersionKind};

/// One kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind {
    /// API group, empty for the core group.
    pub group: &'static str,
    /// Version we speak.
    pub version: &'static str,
    /// Kind, as in manifests.
    pub kind: &'static str,
    /// Name in URLs.
    pub plural: &'static str,
    /// Whether its objects live in a namespace.
    pub namespaced: bool,
}

impl Kind {
    const fn namespaced(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
    ) -> Self {
        Self { group, version, kind, plural, namespaced: true }
    }

    const fn cluster(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
    ) -> Self {
        Self { group, version, kind, plural, namespaced: false }
    }

    /// `apiVersion` as in manifests.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    pub(super) fn resource(&self) -> ApiResource {
        let gvk = GroupVersionKind::gvk(self.group, self.version, self.kind);
        ApiResource::from_gvk_with_plural(&gvk, self.plural)
    }

    /// The same kind in another version.
    #[must_use]
    pub const fn at(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }
}

/// Namespace.
pub const NAMESPACE: Kind = Kind::cluster("", "v1", "Namespace", "namespaces");
/// Secret.
pub const SECRET: Kind = Kind::namespaced("", "v1", "Secret", "secrets");
/// `ConfigMap`.
pub const CONFIG_MAP: Kind = Kind::namespaced("", "v1", "ConfigMap", "configmaps");
/// Service.
pub const SERVICE: Kind = Kind::namespaced("", "v1", "Service", "services");
/// Pod.
pub const POD: Kind = Kind::namespaced("", "v1", "Pod", "pods");
/// Event.
pub const EVENT: Kind = Kind::namespaced("", "v1", "Event", "events");
/// `ServiceAccount`.
pub const SERVICE_ACCOUNT: Kind = Kind::namespaced("", "v1", "ServiceAccount", "serviceaccounts");
/// `PersistentVolumeClaim`.
pub const VOLUME_CLAIM: Kind = Kind::namespaced("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims");
/// `LimitRange`.
pub const LIMIT_RANGE: Kind = Kind::namespaced("", "v1", "LimitRange", "limitranges");
/// `ResourceQuota`.
pub const RESOURCE_QUOTA: Kind = Kind::namespaced("", "v1", "ResourceQuota", "resourcequotas");
/// Deployment.
pub const DEPLOYMENT: Kind = Kind::namespaced("apps", "v1", "Deployment", "deployments");
/// Job.
pub const JOB: Kind = Kind::namespaced("batch", "v1", "Job", "jobs");
/// `NetworkPolicy`.
pub const NETWORK_POLICY: Kind =
    Kind::namespaced("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies");
/// Ingress.
pub const INGRESS: Kind = Kind::namespaced("networking.k8s.io", "v1", "Ingress", "ingresses");
/// `RoleBinding`.
pub const ROLE_BINDING: Kind =
    Kind::namespaced("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings");
/// `ClusterRole`.
pub const CLUSTER_ROLE: Kind =
    Kind::cluster("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles");
/// `StorageClass`.
pub const STORAGE_CLASS: Kind = Kind::cluster("storage.k8s.io", "v1", "StorageClass", "storageclasses");
/// Lease.
pub const LEASE: Kind = Kind::namespaced("coordination.k8s.io", "v1", "Lease", "leases");
/// Argo CD's project.
pub const APP_PROJECT: Kind = Kind::namespaced("argoproj.io", "v1alpha1", "AppProject", "appprojects");
/// Argo CD's application.
pub const APPLICATION: Kind = Kind::namespaced("argoproj.io", "v1alpha1", "Application", "applications");
/// Argo CD's generator of applications.
pub const APPLICATION_SET: Kind =
    Kind::namespaced("argoproj.io", "v1alpha1", "ApplicationSet", "applicationsets");
/// An Argo CD instance, as OpenShift GitOps (argocd-operator) describes it.
pub const ARGO_CD: Kind = Kind::namespaced("argoproj.io", "v1beta1", "ArgoCD", "argocds");
/// A Gitea instance of the rhpds Gitea operator.
pub const GITEA: Kind = Kind::namespaced("pfe.rhpds.com", "v1", "Gitea", "gitea");
/// An MCP server run by `ToolHive`.
pub const MCP_SERVER: Kind = Kind::namespaced("toolhive.stacklok.dev", "v1beta1", "MCPServer", "mcpservers");
/// OpenShift's Route.
pub const ROUTE: Kind = Kind::namespaced("route.openshift.io", "v1", "Route", "routes");
/// OpenShift's `SecurityContextConstraints`.
pub const SCC: Kind =
    Kind::cluster("security.openshift.io", "v1", "SecurityContextConstraints", "securitycontextconstraints");
/// OpenShift's quota over several namespaces.
pub const CLUSTER_QUOTA: Kind =
    Kind::cluster("quota.openshift.io", "v1", "ClusterResourceQuota", "clusterresourcequotas");
/// OpenShift's cluster-wide ingress configuration.
pub const INGRESS_CONFIG: Kind = Kind::cluster("config.openshift.io", "v1", "Ingress", "ingresses");
/// OpenShift's console configuration.
pub const CONSOLE_CONFIG: Kind = Kind::cluster("config.openshift.io", "v1", "Console", "consoles");
/// OpenShift's router.
pub const INGRESS_CONTROLLER: Kind =
    Kind::namespaced("operator.openshift.io", "v1", "IngressController", "ingresscontrollers");
/// OpenShift's record of a login.
pub const USER: Kind = Kind::cluster("user.openshift.io", "v1", "User", "users");
/// OpenShift's link from a login to an identity provider.
pub const IDENTITY: Kind = Kind::cluster("user.openshift.io", "v1", "Identity", "identities");

/// Which object: kind, namespace (of namespaced kinds) and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; empty for cluster-scoped kinds.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ObjectRef {
    /// An object in a namespace.
    pub fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        let namespace = if kind.namespaced { namespace.into() } else { String::new() };
        Self { kind, namespace, name: name.into() }
    }

    /// An object of the whole cluster.
    pub fn cluster(kind: Kind, name: impl Into<String>) -> Self {
        Self::new(kind, "", name)
    }
}

impl std::fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind.kind, self.namespace, self.name)
        }
    }
}
