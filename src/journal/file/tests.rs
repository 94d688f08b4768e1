//! What only the inside shows: a full disk, which Linux has as a file.

use super::*;
use crate::testing::ScriptedModel;
use crate::{Agent, Runner};

#[tokio::test]
async fn full_disk_ends_the_recording_and_not_the_run() {
    let open = || std::fs::OpenOptions::new().write(true).open("/dev/full");
    let writer = LineWriter::start("full".to_owned(), open).await.unwrap();
    let journal = FileJournal::new(writer);
    let agent = Agent::builder("A").build().unwrap();
    let model = ScriptedModel::text("done");
    let request = Runner::new(model.clone()).run(&agent, "go");
    let result = request.journal(Arc::new(journal.clone())).await.unwrap();
    assert_eq!(result.final_output(), "done");
    let failure = journal.failure();
    assert!(
        matches!(failure, Some(JournalError::Full { .. })),
        "{failure:?}"
    );
}
