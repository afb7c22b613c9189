//! The table of virtual keys: what `LiteLLM_VerificationToken` holds, without spend and teams.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::duration::expiry;

/// Body of `POST /key/generate`; unknown fields are accepted and forgotten, as LiteLLM's many others.
#[derive(Debug, Default, Deserialize)]
pub(super) struct GenerateRequest {
    pub(super) models: Option<Vec<String>>,
    pub(super) duration: Option<String>,
    pub(super) user_id: Option<String>,
    pub(super) key_alias: Option<String>,
    pub(super) metadata: Option<Map<String, Value>>,
    pub(super) max_budget: Option<f64>,
}

/// Body of `POST /key/update`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct UpdateRequest {
    pub(super) key: Option<String>,
    #[serde(flatten)]
    pub(super) fields: GenerateRequest,
}

/// Body of `POST /key/delete`. With both fields, LiteLLM looks at `keys` only.
#[derive(Debug, Default, Deserialize)]
pub(super) struct DeleteRequest {
    pub(super) keys: Option<Vec<String>>,
    pub(super) key_aliases: Option<Vec<String>>,
}

/// Query of `GET /key/list`.
#[derive(Debug, Default)]
pub(super) struct ListQuery {
    pub(super) page: usize,
    pub(super) size: usize,
    pub(super) key_alias: Option<String>,
    pub(super) user_id: Option<String>,
    pub(super) key_hash: Option<String>,
    pub(super) full: bool,
}

/// A request that LiteLLM refuses, in its error shape: `{"error": {message, type, param, code}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) message: String,
    pub(super) kind: &'static str,
    pub(super) param: Option<&'static str>,
}

/// A key, known only by its hash.
#[derive(Clone, Debug)]
pub(super) struct VirtualKey {
    /// Lower-case hex SHA-256 of the key; LiteLLM calls it the token.
    pub(super) hash: String,
    /// The key's last four characters behind `sk-...`.
    name: String,
    pub(super) alias: Option<String>,
    pub(super) models: Vec<String>,
    user_id: Option<String>,
    metadata: Map<String, Value>,
    max_budget: Option<f64>,
    pub(super) expires: Option<Timestamp>,
    created: Timestamp,
    updated: Timestamp,
}

/// Lower-case hex SHA-256.
pub(super) fn hash(key: &str) -> String {
    hex::encode(Sha256::digest(key))
}

/// A key as given, or its hash, as the hash.
pub(super) fn as_hash(text: &str) -> String {
    if text.starts_with("sk-") { hash(text) } else { text.to_owned() }
}

/// Every key of the proxy, oldest first.
#[derive(Debug, Default)]
pub(super) struct KeyTable {
    keys: Vec<VirtualKey>,
}

impl KeyTable {
    /// Makes a key; the key itself is in the answer and nowhere else.
    pub(super) fn generate(&mut self, request: GenerateRequest, now: Timestamp) -> Result<Value, Refusal> {
        let expires = expiry(request.duration.as_deref(), now)?;
        self.check_alias(request.key_alias.as_deref(), None)?;
        let key = SecretString::from(format!("sk-{}", tenant_kit::secret::random_hex(11).expose_secret()));
        let plain = key.expose_secret();
        let row = VirtualKey {
            hash: hash(plain),
            name: format!("sk-...{}", &plain[plain.len() - 4..]),
            alias: request.key_alias,
            models: request.models.unwrap_or_default(),
            user_id: request.user_id,
            metadata: request.metadata.unwrap_or_default(),
            max_budget: request.max_budget,
            expires,
            created: now,
            updated: now,
        };
        let mut answer = row.json();
        answer["key"] = plain.into();
        answer["token_id"] = row.hash.as_str().into();
        answer["duration"] = request.duration.into();
        self.keys.push(row);
        Ok(answer)
    }

    /// Newest first, one page.
    pub(super) fn list(&self, query: &ListQuery) -> Value {
        let wanted = |key: &&VirtualKey| {
            query.key_alias.as_ref().is_none_or(|alias| key.alias.as_ref() == Some(alias))
                && query.user_id.as_ref().is_none_or(|user| key.user_id.as_ref() == Some(user))
                && query.key_hash.as_ref().is_none_or(|hash| key.hash == *hash)
        };
        let matching: Vec<_> = self.keys.iter().rev().filter(wanted).collect();
        let page = matching.iter().skip((query.page - 1).saturating_mul(query.size)).take(query.size);
        let keys: Vec<Value> =
            page.map(|key| if query.full { key.json() } else { Value::from(key.hash.as_str()) }).collect();
        json!({
            "keys": keys,
            "total_count": matching.len(),
            "current_page": query.page,
            "total_pages": matching.len().div_ceil(query.size),
        })
    }

    /// `asked` is a key or its hash, and is echoed.
    pub(super) fn info(&self, asked: &str) -> Result<Value, Refusal> {
        let key = self.get(&as_hash(asked)).ok_or_else(|| Refusal {
            status: 404,
            message: "Key not found in database".to_owned(),
            kind: "not_found_error",
            param: Some("key"),
        })?;
        let mut info = key.json();
        if let Some(fields) = info.as_object_mut() {
            fields.remove("token");
        }
        Ok(json!({ "key": asked, "info": info }))
    }

    /// Deletes whatever of the request exists; an error when nothing of it does.
    pub(super) fn delete(&mut self, request: &DeleteRequest) -> Result<Value, Refusal> {
        let keys = request.keys.as_ref().filter(|keys| !keys.is_empty());
        let (named, doomed): (_, Vec<String>) = if let Some(keys) = keys {
            (keys, keys.iter().map(|key| as_hash(key)).collect())
        } else if let Some(aliases) = request.key_aliases.as_ref().filter(|aliases| !aliases.is_empty()) {
            let matching = self
                .keys
                .iter()
                .filter(|key| key.alias.as_ref().is_some_and(|alias| aliases.contains(alias)));
            (aliases, matching.map(|key| key.hash.clone()).collect())
        } else {
            return Err(Refusal {
                status: 422,
                message: "At least one of 'keys' or 'key_aliases' must be provided.".to_owned(),
                kind: "value_error",
                param: None,
            });
        };
        let before = self.keys.len();
        self.keys.retain(|key| !doomed.contains(&key.hash));
        if self.keys.len() == before {
            return Err(Refusal {
                status: 404,
                message: "{'error': 'No keys found'}".to_owned(),
                kind: "internal_server_error",
                param: Some("None"),
            });
        }
        Ok(json!({ "deleted_keys": named }))
    }

    /// Changes the given fields; a duration counts from now.
    pub(super) fn update(&mut self, request: UpdateRequest, now: Timestamp) -> Result<Value, Refusal> {
        let Some(asked) = request.key.or_else(|| request.fields.key_alias.clone()) else {
            return Err(Refusal {
                status: 422,
                message: "either key or key_alias must be provided".to_owned(),
                kind: "value_error",
                param: None,
            });
        };
        let hash = as_hash(&asked);
        let found = |key: &VirtualKey| key.hash == hash || key.alias.as_ref() == Some(&asked);
        let Some(index) = self.keys.iter().position(found) else {
            return Err(Refusal {
                status: 404,
                message: format!("{{'error': 'Key not found, passed key={}'}}", masked(&asked)),
                kind: "auth_error",
                param: Some("None"),
            });
        };
        let fields = request.fields;
        let expires = expiry(fields.duration.as_deref(), now)?;
        let own = self.keys[index].hash.clone();
        self.check_alias(fields.key_alias.as_deref(), Some(&own))?;
        let key = &mut self.keys[index];
        key.updated = now;
        key.expires = expires.or(key.expires);
        key.alias = fields.key_alias.or(key.alias.take());
        key.user_id = fields.user_id.or(key.user_id.take());
        key.max_budget = fields.max_budget.or(key.max_budget);
        if let Some(models) = fields.models {
            key.models = models;
        }
        if let Some(metadata) = fields.metadata {
            key.metadata = metadata;
        }
        let mut answer = key.json();
        answer["key"] = asked.into();
        Ok(answer)
    }

    pub(super) fn get(&self, hash: &str) -> Option<&VirtualKey> {
        self.keys.iter().find(|key| key.hash == hash)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &VirtualKey> {
        self.keys.iter()
    }

    /// Aliases are unique over the whole proxy. `own` is the key that may keep its alias.
    fn check_alias(&self, alias: Option<&str>, own: Option<&str>) -> Result<(), Refusal> {
        let Some(alias) = alias else { return Ok(()) };
        let taken = self.keys.iter().any(|key| key.alias.as_deref() == Some(alias) && own != Some(&key.hash));
        if !taken {
            return Ok(());
        }
        Err(Refusal {
            status: 400,
            message: format!(
                "Key with alias '{alias}' already exists. Unique key aliases across all keys are required."
            ),
            kind: "bad_request_error",
            param: Some("key_alias"),
        })
    }
}

impl VirtualKey {
    /// The row as LiteLLM shows it: the documented fields this stand-in keeps, no others.
    pub(super) fn json(&self) -> Value {
        json!({
            "token": self.hash,
            "key_name": self.name,
            "key_alias": self.alias,
            "spend": 0.0,
            "expires": self.expires.map(|time| time.to_string()),
            "models": self.models,
            "user_id": self.user_id,
            "team_id": null,
            "metadata": self.metadata,
            "max_budget": self.max_budget,
            "blocked": null,
            "created_at": self.created.to_string(),
            "updated_at": self.updated.to_string(),
        })
    }
}

/// A key in an error text: never more of it than LiteLLM itself shows.
fn masked(key: &str) -> String {
    if key.starts_with("sk-") { "sk-...".to_owned() } else { key.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(alias: &str) -> GenerateRequest {
        GenerateRequest { key_alias: Some(alias.to_owned()), ..GenerateRequest::default() }
    }

    fn query(page: usize, size: usize) -> ListQuery {
        ListQuery { page, size, ..ListQuery::default() }
    }

    #[test]
    fn a_second_key_of_the_same_alias_is_refused_in_litellms_words() {
        let mut table = KeyTable::default();
        table.generate(named("virtkey-x1"), Timestamp::now()).unwrap();
        let refusal = table.generate(named("virtkey-x1"), Timestamp::now()).unwrap_err();
        assert_eq!(
            (refusal.status, refusal.kind, refusal.param),
            (400, "bad_request_error", Some("key_alias"))
        );
        assert_eq!(
            refusal.message,
            "Key with alias 'virtkey-x1' already exists. Unique key aliases across all keys are required."
        );
        let nameless = || GenerateRequest::default();
        table.generate(nameless(), Timestamp::now()).unwrap();
        table.generate(nameless(), Timestamp::now()).unwrap();
    }

    #[test]
    fn a_deleted_alias_is_free_again_and_deleting_it_twice_is_not_found() {
        let mut table = KeyTable::default();
        table.generate(named("a"), Timestamp::now()).unwrap();
        let request = DeleteRequest { keys: None, key_aliases: Some(vec!["a".to_owned()]) };
        assert_eq!(table.delete(&request).unwrap()["deleted_keys"], json!(["a"]));
        assert_eq!(table.delete(&request).unwrap_err().status, 404);
        table.generate(named("a"), Timestamp::now()).unwrap();
        assert_eq!(table.delete(&DeleteRequest::default()).unwrap_err().status, 422);
    }

    #[test]
    fn the_key_is_told_once_and_found_by_itself_and_by_its_hash() {
        let mut table = KeyTable::default();
        let made = table.generate(named("a"), Timestamp::now()).unwrap();
        let key = made["key"].as_str().unwrap();
        assert!(key.starts_with("sk-") && made["token"] == hash(key), "{made}");
        for asked in [key, made["token"].as_str().unwrap()] {
            let info = table.info(asked).unwrap();
            assert_eq!((&info["key"], &info["info"]["key_alias"]), (&json!(asked), &json!("a")));
        }
        let rest = format!("{table:?}{}", table.list(&ListQuery { full: true, ..query(1, 10) }));
        assert!(!rest.contains(key), "the key itself is kept somewhere");
    }

    #[test]
    fn an_update_counts_its_duration_from_now_and_keeps_the_rest() {
        let mut table = KeyTable::default();
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let made =
            table.generate(GenerateRequest { duration: Some("30d".into()), ..named("a") }, now).unwrap();
        assert_eq!(made["expires"], "2026-01-31T00:00:00Z");
        let fields = GenerateRequest { duration: Some("1h".into()), ..GenerateRequest::default() };
        let request = UpdateRequest { key: Some(made["token"].as_str().unwrap().to_owned()), fields };
        let updated = table.update(request, now).unwrap();
        assert_eq!(
            (&updated["expires"], &updated["key_alias"]),
            (&json!("2026-01-01T01:00:00Z"), &json!("a"))
        );
    }

    proptest! {
        #[test]
        fn pages_partition_the_keys_newest_first(count in 0_usize..60, size in 1_usize..=100) {
            let mut table = KeyTable::default();
            let mut made = Vec::new();
            for number in 0..count {
                let answer = table.generate(named(&format!("k{number}")), Timestamp::now()).unwrap();
                made.push(answer["token"].clone());
            }
            made.reverse();
            let pages = table.list(&query(1, size))["total_pages"].as_u64().unwrap();
            let mut seen = Vec::new();
            for page in 1..=pages {
                let answer = table.list(&query(usize::try_from(page).unwrap(), size));
                prop_assert_eq!(&answer["total_count"], &json!(count));
                seen.extend(answer["keys"].as_array().unwrap().iter().cloned());
            }
            prop_assert_eq!(seen, made);
            prop_assert_eq!(&table.list(&query(1_000_000, size))["keys"], &json!([]));
        }
    }
}
