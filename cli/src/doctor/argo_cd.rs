//! Whether Argo CD is where the order says.

use tenant_workflow::step::{Failure, StepError};

use super::{Finding, Patient};
use crate::{
    cluster::{ARGO_CD, NAMESPACE, ObjectRef, SECRET},
    steps::app_project::ACCOUNTS,
};

const CHECK: &str = "argo-cd";

pub(super) async fn check(patient: &Patient) -> Vec<Finding> {
    vec![look(patient).await.unwrap_or_else(|error| Finding::failed(CHECK, &error))]
}

async fn look(patient: &Patient) -> Result<Finding, StepError> {
    let Patient { cluster, settings, .. } = patient;
    let namespace = settings.names.argo_cd_namespace().as_str();
    if cluster.get(&ObjectRef::cluster(NAMESPACE, namespace)).await?.is_none() {
        return Ok(Finding::problem(
            CHECK,
            Failure::Usage,
            format!("there is no namespace {namespace}"),
            "set ocp4_workload_tenant_openshift_gitops_namespace to the namespace of Argo CD",
        ));
    }
    let instance = ObjectRef::new(ARGO_CD, namespace, settings.app_project.argo_cd());
    if !cluster.serves(&ARGO_CD) || cluster.get(&instance).await?.is_none() {
        return Ok(Finding::good(
            CHECK,
            format!("in {namespace}; no {instance}, so users get no account there"),
        ));
    }
    let accounts = ObjectRef::new(SECRET, namespace, ACCOUNTS);
    if cluster.get(&accounts).await?.is_none() {
        return Ok(Finding::problem(
            CHECK,
            Failure::Service,
            format!("{instance} is there, and {accounts} is not: no password can be set"),
            "is Argo CD up? its operator makes this Secret",
        ));
    }
    Ok(Finding::good(CHECK, format!("in {namespace}; {instance} takes local accounts")))
}
