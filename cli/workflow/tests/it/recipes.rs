//! Recipes as data.

use std::{error::Error, sync::Arc};

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};
use tenant_workflow::{
    recipe::{Make, Recipe, RecipeError, Settings},
    step::{Step, StepId},
};

use crate::{
    script::{Script, World, cast},
    trial::paused,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sized {
    #[serde(default)]
    replicas: u8,
}

fn make(
    world: &Arc<World>,
    id: StepId,
    settings: &Settings,
) -> Result<Arc<dyn Step>, Box<dyn Error + Send + Sync>> {
    let Sized { replicas } = settings.read()?;
    if replicas > 3 {
        Err("at most 3 replicas".into())
    } else {
        Ok(cast(&[Script::new(id, &[])], world).remove(0))
    }
}

const CATALOGUE: &[(StepId, Make<Arc<World>>)] = &[
    ("namespaces", |world, settings| make(world, "namespaces", settings)),
    ("gitea-user", |world, settings| make(world, "gitea-user", settings)),
];

fn steps(document: Value) -> Result<Vec<StepId>, RecipeError> {
    let steps = paused(async { Recipe::read(document)?.make(CATALOGUE, &World::new()) })?;
    Ok(steps.iter().map(|step| step.id()).collect())
}

#[test]
fn a_recipe_becomes_its_steps_in_order() {
    let document = json!([{ "step": "gitea-user", "settings": { "replicas": 2 } }, { "step": "namespaces" }]);
    assert_eq!(steps(document).unwrap(), ["gitea-user", "namespaces"]);
    assert!(steps(json!([])).unwrap().is_empty());
}

#[test]
fn errors_name_the_entry() {
    let known = "known are namespaces, gitea-user";
    for (document, expected) in [
        (json!(null), "a recipe is a list of entries with `step` and, if any, `settings`; this is empty".to_owned()),
        (
            json!({ "steps": [] }),
            "a recipe is a list of entries with `step` and, if any, `settings`; this is a mapping".to_owned(),
        ),
        (
            json!([{ "step": "namespaces" }, "gitea-user"]),
            "entry 2 of the recipe: invalid type: string \"gitea-user\", expected a mapping with `step` and, if any, `settings`".to_owned(),
        ),
        (json!([{ "settings": {} }]), "entry 1 of the recipe: missing field `step`".to_owned()),
        (
            json!([{ "step": "gitea-user", "setings": {} }]),
            "entry 1 (`gitea-user`) of the recipe: unknown field `setings`, expected `step` or `settings`".to_owned(),
        ),
        (
            json!([{ "step": "gitea_user" }]),
            format!("entry 1 (`gitea_user`) of the recipe is no step: did you mean `gitea-user`?; {known}"),
        ),
        (json!([{ "step": "keycloak" }]), format!("entry 1 (`keycloak`) of the recipe is no step; {known}")),
        (
            json!([{ "step": "gitea-user", "settings": { "replica": 1 } }]),
            "settings of entry 1 (`gitea-user`) of the recipe: unknown field `replica`, expected `replicas`".to_owned(),
        ),
        (
            json!([{ "step": "gitea-user", "settings": { "replicas": 7 } }]),
            "settings of entry 1 (`gitea-user`) of the recipe: at most 3 replicas".to_owned(),
        ),
    ] {
        let error = steps(document.clone()).unwrap_err();
        let chain: Vec<String> = std::iter::successors(Some(&error as &dyn Error), |error| (*error).source())
            .map(ToString::to_string)
            .collect();
        assert_eq!(chain.join(": "), expected, "{document}");
    }
}

fn documents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(Value::from("gitea-user")),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let key = prop_oneof![
            Just("step".to_owned()),
            Just("settings".to_owned()),
            Just("replicas".to_owned()),
            ".{0,6}"
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..4).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

proptest! {
    /// Garbage is refused or becomes as many steps as it has entries, and never panics.
    #[test]
    fn any_document_is_answered(document in documents()) {
        let entries = document.as_array().map(Vec::len);
        if let Ok(steps) = steps(document) {
            prop_assert_eq!(Some(steps.len()), entries);
        }
    }
}
