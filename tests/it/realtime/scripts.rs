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
