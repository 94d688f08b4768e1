//! Asks the client's user whether a call may be made, and reads the decision.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{McpCall, McpCallError};
use crate::agent::{Interruption, RunState, StateError};
use crate::mcp::{ElicitationAnswer, ElicitationRequest};
use crate::tools::NOT_APPROVED;

/// What was decided about a call.
pub(super) enum ApprovalVerdict {
    Approved,
    /// In the words of the user, if there are any.
    Refused(Option<String>),
    Declined,
}

/// Asks the client's user about a call.
pub(super) async fn ask(
    client: &McpCall,
    key: &str,
    call: &Interruption,
) -> Result<ApprovalVerdict, McpCallError> {
    Ok(match client.elicit(key, question(call)).await? {
        ElicitationAnswer::Accept { content } => match verdict(content.unwrap_or_default()) {
            Some(verdict) => verdict,
            None => return Err(client.bad_answer(key, "`approve` must be true or false")),
        },
        ElicitationAnswer::Decline | ElicitationAnswer::Cancel => ApprovalVerdict::Declined,
    })
}

/// Decides about a call that waits.
pub(super) fn decide(
    state: &mut RunState,
    call: &Interruption,
    verdict: ApprovalVerdict,
) -> Result<(), StateError> {
    match verdict.into_decision(call) {
        Ok(()) => state.approve(&call.id),
        Err(message) => state.reject_with(&call.id, message),
    }
}

impl ApprovalVerdict {
    /// Returns what is told in place of the output of a call that is refused.
    pub(super) fn into_decision(self, call: &Interruption) -> Result<(), String> {
        match self {
            Self::Approved => Ok(()),
            Self::Refused(None) => Err(NOT_APPROVED.to_owned()),
            Self::Refused(Some(reason)) => Err(reason),
            Self::Declined => Err(format!("The user declined the call of {}.", call.tool)),
        }
    }
}

/// Says which calls wait, in one line.
pub(super) fn describe(calls: &[Interruption]) -> String {
    let calls = calls.iter().map(|call| {
        let [agent, tool, arguments] = shown(call);
        format!("{agent}: {tool} {arguments}")
    });
    calls.collect::<Vec<_>>().join("; ")
}

fn question(call: &Interruption) -> ElicitationRequest {
    let [agent, tool, arguments] = shown(call);
    let mut message = format!("{agent} wants to call {tool} with {arguments}");
    if call.may_have_run {
        message.push_str("\nIt may have been made before.");
    }
    if let Some(changed) = &call.changed {
        // Writing to a string cannot fail.
        let _always_ok = write!(
            message,
            "\nThe tool has changed since you were asked before: {changed}."
        );
    }
    let schema = json!({
        "type": "object",
        "properties": {
            "approve": {
                "type": "boolean",
                "title": "Approve",
                "description": "Whether the call may be made.",
            },
            "reason": {
                "type": "string",
                "title": "Reason",
                "description": "What the agent is told if it may not.",
            },
        },
        "required": ["approve"],
    });
    ElicitationRequest::form(message, schema)
}

fn verdict(mut content: Map<String, Value>) -> Option<ApprovalVerdict> {
    let reason = match content.remove("reason") {
        Some(Value::String(reason)) if !reason.trim().is_empty() => Some(reason),
        _ => None,
    };
    let is_approved = content.get("approve")?.as_bool()?;
    Some(if is_approved {
        ApprovalVerdict::Approved
    } else {
        ApprovalVerdict::Refused(reason)
    })
}

/// The agent, the tool and the arguments, as they can be shown to whoever decides.
fn shown(call: &Interruption) -> [String; 3] {
    [&call.agent, &call.tool, &call.arguments].map(|text| exact(text))
}

/// Writes a text so that all of it is seen: it was written by a model.
///
/// Control characters, characters without width and those that turn the direction of writing (UAX #9) are escaped.
fn exact(text: &str) -> String {
    let mut exact = String::with_capacity(text.len());
    for character in text.chars() {
        let is_unseen = matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}');
        if character.is_control() || is_unseen {
            // Writing to a string cannot fail.
            let _always_ok = write!(exact, "{}", character.escape_unicode());
        } else {
            exact.push(character);
        }
    }
    exact
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn approval_question_escapes_hidden_characters() {
        for (text, expect) in [
            (r#"{"path":"/tmp/ä 你"}"#, r#"{"path":"/tmp/ä 你"}"#),
            ("a\nb\u{1b}[2K", r"a\u{a}b\u{1b}[2K"),
            ("txt\u{202e}exe\u{200b}", r"txt\u{202e}exe\u{200b}"),
        ] {
            assert_eq!(exact(text), expect);
        }
    }

    #[test]
    fn only_a_clear_yes_approves() {
        let read = |content: Value| verdict(content.as_object().unwrap().clone());
        assert!(matches!(
            read(json!({"approve": true})),
            Some(ApprovalVerdict::Approved)
        ));
        for unclear in [json!({}), json!({"approve": "true"}), json!({"approve": 1})] {
            assert!(read(unclear).is_none());
        }
        let refused = read(json!({"approve": false, "reason": "No."}));
        assert!(matches!(refused, Some(ApprovalVerdict::Refused(Some(reason))) if reason == "No."));
        let refused = read(json!({"approve": false, "reason": " "}));
        assert!(matches!(refused, Some(ApprovalVerdict::Refused(None))));
    }
}
