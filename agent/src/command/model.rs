//! Arguments that name a model, shared by `diagnose` and `serve`.

use std::path::PathBuf;

use clap::Args;
use secrecy::SecretString;

use crate::dialogue::{Advisor, Budget};
use crate::model::{Breaker, Endpoint};

/// The language model to ask. Without a URL there is none, and rules decide alone.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Model")]
pub struct ModelArguments {
    /// Model to ask; repeat it to name fallbacks in order. A provider prefix (`openai/`) is dropped.
    #[arg(long = "model", value_name = "NAME", env = "LITELLM_MODEL", value_delimiter = ',')]
    pub models: Vec<String>,
    /// OpenAI-compatible endpoint, with or without `/v1`.
    #[arg(long, value_name = "URL", env = "LITELLM_URL")]
    pub model_url: Option<String>,
    /// File with the key of the endpoint; else the variable `LITELLM_API_KEY` is read.
    #[arg(long, value_name = "FILE", env = "LITELLM_API_KEY_FILE")]
    pub model_key_file: Option<PathBuf>,
    /// Tokens one report may cost.
    #[arg(long, value_name = "N", default_value_t = Budget::default().tokens)]
    pub model_tokens: u64,
    /// PEM bundle trusted besides the system's roots, for every outgoing connection.
    #[arg(long, value_name = "FILE", env = "SSL_CA_BUNDLE")]
    pub ca_bundle: Option<PathBuf>,
}

/// Why the model cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ModelSetupError {
    /// The key file cannot be read.
    #[error("read the model key from {}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The HTTP client cannot be built.
    #[error("set up the HTTP client")]
    Http(#[source] tenant_kit::http::ClientError),
    /// A URL without a model.
    #[error("no model is named: give --model NAME or set LITELLM_MODEL")]
    NoModel,
}

impl ModelArguments {
    /// The advisor these arguments describe; `None` without a URL.
    pub fn advisor(&self) -> Result<Option<Advisor>, ModelSetupError> {
        let Some(base) = self.model_url.as_deref().map(str::trim).filter(|u| !u.is_empty()) else {
            return Ok(None);
        };
        let models: Vec<_> = self.models.iter().map(|m| wire_name(m)).filter(|m| !m.is_empty()).collect();
        if models.is_empty() {
            return Err(ModelSetupError::NoModel);
        }
        let endpoint = Endpoint::new(self.http()?, base, &self.key()?);
        let budget = Budget { tokens: self.model_tokens, ..Budget::default() };
        Ok(Some(Advisor { endpoint, models, breaker: Breaker::default(), budget }))
    }

    fn http(&self) -> Result<reqwest::Client, ModelSetupError> {
        let mut settings = tenant_kit::http::ClientSettings::new(crate::USER_AGENT);
        settings.extra_roots.clone_from(&self.ca_bundle);
        // Deadlines belong to the dialogue, which knows what is left of its budget.
        settings.timeout = None;
        tenant_kit::http::client(&settings).map_err(ModelSetupError::Http)
    }

    fn key(&self) -> Result<SecretString, ModelSetupError> {
        match &self.model_key_file {
            Some(path) => std::fs::read_to_string(path)
                .map(SecretString::from)
                .map_err(|source| ModelSetupError::Key { path: path.clone(), source }),
            None => Ok(crate::settings::secret("LITELLM_API_KEY").unwrap_or_default()),
        }
    }
}

/// What goes over the wire: LiteLLM's library wants `openai/name`, its proxy knows the model as `name`.
fn wire_name(model: &str) -> String {
    let model = model.trim();
    model.strip_prefix("openai/").or_else(|| model.strip_prefix("litellm/")).unwrap_or(model).to_owned()
}

#[cfg(test)]
mod tests {
    use super::wire_name;

    #[test]
    fn one_provider_prefix_is_dropped() {
        assert_eq!(wire_name("openai/llama-scout-17b"), "llama-scout-17b");
        assert_eq!(wire_name(" qwen3-14b "), "qwen3-14b");
        assert_eq!(wire_name("meta/llama"), "meta/llama");
    }
}
