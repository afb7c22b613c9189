//! Which kinds of objects the cluster serves, and what it means where one is missing.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use tenant_workflow::step::{Failure, StepError};

use super::{Finding, Patient};
use crate::{
    cluster::{
        APP_PROJECT, APPLICATION, APPLICATION_SET, ARGO_CD, CLUSTER_QUOTA, GITEA, IDENTITY, INGRESS_CONFIG,
        INGRESS_CONTROLLER, Kind, MCP_SERVER, ROUTE, SCC, USER,
    },
    names::McpServer,
    steps::application_sets::MCP_SERVER_VERSIONS,
};

const CHECK: &str = "kinds";
/// Group of the MCP lifecycle operator (mcp-servers.md 3).
const LIFECYCLE: &str = "mcp.x-k8s.io";

/// Groups whose objects an MCP server's tools are about, and who serves them (rhoai-kubeflow-mcp.md 1.10, 2.5).
const SUBJECTS: [(McpServer, &str, &str); 3] = [
    (McpServer::Rhoai, "serving.kserve.io", "OpenShift AI"),
    (McpServer::Rhoai, "kubeflow.org", "OpenShift AI"),
    (McpServer::Kubeflow, "trainer.kubeflow.org", "Kubeflow Trainer"),
];

/// What a cluster comes to that lacks a kind.
enum Without {
    /// No order can be carried out.
    Impossible(&'static str),
    /// Orders are carried out in another way.
    Otherwise(&'static str),
}

use Without::{Impossible, Otherwise};

/// The kinds the recipe knows, beyond those of every Kubernetes; any of the versions will do.
const WANTED: &[(Kind, &[&str], Without)] = &[
    (APP_PROJECT, &[APP_PROJECT.version], Impossible("install Argo CD (OpenShift GitOps)")),
    (APPLICATION, &[APPLICATION.version], Impossible("install Argo CD (OpenShift GitOps)")),
    (
        APPLICATION_SET,
        &[APPLICATION_SET.version],
        Impossible("install Argo CD with its ApplicationSet controller"),
    ),
    (GITEA, &[GITEA.version], Impossible("install the Gitea operator of rhpds")),
    (ARGO_CD, &[ARGO_CD.version], Otherwise("projects come without a local Argo CD account")),
    (MCP_SERVER, &MCP_SERVER_VERSIONS, Otherwise("MCP servers run without ToolHive, as plain Deployments")),
    (ROUTE, &[ROUTE.version], Otherwise("Ingresses publish LibreChat and the guide")),
    (SCC, &[SCC.version], Otherwise("pods run under the cluster's own policy")),
    (CLUSTER_QUOTA, &[CLUSTER_QUOTA.version], Otherwise("each namespace has a quota of its own")),
    (INGRESS_CONFIG, &[INGRESS_CONFIG.version], Otherwise("orders name the domain of the cluster's hosts")),
    (INGRESS_CONTROLLER, &[INGRESS_CONTROLLER.version], Otherwise("the guide has no console tab")),
    (USER, &[USER.version], Otherwise("logins leave nothing on the cluster")),
    (IDENTITY, &[IDENTITY.version], Otherwise("logins leave nothing on the cluster")),
];

/// Kind → versions served, by group.
type Served = BTreeMap<&'static str, BTreeMap<String, Vec<String>>>;

pub(super) async fn check(patient: &Patient) -> Vec<Finding> {
    let groups: BTreeSet<&'static str> = WANTED.iter().map(|(kind, ..)| kind.group).collect();
    let asked = groups
        .into_iter()
        .map(|group| async move { Ok::<_, StepError>((group, patient.cluster.kinds(group).await?)) });
    match try_join_all(asked).await {
        Err(error) => vec![Finding::failed(CHECK, &error)],
        Ok(served) => {
            let served: Served = served.into_iter().collect();
            let lifecycle = !patient.cluster.versions(LIFECYCLE).is_empty();
            std::iter::once(platform(&served, lifecycle))
                .chain(WANTED.iter().map(|(kind, versions, without)| judge(&served, kind, versions, without)))
                .chain(subjects(patient.settings.names.mcp_servers(), |group| {
                    !patient.cluster.versions(group).is_empty()
                }))
                .collect()
        }
    }
}

/// What kind of cluster it is, in one line.
fn platform(served: &Served, lifecycle: bool) -> Finding {
    let has = |kind: &Kind| served.get(kind.group).is_some_and(|kinds| kinds.contains_key(kind.kind));
    let platform = match (has(&ROUTE), has(&SCC)) {
        (true, true) => "OpenShift",
        (false, false) => "Kubernetes without OpenShift's APIs",
        (true, false) => "Kubernetes with Routes",
        (false, true) => "Kubernetes with SecurityContextConstraints",
    };
    let servers = match (has(&MCP_SERVER), lifecycle) {
        (true, true) => "ToolHive, and the MCP lifecycle operator",
        (true, false) => "ToolHive",
        (false, true) => "the MCP lifecycle operator",
        (false, false) => "no operator",
    };
    Finding::good(CHECK, format!("{platform}; {servers} for MCP servers"))
}

/// Whether the cluster has what the tools of the chosen MCP servers are about. They run without it, for nothing.
fn subjects(chosen: &[McpServer], is_served: impl Fn(&str) -> bool) -> Vec<Finding> {
    let wanted = SUBJECTS.iter().filter(|(server, ..)| chosen.contains(server));
    let findings = wanted.map(|(server, group, product)| {
        if is_served(group) {
            return Finding::good(CHECK, format!("{group} is served, for MCP server {server}"));
        }
        Finding::warning(
            CHECK,
            format!("{group} is not served: tools of MCP server {server} find nothing"),
            format!("install {product}, or leave {server} out of --mcp-servers"),
        )
    });
    findings.collect()
}

fn judge(served: &Served, kind: &Kind, versions: &[&str], without: &Without) -> Finding {
    let found = served.get(kind.group).and_then(|kinds| kinds.get(kind.kind)).map_or(&[][..], Vec::as_slice);
    let name = format!("{} ({})", kind.kind, kind.group);
    if found.iter().any(|version| versions.contains(&version.as_str())) {
        return Finding::good(CHECK, format!("{name} in {}", found.join(", ")));
    }
    let wanted = versions.join(" or ");
    let says = if found.is_empty() {
        format!("{name} is not served")
    } else {
        format!("{name} is served in {}, not in {wanted}", found.join(", "))
    };
    match without {
        Impossible(remedy) => {
            Finding::problem(CHECK, Failure::Usage, format!("{says}; no order can do without"), *remedy)
        }
        Otherwise(meaning) if found.is_empty() => Finding::good(CHECK, format!("{says}: {meaning}")),
        Otherwise(meaning) => Finding::warning(
            CHECK,
            format!("{says}: {meaning}"),
            format!("install a version of its operator that serves {wanted}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    fn served(kinds: &[(Kind, &[&str])]) -> Served {
        let mut served = Served::new();
        for (kind, versions) in kinds {
            let versions = versions.iter().map(ToString::to_string).collect();
            served.entry(kind.group).or_default().insert(kind.kind.to_owned(), versions);
        }
        served
    }

    fn of(served: &Served, wanted: Kind) -> Finding {
        let (kind, versions, without) = WANTED.iter().find(|(kind, ..)| *kind == wanted).unwrap();
        judge(served, kind, versions, without)
    }

    #[test]
    fn a_group_without_the_kind_is_not_enough() {
        let half = served(&[(APPLICATION, &["v1alpha1"])]);
        let found = of(&half, APPLICATION_SET);
        assert_eq!(found.verdict, Verdict::Problem(Failure::Usage), "{found:?}");
        assert_eq!(of(&half, APPLICATION).verdict, Verdict::Good);
    }

    #[test]
    fn either_version_will_do_and_a_strange_one_is_a_warning() {
        for version in ["v1beta1", "v1alpha1"] {
            assert_eq!(
                of(&served(&[(MCP_SERVER, &[version])]), MCP_SERVER).verdict,
                Verdict::Good,
                "{version}"
            );
        }
        let strange = of(&served(&[(MCP_SERVER, &["v7"])]), MCP_SERVER);
        assert_eq!(strange.verdict, Verdict::Warning);
        assert!(strange.remedy.unwrap().contains("v1beta1"));
    }

    #[test]
    fn a_server_is_told_of_what_it_is_for_when_it_is_chosen() {
        assert_eq!(subjects(&McpServer::DEFAULT, |_| false), []);
        let found = subjects(&McpServer::ALL, |group| group == "serving.kserve.io");
        let verdicts: Vec<_> = found.iter().map(|one| one.verdict).collect();
        assert_eq!(verdicts, [Verdict::Good, Verdict::Warning, Verdict::Warning], "{found:?}");
        assert!(
            found[2].remedy.as_deref().is_some_and(|remedy| remedy.contains("--mcp-servers")),
            "{found:?}"
        );
    }

    #[test]
    fn a_plain_cluster_is_no_worse_a_one() {
        let found = of(&served(&[]), ROUTE);
        assert_eq!(found.verdict, Verdict::Good);
        assert!(found.says.contains("Ingresses"), "{found:?}");
        assert!(platform(&served(&[]), false).says.starts_with("Kubernetes without"));
        let openshift = served(&[(ROUTE, &["v1"]), (SCC, &["v1"]), (MCP_SERVER, &["v1beta1"])]);
        assert_eq!(
            platform(&openshift, true).says,
            "OpenShift; ToolHive, and the MCP lifecycle operator for MCP servers"
        );
    }
}
