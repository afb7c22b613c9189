//! LiteLLM's key API (provisioning.md 5, and LiteLLM's published OpenAPI for paging and filters).

use jiff::Timestamp;
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::{Service, ServiceError};

/// Keys a page; the most there is.
const PAGE: u32 = 100;

/// A LiteLLM proxy, used as its admin.
#[derive(Clone)]
pub struct LiteLlm {
    service: Service,
    master_key: SecretString,
}

/// A virtual key as it was handed out; its value can never be read again.
pub struct VirtualKey {
    /// `sk-…`.
    pub value: SecretString,
    /// SHA-256 of the value, LiteLLM's identity of the key.
    pub id: String,
    /// When it ends, if it does and that is known.
    pub ends: Option<Timestamp>,
}

/// What the proxy says about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// When it ends; never, if nothing.
    pub ends: Option<Timestamp>,
    /// The models it may use.
    pub models: Vec<String>,
}

/// What creating a key came to.
pub enum Created {
    /// A fresh key.
    Key(VirtualKey),
    /// Another key holds the alias.
    AliasTaken,
}

impl LiteLlm {
    /// The proxy at `service`, with its master key.
    pub fn new(service: Service, master_key: SecretString) -> Self {
        Self { service, master_key }
    }

    /// Base URL without a trailing slash.
    pub fn endpoint(&self) -> &str {
        &self.service.base
    }

    /// Creates a key; `request` is the body of `/key/generate`.
    ///
    /// # Errors
    ///
    /// When the proxy does not answer, refuses for another reason than the alias, or returns no key.
    pub async fn generate(&self, request: &Value) -> Result<Created, ServiceError> {
        let operation = format!("create key {}", request["key_alias"].as_str().unwrap_or_default());
        let answer = self.call(&operation, Method::POST, "/key/generate", Some(request)).await?;
        match answer.status {
            200 | 201 => {
                let value = answer.body["key"].as_str().filter(|key| key.starts_with("sk-"));
                let value =
                    value.ok_or_else(|| self.service.malformed(&operation, "the answer holds no key"))?;
                let id =
                    ["token_id", "token", "key_id"].iter().find_map(|field| answer.body[*field].as_str());
                let id = id.filter(|id| *id != value).map_or_else(|| hash(value), str::to_owned);
                let ends = time(&answer.body["expires"]);
                Ok(Created::Key(VirtualKey { value: SecretString::from(value.to_owned()), id, ends }))
            }
            400 if answer.body.to_string().contains("already exists") => Ok(Created::AliasTaken),
            _ => Err(self.service.unexpected(&operation, &answer)),
        }
    }

    /// What the proxy knows about a key, if it still does and the key still carries `alias`.
    ///
    /// # Errors
    ///
    /// When the proxy does not answer or refuses.
    pub async fn info(&self, id: &str, alias: &str) -> Result<Option<KeyInfo>, ServiceError> {
        let operation = format!("look up key {alias}");
        let path = format!("/key/info?key={}", super::web::encoded(id));
        let answer = self.call(&operation, Method::GET, &path, None).await?;
        match answer.status {
            // LiteLLM 1.106 answers for a deleted key too, and says so
            200 => {
                let deleted = ["/status", "/info/status"];
                let deleted = deleted
                    .iter()
                    .any(|place| answer.body.pointer(place).is_some_and(|status| status == "deleted"));
                let info = &answer.body["info"];
                let models = info["models"].as_array().into_iter().flatten();
                let known = KeyInfo {
                    ends: time(&info["expires"]),
                    models: models.filter_map(|model| model.as_str().map(str::to_owned)).collect(),
                };
                Ok((info["key_alias"] == alias && !deleted).then_some(known))
            }
            404 => Ok(None),
            _ => Err(self.service.unexpected(&operation, &answer)),
        }
    }

    /// How many keys carry `alias`.
    ///
    /// # Errors
    ///
    /// When the proxy does not answer or refuses.
    pub async fn count(&self, alias: &str) -> Result<u64, ServiceError> {
        let operation = format!("list keys called {alias}");
        let path = format!("/key/list?key_alias={}&size=1", super::web::encoded(alias));
        let answer = self.call(&operation, Method::GET, &path, None).await?;
        match (answer.status, answer.body["total_count"].as_u64()) {
            (200, Some(count)) => Ok(count),
            (200, None) => Err(self.service.malformed(&operation, "the answer holds no total_count")),
            _ => Err(self.service.unexpected(&operation, &answer)),
        }
    }

    /// Lets a key live for `seconds` from now; `false` when there is none of this id.
    ///
    /// # Errors
    ///
    /// When the proxy does not answer or refuses.
    pub async fn extend(&self, id: &str, alias: &str, seconds: u64) -> Result<bool, ServiceError> {
        let operation = format!("extend key {alias}");
        let body = json!({"key": id, "duration": format!("{seconds}s")});
        let answer = self.call(&operation, Method::POST, "/key/update", Some(&body)).await?;
        match answer.status {
            200 | 201 => Ok(true),
            404 => Ok(false),
            _ => Err(self.service.unexpected(&operation, &answer)),
        }
    }

    /// The aliases of all keys, newest first.
    ///
    /// # Errors
    ///
    /// When the proxy does not answer or refuses.
    pub async fn aliases(&self) -> Result<Vec<String>, ServiceError> {
        let operation = "list all keys";
        let mut aliases = Vec::new();
        for page in 1.. {
            let path = format!("/key/list?page={page}&size={PAGE}&return_full_object=true");
            let answer = self.call(operation, Method::GET, &path, None).await?;
            let Some(keys) = answer.body["keys"].as_array().filter(|_| answer.status == 200) else {
                return Err(self.service.unexpected(operation, &answer));
            };
            aliases.extend(keys.iter().filter_map(|key| key["key_alias"].as_str().map(str::to_owned)));
            if keys.is_empty() || answer.body["total_pages"].as_u64().is_none_or(|pages| page >= pages) {
                break;
            }
        }
        Ok(aliases)
    }

    /// The models the proxy offers, sorted.
    ///
    /// # Errors
    ///
    /// When the proxy does not answer or refuses.
    pub async fn models(&self) -> Result<Vec<String>, ServiceError> {
        let operation = "list models";
        let answer = self.call(operation, Method::GET, "/v1/models", None).await?;
        let Some(models) = answer.body["data"].as_array().filter(|_| answer.status == 200) else {
            return Err(self.service.unexpected(operation, &answer));
        };
        let mut names: Vec<String> =
            models.iter().filter_map(|model| model["id"].as_str().map(str::to_owned)).collect();
        names.sort();
        Ok(names)
    }

    /// Deletes the keys that carry `alias`; `false` when there were none.
    ///
    /// # Errors
    ///
    /// When the proxy does not answer or refuses.
    pub async fn delete(&self, alias: &str) -> Result<bool, ServiceError> {
        let operation = format!("delete key {alias}");
        let body = json!({"key_aliases": [alias]});
        let answer = self.call(&operation, Method::POST, "/key/delete", Some(&body)).await?;
        match answer.status {
            200 | 201 | 204 => Ok(true),
            404 => Ok(false),
            _ => Err(self.service.unexpected(&operation, &answer)),
        }
    }

    async fn call(
        &self,
        operation: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<super::call::Answer, ServiceError> {
        let authorised = |request: RequestBuilder| request.bearer_auth(self.master_key.expose_secret());
        self.service.send_json(operation, method, path, body, authorised).await
    }
}

/// A moment as LiteLLM writes it: RFC 3339, or (older versions) without a zone, which is UTC.
fn time(value: &Value) -> Option<Timestamp> {
    let text = value.as_str()?;
    text.parse().ok().or_else(|| format!("{text}Z").parse().ok())
}

fn hash(key: &str) -> String {
    use sha2::{Digest as _, Sha256};
    hex::encode(Sha256::digest(key.as_bytes()))
}
