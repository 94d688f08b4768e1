//! What was decided about calls that wait, and about which tool.

use serde::{Deserialize, Serialize};

use crate::guardrail::GuardrailResult;
use crate::tools::{FunctionTool, ToolIdentity};

/// What was decided about a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::agent) enum Decision {
    Approved,
    Rejected {
        /// What the model is told.
        message: String,
    },
}

/// Whether it is known that a call that waits has not been made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::agent) enum ExecutionCertainty {
    #[default]
    #[serde(rename = "none")]
    Certain,
    MayHaveRun,
}

/// A call that waits for a decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::agent) struct AskedCall {
    pub(in crate::agent) decision: Option<Decision>,
    #[serde(rename = "doubt")]
    pub(in crate::agent) certainty: ExecutionCertainty,
    /// The tool that the decision is about; states of version 1 do not say.
    #[serde(default)]
    pub(in crate::agent) tool: Option<ToolIdentity>,
    /// What of the tool changed since someone was asked about this call before.
    #[serde(default)]
    pub(in crate::agent) changed: Option<String>,
    /// The verdicts of the tool's input guardrails, which have looked at the call; none if they have not.
    #[serde(default)]
    pub(in crate::agent) guardrails: Option<Vec<GuardrailResult>>,
}

/// A decision for all calls of a tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::agent) struct StandingDecision {
    pub(in crate::agent) decision: Decision,
    /// The tool that the decision is about; states of version 1 do not say.
    #[serde(rename = "identity", default)]
    pub(in crate::agent) tool: Option<ToolIdentity>,
}

impl AskedCall {
    /// A call that nobody has decided about.
    pub(in crate::agent) fn new(tool: &FunctionTool, certainty: ExecutionCertainty) -> Self {
        Self {
            tool: Some(tool.into()),
            ..Self::unbound(certainty)
        }
    }

    /// A call that nobody has decided about, of a tool that nobody was shown.
    pub(in crate::agent) const fn unbound(certainty: ExecutionCertainty) -> Self {
        Self {
            decision: None,
            certainty,
            tool: None,
            changed: None,
            guardrails: None,
        }
    }

    /// Says what of the tool is other than it was when someone was asked.
    pub(in crate::agent) fn changes(&self, tool: &FunctionTool) -> Option<String> {
        self.tool.as_ref()?.changes(tool)
    }
}

impl StandingDecision {
    /// Returns the decision, or says what of the tool is other than it was.
    pub(in crate::agent) fn about(&self, tool: &FunctionTool) -> Result<&Decision, String> {
        let changes = self.tool.as_ref().and_then(|shown| shown.changes(tool));
        changes.map_or(Ok(&self.decision), Err)
    }
}
