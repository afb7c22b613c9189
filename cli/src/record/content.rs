//! What a stored record says.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use tenant_workflow::step::{Failure, StepError};

use super::{FACTS, MASTER_KEY, RecordFacts, SCHEMA, location};
use crate::cluster::{Object, ObjectRef};

type Content = (Option<RecordFacts>, BTreeMap<String, SecretString>);

/// A record's content. A damaged readable part counts as lost, a damaged secret as absent.
pub(super) fn read(at: &ObjectRef, object: &Object) -> Result<Content, StepError> {
    let mut secrets = BTreeMap::new();
    let mut facts = None;
    for (key, value) in object.data["data"].as_object().into_iter().flatten() {
        let decoded = value.as_str().and_then(|text| BASE64.decode(text).ok());
        let Some(text) = decoded.and_then(|bytes| String::from_utf8(bytes).ok()) else { continue };
        if key != FACTS {
            secrets.insert(key.clone(), SecretString::from(text));
            continue;
        }
        let schema = serde_json::from_str::<Value>(&text).ok().and_then(|value| value["schema"].as_u64());
        if schema.is_some_and(|schema| schema > u64::from(SCHEMA)) {
            return Err(StepError::new(Failure::Usage, format!("read the tenant record {at}"))
                .because(format!("it was written by a newer tenant (schema {})", schema.unwrap_or_default()))
                .hint("use that version, or a later one"));
        }
        facts = serde_json::from_str(&text).ok();
    }
    Ok((facts, secrets))
}

/// What an order said, from its stored record: the defaults of an order that is given by its guid alone. Names
/// come first: they are what finds everything else.
pub fn variables(object: &Object) -> Map<String, Value> {
    let Ok((facts, secrets)) = read(&location(""), object) else { return Map::new() };
    let mut variables = facts.map(|facts| facts.variables).unwrap_or_default();
    if let Some(key) = secrets.get(MASTER_KEY) {
        variables.insert(MASTER_KEY.to_owned(), json!(key.expose_secret()));
    }
    variables
}

/// What a stored record says, for `list` and for finding the names of an order from its guid alone.
pub fn facts(object: &Object) -> Option<RecordFacts> {
    read(&location(""), object).ok()?.0
}
