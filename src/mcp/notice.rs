//! What a server tells its clients beside results: log messages and progress.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A log message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct McpLog {
    /// How grave it is.
    pub level: McpLogLevel,
    /// Who wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logger: Option<String>,
    /// What is said: a text or any other JSON.
    pub data: Value,
}

/// How grave a log message is, as in syslog (RFC 5424).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(
    clippy::exhaustive_enums,
    reason = "the severities of syslog are complete"
)]
pub enum McpLogLevel {
    /// For finding errors.
    Debug,
    /// What happens as expected.
    Info,
    /// What happens as expected and matters.
    Notice,
    /// What may become an error.
    Warning,
    /// What went wrong.
    Error,
    /// A part does not work.
    Critical,
    /// Something must be done at once.
    Alert,
    /// Nothing works.
    Emergency,
}

/// How far a request has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct McpProgress {
    /// How much is done, in any unit; it only grows.
    pub progress: f64,
    /// How much there is to do, in the same unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<f64>,
    /// What is being done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl McpLog {
    /// Makes a log message.
    pub fn new(level: McpLogLevel, data: impl Into<Value>) -> Self {
        Self {
            level,
            logger: None,
            data: data.into(),
        }
    }
}

impl McpProgress {
    /// Says how much is done.
    pub const fn new(progress: f64) -> Self {
        Self {
            progress,
            total: None,
            message: None,
        }
    }

    /// Says how much there is to do.
    #[must_use]
    pub const fn total(mut self, total: f64) -> Self {
        self.total = Some(total);
        self
    }

    /// Says what is being done.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }
}
