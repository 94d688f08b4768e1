//! The scripts of `tests/fixtures/realtime`, played over a WebSocket.

use std::path::Path;

use openai_agents::testing::realtime::RealtimeScript;

use super::session::Stage;

#[tokio::test]
async fn session_scripts_play_as_written_over_a_socket() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/realtime");
    let mut complaints = Vec::new();
    let mut n_scripts = 0;
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
        if let Err(complaint) = Stage::play(&script).await {
            complaints.push(format!("{name}: {complaint}"));
        }
        n_scripts += 1;
    }
    assert_eq!(complaints, Vec::<String>::new());
    assert!(n_scripts >= 25, "only {n_scripts} scripts were found");
}

#[tokio::test]
async fn session_is_recorded_with_its_answers_calls_and_handoffs() {
    let script = include_str!(
        "../../fixtures/realtime/tool_runs_beside_audio_and_belongs_to_its_agent.script"
    );
    let script = RealtimeScript::parse(script).unwrap();
    let spans = Stage::play_recorded(&script).await.unwrap();
    let session = spans.last().unwrap();
    let lines: Vec<_> = spans
        .iter()
        .map(|span| {
            assert_eq!(span.trace.id, session.trace.id);
            let agent = span.attribute("gen_ai.agent.name");
            let agent = agent.and_then(|name| name.as_str()).unwrap_or_default();
            let is_below = span.parent == Some(session.id);
            format!(
                "{} {} {agent} {}",
                span.name,
                span.status.as_str(),
                if is_below { "below" } else { "root" }
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            "handoff to Billing ok  below",
            "execute_tool transfer_to_billing ok Clerk below",
            "chat gpt-realtime ok Clerk below",
            "execute_tool book ok Clerk below",
            "chat gpt-realtime ok Billing below",
            "realtime session Clerk ok Clerk root",
        ]
    );
    let book = &spans[3];
    assert_eq!(
        book.content("arguments").unwrap().to_text(),
        r#"{"seat":1}"#
    );
    assert_eq!(book.content("result").unwrap().to_text(), "booked");
    assert_eq!(
        session.attribute("gen_ai.usage.input_tokens"),
        Some(&2.into())
    );
}

#[test]
fn script_line_that_is_none_is_named() {
    for (text, expected) in [
        ("\nsing", "line 2 of the script: `sing` begins no line"),
        (
            "at 5",
            "line 1 of the script: milliseconds are written as `800ms`",
        ),
        ("user dance", "line 1 of the script: a user cannot `dance`"),
    ] {
        let error = RealtimeScript::parse(text).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}
