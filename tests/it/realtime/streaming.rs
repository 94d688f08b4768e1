//! Conversations over streams that the user interrupts: the next request holds exactly what was delivered.

use openai_agents::realtime::StreamingSession;
use openai_agents::testing::FakeServer;
use openai_agents::{Agent, Item, RunEvent, Runner};
use serde_json::{Value, json};

use crate::support::{
    bodies, chat, chunk, instant, response_events, responses, streamed, tool, wire_call,
};

/// Takes events until so many pieces of text came; gives the text.
async fn hear(session: &mut StreamingSession, n_deltas: usize) -> String {
    let mut text = String::new();
    for _ in 0..n_deltas {
        loop {
            if let RunEvent::TextDelta { delta } = session.next().await.unwrap().unwrap() {
                text.push_str(&delta);
                break;
            }
        }
    }
    text
}

async fn finish(session: &mut StreamingSession) {
    while let Some(event) = session.next().await {
        drop(event.unwrap());
    }
}

fn told(items: &[Item]) -> Vec<String> {
    let line = |item: &Item| {
        let value: Value = serde_json::from_str(item.to_json()).unwrap();
        let text = match &value["content"] {
            Value::String(text) => text.clone(),
            parts => parts[0]["text"].as_str().unwrap_or_default().to_owned(),
        };
        match value["type"].as_str() {
            Some("message") => format!("{}: {text}", value["role"].as_str().unwrap()),
            Some(other) => other.to_owned(),
            None => String::new(),
        }
    };
    items.iter().map(line).collect()
}

fn partial(pieces: &[&str]) -> openai_agents::testing::Reply {
    let reply = openai_agents::testing::Reply::event_stream();
    let with = pieces.iter().fold(reply, |reply, piece| {
        reply.event(&chunk(&json!({ "content": piece })))
    });
    with.hang()
}

#[tokio::test]
async fn interrupted_chat_answer_is_kept_as_far_as_it_was_delivered() {
    let replies = [
        partial(&["Once ", "upon ", "a time"]),
        streamed(&[json!({ "content": "Sorry." })], "stop"),
    ];
    let server = FakeServer::start(replies).await.unwrap();
    let agent = Agent::builder("Teller").build().unwrap();
    let mut session = StreamingSession::new(&Runner::new(chat(&server)), &agent);
    assert_eq!(session.send("A story!").await, None);
    assert_eq!(hear(&mut session, 2).await, "Once upon ");
    assert_eq!(session.send("Stop!").await.as_deref(), Some("Once upon "));
    finish(&mut session).await;
    let expected = [
        "user: A story!",
        "assistant: Once upon ",
        "user: Stop!",
        "assistant: Sorry.",
    ];
    assert_eq!(told(session.history()), expected);
    let sent: Vec<(String, String)> = bodies(&server)[1]["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| {
            let content = match &message["content"] {
                Value::String(text) => text.clone(),
                parts => parts[0]["text"].as_str().unwrap().to_owned(),
            };
            (message["role"].as_str().unwrap().to_owned(), content)
        })
        .collect();
    let sent: Vec<String> = sent
        .iter()
        .map(|(role, text)| format!("{role}: {text}"))
        .collect();
    assert_eq!(sent, expected[..3]);
    assert_eq!(server.problems(), Vec::<String>::new());
}

#[tokio::test]
async fn interrupted_responses_answer_is_kept_as_far_as_it_was_delivered() {
    let begin = |name: &str, fields: Value| {
        let mut event = json!({ "type": name });
        event
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        event.to_string()
    };
    let cut = openai_agents::testing::Reply::event_stream()
        .event(&begin("response.created", json!({ "response": { "id": "resp_1", "status": "in_progress", "output": [] } })))
        .event(&begin("response.output_item.added", json!({ "output_index": 0, "item": { "id": "msg_1", "type": "message", "role": "assistant", "content": [] } })))
        .event(&begin("response.output_text.delta", json!({ "output_index": 0, "content_index": 0, "item_id": "msg_1", "delta": "Once " })))
        .event(&begin("response.output_text.delta", json!({ "output_index": 0, "content_index": 0, "item_id": "msg_1", "delta": "upon" })))
        .hang();
    let message = r#"{"type":"message","id":"msg_2","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Sorry.","annotations":[]}]}"#;
    let server = FakeServer::start([cut, response_events("resp_2", &[message])])
        .await
        .unwrap();
    let agent = Agent::builder("Teller").build().unwrap();
    let mut session = StreamingSession::new(&Runner::new(responses(&server)), &agent);
    session.send("A story!").await;
    assert_eq!(hear(&mut session, 1).await, "Once ");
    assert_eq!(session.interrupt().await.as_deref(), Some("Once "));
    assert_eq!(session.interrupt().await, None);
    session.send("Stop!").await;
    finish(&mut session).await;
    let expected = [
        "user: A story!",
        "assistant: Once ",
        "user: Stop!",
        "assistant: Sorry.",
    ];
    assert_eq!(told(session.history()), expected);
}

#[tokio::test]
async fn interrupted_tool_leaves_no_call_without_its_output() {
    let call = |id: &str, name: &str| json!({ "tool_calls": [wire_call(0, id, name, "{}")] });
    let replies = [
        streamed(&[call("call_1", "quick")], "tool_calls"),
        streamed(
            &[
                json!({ "content": "One moment." }),
                call("call_2", "endless"),
            ],
            "tool_calls",
        ),
        streamed(&[json!({ "content": "Fine." })], "stop"),
    ];
    let server = FakeServer::start(replies).await.unwrap();
    let endless = tool("endless", async |_| {
        std::future::pending::<()>().await;
        Ok("never".to_owned())
    });
    let agent = Agent::builder("Clerk")
        .tool(instant("quick", "done"))
        .tool(endless)
        .build()
        .unwrap();
    let mut session = StreamingSession::new(&Runner::new(chat(&server)), &agent);
    session.send("Do it.").await;
    loop {
        let event = session.next().await.unwrap().unwrap();
        if matches!(&event, RunEvent::ToolCalled { name, .. } if name == "endless") {
            break;
        }
    }
    session.send("Never mind.").await;
    finish(&mut session).await;
    assert_eq!(
        told(session.history()),
        [
            "user: Do it.",
            "function_call",
            "function_call_output",
            "assistant: One moment.",
            "user: Never mind.",
            "assistant: Fine."
        ]
    );
}

#[tokio::test]
async fn handoff_stays_after_an_interruption() {
    let call = json!({ "tool_calls": [wire_call(0, "call_1", "transfer_to_billing", "{}")] });
    let replies = [
        streamed(&[call], "tool_calls"),
        partial(&["Billing ", "here."]),
        streamed(&[json!({ "content": "Yes?" })], "stop"),
    ];
    let server = FakeServer::start(replies).await.unwrap();
    let billing = Agent::builder("Billing")
        .instructions("Bills.")
        .build()
        .unwrap();
    let clerk = Agent::builder("Clerk").handoff(&billing).build().unwrap();
    let mut session = StreamingSession::new(&Runner::new(chat(&server)), &clerk);
    session.send("My invoice!").await;
    assert_eq!(hear(&mut session, 1).await, "Billing ");
    session.send("Wait.").await;
    finish(&mut session).await;
    assert_eq!(session.agent().name(), "Billing");
    assert_eq!(bodies(&server)[2]["messages"][0]["content"], "Bills.");
    assert_eq!(
        told(session.history()),
        [
            "user: My invoice!",
            "function_call",
            "function_call_output",
            "assistant: Billing ",
            "user: Wait.",
            "assistant: Yes?"
        ]
    );
}
