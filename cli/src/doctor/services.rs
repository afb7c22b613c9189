//! Whether the services beside the cluster answer, and accept the credentials an order would use.

use tenant_workflow::step::{Failure, StepError};

use super::{Finding, Patient};
use crate::{
    cluster::{GITEA, ObjectRef},
    names::Component,
    services::{gitea::Gitea, litellm::LiteLlm},
    steps::gitea_instance,
};

pub(super) async fn litellm(patient: &Patient) -> Vec<Finding> {
    const CHECK: &str = "litellm";
    let settings = &patient.settings.litellm_key;
    let Some((url, key)) = settings.proxy() else {
        let missing = settings.missing().unwrap_or_default();
        return vec![Finding::unchecked(
            CHECK,
            format!("`{missing}` is not set"),
            "give litellm_url and litellm_master_key, as orders do",
        )];
    };
    let litellm = LiteLlm::new(patient.web.litellm(url), key.clone());
    let looked = futures::try_join!(litellm.count(patient.settings.names.key_alias()), litellm.models());
    match looked {
        Err(error) => vec![Finding::failed(CHECK, &error.into())],
        Ok((_, offered)) => {
            vec![
                Finding::good(CHECK, format!("{} answers and accepts the master key", litellm.endpoint())),
                models(CHECK, settings.models(), &offered),
            ]
        }
    }
}

fn models(check: &'static str, wanted: &[String], offered: &[String]) -> Finding {
    let missing: Vec<&str> =
        wanted.iter().filter(|model| !offered.contains(model)).map(String::as_str).collect();
    if missing.is_empty() {
        return Finding::good(check, format!("it offers {}", wanted.join(", ")));
    }
    Finding::warning(
        check,
        format!("it does not offer {}: keys are made, and calls fail", missing.join(", ")),
        format!(
            "add them at the proxy, or order others with ocp4_workload_litellm_virtual_keys_models; it offers {}",
            offered.join(", ")
        ),
    )
}

pub(super) async fn keycloak(patient: &Patient) -> Vec<Finding> {
    const CHECK: &str = "keycloak";
    let settings = &patient.settings.keycloak_user;
    if let Some(reason) = settings.skipped() {
        return vec![Finding::good(CHECK, format!("not used: {reason}"))];
    }
    let Some(domain) = &patient.domain else {
        return vec![Finding::unchecked(
            CHECK,
            "its address derives from the domain of the cluster's hosts, which is not known",
            "set openshift_cluster_ingress_domain, such as apps.example.com",
        )];
    };
    let looked = async {
        let Some(realm) = settings.realm(&patient.cluster, &patient.web, domain).await? else {
            return Ok(None);
        };
        realm.find(patient.settings.names.username().as_str()).await?;
        Ok::<_, StepError>(Some(realm))
    };
    vec![match looked.await {
        Ok(Some(_)) => Finding::good(CHECK, "it accepts the administrator's login, and the realm is there"),
        Ok(None) => Finding::warning(
            CHECK,
            format!("{}: users get no login", settings.missing()),
            "name it with ocp4_workload_tenant_keycloak_user_keycloak_namespace and …_keycloak_admin_secret",
        ),
        Err(error) => Finding::failed(CHECK, &error),
    }]
}

pub(super) async fn gitea(patient: &Patient) -> Vec<Finding> {
    const CHECK: &str = "gitea";
    let names = &patient.settings.names;
    if !names.gitea_shared() {
        return vec![Finding::good(CHECK, "each tenant gets an instance of its own")];
    }
    let at = ObjectRef::new(GITEA, names.namespace(Component::Gitea).as_str(), names.gitea_instance());
    let looked = async {
        let Some(object) = patient.cluster.get(&at).await? else { return Ok(None) };
        let (url, admin) = gitea_instance::admin_access(&at, &object)?;
        patient.web.hide(&admin.password);
        let gitea = Gitea::new(patient.web.routed("Gitea", &url));
        gitea.user_id(&admin, &admin.user).await?;
        Ok::<_, StepError>(Some(url))
    };
    vec![match looked.await {
        Ok(Some(url)) => Finding::good(CHECK, format!("{at} at {url} accepts its administrator's login")),
        Ok(None) => Finding::problem(
            CHECK,
            Failure::Usage,
            format!("{at}, which the order shares with others, does not exist"),
            "set ocp4_workload_tenant_gitea_user_namespace to the namespace of the Gitea that is there",
        ),
        Err(error) => Finding::failed(CHECK, &error),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn models_nobody_offers_are_named() {
        let list = |models: &[&str]| models.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(models("litellm", &list(&["a"]), &list(&["b", "a"])).verdict, Verdict::Good);
        let found = models("litellm", &list(&["a", "c"]), &list(&["a", "b"]));
        assert_eq!(found.verdict, Verdict::Warning);
        assert!(found.says.contains("offer c:") && found.remedy.unwrap().ends_with("a, b"));
    }
}
