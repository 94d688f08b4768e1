//! A request as the text of a Harmony conversation, ready to be completed.

use std::fmt::Write as _;

use super::token::{Token, special_in};
use super::typescript;
use crate::item::{
    Content, FunctionCall, FunctionCallOutput, Item, ItemKind, Message, OutputContent, Part, Role,
};
use crate::kind::ErrorKind;
use crate::model::{ModelError, ModelRequest, OutputFormat, ToolChoice};
use crate::tools::{ToolName, ToolSpec};

/// Renders a request up to where the model is to go on.
///
/// # Errors
///
/// `unsupported` when something cannot be said in this format, `config` when the reasoning effort is not one of it.
pub(super) fn render(
    request: &ModelRequest,
    current_date: Option<&str>,
) -> Result<String, ModelError> {
    let tools = match request.settings.tool_choice {
        Some(ToolChoice::None) => &[],
        _ => request.tools.specs(),
    };
    let mut conversation = Conversation(String::with_capacity(4096));
    let effort = request.settings.reasoning_effort.as_deref();
    conversation.message("system", &system(effort, current_date, tools)?)?;
    let developer = developer(
        request.instructions.as_deref(),
        tools,
        request.output.as_deref(),
    );
    if !developer.is_empty() {
        conversation.message("developer", &developer)?;
    }
    conversation.items(&request.items)?;
    // Ends where the model is to go on: it writes the rest of the header, with the channel, itself.
    conversation.token(Token::Start);
    conversation.0.push_str("assistant");
    Ok(conversation.0)
}

fn system(
    effort: Option<&str>,
    current_date: Option<&str>,
    tools: &[ToolSpec],
) -> Result<String, ModelError> {
    let effort = match effort {
        None => "medium",
        Some(effort @ ("low" | "medium" | "high")) => effort,
        Some(other) => {
            return Err(ModelError::new(
                ErrorKind::Config,
                format!(
                    "the Harmony format knows the reasoning efforts low, medium and high, not `{other}`"
                ),
            ));
        }
    };
    let mut text = String::from(
        "You are ChatGPT, a large language model trained by OpenAI.\nKnowledge cutoff: 2024-06\n",
    );
    if let Some(date) = current_date {
        let _ = writeln!(text, "Current date: {date}");
    }
    let _ = write!(
        text,
        "\nReasoning: {effort}\n\n# Valid channels: analysis, commentary, final. Channel must be included for every message."
    );
    if !tools.is_empty() {
        text.push_str("\nCalls to these tools must go to the commentary channel: 'functions'.");
    }
    Ok(text)
}

fn developer(
    instructions: Option<&str>,
    tools: &[ToolSpec],
    output: Option<&OutputFormat>,
) -> String {
    let mut sections = Vec::new();
    sections.extend(instructions.map(as_instructions));
    if !tools.is_empty() {
        sections.push(functions(tools));
    }
    sections.extend(output.map(|output| {
        format!(
            "# Response Formats\n\n## {}\n\n{}",
            output.name, output.schema
        )
    }));
    sections.join("\n\n")
}

fn as_instructions(text: &str) -> String {
    format!("# Instructions\n\n{text}")
}

fn functions(tools: &[ToolSpec]) -> String {
    let mut text = String::from("# Tools\n\n## functions\n\nnamespace functions {\n\n");
    for tool in tools {
        for line in tool.description.lines() {
            let _ = writeln!(text, "// {line}");
        }
        let _ = match typescript::arguments_type(&tool.parameters) {
            Some(arguments) => write!(text, "type {} = (_: {arguments}) => any;\n\n", tool.name),
            None => write!(text, "type {} = () => any;\n\n", tool.name),
        };
    }
    text.push_str("} // namespace functions");
    text
}

/// What an item is in the conversation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ItemChannel {
    Analysis,
    Commentary,
    Final,
    Call,
    Other,
}

/// The text so far.
struct Conversation(String);

impl Conversation {
    fn token(&mut self, token: Token) {
        self.0.push_str(token.as_str());
    }

    /// Writes a text; in a prompt that is text, nothing can tell a control token that somebody wrote from a real one.
    fn text(&mut self, text: &str) -> Result<(), ModelError> {
        if let Some(token) = special_in(text) {
            return Err(unsupported(&format!(
                "the request holds the control token {token} in its text, which the server would take for structure"
            )));
        }
        self.0.push_str(text);
        Ok(())
    }

    fn message(&mut self, header: &str, text: &str) -> Result<(), ModelError> {
        self.token(Token::Start);
        self.0.push_str(header);
        self.body(text, Token::End)
    }

    fn assistant(&mut self, channel: &str, text: &str) -> Result<(), ModelError> {
        self.token(Token::Start);
        self.0.push_str("assistant");
        self.token(Token::Channel);
        self.0.push_str(channel);
        self.body(text, Token::End)
    }

    fn body(&mut self, text: &str, end: Token) -> Result<(), ModelError> {
        self.token(Token::Message);
        self.text(text)?;
        self.token(end);
        Ok(())
    }

    fn items(&mut self, items: &[Item]) -> Result<(), ModelError> {
        let places: Vec<ItemChannel> = (0..items.len())
            .map(|n| place(items.get(n..).unwrap_or_default()))
            .collect();
        // As OpenAI's renderer decides: reasoning before the first final answer goes once the model's last word was an answer.
        let answered = places
            .iter()
            .rev()
            .find(|place| **place != ItemChannel::Other)
            == Some(&ItemChannel::Final);
        let first_answer = places
            .iter()
            .position(|place| *place == ItemChannel::Final)
            .filter(|_| answered);
        for (n, (item, place)) in items.iter().zip(&places).enumerate() {
            let is_spent = first_answer.is_some_and(|first| n < first);
            if !(is_spent && *place == ItemChannel::Analysis) {
                self.item(item, *place, items)?;
            }
        }
        Ok(())
    }

    fn item(&mut self, item: &Item, place: ItemChannel, items: &[Item]) -> Result<(), ModelError> {
        match item.kind() {
            ItemKind::Message(message) => self.spoken(message, place),
            ItemKind::Reasoning(reasoning) => {
                let text = reasoning.text();
                // What is encrypted says nothing to any other server.
                if text.is_empty() {
                    Ok(())
                } else {
                    self.assistant("analysis", &text)
                }
            }
            ItemKind::FunctionCall(call) => self.call(call),
            ItemKind::FunctionCallOutput(output) => self.output(output, items),
            ItemKind::Unknown { type_name } => Err(unsupported(&format!(
                "the Harmony format has nothing for an item `{type_name}`"
            ))),
        }
    }

    fn spoken(&mut self, message: &Message, place: ItemChannel) -> Result<(), ModelError> {
        let text = match &message.content {
            Content::Text(text) => text.clone(),
            Content::Parts(parts) => text_of(parts, "")?,
        };
        match &message.role {
            Role::System | Role::Developer => self.message("developer", &as_instructions(&text)),
            Role::User => self.message("user", &text),
            Role::Assistant if place == ItemChannel::Commentary => {
                self.assistant("commentary", &text)
            }
            Role::Assistant => self.assistant("final", &text),
            Role::Other(role) => Err(unsupported(&format!(
                "the Harmony format has no role `{role}`"
            ))),
        }
    }

    fn call(&mut self, call: &FunctionCall) -> Result<(), ModelError> {
        self.token(Token::Start);
        let _ = write!(
            self.0,
            "assistant to=functions.{}",
            checked_name(&call.name)?
        );
        self.token(Token::Channel);
        self.0.push_str("commentary ");
        self.token(Token::Constrain);
        self.0.push_str("json");
        let arguments = if call.arguments.is_empty() {
            "{}"
        } else {
            &call.arguments
        };
        self.body(arguments, Token::Call)
    }

    fn output(&mut self, output: &FunctionCallOutput, items: &[Item]) -> Result<(), ModelError> {
        let name = items.iter().find_map(|item| match item.kind() {
            ItemKind::FunctionCall(call) if call.call_id == output.call_id => Some(&call.name),
            _ => None,
        });
        let name = name.ok_or_else(|| {
            let id = &output.call_id;
            unsupported(&format!("the output of {id:?} has no call in the conversation, and the format names outputs by their tool"))
        })?;
        self.token(Token::Start);
        let _ = write!(self.0, "functions.{} to=assistant", checked_name(name)?);
        self.token(Token::Channel);
        self.0.push_str("commentary");
        match &output.output {
            OutputContent::Text(text) => self.body(text, Token::End),
            OutputContent::Parts(parts) => self.body(&text_of(parts, "\n")?, Token::End),
        }
    }
}

/// Says what the first of these items is; the others follow it.
fn place(items: &[Item]) -> ItemChannel {
    let Some((first, rest)) = items.split_first() else {
        return ItemChannel::Other;
    };
    match first.kind() {
        ItemKind::Reasoning(reasoning) if !reasoning.text().is_empty() => ItemChannel::Analysis,
        ItemKind::FunctionCall(_) => ItemChannel::Call,
        ItemKind::Message(message) if message.role == Role::Assistant => {
            match message.extra.get("phase").and_then(|phase| phase.as_str()) {
                Some("commentary") => ItemChannel::Commentary,
                Some(_) => ItemChannel::Final,
                // Text that other models send along with a call is what Harmony calls a preamble.
                None if is_followed_by_call(rest) => ItemChannel::Commentary,
                None => ItemChannel::Final,
            }
        }
        ItemKind::Message(_)
        | ItemKind::Reasoning(_)
        | ItemKind::FunctionCallOutput(_)
        | ItemKind::Unknown { .. } => ItemChannel::Other,
    }
}

fn is_followed_by_call(items: &[Item]) -> bool {
    let next = items
        .iter()
        .find(|item| !matches!(item.kind(), ItemKind::Reasoning(_)));
    next.is_some_and(|item| matches!(item.kind(), ItemKind::FunctionCall(_)))
}

fn text_of(parts: &[Part], separator: &str) -> Result<String, ModelError> {
    let texts = parts.iter().map(|part| match part {
        Part::InputText { text } | Part::OutputText { text } => Ok(text.as_str()),
        Part::Refusal { refusal } => Ok(refusal.as_str()),
        Part::Image { .. } | Part::Audio { .. } | Part::File { .. } | Part::Unknown(_) => Err(
            unsupported("the Harmony format has text only, no images, sounds or files"),
        ),
    });
    Ok(texts.collect::<Result<Vec<_>, _>>()?.join(separator))
}

/// A name stands in a header, where a space would begin something else.
fn checked_name(name: &str) -> Result<ToolName, ModelError> {
    ToolName::new(name).map_err(|error| {
        unsupported("a tool call of the conversation has a name that no header can hold")
            .with_source(error)
    })
}

fn unsupported(message: &str) -> ModelError {
    ModelError::new(ErrorKind::Unsupported, message)
}
