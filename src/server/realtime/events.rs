//! What is done with each event of a client, and what a client sees of each event of the model.

use serde_json::{Map, Value, json};

use crate::model::realtime::ResponseOptions;

/// What an event of a client asks for.
#[derive(Debug, PartialEq)]
pub(super) enum ClientAction {
    /// It is passed on as it is.
    PassOn,
    /// An answer is asked for, when there can be one.
    Respond(Box<ResponseOptions>),
    /// The session is changed.
    Update {
        fields: Map<String, Value>,
        /// What the client tells the agent beside the agent's own instructions.
        instructions: Option<String>,
    },
    /// It is not done, and the client is told why.
    Refuse {
        code: &'static str,
        message: String,
        param: Option<&'static str>,
    },
}

/// What a client may not change, or has no say in: the agent is this server's.
const FIXED: [&str; 8] = [
    "type",
    "object",
    "id",
    "model",
    "instructions",
    "tools",
    "expires_at",
    "client_secret",
];

/// Decides about an event of a client.
pub(super) fn client_action(event: &Value) -> ClientAction {
    let Some(name) = event.get("type").and_then(Value::as_str) else {
        return refuse("missing_field", "an event needs a `type`", Some("type"));
    };
    match name {
        "session.update" => update(event.get("session").unwrap_or(&Value::Null)),
        "response.create" => respond(event.get("response").unwrap_or(&Value::Null)),
        _ => ClientAction::PassOn,
    }
}

fn respond(response: &Value) -> ClientAction {
    let Some(response) = fields(response) else {
        return refuse(
            "wrong_type",
            "`response` must be an object",
            Some("response"),
        );
    };
    if has_tools(&response) {
        return foreign_tools("response.tools");
    }
    ClientAction::Respond(Box::new(ResponseOptions {
        extra: response,
        ..ResponseOptions::default()
    }))
}

fn update(session: &Value) -> ClientAction {
    let Some(mut fields) = fields(session) else {
        return refuse("wrong_type", "`session` must be an object", Some("session"));
    };
    if fields.get("type").is_some_and(|kind| kind != "realtime") {
        let message = "only sessions of the type `realtime` are served here";
        return refuse("unsupported_parameter", message, Some("session.type"));
    }
    if has_tools(&fields) {
        return foreign_tools("session.tools");
    }
    let instructions = fields.get("instructions").and_then(Value::as_str);
    let instructions = instructions
        .filter(|text| !text.trim().is_empty())
        .map(str::to_owned);
    // Removed and not refused: a client may send back the session that it was shown, with these
    // fields in it.
    for key in FIXED {
        fields.remove(key);
    }
    ClientAction::Update {
        fields,
        instructions,
    }
}

/// The fields of an object; none of one that is not there.
fn fields(value: &Value) -> Option<Map<String, Value>> {
    match value {
        Value::Null => Some(Map::new()),
        Value::Object(fields) => Some(fields.clone()),
        _ => None,
    }
}

fn has_tools(fields: &Map<String, Value>) -> bool {
    let tools = fields.get("tools").and_then(Value::as_array);
    tools.is_some_and(|tools| !tools.is_empty())
}

fn foreign_tools(param: &'static str) -> ClientAction {
    let message = "the tools are those of the agent that is served; a client can add none";
    refuse("unsupported_parameter", message, Some(param))
}

fn refuse(code: &'static str, message: &str, param: Option<&'static str>) -> ClientAction {
    let message = message.to_owned();
    ClientAction::Refuse {
        code,
        message,
        param,
    }
}

/// Returns what a client sees of an event of the model; `None` if it sees nothing of it.
///
/// Calls of tools are the agent's own affair: a client that saw them would answer them too.
pub(super) fn shown(json: String, agent: &str) -> Option<String> {
    // Audio and text pass as they are: they are nearly all, and need not be read.
    let name = type_of(&json);
    match name.as_deref() {
        Some(
            "response.function_call_arguments.delta" | "response.function_call_arguments.done",
        ) => None,
        Some(
            "response.output_item.added"
            | "response.output_item.done"
            | "conversation.item.added"
            | "conversation.item.created"
            | "conversation.item.done"
            | "conversation.item.retrieved",
        ) => {
            let event: Value = serde_json::from_str(&json).ok()?;
            (!is_call(event.get("item").unwrap_or(&Value::Null))).then_some(json)
        }
        Some("response.done") => changed(&json, |event| {
            if let Some(Value::Array(output)) = event.pointer_mut("/response/output") {
                output.retain(|item| !is_call(item));
            }
        }),
        Some("session.created" | "session.updated") => changed(&json, |event| {
            if let Some(Value::Object(session)) = event.get_mut("session") {
                // What the agent is told is between it and its model.
                session.remove("instructions");
                session.insert("tools".to_owned(), json!([]));
                session.insert("model".to_owned(), agent.into());
            }
        }),
        Some("error") => {
            let event: Value = serde_json::from_str(&json).ok()?;
            (!is_handled(&event)).then_some(json)
        }
        _ => Some(json),
    }
}

fn type_of(json: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Head<'a> {
        #[serde(rename = "type", borrow)]
        name: std::borrow::Cow<'a, str>,
    }
    let head: Head<'_> = serde_json::from_str(json).ok()?;
    Some(head.name.into_owned())
}

fn is_call(item: &Value) -> bool {
    let kind = item.get("type").and_then(Value::as_str);
    matches!(kind, Some("function_call" | "function_call_output"))
}

/// Whether an error answers an event of this server, which has dealt with it.
fn is_handled(event: &Value) -> bool {
    let text = |key: &str| {
        event
            .pointer(&format!("/error/{key}"))
            .and_then(Value::as_str)
    };
    let is_ours = text("event_id").is_some_and(|id| id.starts_with("client_"));
    let code = text("code").or_else(|| text("type"));
    is_ours
        && matches!(
            code,
            Some("conversation_already_has_active_response" | "response_cancel_not_active")
        )
}

fn changed(json: &str, change: impl FnOnce(&mut Value)) -> Option<String> {
    let mut event: Value = serde_json::from_str(json).ok()?;
    change(&mut event);
    Some(event.to_string())
}

/// Makes the error event that answers an event of a client.
pub(super) fn error_event(
    kind: &str,
    code: &str,
    message: &str,
    about: (Option<&str>, Option<&Value>),
) -> String {
    let (param, event_id) = about;
    json!({
        "type": "error",
        "event_id": "event_refused",
        "error": { "type": kind, "code": code, "message": message, "param": param, "event_id": event_id },
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn update_of_a_client_keeps_to_what_is_the_clients() {
        let session = json!({
            "type": "realtime", "model": "gpt-realtime", "instructions": "Be brief.", "tools": [],
            "tool_choice": "auto", "audio": {"output": {"voice": "ash"}}, "id": "sess_1",
        });
        let action = client_action(&json!({"type": "session.update", "session": session}));
        let fields = json!({"tool_choice": "auto", "audio": {"output": {"voice": "ash"}}});
        let Value::Object(fields) = fields else {
            unreachable!("it is written above")
        };
        let instructions = Some("Be brief.".to_owned());
        assert_eq!(
            action,
            ClientAction::Update {
                fields,
                instructions
            }
        );
    }

    #[test]
    fn tools_of_a_client_are_refused() {
        let tools = json!([{"type": "function", "name": "a"}]);
        for event in [
            json!({"type": "session.update", "session": {"tools": tools}}),
            json!({"type": "response.create", "response": {"tools": tools}}),
            json!({"type": "session.update", "session": {"type": "transcription"}}),
            json!({"type": "session.update", "session": 7}),
            json!({"type": "response.create", "response": []}),
            json!({"type": 7}),
            json!([]),
        ] {
            assert!(
                matches!(client_action(&event), ClientAction::Refuse { .. }),
                "{event}"
            );
        }
    }

    #[test]
    fn other_events_of_a_client_pass() {
        for name in [
            "input_audio_buffer.append",
            "conversation.item.create",
            "a.new.one",
        ] {
            assert_eq!(client_action(&json!({"type": name})), ClientAction::PassOn);
        }
        let action = client_action(&json!({"type": "response.create"}));
        assert_eq!(action, ClientAction::Respond(Box::default()));
    }

    #[test]
    fn client_sees_no_call_and_no_instructions() {
        let call = json!({"type": "function_call", "name": "a"});
        let message = json!({"type": "message", "role": "assistant"});
        for (event, expect) in [
            (
                json!({"type": "response.output_item.done", "item": call}),
                None,
            ),
            (
                json!({"type": "conversation.item.added", "item": {"type": "function_call_output"}}),
                None,
            ),
            (
                json!({"type": "response.function_call_arguments.delta", "delta": "{"}),
                None,
            ),
            (
                json!({"type": "error", "error": {"code": "response_cancel_not_active", "event_id": "client_3"}}),
                None,
            ),
            (
                json!({"type": "response.done", "response": {"output": [call, message]}}),
                Some(json!({"type": "response.done", "response": {"output": [message]}})),
            ),
            (
                json!({"type": "session.created", "session": {"model": "gpt", "instructions": "Secret.", "tools": [call], "voice": "a"}}),
                Some(
                    json!({"type": "session.created", "session": {"model": "Clerk", "tools": [], "voice": "a"}}),
                ),
            ),
            (
                json!({"type": "conversation.item.added", "item": message}),
                Some(json!({"type": "conversation.item.added", "item": message})),
            ),
            (
                json!({"type": "error", "error": {"code": "invalid_value", "event_id": "client_3"}}),
                Some(
                    json!({"type": "error", "error": {"code": "invalid_value", "event_id": "client_3"}}),
                ),
            ),
        ] {
            let shown = shown(event.to_string(), "Clerk");
            let shown = shown.map(|json| serde_json::from_str::<Value>(&json).unwrap());
            assert_eq!(shown, expect);
        }
    }

    #[test]
    fn what_is_not_read_passes_as_it_is() {
        let odd = r#"{ "type" : "response.output_audio.delta", "delta": "AAAA" }"#;
        assert_eq!(shown(odd.to_owned(), "Clerk").as_deref(), Some(odd));
    }
}
