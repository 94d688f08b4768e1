//! Between the script of `scripted_server.py` and the library's scripted server.

use std::time::Duration;

use openai_agents::testing::{CapturedRequest, Framing, Reply};
use serde_json::{Map, Value, json};

use crate::BoxedFailure;

/// What a step may have, as `scripted_server.py` takes it.
const KNOWN: [&str; 10] = [
    "json",
    "sse",
    "status",
    "headers",
    "drop",
    "done",
    "event_names",
    "request_id",
    "delay_ms",
    "chunk_delay_ms",
];

/// Makes a reply of a step.
pub(crate) fn reply(step: &Value) -> Result<Reply, BoxedFailure> {
    let step = step.as_object().ok_or("a step is not an object")?;
    if let Some(key) = step.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(format!("the key {key} of a step is not known here").into());
    }
    let delay = millis(step, "delay_ms")?;
    if step.get("drop") == Some(&Value::Bool(true)) {
        let reply = Reply::new(0).framing(Framing::Raw).pause(delay);
        return Ok(reply.close());
    }
    let mut reply = match (step.get("sse"), step.get("json")) {
        (Some(Value::Array(events)), _) => stream(step, events)?,
        (Some(_), _) => return Err("the events of a step are not a list".into()),
        (None, body) => {
            let body = body.map_or_else(|| "{}".to_owned(), Value::to_string);
            let reply = Reply::new(200).header("content-type", "application/json");
            reply.pause(delay).bytes(body)
        }
    };
    let status = step.get("status").and_then(Value::as_u64).unwrap_or(200);
    let request_id = step.get("request_id").and_then(Value::as_str);
    let request_id = request_id.unwrap_or("req_test");
    reply = reply
        .with_status(u16::try_from(status)?)
        .header("x-request-id", request_id);
    let headers = step.get("headers").and_then(Value::as_object);
    for (name, value) in headers.into_iter().flatten() {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        reply = reply.header(name, text);
    }
    Ok(reply)
}

fn millis(step: &Map<String, Value>, key: &str) -> Result<Duration, BoxedFailure> {
    match step.get(key) {
        None => Ok(Duration::ZERO),
        Some(n) => {
            let n = n.as_u64();
            let n = n.ok_or_else(|| format!("{key} of a step is not a number"))?;
            Ok(Duration::from_millis(n))
        }
    }
}

fn stream(step: &Map<String, Value>, events: &[Value]) -> Result<Reply, BoxedFailure> {
    let has_names = step.get("event_names") == Some(&Value::Bool(true));
    let pause = millis(step, "chunk_delay_ms")?;
    let mut reply = Reply::event_stream()
        .framing(Framing::UntilClose)
        .pause(millis(step, "delay_ms")?);
    for event in events {
        let name = event.get("type").and_then(Value::as_str);
        reply = match (event, name) {
            (Value::String(data), _) => reply.event(data),
            (event, Some(name)) if has_names => reply.named_event(name, &event.to_string()),
            (event, _) => reply.event(&event.to_string()),
        }
        .pause(pause);
    }
    if step.get("done") != Some(&Value::Bool(false)) {
        reply = reply.event("[DONE]");
    }
    Ok(reply.close())
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
