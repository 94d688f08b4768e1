//! Reads the guardrails of an agent: a length, forbidden words, or an agent that judges.

use super::ConfigError;
use super::fields::{Fields, Keys, Seen};
use super::tree::{TreeNode, Value};
use crate::guardrail::GuardrailTiming;

/// Describes a guardrail of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuardrailConfig {
    /// The name, as it appears in errors and results.
    pub name: String,
    /// What trips it.
    pub check: GuardrailCheck,
    /// What waits for its verdict.
    ///
    /// A guardrail on outputs holds the text back, or does not.
    pub timing: GuardrailTiming,
}

/// Says what a guardrail trips on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GuardrailCheck {
    /// A text with more characters than this (`max_chars`).
    MaxChars(u64),
    /// A text that contains one of these, in any case (`deny`).
    Deny(Vec<String>),
    /// A text that this agent rejects (`agent`).
    Agent(String),
    /// A guardrail of a plugin by its name.
    ///
    /// If it is still here after loading, no trusted plugin has it and the agent cannot be built.
    Named(String),
}

const GUARDRAILS: Keys = Keys {
    known: &["input", "output"],
    unsupported: &[],
};

const GUARDRAIL: Keys = Keys {
    known: &["name", "max_chars", "deny", "agent", "timing"],
    unsupported: &[],
};

/// The timings that a guardrail can have, and the default.
struct Timings {
    known: &'static [(&'static str, GuardrailTiming)],
    expected: &'static str,
    /// The default for a guardrail that takes no time.
    of_texts: GuardrailTiming,
}

const OF_INPUTS: Timings = Timings {
    known: &[
        ("blocking", GuardrailTiming::Blocking),
        ("hold", GuardrailTiming::Hold),
        ("concurrent", GuardrailTiming::Concurrent),
    ],
    expected: "blocking, hold or concurrent",
    // The check takes no time, so that asking the model at the same time would save nothing and could waste a request.
    of_texts: GuardrailTiming::Blocking,
};

const OF_OUTPUTS: Timings = Timings {
    known: &[
        ("hold", GuardrailTiming::Hold),
        ("concurrent", GuardrailTiming::Concurrent),
    ],
    expected: "hold or concurrent",
    of_texts: GuardrailTiming::Hold,
};

type Guardrails = (Vec<GuardrailConfig>, Vec<GuardrailConfig>);

/// Reads the guardrails on inputs and those on outputs.
pub(super) fn guardrails(parent: &mut Fields<'_>) -> Result<Guardrails, ConfigError> {
    let Some(node) = parent.take("guardrails") else {
        return Ok(Guardrails::default());
    };
    let path = parent.path_of("guardrails");
    let mut fields = Fields::new(&path, node, GUARDRAILS, parent.settings())?;
    Ok((
        list(&mut fields, "input", &OF_INPUTS)?,
        list(&mut fields, "output", &OF_OUTPUTS)?,
    ))
}

fn list(
    parent: &mut Fields<'_>,
    key: &str,
    timings: &Timings,
) -> Result<Vec<GuardrailConfig>, ConfigError> {
    let nodes = parent.nodes(key, "a list of guardrails")?;
    let settings = parent.settings();
    nodes
        .into_iter()
        .map(|(path, node)| guardrail(&path, node, timings, settings))
        .collect()
}

fn guardrail(
    path: &str,
    node: TreeNode,
    timings: &Timings,
    settings: &mut Seen,
) -> Result<GuardrailConfig, ConfigError> {
    let origin = node.origin.clone();
    if let Value::Text(name) = node.value {
        return Ok(GuardrailConfig {
            check: GuardrailCheck::Named(name.clone()),
            name,
            timing: timings.of_texts,
        });
    }
    let mut fields = Fields::new(path, node, GUARDRAIL, settings)?;
    let timing = match fields.text_and_origin("timing")? {
        None => None,
        Some((text, origin)) => {
            let known = timings.known.iter().find(|(name, _)| *name == text);
            let Some((_, timing)) = known else {
                return Err(fields.invalid("timing", timings.expected, origin));
            };
            fields.list("timing", text, &origin);
            Some(*timing)
        }
    };
    let max_chars = fields.count("max_chars")?.map(GuardrailCheck::MaxChars);
    let deny = fields.texts("deny")?.map(GuardrailCheck::Deny);
    let agent = fields.text("agent")?.map(GuardrailCheck::Agent);
    let name = fields.text("name")?;
    let mut checks = [max_chars, deny, agent].into_iter().flatten();
    let (Some(check), None) = (checks.next(), checks.next()) else {
        return Err(ConfigError::Invalid {
            key: path.to_owned(),
            expected: "a map with one of `max_chars`, `deny` and `agent`",
            origin,
        });
    };
    let own_timing = match &check {
        GuardrailCheck::MaxChars(_) | GuardrailCheck::Deny(_) | GuardrailCheck::Named(_) => {
            timings.of_texts
        }
        // An agent takes as long as an answer: both are asked at once, and the answer is held back
        // until the verdict.
        GuardrailCheck::Agent(_) => GuardrailTiming::Hold,
    };
    let own_name = || match &check {
        GuardrailCheck::MaxChars(_) => "max_chars".to_owned(),
        GuardrailCheck::Deny(_) => "deny".to_owned(),
        GuardrailCheck::Agent(name) | GuardrailCheck::Named(name) => name.clone(),
    };
    Ok(GuardrailConfig {
        name: name.unwrap_or_else(own_name),
        check,
        timing: timing.unwrap_or(own_timing),
    })
}
