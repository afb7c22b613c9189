//! Arguments that name a model, shared by `diagnose` and `serve`.

use std::path::PathBuf;

use clap::Args;
use secrecy::SecretString;

use crate::dialogue::{Advisor, Budget};
use crate::model::{Breaker, Endpoint, Price};

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
    /// What a model costs, in US dollars per million tokens of prompt and answer: `NAME=0.15:0.60`; repeat it.
    /// For the metric `agent_llm_cost_total` only.
    #[arg(long = "model-price", value_name = "PRICE", env = "LITELLM_PRICES", value_delimiter = ',', value_parser = price)]
    pub model_prices: Vec<(String, Price)>,
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
        let prices = self.model_prices.iter().map(|(name, price)| (wire_name(name), *price)).collect();
        Ok(Some(Advisor { endpoint, models, prices, breaker: Breaker::default(), budget }))
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

/// `NAME=INPUT:OUTPUT`.
fn price(text: &str) -> Result<(String, Price), String> {
    let parts = text.rsplit_once('=').and_then(|(name, price)| Some((name, price.split_once(':')?)));
    let (name, (input, output)) = parts.ok_or("a price is written NAME=INPUT:OUTPUT")?;
    let dollars = |text: &str| {
        let number = text.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
        number.ok_or_else(|| format!("{text:?} is no price in US dollars per million tokens"))
    };
    Ok((name.to_owned(), Price { input: dollars(input)?, output: dollars(output)? }))
}

#[cfg(test)]
mod tests {
    use super::{price, wire_name};

    #[test]
    fn prices_are_per_million_tokens_and_checked() {
        let (name, price_of) = price("openai/llama=0.15:0.60").expect("a price");
        assert_eq!(name, "openai/llama");
        assert!((price_of.of(2_000_000, 500_000) - 0.6).abs() < 1e-9);
        for bad in ["llama", "llama=1", "llama=a:b", "llama=-1:1", "llama=inf:1"] {
            assert!(price(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_provider_prefix_is_dropped() {
        assert_eq!(wire_name("openai/llama-scout-17b"), "llama-scout-17b");
        assert_eq!(wire_name(" qwen3-14b "), "qwen3-14b");
        assert_eq!(wire_name("meta/llama"), "meta/llama");
    }
}
