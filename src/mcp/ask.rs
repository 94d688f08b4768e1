//! What a server asks of its client: elicitation (of the user) and sampling (of the model).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{McpContent, McpRole};

/// A server's question to the user.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ElicitationRequest {
    /// What the user is told.
    pub message: String,
    /// What is asked.
    pub ask: ElicitationAsk,
}

/// What a server asks the user for.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ElicitationAsk {
    /// Values, by a JSON Schema of an object with simple properties.
    Form {
        /// The schema.
        schema: Value,
    },
    /// To visit an address; what happens there stays between the user and the server.
    Url {
        /// The address.
        url: String,
    },
}

/// The user's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ElicitationAnswer {
    /// The user agrees.
    Accept {
        /// The values of a form; nothing for an address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<Map<String, Value>>,
    },
    /// The user says no.
    Decline,
    /// The user did not decide.
    Cancel,
}

impl ElicitationRequest {
    /// Asks for the values of a form.
    pub fn form(message: impl Into<String>, schema: Value) -> Self {
        Self {
            message: message.into(),
            ask: ElicitationAsk::Form { schema },
        }
    }

    /// Asks to visit an address.
    pub fn url(message: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ask: ElicitationAsk::Url { url: url.into() },
        }
    }

    /// Returns the values that the schema proposes, those of the properties that have a `default`.
    ///
    /// ```
    /// use openai_agents::mcp::ElicitationRequest;
    /// use serde_json::json;
    ///
    /// let schema = json!({"type": "object", "properties": {
    ///     "name": {"type": "string", "default": "Ada"},
    ///     "age": {"type": "integer"},
    /// }});
    /// let request = ElicitationRequest::form("Who are you?", schema);
    /// assert_eq!(serde_json::Value::from(request.defaults()), json!({"name": "Ada"}));
    /// ```
    pub fn defaults(&self) -> Map<String, Value> {
        let ElicitationAsk::Form { schema } = &self.ask else {
            return Map::new();
        };
        let properties = schema.get("properties").and_then(Value::as_object);
        properties
            .into_iter()
            .flatten()
            .filter_map(|(name, property)| Some((name.clone(), property.get("default")?.clone())))
            .collect()
    }
}

impl ElicitationAnswer {
    /// Agrees, with the values of a form.
    pub fn accept(content: Map<String, Value>) -> Self {
        Self::Accept {
            content: Some(content),
        }
    }
}

/// A server's request to the client's model.
///
/// Fields that are absent leave the choice to the client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SamplingRequest {
    /// The conversation.
    pub messages: Vec<SamplingMessage>,
    /// The instructions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<String>,
    /// How many tokens the answer may have.
    pub max_tokens: u32,
    /// How random the answer is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// Texts that end the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<String>,
    /// Which model the server would like, in the protocol's JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_preferences: Option<Value>,
}

/// One message of a sampling request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SamplingMessage {
    /// Who speaks.
    pub role: McpRole,
    /// What is said.
    #[serde(with = "one_or_many")]
    pub content: Vec<McpContent>,
}

/// The answer of the client's model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SamplingAnswer {
    /// The model that answered.
    pub model: String,
    /// Who speaks: the model.
    pub role: McpRole,
    /// What it says.
    #[serde(with = "one_or_many")]
    pub content: Vec<McpContent>,
    /// Why it stopped, such as `endTurn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<String>,
}

impl SamplingRequest {
    /// Asks the model to answer this conversation.
    pub fn new(messages: impl IntoIterator<Item = SamplingMessage>, max_tokens: u32) -> Self {
        Self {
            messages: messages.into_iter().collect(),
            system_prompt: None,
            max_tokens,
            temperature: None,
            stop_sequences: Vec::new(),
            model_preferences: None,
        }
    }

    /// Sets the instructions.
    #[must_use]
    pub fn system_prompt(mut self, system_prompt: impl Into<String>) -> Self {
        self.system_prompt = Some(system_prompt.into());
        self
    }
}

impl SamplingMessage {
    /// Makes a message of the user.
    pub fn user(content: impl Into<McpContent>) -> Self {
        Self {
            role: McpRole::User,
            content: vec![content.into()],
        }
    }

    /// Makes a message of the model.
    pub fn assistant(content: impl Into<McpContent>) -> Self {
        Self {
            role: McpRole::Assistant,
            content: vec![content.into()],
        }
    }
}

impl SamplingAnswer {
    /// Says that this model answered with this.
    pub fn new(model: impl Into<String>, content: impl Into<McpContent>) -> Self {
        Self {
            model: model.into(),
            role: McpRole::Assistant,
            content: vec![content.into()],
            stop_reason: Some("endTurn".to_owned()),
        }
    }

    /// Returns the texts of the answer in one.
    pub fn text(&self) -> String {
        self.content
            .iter()
            .filter_map(McpContent::as_text)
            .collect()
    }
}

/// Says that a question is not answered, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct McpRefusal {
    reason: String,
}

impl McpRefusal {
    /// Refuses for this reason, which the other side is told.
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
        }
    }
}

/// A place that the client's user works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct McpRoot {
    /// Where it is, usually a `file:` address.
    pub uri: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl McpRoot {
    /// Names a place.
    pub fn new(uri: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            name: None,
        }
    }

    /// Sets its name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// A single content stands alone; earlier versions of the protocol know no list.
mod one_or_many {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::McpContent;

    pub(super) fn serialize<S: Serializer>(
        content: &[McpContent],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match content {
            [single] => single.serialize(serializer),
            many => many.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<McpContent>, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Many(Vec<McpContent>),
            One(McpContent),
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::Many(many) => many,
            Either::One(single) => vec![single],
        })
    }
}
