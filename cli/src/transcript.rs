//! Shows a stored conversation to people.

use std::io;

use openai_agents::Item;
use openai_agents::item::{Content, ItemKind, Message, Part, Role};

use crate::escape::excerpt;
use crate::output::Lines;

/// Writes the items of a conversation. The turns of the user are numbered as `sessions fork` counts
/// them.
///
/// All but the first line of a message are indented, so that no message can imitate the next one.
pub(crate) fn write(out: &mut Lines, items: &[Item], mut n_turns: usize) -> io::Result<()> {
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
                let words = words(message).replace('\t', "    ");
                let mut lines = words.lines();
                out.text(format_args!("{who}: {}", lines.next().unwrap_or_default()))?;
                for line in lines {
                    out.text(format_args!("  {line}"))?;
                }
            }
            ItemKind::FunctionCall(call) => {
                out.text(format_args!("-> {} {}", call.name, call.arguments))?;
            }
            ItemKind::FunctionCallOutput(output) => {
                out.text(format_args!("<- {}", output.output.text()))?;
            }
            ItemKind::Reasoning(reasoning) => {
                out.text(format_args!("(thinks: {})", excerpt(&reasoning.text())))?;
            }
            ItemKind::Unknown { type_name } => out.text(format_args!("({type_name})"))?,
            _ => out.text("(something that is not known here)")?,
        }
    }
    Ok(())
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
