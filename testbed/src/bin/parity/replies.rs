//! Between the script of `scripted_server.py` and the library's scripted server.

use openai_agents::testing::{CapturedRequest, Framing, Reply};
use serde_json::{Map, Value, json};

use crate::Failure;

/// Makes a reply of a step.
pub(crate) fn reply(step: &Value) -> Result<Reply, Failure> {
    let status = step.get("status").and_then(Value::as_u64).unwrap_or(200);
    let status = u16::try_from(status)?;
    if step.get("drop").is_some() {
        return Ok(Reply::raw("").close());
    }
    let mut reply = match (step.get("sse"), step.get("json")) {
        (Some(Value::Array(events)), _) => {
            let has_names = step.get("event_names") == Some(&Value::Bool(true));
            let is_done = step.get("done") != Some(&Value::Bool(false));
            stream(events, has_names, is_done)
        }
        (None, Some(body)) => Reply::json(body),
        _ => return Err(format!("a step that is not known here: {step}").into()),
    };
    reply = reply.with_status(status).header("x-request-id", "req_test");
    let headers = step.get("headers").and_then(Value::as_object);
    for (name, value) in headers.into_iter().flatten() {
        reply = reply.header(name, value.as_str().unwrap_or_default());
    }
    Ok(reply)
}

fn stream(events: &[Value], has_names: bool, is_done: bool) -> Reply {
    let mut reply = Reply::event_stream().framing(Framing::UntilClose);
    for event in events {
        let name = event.get("type").and_then(Value::as_str);
        reply = match (event, name) {
            (Value::String(data), _) => reply.event(data),
            (event, Some(name)) if has_names => reply.named_event(name, &event.to_string()),
            (event, _) => reply.event(&event.to_string()),
        };
    }
    if is_done {
        reply = reply.event("[DONE]");
    }
    reply.close()
}

/// Tells a request as `drive_python.py` does.
pub(crate) fn request(request: &CapturedRequest) -> Value {
    let mut headers = Map::new();
    for name in ["authorization", "content-type", "user-agent", "x-a"] {
        if let Some(value) = request.header(name) {
            headers.insert(name.to_owned(), value.into());
        }
    }
    json!({ "method": request.method, "path": request.path, "body": request.json(), "headers": headers })
}
