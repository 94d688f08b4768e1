//! The runs in their table.

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

use super::effects::Execution;
use super::{JournalFailure, RunId, RunStatus, RunSummary, schema};
use crate::agent::RunState;
use crate::item::Item;
use crate::journal::{JournalError, RunBeginning};

pub(super) fn start(db: &mut Connection, run: &RunBeginning) -> Result<Execution, JournalFailure> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let input = serde_json::to_string(&run.input).map_err(JournalFailure::refused)?;
    let sql = "INSERT INTO openai_agents_runs (run_id, agent, input, settings, status, execution, changed)
        VALUES (lower(hex(randomblob(8))), ?1, ?2, ?3, 'running', 1,
            (SELECT coalesce(max(changed), 0) + 1 FROM openai_agents_runs)) RETURNING id, run_id";
    let values = params![run.agent, input, run.settings.to_string()];
    // The id is 64 random bits. The column is unique, so a clash would be an error and not two runs
    // in one.
    let execution = transaction.query_row(sql, values, |row| {
        Ok(Execution {
            run: row.get(0)?,
            run_id: row.get(1)?,
            number: 1,
        })
    })?;
    transaction.commit()?;
    Ok(execution)
}

/// Begins another execution, so that one that may still be under way elsewhere cannot go on.
pub(super) fn resume(
    db: &mut Connection,
    id: &RunId,
    store: &str,
) -> Result<(Execution, RunBeginning), JournalFailure> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read first: what cannot be read is not begun either.
    let beginning = beginning(&transaction, id, store)?;
    let sql = "UPDATE openai_agents_runs SET execution = execution + 1, status = 'running', updated_at = CURRENT_TIMESTAMP,
        changed = (SELECT max(changed) + 1 FROM openai_agents_runs) WHERE run_id = ?1 RETURNING id, run_id, execution";
    let execution = transaction.query_row(sql, [id.as_str()], |row| {
        Ok(Execution {
            run: row.get(0)?,
            run_id: row.get(1)?,
            number: row.get(2)?,
        })
    })?;
    transaction.commit()?;
    Ok((execution, beginning))
}

/// Reads what a run is to be continued with.
pub(super) fn beginning(
    db: &Connection,
    id: &RunId,
    store: &str,
) -> Result<RunBeginning, JournalFailure> {
    let sql = "SELECT agent, input, settings, state FROM openai_agents_runs WHERE run_id = ?1";
    let found = db.query_row(sql, [id.as_str()], |row| {
        let texts: [String; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
        Ok((texts, row.get::<_, Option<String>>(3)?))
    });
    let Some(([agent, input, settings], state)) = found.optional()? else {
        return Err(JournalFailure::Own(JournalError::NoRun {
            store: store.to_owned(),
            run: id.to_string(),
        }));
    };
    let corrupt = |what: &str, source| JournalError::Corrupt {
        store: store.to_owned(),
        place: format!("the {what} of the run `{id}`"),
        source,
    };
    let input: Vec<Item> = serde_json::from_str(&input)
        .map_err(|error| JournalFailure::Own(corrupt("input", error.into())))?;
    let settings = serde_json::from_str(&settings)
        .map_err(|error| JournalFailure::Own(corrupt("settings", error.into())))?;
    let state = state.map(|state| RunState::from_json(&state)).transpose();
    let state = state.map_err(|error| JournalFailure::Own(corrupt("state", error.into())))?;
    Ok(RunBeginning {
        agent,
        input,
        settings,
        state,
    })
}

/// Keeps how an execution ended.
pub(super) fn end(
    db: &mut Connection,
    execution: &Execution,
    status: &RunStatus,
    state: Option<&str>,
) -> Result<(), JournalFailure> {
    let transaction = execution.transaction(db)?;
    let (output, kind, error) = match status {
        RunStatus::Running | RunStatus::Paused => (None, None, None),
        RunStatus::Done { final_output } => (Some(final_output), None, None),
        RunStatus::Failed { kind, message } => (None, Some(kind), Some(message)),
    };
    let sql = "UPDATE openai_agents_runs SET status = ?2, final_output = ?3, error_kind = ?4, error = ?5 WHERE id = ?1";
    let values = params![execution.run, status.name(), output, kind, error];
    transaction.execute(sql, values)?;
    if let Some(state) = state {
        // Only a pause brings a state. After another end the state before stays, since the run is
        // continued from there.
        let sql = "UPDATE openai_agents_runs SET state = ?2, decided = 0 WHERE id = ?1";
        transaction.execute(sql, params![execution.run, state])?;
    }
    Ok(transaction.commit()?)
}

/// Keeps a state about which was decided, and begins another execution with it.
pub(super) fn decide(
    db: &mut Connection,
    execution: &Execution,
    state: &str,
) -> Result<i64, JournalFailure> {
    let transaction = execution.transaction(db)?;
    let sql = "UPDATE openai_agents_runs SET state = ?2, status = 'running', execution = execution + 1, decided = execution + 1
        WHERE id = ?1 RETURNING execution";
    let number = transaction.query_row(sql, params![execution.run, state], |row| row.get(0))?;
    transaction.commit()?;
    Ok(number)
}

const SUMMARY: &str = "SELECT run_id, agent, status, final_output, error_kind, error, execution,
    (SELECT coalesce(max(e.turn), 0) FROM openai_agents_effects e
        WHERE e.run = r.id AND e.path = '[]' AND e.effect = 'model_call'),
    created_at, updated_at FROM openai_agents_runs r";

pub(super) fn list(
    db: &mut Connection,
    limit: Option<usize>,
) -> Result<Vec<RunSummary>, JournalFailure> {
    let order = if schema::has_order(db)? {
        "changed"
    } else {
        "updated_at"
    };
    let sql = format!("{SUMMARY} ORDER BY {order} DESC, id DESC LIMIT ?1");
    let limit = i64::try_from(limit.unwrap_or(usize::MAX)).unwrap_or(i64::MAX);
    let mut statement = db.prepare(&sql)?;
    let mut rows = statement.query([limit])?;
    let mut runs = Vec::new();
    while let Some(row) = rows.next()? {
        runs.push(summary(row)?);
    }
    Ok(runs)
}

pub(super) fn find(db: &mut Connection, id: &RunId) -> Result<Option<RunSummary>, JournalFailure> {
    let sql = format!("{SUMMARY} WHERE run_id = ?1");
    let found = db.query_row(&sql, [id.as_str()], |row| Ok(summary(row)));
    found.optional()?.transpose()
}

pub(super) fn delete(db: &mut Connection, id: &RunId, store: &str) -> Result<(), JournalFailure> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let sql = "DELETE FROM openai_agents_effects WHERE run IN (SELECT id FROM openai_agents_runs WHERE run_id = ?1)";
    transaction.execute(sql, [id.as_str()])?;
    let sql = "DELETE FROM openai_agents_runs WHERE run_id = ?1";
    if transaction.execute(sql, [id.as_str()])? == 0 {
        return Err(JournalFailure::Own(JournalError::NoRun {
            store: store.to_owned(),
            run: id.to_string(),
        }));
    }
    Ok(transaction.commit()?)
}

fn summary(row: &Row<'_>) -> Result<RunSummary, JournalFailure> {
    let id: String = row.get(0)?;
    let status: String = row.get(2)?;
    let text = |column: usize| -> rusqlite::Result<String> {
        Ok(row.get::<_, Option<String>>(column)?.unwrap_or_default())
    };
    Ok(RunSummary {
        id: id
            .parse()
            .map_err(|error| JournalFailure::refused(Box::new(error)))?,
        agent: row.get(1)?,
        status: match &*status {
            "running" => RunStatus::Running,
            "paused" => RunStatus::Paused,
            "done" => RunStatus::Done {
                final_output: text(3)?,
            },
            "failed" => RunStatus::Failed {
                kind: text(4)?,
                message: text(5)?,
            },
            other => {
                return Err(JournalFailure::refused(format!(
                    "a run has the status {other:?}"
                )));
            }
        },
        n_executions: row.get(6)?,
        turns: row.get(7)?,
        created_at: row.get(8)?,
        updated_at: row.get(9)?,
    })
}
