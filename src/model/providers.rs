//! Models by name, from whoever is registered to provide them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::kind::ErrorKind;
use crate::model::{Model, ModelError};

/// Gives models by their names.
///
/// A closure is one. It is asked once for each model that a program sets up, may be asked for the same name twice, and does no I/O.
pub trait ModelProvider: Send + Sync {
    /// Returns the model of this name.
    ///
    /// # Errors
    ///
    /// `config` when the name or the provider's own settings cannot be used.
    fn model(&self, name: &str) -> Result<Arc<dyn Model>, ModelError>;
}

/// Holds providers by prefix.
///
/// `prefix/name` goes to the one that is registered under the prefix, and only then is it a prefix at all.
///
/// Names may have slashes of their own (`openai/gpt-oss-120b`, `meta-llama/Llama-3.3-70B`): what no one registered is part of the name,
/// and goes whole to the default provider. Nothing is guessed from how a name looks.
///
/// ```
/// use std::sync::Arc;
/// use openai_agents::model::{ModelError, OpenAiChat, Providers};
///
/// let local = |name: &str| OpenAiChat::builder("http://127.0.0.1:8000/v1", name).build();
/// let cloud = |name: &str| OpenAiChat::builder("https://api.example.com/v1", name).api_key("sk-1").build();
/// let providers = Providers::new().with_default(local).with("cloud", cloud)?;
///
/// assert_eq!(providers.model("openai/gpt-oss-20b")?.name(), "openai/gpt-oss-20b");
/// assert_eq!(providers.model("cloud/gpt-5")?.name(), "gpt-5");
/// # Ok::<(), ModelError>(())
/// ```
#[derive(Clone, Default)]
pub struct Providers {
    by_prefix: BTreeMap<String, Arc<dyn ModelProvider>>,
    default: Option<Arc<dyn ModelProvider>>,
}

impl Providers {
    /// Makes a registry without providers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a provider under a prefix.
    ///
    /// # Errors
    ///
    /// `config` when the prefix is empty, has a slash, or is taken.
    pub fn with(
        mut self,
        prefix: impl Into<String>,
        provider: impl ModelProvider + 'static,
    ) -> Result<Self, ModelError> {
        let prefix = prefix.into();
        if prefix.is_empty() || prefix.contains('/') {
            return Err(ModelError::new(
                ErrorKind::Config,
                format!("{prefix:?} cannot be a provider's prefix: it is empty or has a slash"),
            ));
        }
        if self.by_prefix.contains_key(&prefix) {
            return Err(ModelError::new(
                ErrorKind::Config,
                format!("two providers are registered under {prefix:?}"),
            ));
        }
        self.by_prefix.insert(prefix, Arc::new(provider));
        Ok(self)
    }

    /// Sets the provider of every name without a registered prefix.
    ///
    /// Without one such a name is an error.
    #[must_use]
    pub fn with_default(mut self, provider: impl ModelProvider + 'static) -> Self {
        self.default = Some(Arc::new(provider));
        self
    }

    /// Returns the model of a name.
    ///
    /// # Errors
    ///
    /// `config` when no provider is registered for the name, or its provider refuses it.
    pub fn model(&self, name: &str) -> Result<Arc<dyn Model>, ModelError> {
        // A prefix is one only if somebody registered it. `openai/gpt-oss-20b` is the whole name of
        // a model for most servers.
        if let Some((prefix, rest)) = name.split_once('/')
            && let Some(provider) = self.by_prefix.get(prefix)
        {
            return provider.model(rest);
        }
        let Some(provider) = &self.default else {
            let known: Vec<&str> = self.by_prefix.keys().map(String::as_str).collect();
            let message = format!(
                "no provider is registered for the model {name:?} (registered: {})",
                known.join(", ")
            );
            return Err(ModelError::new(ErrorKind::Config, message));
        };
        provider.model(name)
    }
}

impl<F, M> ModelProvider for F
where
    F: Fn(&str) -> Result<M, ModelError> + Send + Sync,
    M: Model + 'static,
{
    fn model(&self, name: &str) -> Result<Arc<dyn Model>, ModelError> {
        Ok(Arc::new(self(name)?))
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefixes: Vec<&String> = self.by_prefix.keys().collect();
        f.debug_struct("Providers")
            .field("prefixes", &prefixes)
            .field("has_default", &self.default.is_some())
            .finish()
    }
}
