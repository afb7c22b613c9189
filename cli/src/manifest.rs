//! Manifests from templates: the only module that uses `handlebars`.
//!
//! A template is rendered with values quoted as JSON (valid YAML whatever is in them), read back, and must
//! give exactly the objects its caller names: a value that smuggles structure in is an error, not an object.

use handlebars::{Context, Handlebars, Helper, HelperResult, Output, RenderContext, no_escape};
use serde_json::Value;
use tenant_kit::yaml;

use crate::cluster::{Kind, ObjectRef};

/// Why a manifest could not be made. Each of these is a defect of the template, met by an unusual value.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A value is missing, or the template is wrong.
    #[error("render the template {0}")]
    Render(&'static str, #[source] Box<handlebars::RenderError>),
    /// The template does not parse.
    #[error("parse the template {0}")]
    Template(&'static str, #[source] Box<handlebars::TemplateError>),
    /// The result is no YAML.
    #[error("read back the template {0}: {1}")]
    Yaml(&'static str, String),
    /// The result is not what was promised.
    #[error("the template {template} gave {found} where {wanted} was expected")]
    Unexpected {
        /// The template.
        template: &'static str,
        /// What was promised.
        wanted: String,
        /// What came out.
        found: String,
    },
}

/// Renders `template` and returns its objects, which must be those of `wanted`, in order.
///
/// # Errors
///
/// When the template does not fit the values, or gives other objects.
pub fn objects(
    name: &'static str,
    template: &str,
    values: &Value,
    namespace: &str,
    wanted: &[(Kind, &str)],
) -> Result<Vec<(ObjectRef, Value)>, ManifestError> {
    let text = render(name, template, values)?;
    let documents = text.split("\n---\n").map(yaml::from_str::<Value>).collect::<Result<Vec<_>, _>>();
    let documents = documents.map_err(|error| ManifestError::Yaml(name, error.to_string()))?;
    let mut found = documents.into_iter().filter(|document| !document.is_null());
    let mut objects = Vec::with_capacity(wanted.len());
    for (kind, object) in wanted {
        let at = ObjectRef::new(*kind, namespace, *object);
        let document = found.next().unwrap_or(Value::Null);
        let same = document["kind"] == kind.kind
            && document["apiVersion"] == kind.api_version()
            && document["metadata"]["name"] == *object;
        if !same {
            return Err(unexpected(name, &at, &document));
        }
        objects.push((at, document));
    }
    match found.next() {
        Some(extra) => Err(ManifestError::Unexpected {
            template: name,
            wanted: "no further object".to_owned(),
            found: described(&extra),
        }),
        None => Ok(objects),
    }
}

fn unexpected(template: &'static str, at: &ObjectRef, document: &Value) -> ManifestError {
    ManifestError::Unexpected { template, wanted: at.to_string(), found: described(document) }
}

fn described(document: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("nothing").to_owned();
    format!("{} {}", text(&document["kind"]), text(&document["metadata"]["name"]))
}

fn render(name: &'static str, template: &str, values: &Value) -> Result<String, ManifestError> {
    let mut engine = Handlebars::new();
    engine.register_escape_fn(no_escape);
    engine.set_strict_mode(true);
    engine.register_helper("q", Box::new(quoted));
    engine.register_helper("json", Box::new(quoted));
    engine
        .register_template_string(name, template)
        .map_err(|error| ManifestError::Template(name, Box::new(error)))?;
    engine.render(name, values).map_err(|error| ManifestError::Render(name, Box::new(error)))
}

/// `{{q value}}` and `{{json value}}`: the value as JSON, with what YAML readers stumble over escaped.
fn quoted(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let value = helper
        .param(0)
        .filter(|value| !value.is_value_missing())
        .ok_or_else(|| handlebars::RenderErrorReason::ParamNotFoundForIndex("q", 0))?;
    for character in value.value().to_string().chars() {
        match character {
            '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                out.write(&format!("\\u{:04x}", u32::from(character)))?;
            }
            other => out.write(other.encode_utf8(&mut [0; 4]))?,
        }
    }
    Ok(())
}
