//! Reads the sections `realtime` and `voice`: speech models, their servers and keys.

use super::ConfigError;
use super::fields::{Fields, Keys};
use super::loader::without_query_values;
#[cfg(feature = "realtime")]
use super::schema::AgentConfig;
#[cfg(any(feature = "realtime", feature = "voice"))]
use super::schema::Config;
#[cfg(feature = "realtime")]
use crate::model::OpenAiRealtime;
#[cfg(feature = "voice")]
use crate::model::{OpenAiLiveStt, OpenAiSpeech, OpenAiStt, OpenAiTts};
#[cfg(feature = "realtime")]
use crate::realtime::{RealtimeAgent, RealtimeAgentBuilder, RealtimeHandoff};
use crate::secret::Secret;

const REALTIME: Keys = Keys {
    known: &["model", "url", "voice", "api_key"],
    unsupported: &[],
};

const VOICE: Keys = Keys {
    known: &[
        "stt_model",
        "tts_model",
        "voice",
        "stt_url",
        "tts_url",
        "api_key",
    ],
    unsupported: &[],
};

/// The agent that realtime sessions begin with.
#[cfg(feature = "realtime")]
const REALTIME_AGENT: &str = "RealtimeAgent";

/// The agent whose tools it has, unless the file describes it.
#[cfg(feature = "realtime")]
const ASSISTANT: &str = "Assistant";

/// Its instructions, unless the file describes it.
#[cfg(feature = "realtime")]
const INSTRUCTIONS: &str = "You are a helpful assistant in a spoken conversation. Answer in one or two short sentences, without lists \
    and formatting. Use your tools when they help.";

/// Says which model and server realtime sessions use.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RealtimeConfig {
    /// The model; without one there is no realtime agent.
    pub model: Option<String>,
    /// The URL of its server; without one, the base URL.
    pub url: Option<String>,
    /// The voice.
    pub voice: Option<String>,
    /// The key of its server.
    pub api_key: Option<Secret>,
}

/// Says which models and servers transcribe and speak.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct VoiceConfig {
    /// The model that transcribes speech.
    pub stt_model: Option<String>,
    /// The model that speaks answers.
    pub tts_model: Option<String>,
    /// The voice that it speaks in.
    pub voice: Option<String>,
    /// The URL of the server that transcribes; without one, the base URL.
    pub stt_url: Option<String>,
    /// The URL of the server that speaks; without one, the base URL.
    pub tts_url: Option<String>,
    /// The key of these servers.
    pub api_key: Option<Secret>,
}

pub(super) fn realtime(parent: &mut Fields<'_>) -> Result<RealtimeConfig, ConfigError> {
    let node = parent.take("realtime").unwrap_or_else(Fields::nothing);
    let path = parent.path_of("realtime");
    let mut fields = Fields::new(&path, node, REALTIME, parent.settings())?;
    Ok(RealtimeConfig {
        model: fields.text("model")?,
        url: url(
            &mut fields,
            "url",
            &["http://", "https://", "ws://", "wss://"],
        )?,
        voice: fields.text("voice")?,
        api_key: fields.secret("api_key")?,
    })
}

pub(super) fn voice(parent: &mut Fields<'_>) -> Result<VoiceConfig, ConfigError> {
    let node = parent.take("voice").unwrap_or_else(Fields::nothing);
    let path = parent.path_of("voice");
    let mut fields = Fields::new(&path, node, VOICE, parent.settings())?;
    Ok(VoiceConfig {
        stt_model: fields.text("stt_model")?,
        tts_model: fields.text("tts_model")?,
        voice: fields.text("voice")?,
        stt_url: url(&mut fields, "stt_url", &HTTP)?,
        tts_url: url(&mut fields, "tts_url", &HTTP)?,
        api_key: fields.secret("api_key")?,
    })
}

pub(super) const HTTP: [&str; 2] = ["http://", "https://"];

/// Reads a URL of one of these schemes, with a host and without a user name. A slash at its end is
/// dropped.
pub(super) fn url(
    fields: &mut Fields<'_>,
    key: &str,
    schemes: &[&str],
) -> Result<Option<String>, ConfigError> {
    let Some((text, origin)) = fields.text_and_origin(key)? else {
        return Ok(None);
    };
    let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    if host.is_none_or(|host| host.is_empty() || host.contains('@')) {
        let expected = if schemes.len() > HTTP.len() {
            "a URL that starts with http://, https://, ws:// or wss://, with a host and without a user name"
        } else {
            "a URL that starts with http:// or https://, with a host and without a user name"
        };
        return Err(fields.invalid(key, expected, origin));
    }
    let url = text.trim_end_matches('/').to_owned();
    fields.settings().keep_secret(|secrets| secrets.url(&url));
    fields.list(key, without_query_values(&url), &origin);
    Ok(Some(url))
}

#[cfg(any(feature = "realtime", feature = "voice"))]
impl Config {
    /// Returns the address of a speech server, and the key for it.
    ///
    /// The key of the base URL is sent to another address only if that has the same origin, because
    /// it would give the key away.
    fn speech_server<'a>(
        &'a self,
        url: Option<&'a str>,
        own_key: Option<&'a Secret>,
    ) -> Result<(&'a str, Option<&'a Secret>), ConfigError> {
        let Some(url) = url else {
            return Ok((self.base_url()?, own_key.or(self.api_key())));
        };
        let base = self.base_url.as_deref();
        let is_same = base.is_some_and(|base| origin_of(base) == origin_of(url));
        let shared = self.api_key().filter(|_| is_same);
        Ok((url, own_key.or(shared)))
    }

    fn missing(&self, what: &'static str, [variable, key, flag]: [&'static str; 3]) -> ConfigError {
        ConfigError::Missing {
            what,
            variable,
            key,
            file: self.file.to_path_buf(),
            flag,
        }
    }
}

/// Returns scheme, host and port. A WebSocket begins as an HTTP request, so that both schemes are
/// one.
#[cfg(any(feature = "realtime", feature = "voice"))]
fn origin_of(url: &str) -> Option<(&str, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = match scheme {
        "ws" => "http",
        "wss" => "https",
        scheme => scheme,
    };
    let host = rest.split(['/', '?', '#']).next()?;
    let default = if scheme == "https" { ":443" } else { ":80" };
    let host = host.strip_suffix(default).unwrap_or(host);
    Some((scheme, host.to_ascii_lowercase()))
}

#[cfg(feature = "voice")]
impl Config {
    /// Returns which models and servers transcribe and speak.
    pub const fn voice(&self) -> &VoiceConfig {
        &self.voice
    }

    /// Makes the client that transcribes recordings. No request is sent.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the model or the address is missing or cannot be used.
    pub fn stt(&self) -> Result<OpenAiStt, ConfigError> {
        let model = self.stt_model()?;
        Ok(self
            .speech(self.voice.stt_url.as_deref(), model)?
            .stt(model))
    }

    /// Makes the client that transcribes speech while it is spoken.
    ///
    /// It goes over a WebSocket to the same server. No request is sent.
    ///
    /// # Errors
    ///
    /// As [`stt`](Self::stt).
    pub fn live_stt(&self) -> Result<OpenAiLiveStt, ConfigError> {
        let model = self.stt_model()?;
        let (url, own_key) = (self.voice.stt_url.as_deref(), self.voice.api_key.as_ref());
        Ok(self.realtime_server(url, own_key, model)?.live_stt())
    }

    fn stt_model(&self) -> Result<&str, ConfigError> {
        self.voice.stt_model.as_deref().ok_or_else(|| {
            let names = [
                "OPENAI_AGENTS__VOICE__STT_MODEL",
                "voice.stt_model",
                "--stt-model",
            ];
            self.missing("speech-to-text model", names)
        })
    }

    /// Makes the client that speaks texts. No request is sent.
    ///
    /// # Errors
    ///
    /// As [`stt`](Self::stt).
    pub fn tts(&self) -> Result<OpenAiTts, ConfigError> {
        let model = self.voice.tts_model.as_deref().ok_or_else(|| {
            let names = [
                "OPENAI_AGENTS__VOICE__TTS_MODEL",
                "voice.tts_model",
                "--tts-model",
            ];
            self.missing("text-to-speech model", names)
        })?;
        Ok(self
            .speech(self.voice.tts_url.as_deref(), model)?
            .tts(model))
    }

    /// Returns the voice that answers are spoken in.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Missing`] if nothing sets it: there is no default voice.
    pub fn speaking_voice(&self) -> Result<&str, ConfigError> {
        self.voice.voice.as_deref().ok_or_else(|| {
            let names = ["OPENAI_AGENTS__VOICE__VOICE", "voice.voice", "--voice"];
            self.missing("voice", names)
        })
    }

    fn speech(&self, url: Option<&str>, model: &str) -> Result<OpenAiSpeech, ConfigError> {
        let (url, key) = self.speech_server(url, self.voice.api_key.as_ref())?;
        let mut builder = OpenAiSpeech::builder(url).http_client(self.http_client().clone());
        if let Some(key) = key {
            builder = builder.api_key(key.clone());
        }
        builder.build().map_err(|source| ConfigError::Model {
            model: model.to_owned(),
            source,
        })
    }
}

#[cfg(feature = "realtime")]
impl Config {
    /// Returns which model and server realtime sessions use.
    pub const fn realtime(&self) -> &RealtimeConfig {
        &self.realtime
    }

    /// Makes the model of realtime sessions. No request is sent.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the model or the address is missing or cannot be used.
    pub fn realtime_model(&self) -> Result<OpenAiRealtime, ConfigError> {
        let model = self.realtime.model.as_deref().ok_or_else(|| {
            let names = [
                "OPENAI_AGENTS__REALTIME__MODEL",
                "realtime.model",
                "--realtime-model",
            ];
            self.missing("realtime model", names)
        })?;
        let own_key = self.realtime.api_key.as_ref();
        self.realtime_server(self.realtime.url.as_deref(), own_key, model)
    }

    fn realtime_server(
        &self,
        url: Option<&str>,
        own_key: Option<&Secret>,
        model: &str,
    ) -> Result<OpenAiRealtime, ConfigError> {
        let is_other_server = url.is_some();
        let (url, key) = self.speech_server(url, own_key)?;
        let mut builder =
            OpenAiRealtime::builder(url, model).http_client(self.http_client().clone());
        // `provider_name` is that of the base URL.
        if let Some(name) = self.provider_name().filter(|_| !is_other_server) {
            builder = builder.provider_name(name);
        }
        if let Some(key) = key {
            builder = builder.api_key(key.clone());
        }
        builder.build().map_err(|source| ConfigError::Model {
            model: model.to_owned(),
            source,
        })
    }

    /// Finds the agent that realtime sessions begin with.
    ///
    /// It is `RealtimeAgent`, or `Assistant`, whose tools it has then.
    ///
    /// # Errors
    ///
    /// [`ConfigError::UnknownAgent`] if there is neither.
    pub fn realtime_agent_config(&self) -> Result<&AgentConfig, ConfigError> {
        self.agent_config(REALTIME_AGENT)
            .or_else(|_| self.agent_config(ASSISTANT))
    }

    /// Makes the agents of realtime sessions.
    ///
    /// `RealtimeAgent` comes first, then those that it can hand off to.
    ///
    /// Without an agent of this name in the file, it is made with the tools of `Assistant`. Agents
    /// as tools, input guardrails and output schemas are errors, because a realtime session cannot
    /// use them.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if an agent cannot be built, or has what a realtime session cannot use.
    pub fn realtime_agents(&self) -> Result<Vec<RealtimeAgent>, ConfigError> {
        let described = self.realtime_agent_config()?;
        if described.name != REALTIME_AGENT {
            let tools = self.agent(ASSISTANT)?;
            let agent = RealtimeAgent::builder(REALTIME_AGENT).instructions(INSTRUCTIONS);
            let agent = tools
                .tools()
                .iter()
                .cloned()
                .fold(agent, RealtimeAgentBuilder::tool);
            let sources = tools.tool_sources().iter().cloned();
            let agent = sources.fold(agent, RealtimeAgentBuilder::shared_tool_source);
            let origin = super::Origin::Default;
            return Ok(vec![agent.build().map_err(|source| {
                ConfigError::Realtime {
                    agent: REALTIME_AGENT.to_owned(),
                    origin,
                    source: Box::new(source),
                }
            })?]);
        }
        let agents = self.reachable(described).into_iter();
        agents.map(|agent| self.realtime_agent(agent)).collect()
    }

    fn realtime_agent(&self, described: &AgentConfig) -> Result<RealtimeAgent, ConfigError> {
        let impossible = [
            ("agents_as_tools", !described.agents_as_tools.is_empty()),
            ("input_guardrails", !described.input_guardrails.is_empty()),
            ("output_schema", described.output_schema.is_some()),
        ];
        if let Some((key, _)) = impossible.iter().find(|(_, is_there)| *is_there) {
            return Err(ConfigError::Unsupported {
                key: format!("agents.{}.{key} of a realtime agent", described.name),
                origin: described.origin.clone(),
            });
        }
        // A realtime agent has the tools and guardrails of the same agent in text; building that
        // one resolves and checks them.
        let built = self.agent(&described.name)?;
        let mut agent = RealtimeAgent::builder(&described.name);
        if let Some(instructions) = &described.instructions {
            agent = agent.instructions(instructions.as_str());
        }
        if let Some(description) = &described.handoff_description {
            agent = agent.handoff_description(description);
        }
        for tool in built.tools() {
            agent = agent.tool(tool.clone());
        }
        for source in built.tool_sources() {
            agent = agent.shared_tool_source(std::sync::Arc::clone(source));
        }
        for handoff in &described.handoffs {
            agent = agent.handoff(RealtimeHandoff::to_name(handoff.as_str()));
        }
        for guardrail in built.output_guardrails() {
            agent = agent.output_guardrail(guardrail.clone());
        }
        agent.build().map_err(|source| ConfigError::Realtime {
            agent: described.name.clone(),
            origin: described.origin.clone(),
            source: Box::new(source),
        })
    }
}
