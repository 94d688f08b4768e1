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
