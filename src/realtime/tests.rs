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
