//! What only the inside shows: a full disk.

use rusqlite::Connection;

use super::*;
use crate::testing::{ScriptedModel, ScriptedTurn};
use crate::{Agent, ErrorKind, FunctionTool, Item, Runner};

async fn allow(run: &DurableRun, n_pages: u32) {
    let sql = format!("PRAGMA max_page_count = {n_pages}");
    let limit =
        move |db: &mut Connection| -> Result<_, JournalFailure> { Ok(db.execute_batch(&sql)?) };
    run.worker().run(limit).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_ends_the_run_by_an_error() {
    let journal = SqliteJournal::open(":memory:").await.unwrap();
    let beginning = RunBeginning::new("A", [Item::user("go")]);
    let run = journal.start(beginning).await.unwrap();
    let schema = serde_json::json!({ "type": "object", "properties": {} });
    let large = |_, _| async { Ok::<_, String>("x".repeat(500_000)) };
    let tool = FunctionTool::dynamic(
        "large",
        "",
        schema,
        crate::tools::ToolOptions::default(),
        large,
    );
    let agent = Agent::builder("A").tool(tool.unwrap()).build().unwrap();
    let call = || ScriptedTurn::tool_call("large", serde_json::json!({}));
    let model = ScriptedModel::new([ScriptedTurn::text("x".repeat(500_000)), call()]);
    let go = || {
        let runner = Runner::new(model.clone());
        let request = runner.run(&agent, run.beginning().input.clone());
        request.journal(Arc::new(run.clone()))
    };
    // A database that may not grow is a disk that is full. First a model's answer has no room, then a tool's output.
    allow(&run, 50).await;
    for _ in 0..2 {
        let error = go().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Journal, "{error:?}");
        let cause = error.journal_error();
        assert!(
            matches!(cause, Some(JournalError::Full { .. })),
            "{error:?}"
        );
    }
}
