//! Prompts: messages that a server has ready for its clients.

use serde::{Deserialize, Serialize};

use super::{McpContent, McpRole};

/// Describes a prompt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct McpPrompt {
    /// Its name.
    pub name: String,
    /// Its name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What can be filled in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<McpPromptArgument>,
}

/// Describes what can be filled into a prompt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct McpPromptArgument {
    /// Its name.
    pub name: String,
    /// What it means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it must be given.
    #[serde(default)]
    pub required: bool,
}

/// Holds the messages of a prompt, filled in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct McpPromptMessages {
    /// What the prompt is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The messages, in order.
    pub messages: Vec<McpMessage>,
}

/// One message of a prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct McpMessage {
    /// Who speaks.
    pub role: McpRole,
    /// What is said.
    pub content: McpContent,
}

impl McpPrompt {
    /// Describes a prompt of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// Says what it is for.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Adds something that can be filled in.
    #[must_use]
    pub fn argument(mut self, argument: McpPromptArgument) -> Self {
        self.arguments.push(argument);
        self
    }
}

impl McpPromptArgument {
    /// Describes an argument that must be given.
    pub fn required(name: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: Some(description.into()),
            required: true,
        }
    }

    /// Describes an argument that may be left out.
    pub fn optional(name: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            required: false,
            ..Self::required(name, description)
        }
    }
}

impl McpPromptMessages {
    /// Holds these messages.
    pub fn new(messages: impl IntoIterator<Item = McpMessage>) -> Self {
        Self {
            description: None,
            messages: messages.into_iter().collect(),
        }
    }

    /// Says what the prompt is for.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }
}

impl McpMessage {
    /// Makes a message of the user.
    pub fn user(content: impl Into<McpContent>) -> Self {
        Self {
            role: McpRole::User,
            content: content.into(),
        }
    }

    /// Makes a message of the model.
    pub fn assistant(content: impl Into<McpContent>) -> Self {
        Self {
            role: McpRole::Assistant,
            content: content.into(),
        }
    }
}
