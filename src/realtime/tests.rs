//! The scripts of `tests/fixtures/realtime`, played to the machine; and the machine under random events.

mod player;
mod random;

use std::path::Path;

use player::Player;

use crate::testing::realtime::RealtimeScript;

#[tokio::test]
async fn machine_scripts_play_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/realtime");
    let mut n_scripts = 0;
    let mut complaints = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_none_or(|extension| extension != "script")
        {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let script = RealtimeScript::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        if let Err(complaint) = Player::play(&script).await {
            complaints.push(format!("{name}: {complaint}"));
        }
        n_scripts += 1;
    }
    assert_eq!(complaints, Vec::<String>::new());
    assert!(n_scripts >= 25, "only {n_scripts} scripts were found");
}

#[tokio::test]
async fn output_shown_under_the_id_of_another_item_is_there_once() {
    let call = r#"{"id":"fc_1","type":"function_call","call_id":"call_1","name":"book","arguments":"{}","status":"completed"}"#;
    let script = format!(
        r#"
user text Hello
-> {{"type":"conversation.item.create"}}
-> {{"type":"response.create"}}
<- {{"type":"conversation.item.added","previous_item_id":null,"item":{{"id":"item_0","type":"message","role":"user","content":[{{"type":"input_text","text":"Hello"}}]}}}}
<- {{"type":"response.created","response":{{"id":"resp_1"}}}}
<- {{"type":"response.output_item.done","response_id":"resp_1","item":{call}}}
tool call_1 gives booked
<- {{"type":"response.done","response":{{"id":"resp_1","status":"completed","output":[]}}}}
-> {{"type":"conversation.item.create","item":{{"call_id":"call_1"}}}}
-> {{"type":"response.create"}}
<- {{"type":"conversation.item.added","item":{{"id":"fc_1","type":"function_call_output","call_id":"call_1","output":"booked"}}}}
history user: Hello | calls book: {{}} | gives: booked
"#
    );
    let script = RealtimeScript::parse(&script).unwrap();
    assert_eq!(Player::play(&script).await, Ok(()));
}

/// What a server says to an answer, and to the question in front of it.
const BEGUN: &str = r#"
user text Hello
-> {"type":"conversation.item.create"}
-> {"type":"response.create"}
<- {"type":"conversation.item.added","item":{"id":"item_0","type":"message","role":"user","content":[{"type":"input_text","text":"Hello"}]}}
<- {"type":"response.created","response":{"id":"resp_1"}}
"#;

const OVER: &str =
    r#"<- {"type":"response.done","response":{"id":"resp_1","status":"completed","output":[]}}"#;

const OPENED_AGAIN: &str = r#"
close 1001
opened
-> {"type":"session.update"}
-> {"type":"conversation.item.create","item":{"role":"user","content":[{"text":"Hello"}]}}
"#;

async fn play_again(lines: &[&str]) {
    let script = format!("session reconnect\n{BEGUN}{}", lines.join("\n"));
    let script = RealtimeScript::parse(&script).unwrap();
    assert_eq!(Player::play(&script).await, Ok(()));
}

#[tokio::test]
async fn reconnecting_calls_and_outputs_without_each_other_are_not_told() {
    play_again(&[
        // An output of a call that nobody saw, and one in front of its call.
        r#"<- {"type":"conversation.item.added","item":{"id":"fco_1","type":"function_call_output","call_id":"call_1","output":"booked"}}"#,
        r#"<- {"type":"conversation.item.added","item":{"id":"fco_2","type":"function_call_output","call_id":"call_2","output":"booked"}}"#,
        r#"<- {"type":"conversation.item.done","item":{"id":"fc_2","type":"function_call","call_id":"call_2","name":"book","arguments":"{}"}}"#,
        // A call without an output, and one that was taken out.
        r#"<- {"type":"conversation.item.done","item":{"id":"fc_3","type":"function_call","call_id":"call_3","name":"book","arguments":"{}"}}"#,
        r#"<- {"type":"conversation.item.done","item":{"id":"fc_4","type":"function_call","call_id":"call_4","name":"book","arguments":"{}"}}"#,
        r#"<- {"type":"conversation.item.added","item":{"id":"fco_4","type":"function_call_output","call_id":"call_4","output":"booked"}}"#,
        r#"<- {"type":"conversation.item.deleted","item_id":"fc_4"}"#,
        OVER,
        OPENED_AGAIN,
    ])
    .await;
}

#[tokio::test]
async fn reconnecting_calls_and_outputs_that_came_twice_are_told_once() {
    play_again(&[
        r#"<- {"type":"conversation.item.done","item":{"id":"fc_1","type":"function_call","call_id":"call_1","name":"book","arguments":"{}"}}"#,
        r#"<- {"type":"conversation.item.done","item":{"id":"fc_2","type":"function_call","call_id":"call_1","name":"book","arguments":"{\"seat\":2}"}}"#,
        r#"<- {"type":"conversation.item.added","item":{"id":"fco_1","type":"function_call_output","call_id":"call_1","output":"booked"}}"#,
        r#"<- {"type":"conversation.item.added","item":{"id":"fco_2","type":"function_call_output","call_id":"call_1","output":"again"}}"#,
        OVER,
        OPENED_AGAIN,
        r#"-> {"type":"conversation.item.create","item":{"type":"function_call","call_id":"call_1","arguments":"{}"}}"#,
        r#"-> {"type":"conversation.item.create","item":{"type":"function_call_output","call_id":"call_1","output":"booked"}}"#,
        // It is answered: under its id nothing is called any more.
        r#"<- {"type":"response.created","response":{"id":"resp_2"}}"#,
        r#"<- {"type":"response.output_item.done","response_id":"resp_2","item":{"id":"fc_3","type":"function_call","call_id":"call_1","name":"book","arguments":"{}","status":"completed"}}"#,
        r#"<- {"type":"response.done","response":{"id":"resp_2","status":"completed","output":[]}}"#,
    ])
    .await;
}

#[tokio::test]
async fn reconnecting_twice_tells_each_item_once() {
    let told = [
        OPENED_AGAIN,
        r#"-> {"type":"conversation.item.create","item":{"role":"assistant","content":[{"text":"Hi!"}]}}"#,
        r#"-> {"type":"conversation.item.create","item":{"type":"function_call","call_id":"call_1"}}"#,
        r#"-> {"type":"conversation.item.create","item":{"type":"function_call_output","call_id":"call_1","output":"booked"}}"#,
    ]
    .join("\n");
    play_again(&[
        r#"<- {"type":"response.output_text.done","response_id":"resp_1","item_id":"item_1","content_index":0,"text":"Hi!"}"#,
        r#"<- {"type":"response.output_item.done","response_id":"resp_1","item":{"id":"fc_1","type":"function_call","call_id":"call_1","name":"book","arguments":"{}","status":"completed"}}"#,
        OVER,
        "close 1001",
        "opened",
        r#"-> {"type":"session.update"}"#,
        r#"-> {"type":"conversation.item.create","item":{"role":"user"}}"#,
        r#"-> {"type":"conversation.item.create","item":{"role":"assistant"}}"#,
        // The call was open. Who loses the connection before the server shows the rest is told all of it again.
        "tool call_1 gives booked",
        r#"-> {"type":"conversation.item.create","item":{"type":"function_call","call_id":"call_1"}}"#,
        r#"-> {"type":"conversation.item.create","item":{"type":"function_call_output","call_id":"call_1"}}"#,
        r#"-> {"type":"response.create"}"#,
        "history calls book: {} | gives: booked",
        r#"<- {"type":"conversation.item.added","item":{"id":"item_8","type":"message","role":"user","content":[{"type":"input_text","text":"Hello"}]}}"#,
        r#"<- {"type":"conversation.item.added","previous_item_id":"item_8","item":{"id":"item_9","type":"message","role":"assistant","content":[{"type":"output_text","text":"Hi!"}]}}"#,
        r#"<- {"type":"conversation.item.added","previous_item_id":"item_9","item":{"id":"fc_9","type":"function_call","call_id":"call_1","name":"book","arguments":"{}"}}"#,
        r#"<- {"type":"conversation.item.added","previous_item_id":"fc_9","item":{"id":"fco_9","type":"function_call_output","call_id":"call_1","output":"booked"}}"#,
        "history user: Hello | assistant: Hi! | calls book: {} | gives: booked",
        r#"<- {"type":"response.created","response":{"id":"resp_1"}}"#,
        OVER,
        &told,
        // What this server never shows is told again all the same.
        r#"<- {"type":"response.created","response":{"id":"resp_1"}}"#,
        OVER,
        &told,
    ])
    .await;
}

#[tokio::test]
async fn audio_under_the_id_of_an_output_stays_with_that_id() {
    play_again(&[
        r#"<- {"type":"conversation.item.added","item":{"id":"fco_1","type":"function_call_output","call_id":"call_1","output":"booked"}}"#,
        r#"<- {"type":"response.output_audio.delta","response_id":"resp_1","item_id":"fco_1","content_index":0,"delta":"$500ms"}"#,
        r#"<- {"type":"conversation.item.added","item":{"id":"fco_2","type":"function_call_output","call_id":"call_1","output":"booked"}}"#,
        "at 200ms user interrupt",
        r#"-> {"type":"response.cancel"}"#,
        r#"-> {"type":"conversation.item.truncate","item_id":"fco_1","audio_end_ms":200}"#,
    ])
    .await;
}
