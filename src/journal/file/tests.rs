//! What only the inside shows: a full disk, which Linux has as a file.

use super::*;
use crate::testing::ScriptedModel;
use crate::{Agent, ErrorKind, Runner};

#[tokio::test]
async fn a_full_disk_ends_the_run_before_the_model_is_asked() {
    let open = || std::fs::OpenOptions::new().write(true).open("/dev/full");
    let writer = Writer::start("full".to_owned(), open).await.unwrap();
    let journal = FileJournal::new(writer);
    let agent = Agent::builder("A").build().unwrap();
    let model = ScriptedModel::text("done");
    let request = Runner::new(model.clone()).run(&agent, "go");
    let error = request.journal(Arc::new(journal)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Journal);
    let cause = error.journal_error();
    assert!(
        matches!(cause, Some(JournalError::Full { .. })),
        "{error:?}"
    );
    assert_eq!(model.n_left(), 1);
}
