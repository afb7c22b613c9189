//! The kinds of objects the stand-ins read and write.
//!
//! A fixed table rather than discovery: guessing plurals goes wrong for half of OpenShift's kinds, and
//! the stand-ins must start before every API is discoverable.

use std::fmt;

use kube::core::{ApiResource, GroupVersionKind};

macro_rules! kinds {
    ($($variant:ident: $group:literal $version:literal $plural:literal $scope:ident $watched:ident),+ $(,)?) => {
        /// A kind of object.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) enum Kind { $($variant),+ }

        impl Kind {
            /// Every kind in the table.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),+];

            fn row(self) -> (&'static str, &'static str, &'static str, &'static str, Scope, Watch) {
                match self {
                    $(Self::$variant =>
                        ($group, $version, stringify!($variant), $plural, Scope::$scope, Watch::$watched)),+
                }
            }
        }
    };
}

kinds! {
    AppProject: "argoproj.io" "v1alpha1" "appprojects" Namespaced Always,
    Application: "argoproj.io" "v1alpha1" "applications" Namespaced Always,
    ApplicationSet: "argoproj.io" "v1alpha1" "applicationsets" Namespaced Always,
    ClusterRoleBinding: "rbac.authorization.k8s.io" "v1" "clusterrolebindings" Cluster Never,
    ConfigMap: "" "v1" "configmaps" Namespaced Always,
    Deployment: "apps" "v1" "deployments" Namespaced Always,
    Gitea: "pfe.rhpds.com" "v1" "gitea" Namespaced Always,
    Ingress: "networking.k8s.io" "v1" "ingresses" Namespaced Always,
    Job: "batch" "v1" "jobs" Namespaced Always,
    LifecycleServer: "mcp.x-k8s.io" "v1alpha1" "mcpservers" Namespaced Optional,
    MCPServer: "toolhive.stacklok.dev" "v1beta1" "mcpservers" Namespaced Always,
    Namespace: "" "v1" "namespaces" Cluster Always,
    PersistentVolume: "" "v1" "persistentvolumes" Cluster Never,
    PersistentVolumeClaim: "" "v1" "persistentvolumeclaims" Namespaced Always,
    Pod: "" "v1" "pods" Namespaced Always,
    Role: "rbac.authorization.k8s.io" "v1" "roles" Namespaced Never,
    RoleBinding: "rbac.authorization.k8s.io" "v1" "rolebindings" Namespaced Never,
    Route: "route.openshift.io" "v1" "routes" Namespaced OpenShift,
    Secret: "" "v1" "secrets" Namespaced Always,
    Service: "" "v1" "services" Namespaced Always,
    ServiceAccount: "" "v1" "serviceaccounts" Namespaced Never,
    StatefulSet: "apps" "v1" "statefulsets" Namespaced Always,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Namespaced,
    Cluster,
}

/// Whether the stand-ins keep a watch on the kind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Watch {
    Always,
    OpenShift,
    /// As soon as its definition is there, which nobody waits for.
    Optional,
    Never,
}

impl Kind {
    /// What the API calls it, in path and body.
    pub(crate) fn resource(self) -> ApiResource {
        let (group, version, _, plural, ..) = self.row();
        let kind = self.name();
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
    }

    /// `group/version`, or only the version in the core group.
    pub(crate) fn api_version(self) -> String {
        self.resource().api_version
    }

    /// API group; empty for the core group.
    pub(crate) fn group(self) -> &'static str {
        self.row().0
    }

    /// The name in `kind:`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            // two operators call their kind the same
            Self::LifecycleServer => Self::MCPServer.row().2,
            _ => self.row().2,
        }
    }

    /// Whether objects of this kind live in a namespace.
    pub(crate) fn is_namespaced(self) -> bool {
        self.row().4 == Scope::Namespaced
    }

    /// Whether the stand-ins watch it as soon as its definition is there.
    pub(crate) fn is_optional(self) -> bool {
        self.row().5 == Watch::Optional
    }

    /// Whether the stand-ins watch it on a cluster with, or without, OpenShift's APIs.
    pub(crate) fn is_watched(self, openshift: bool) -> bool {
        match self.row().5 {
            Watch::Always => true,
            Watch::OpenShift => openshift,
            Watch::Optional | Watch::Never => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
