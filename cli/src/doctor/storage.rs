//! Whether volume claims that name no class get a volume: those of Gitea and of the guide do not.

use tenant_workflow::step::StepError;

use super::{Finding, Patient};
use crate::cluster::{Object, STORAGE_CLASS};

const CHECK: &str = "storage";
/// Annotation of the default class (Kubernetes documentation, "Storage Classes").
const DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";

pub(super) async fn check(patient: &Patient) -> Vec<Finding> {
    match patient.cluster.list(&STORAGE_CLASS, "", "").await {
        Ok(classes) => vec![judge(&classes)],
        Err(error) if error.is_forbidden() => vec![Finding::unchecked(
            CHECK,
            "whether there is a default storage class: not allowed to look",
            "bind the ClusterRole that `tenant doctor --print-rbac` prints, or ask an administrator",
        )],
        Err(error) => vec![Finding::failed(CHECK, &StepError::from(error))],
    }
}

fn judge(classes: &[Object]) -> Finding {
    let default = |class: &&Object| {
        let annotations = class.metadata.annotations.as_ref();
        annotations.and_then(|all| all.get(DEFAULT)).is_some_and(|value| value == "true")
    };
    let defaults: Vec<&str> =
        classes.iter().filter(default).filter_map(|class| class.metadata.name.as_deref()).collect();
    match defaults.as_slice() {
        [] => Finding::warning(
            CHECK,
            format!("none of {} storage classes is the default: volume claims stay pending", classes.len()),
            format!("annotate one: kubectl annotate storageclass NAME {DEFAULT}=true"),
        ),
        [one] => Finding::good(CHECK, format!("storage class {one} is the default")),
        // Kubernetes takes the newest one
        several => Finding::warning(
            CHECK,
            format!("several storage classes are the default: {}", several.join(", ")),
            format!("leave {DEFAULT} on one of them"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doctor::Verdict;

    fn class(name: &str, default: &str) -> Object {
        let metadata = json!({"name": name, "annotations": {DEFAULT: default}});
        serde_json::from_value(json!({"metadata": metadata})).unwrap()
    }

    #[test]
    fn one_default_is_right() {
        assert_eq!(judge(&[class("a", "false"), class("b", "true")]).verdict, Verdict::Good);
        for wrong in [vec![], vec![class("a", "false")], vec![class("a", "true"), class("b", "true")]] {
            let found = judge(&wrong);
            assert_eq!(found.verdict, Verdict::Warning, "{found:?}");
            assert!(found.remedy.is_some());
        }
    }
}
