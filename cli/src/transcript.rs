//! A conversation for people: who said what, and which tools were called.

use std::io::{self, Write};

use openai_agents::Item;
use openai_agents::item::{Content, ItemKind, Message, Part, Role};

use crate::sanitize::{excerpt, one_line, sanitize};

/// Writes the items of a conversation, the user's turns numbered as `sessions fork` counts them.
pub(crate) fn write(out: &mut impl Write, items: &[Item], mut n_turns: usize) -> io::Result<()> {
    for item in items {
        match item.kind() {
            ItemKind::Message(message) => {
                let who = match &message.role {
                    Role::User => {
                        n_turns += 1;
                        format!("user ({n_turns})")
                    }
                    Role::Assistant => "assistant".to_owned(),
                    Role::System => "system".to_owned(),
                    Role::Developer => "developer".to_owned(),
                    other => format!("{other:?}"),
                };
                writeln!(out, "{}: {}", one_line(&who), sanitize(&words(message)))?;
            }
            ItemKind::FunctionCall(call) => {
                let call = format!("{} {}", call.name, call.arguments);
                writeln!(out, "-> {}", one_line(&call))?;
            }
            ItemKind::FunctionCallOutput(output) => {
                writeln!(out, "<- {}", one_line(&output.output.text()))?;
            }
            ItemKind::Reasoning(reasoning) => {
                writeln!(out, "(thinks: {})", excerpt(&reasoning.text()))?;
            }
            ItemKind::Unknown { type_name } => writeln!(out, "({})", one_line(type_name))?,
            _ => writeln!(out, "(something that is not known here)")?,
        }
    }
    out.flush()
}

fn words(message: &Message) -> String {
    let parts = match &message.content {
        Content::Text(text) => return text.clone(),
        Content::Parts(parts) => parts,
        _ => return "[content]".to_owned(),
    };
    let words = parts.iter().map(|part| match part {
        Part::Refusal { refusal } => refusal.clone(),
        Part::Image { .. } => "[image]".to_owned(),
        Part::Audio { .. } => "[audio]".to_owned(),
        Part::File { .. } => "[file]".to_owned(),
        other => other.as_text().unwrap_or("[part]").to_owned(),
    });
    words.collect::<Vec<_>>().join("\n")
}
