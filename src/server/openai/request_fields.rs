//! The tables of request fields of both APIs: applied, passed on, without effect, or refused.
//!
//! They hold every field of OpenAI's public specification. `docs/openai-api.md` shows them, with the fields inside of messages, tools and
//! formats, and a test sends each.

use std::sync::Arc;

use serde_json::Value;

use crate::model::ModelSettings;
use crate::model::verbatim::{Verbatim, VerbatimField, VerbatimFields, Word};
use crate::server::error::ApiError;
use crate::server::fields::BodyFields;

/// An API of this server, and of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    Chat,
    Responses,
}

/// What becomes of a field.
#[derive(Debug, Clone, Copy)]
struct FieldRule {
    name: &'static str,
    handling: Handling,
}

#[derive(Debug, Clone, Copy)]
enum Handling {
    /// The code that takes the request does what it says.
    Applied,
    /// It goes to the model under its name and with its value.
    PassedOn(Elsewhere),
    /// Nothing here depends on it.
    WithoutEffect,
    /// Refused, unless the value is one of these JSON texts, which ask for nothing.
    Refused {
        unless: &'static [&'static str],
        why: &'static str,
    },
}

/// What a model is told that speaks the other API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Elsewhere {
    /// The same: both APIs have the field.
    Same,
    /// What the settings say, in that API's words; an error where it has none.
    Settings,
    /// Nothing: the answer is the same without it.
    Nothing,
    /// It would be another question without it: an error, unless the value is empty.
    Error,
}

const fn applied(name: &'static str) -> FieldRule {
    FieldRule {
        name,
        handling: Handling::Applied,
    }
}

const fn passed_on(name: &'static str, elsewhere: Elsewhere) -> FieldRule {
    FieldRule {
        name,
        handling: Handling::PassedOn(elsewhere),
    }
}

const fn without_effect(name: &'static str) -> FieldRule {
    FieldRule {
        name,
        handling: Handling::WithoutEffect,
    }
}

const fn refused(
    name: &'static str,
    unless: &'static [&'static str],
    why: &'static str,
) -> FieldRule {
    FieldRule {
        name,
        handling: Handling::Refused { unless, why },
    }
}

const NO_MODERATION: &str = "this server moderates nothing; guardrails are the agent's own";

const CHAT: &[FieldRule] = &[
    applied("model"),
    applied("messages"),
    applied("stream"),
    applied("stream_options"),
    applied("tools"),
    applied("tool_choice"),
    applied("parallel_tool_calls"),
    applied("response_format"),
    passed_on("temperature", Elsewhere::Settings),
    passed_on("top_p", Elsewhere::Settings),
    passed_on("frequency_penalty", Elsewhere::Settings),
    passed_on("presence_penalty", Elsewhere::Settings),
    passed_on("seed", Elsewhere::Settings),
    passed_on("stop", Elsewhere::Settings),
    passed_on("max_completion_tokens", Elsewhere::Settings),
    passed_on("max_tokens", Elsewhere::Settings),
    passed_on("reasoning_effort", Elsewhere::Settings),
    passed_on("verbosity", Elsewhere::Settings),
    passed_on("metadata", Elsewhere::Settings),
    passed_on("logprobs", Elsewhere::Settings),
    passed_on("top_logprobs", Elsewhere::Settings),
    passed_on("user", Elsewhere::Same),
    passed_on("safety_identifier", Elsewhere::Same),
    passed_on("prompt_cache_key", Elsewhere::Same),
    passed_on("prompt_cache_retention", Elsewhere::Same),
    passed_on("prompt_cache_options", Elsewhere::Same),
    passed_on("service_tier", Elsewhere::Same),
    passed_on("store", Elsewhere::Nothing),
    passed_on("prediction", Elsewhere::Nothing),
    passed_on("logit_bias", Elsewhere::Error),
    passed_on("web_search_options", Elsewhere::Error),
    without_effect("audio"),
    refused("n", &["1"], "an agent gives one answer"),
    refused(
        "modalities",
        &["[\"text\"]", "[]"],
        "an agent answers with text",
    ),
    refused(
        "functions",
        &["[]"],
        "these are tools in an older form; send them as `tools`",
    ),
    refused(
        "function_call",
        &["\"none\"", "\"auto\""],
        "this is a tool choice in an older form; send it as `tool_choice`",
    ),
    refused("moderation", &[], NO_MODERATION),
];

const RESPONSES: &[FieldRule] = &[
    applied("model"),
    applied("input"),
    applied("instructions"),
    applied("previous_response_id"),
    applied("conversation"),
    applied("store"),
    applied("stream"),
    applied("stream_options"),
    applied("tools"),
    applied("tool_choice"),
    applied("parallel_tool_calls"),
    applied("max_tool_calls"),
    applied("text"),
    passed_on("temperature", Elsewhere::Settings),
    passed_on("top_p", Elsewhere::Settings),
    passed_on("max_output_tokens", Elsewhere::Settings),
    passed_on("reasoning", Elsewhere::Settings),
    passed_on("top_logprobs", Elsewhere::Settings),
    passed_on("user", Elsewhere::Same),
    passed_on("safety_identifier", Elsewhere::Same),
    passed_on("prompt_cache_key", Elsewhere::Same),
    passed_on("prompt_cache_retention", Elsewhere::Same),
    passed_on("prompt_cache_options", Elsewhere::Same),
    passed_on("service_tier", Elsewhere::Same),
    passed_on("metadata", Elsewhere::Nothing),
    passed_on("include", Elsewhere::Nothing),
    passed_on("truncation", Elsewhere::Nothing),
    passed_on("context_management", Elsewhere::Nothing),
    refused(
        "background",
        &["false"],
        "a response is made while its request is open; `POST /run` begins a run that goes on without one",
    ),
    refused(
        "prompt",
        &[],
        "an agent has instructions and tools of its own; a stored prompt would bring others",
    ),
    refused("moderation", &[], NO_MODERATION),
];

impl Api {
    const fn rules(self) -> &'static [FieldRule] {
        match self {
            Self::Chat => CHAT,
            Self::Responses => RESPONSES,
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::Chat => Self::Responses,
            Self::Responses => Self::Chat,
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
        }
    }

    fn rule(self, name: &str) -> Option<Handling> {
        let mut rules = self.rules().iter();
        rules
            .find(|rule| rule.name == name)
            .map(|rule| rule.handling)
    }
}

/// Does with all fields that nobody has taken what the tables say.
///
/// # Errors
///
/// When one is refused, or belongs to the other API.
pub(super) fn pass_on(
    fields: &mut BodyFields,
    api: Api,
    settings: &mut ModelSettings,
) -> Result<(), ApiError> {
    let mut said = Said::new(api);
    for (name, value) in fields.take_rest() {
        match api.rule(&name) {
            Some(Handling::PassedOn(elsewhere)) => said.pass_on(name, value, elsewhere, settings),
            Some(Handling::WithoutEffect) => {}
            Some(Handling::Refused { unless, why }) => {
                if !unless.contains(&&*value.to_string()) {
                    let message = format!("`{name}` is not supported: {why}");
                    return Err(ApiError::unsupported(name, message));
                }
            }
            // What is read is taken before; a field of no specification is the model's server's matter.
            Some(Handling::Applied) | None => {
                if let Some(Handling::Applied | Handling::Refused { .. }) = api.other().rule(&name)
                {
                    let message = format!("`{name}` is a field of {}", api.other().path());
                    return Err(ApiError::unsupported(name, message));
                }
                said.pass_on(name, value, Elsewhere::Same, settings);
            }
        }
    }
    settings.verbatim = Verbatim(Some(Arc::new(said.finish(settings))));
    Ok(())
}

/// What is said word for word, in the client's API and in the others.
struct Said {
    api: Api,
    own: Vec<VerbatimField>,
    other: Vec<VerbatimField>,
    completions: Vec<VerbatimField>,
}

impl Said {
    const fn new(api: Api) -> Self {
        Self {
            api,
            own: Vec::new(),
            other: Vec::new(),
            completions: Vec::new(),
        }
    }

    fn pass_on(
        &mut self,
        name: String,
        value: Value,
        elsewhere: Elsewhere,
        settings: &mut ModelSettings,
    ) {
        if elsewhere == Elsewhere::Same {
            settings.extra_body.insert(name, value);
            return;
        }
        let is_empty = value.as_object().is_some_and(serde_json::Map::is_empty);
        if elsewhere == Elsewhere::Error && !is_empty {
            for list in [&mut self.other, &mut self.completions] {
                list.push(VerbatimField::new(&*name, Word::Unsupported));
            }
        }
        self.own.push(VerbatimField::new(name, Word::Value(value)));
    }

    fn asks(&self, name: &str) -> Option<&Value> {
        let field = self.own.iter().find(|field| field.name == name)?;
        match &field.word {
            Word::Value(value) => Some(value),
            Word::LeftOut | Word::Unsupported => None,
        }
    }

    /// Adds what the two APIs say by different names.
    fn finish(mut self, settings: &ModelSettings) -> VerbatimFields {
        match self.api {
            Api::Chat => {
                // One name of the two: the other may stand in the agent's settings.
                let (old, new) = ("max_tokens", "max_completion_tokens");
                for (given, absent) in [(old, new), (new, old)] {
                    if self.asks(given).is_some() && self.asks(absent).is_none() {
                        self.own.push(VerbatimField::new(absent, Word::LeftOut));
                    }
                }
                if self.asks("logprobs") == Some(&Value::Bool(true)) {
                    let include = Value::from(vec!["message.output_text.logprobs"]);
                    let include = VerbatimField::new("include", Word::Value(include));
                    self.other.push(include);
                }
            }
            Api::Responses => {
                // The other APIs tell what they tell of it.
                for list in [&mut self.other, &mut self.completions] {
                    list.push(VerbatimField::new("reasoning_summary", Word::LeftOut));
                }
                if let Some(max) = settings.max_tokens {
                    let max = Word::Value(max.into());
                    self.other
                        .push(VerbatimField::new("max_completion_tokens", max));
                    self.other
                        .push(VerbatimField::new("max_tokens", Word::LeftOut));
                }
            }
        }
        let (chat, responses) = match self.api {
            Api::Chat => (self.own, self.other),
            Api::Responses => (self.other, self.own),
        };
        VerbatimFields {
            chat,
            responses,
            completions: self.completions,
        }
    }
}
