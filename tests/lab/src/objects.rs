//! What a prepared cluster holds before the first order: the platform's namespaces and settings.
//!
//! Imitates the parts of provisioning reference 1.9, 2.0.a, 2.1 and 2.6 that provisioning reads.

use serde_json::{Value, json};

/// The label on everything the lab puts into a cluster.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Its value, and the lab's field manager.
pub const MANAGER: &str = "tenant-lab";

/// The namespace of the platform's own service account, and of tenant records.
pub const SYSTEM_NAMESPACE: &str = "tenant-system";
/// The service account whose token orders are given: cluster administrator, as upstream's deployer is.
pub const DEPLOYER: &str = "deployer";

const GITOPS: &str = "openshift-gitops";

/// Namespaces, in no order.
pub fn namespaces(openshift: bool) -> Vec<Value> {
    let everywhere = ["keycloak", GITOPS, SYSTEM_NAMESPACE];
    let on_openshift = ["openshift-authentication", "openshift-ingress", "openshift-ingress-operator"];
    let names = everywhere.into_iter().chain(on_openshift.into_iter().filter(|_| openshift));
    names.map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})).collect()
}

/// Everything else, to be applied once the namespaces exist, in no order.
pub fn settings(domain: &str, openshift: bool, ca: &str) -> Vec<Value> {
    let mut settings = deployer();
    settings.extend(argocd());
    if openshift {
        settings.extend(cluster_settings(domain));
        settings.extend(gitops_operator(domain));
        settings.push(oauth_route(domain, ca));
    }
    settings
}

fn deployer() -> Vec<Value> {
    vec![
        json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": DEPLOYER, "namespace": SYSTEM_NAMESPACE},
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "tenant-lab-deployer"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": DEPLOYER, "namespace": SYSTEM_NAMESPACE}],
        }),
    ]
}

/// What Argo CD makes for itself at its first start.
fn argocd() -> Vec<Value> {
    vec![
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": "argocd-secret",
                "namespace": GITOPS,
                "labels": {"app.kubernetes.io/part-of": "argocd"},
            },
            "stringData": {"server.secretkey": crate::random_text()},
        }),
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": "default", "namespace": GITOPS},
            "spec": {
                "sourceRepos": ["*"],
                "destinations": [{"namespace": "*", "server": "*"}],
                "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
            },
        }),
    ]
}

fn cluster_settings(domain: &str) -> Vec<Value> {
    vec![
        json!({
            "apiVersion": "config.openshift.io/v1",
            "kind": "Ingress",
            "metadata": {"name": "cluster"},
            "spec": {"domain": domain},
        }),
        json!({
            "apiVersion": "config.openshift.io/v1",
            "kind": "Console",
            "metadata": {"name": "cluster"},
            "spec": {},
            "status": {"consoleURL": console_url(domain)},
        }),
        json!({
            "apiVersion": "operator.openshift.io/v1",
            "kind": "Console",
            "metadata": {"name": "cluster"},
            "spec": {"managementState": "Managed"},
        }),
        // As the console-embed role leaves it: the console may be shown in a lab guide's frame.
        json!({
            "apiVersion": "operator.openshift.io/v1",
            "kind": "IngressController",
            "metadata": {"name": "default", "namespace": "openshift-ingress-operator"},
            "spec": {
                "domain": domain,
                "replicas": 1,
                "httpHeaders": {"actions": {"response": [
                    {"name": "X-Frame-Options", "action": {"type": "Delete"}},
                    {"name": "Content-Security-Policy", "action": {"type": "Set", "set": {
                        "value": format!("frame-ancestors 'self' https://*.{domain}"),
                    }}},
                ]}},
            },
        }),
    ]
}

fn gitops_operator(domain: &str) -> Vec<Value> {
    vec![
        json!({
            "apiVersion": "argoproj.io/v1beta1",
            "kind": "ArgoCD",
            "metadata": {"name": GITOPS, "namespace": GITOPS},
            "spec": {
                "rbac": {"defaultPolicy": "", "policy": "g, cluster-admins, role:admin\n", "scopes": "[groups]"},
                "server": {"route": {"enabled": true}},
            },
        }),
        json!({
            "apiVersion": "route.openshift.io/v1",
            "kind": "Route",
            "metadata": {"name": format!("{GITOPS}-server"), "namespace": GITOPS},
            "spec": {
                "host": format!("{GITOPS}-server-{GITOPS}.{domain}"),
                "port": {"targetPort": "https"},
                "tls": {"termination": "reencrypt", "insecureEdgeTerminationPolicy": "Redirect"},
                "to": {"kind": "Service", "name": format!("{GITOPS}-server"), "weight": 100},
                "wildcardPolicy": "None",
            },
        }),
    ]
}

fn oauth_route(domain: &str, ca: &str) -> Value {
    json!({
        "apiVersion": "route.openshift.io/v1",
        "kind": "Route",
        "metadata": {"name": "oauth-openshift", "namespace": "openshift-authentication"},
        "spec": {
            "host": format!("oauth-openshift.{domain}"),
            "port": {"targetPort": 6443},
            "tls": {
                "termination": "reencrypt",
                "insecureEdgeTerminationPolicy": "Redirect",
                "destinationCACertificate": ca,
            },
            "to": {"kind": "Service", "name": "oauth-openshift", "weight": 100},
            "wildcardPolicy": "None",
        },
    })
}

/// The web console's address.
pub fn console_url(domain: &str) -> String {
    format!("https://console-openshift-console.{domain}")
}
