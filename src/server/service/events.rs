//! The last event of a run that failed; all other events are the run's own.

use serde_json::{Value, json};

use crate::error::RunError;
use crate::server::error::ApiError;

pub(super) fn failed(error: &RunError) -> Value {
    let progress = error.progress();
    json!({
        "type": "result", "ok": false, "error": failure(error), "agent": progress.last_agent.name(),
        "turns": progress.turns, "usage": progress.usage,
    })
}

fn failure(error: &RunError) -> Value {
    let told = ApiError::of_run(error);
    let retry_after = told.retry_after.map(|wait| wait.as_secs_f64());
    json!({
        "kind": told.code, "message": told.message, "status": error.status(), "retry_after": retry_after,
    })
}
