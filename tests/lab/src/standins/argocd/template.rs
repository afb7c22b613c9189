//! From an ApplicationSet to its Applications: the list generator without `goTemplate`.
//!
//! The rules are those of Argo CD 3.1: element values must be strings; `{{ name }}` and `{{name}}` are
//! the same; unknown names stay as they are; substitution is textual over every string of the template,
//! keys of maps included.

use serde_json::{Map, Value, json};

/// The finalizer that makes Argo CD delete what an Application deployed.
pub(super) const RESOURCES_FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";

/// Why no Applications come out, as the condition `ErrorOccurred` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GenerationError {
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl GenerationError {
    fn parameters(message: impl Into<String>) -> Self {
        Self { reason: "ApplicationGenerationFromParamsError", message: message.into() }
    }

    fn template(message: impl Into<String>) -> Self {
        Self { reason: "RenderTemplateParamsError", message: message.into() }
    }
}

type Parameters = Vec<(String, String)>;

/// The Applications of an ApplicationSet's spec: `metadata` (without namespace) and `spec` of each.
pub(super) fn applications(spec: &Value) -> Result<Vec<Value>, GenerationError> {
    if spec["goTemplate"] == true {
        return Err(GenerationError::template("goTemplate is not supported by this stand-in"));
    }
    let mut applications = Vec::new();
    for generator in spec["generators"].as_array().into_iter().flatten() {
        let Some(elements) = generator["list"]["elements"].as_array() else {
            return Err(GenerationError::parameters("only list generators are supported by this stand-in"));
        };
        for element in elements {
            let mut application = render(&spec["template"], &parameters(element)?)?;
            let keeps = spec["syncPolicy"]["preserveResourcesOnDeletion"] == true;
            let finalizers = &mut application["metadata"]["finalizers"];
            if finalizers.as_array().is_none_or(Vec::is_empty) && !keeps {
                *finalizers = json!([RESOURCES_FINALIZER]);
            }
            applications.push(application);
        }
    }
    Ok(applications)
}

fn parameters(element: &Value) -> Result<Parameters, GenerationError> {
    let not_a_string = || GenerationError::parameters("error parsing value as string %!w(<nil>)");
    let Some(element) = element.as_object() else {
        return Err(GenerationError::parameters("error unmarshling list element"));
    };
    let mut parameters = Vec::new();
    for (name, value) in element {
        if name == "values" {
            let Some(values) = value.as_object() else {
                return Err(GenerationError::parameters("error parsing values map"));
            };
            for (name, value) in values {
                let value = value.as_str().ok_or_else(not_a_string)?;
                parameters.push((format!("values.{name}"), value.to_owned()));
            }
        } else {
            parameters.push((name.clone(), value.as_str().ok_or_else(not_a_string)?.to_owned()));
        }
    }
    Ok(parameters)
}

fn render(template: &Value, parameters: &Parameters) -> Result<Value, GenerationError> {
    Ok(match template {
        Value::String(text) => substitute(text, parameters)?.into(),
        Value::Array(items) => {
            items.iter().map(|item| render(item, parameters)).collect::<Result<Vec<_>, _>>()?.into()
        }
        Value::Object(fields) => {
            let mut rendered = Map::new();
            for (name, value) in fields {
                rendered.insert(substitute(name, parameters)?, render(value, parameters)?);
            }
            rendered.into()
        }
        other => other.clone(),
    })
}

fn substitute(text: &str, parameters: &Parameters) -> Result<String, GenerationError> {
    let is_template = |line: &str| line.find("{{").is_some_and(|start| line[start..].contains("}}"));
    if !text.lines().any(is_template) {
        return Ok(text.to_owned());
    }
    let mut output = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let (before, tagged) = rest.split_at(start);
        let tag_and_rest = &tagged[2..];
        let Some(end) = tag_and_rest.find("}}") else {
            let message = "invalid template: Cannot find end tag=\"}}\" in the template";
            return Err(GenerationError::template(message));
        };
        let tag = &tag_and_rest[..end];
        output.push_str(before);
        let value = parameters.iter().find(|(name, _)| name == tag.trim()).map(|(_, value)| value.clone());
        output.push_str(&value.unwrap_or_else(|| format!("{{{{{tag}}}}}")));
        rest = &tag_and_rest[end + 2..];
    }
    output.push_str(rest);
    Ok(output)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(element: &Value, values: &str) -> Value {
        json!({
            "generators": [{ "list": { "elements": [element] } }],
            "template": {
                "metadata": { "name": "mcp-gitea-{{ user }}", "labels": { "{{user}}": "x" } },
                "spec": { "source": { "helm": { "values": values } }, "revisions": ["{{ user }}"] },
            },
        })
    }

    #[test]
    fn names_are_substituted_everywhere_and_unknown_ones_stay() {
        let values = "a: {{user}}\nb: '{{  token }}'\nc: {{ other }} {{}}\n";
        let made = applications(&set(&json!({ "user": "x1", "token": "t" }), values)).unwrap();
        assert_eq!(made[0]["metadata"]["name"], "mcp-gitea-x1");
        assert_eq!(made[0]["metadata"]["labels"]["x1"], "x");
        assert_eq!(made[0]["spec"]["revisions"][0], "x1");
        assert_eq!(made[0]["spec"]["source"]["helm"]["values"], "a: x1\nb: 't'\nc: {{ other }} {{}}\n");
        assert_eq!(made[0]["metadata"]["finalizers"], json!([RESOURCES_FINALIZER]));
    }

    #[test]
    fn a_value_that_is_not_a_string_fails_the_whole_set() {
        for value in [json!(null), json!(1), json!(true), json!(["a"]), json!({})] {
            let error = applications(&set(&json!({ "user": "x1", "key": value }), "")).unwrap_err();
            assert_eq!(error.reason, "ApplicationGenerationFromParamsError", "{value}");
            assert!(error.message.starts_with("error parsing value as string"), "{}", error.message);
        }
        let nested = set(&json!({ "user": "x1", "values": { "a": "b" } }), "{{values.a}}");
        assert_eq!(applications(&nested).unwrap()[0]["spec"]["source"]["helm"]["values"], "b");
    }

    #[test]
    fn preserved_resources_get_no_finalizer() {
        let mut spec = set(&json!({ "user": "x1" }), "");
        spec["syncPolicy"]["preserveResourcesOnDeletion"] = true.into();
        assert_eq!(applications(&spec).unwrap()[0]["metadata"]["finalizers"], json!(null));
    }

    #[test]
    fn an_unclosed_tag_is_an_error_only_beside_a_closed_one() {
        assert!(applications(&set(&json!({ "user": "x1" }), "{{ a }} {{ b")).is_err());
        assert!(applications(&set(&json!({ "user": "x1" }), "{{ b")).is_ok());
    }

    proptest! {
        #[test]
        fn text_without_known_names_is_unchanged(text in "[a-z{} \n]{0,40}") {
            if let Ok(out) = substitute(&text, &vec![("KNOWN".to_owned(), "v".to_owned())]) {
                prop_assert_eq!(out, text);
            }
        }

        #[test]
        fn a_known_name_is_replaced_with_any_value(value in ".*", space in " {0,3}") {
            let text = format!("a{{{{{space}name{space}}}}}b");
            let parameters = vec![("name".to_owned(), value.clone())];
            prop_assert_eq!(substitute(&text, &parameters).unwrap(), format!("a{value}b"));
        }
    }
}
