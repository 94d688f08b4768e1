//! The effects of one run in their table.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::JournalFailure;
use super::digest::RequestDigest;
use crate::journal::{Effect, EffectKey, JournalError, OnUncertain};

/// One run, in one execution of it.
#[derive(Debug, Clone)]
pub(super) struct Execution {
    /// The number of its row.
    pub(super) run: i64,
    pub(super) run_id: String,
    pub(super) number: i64,
}

/// One effect, as its row names it.
#[derive(Debug, Clone)]
pub(super) struct EffectId {
    path: String,
    turn: u32,
    effect: String,
    /// For people.
    name: String,
    asked: RequestDigest,
}

/// What is known of an effect that is about to happen.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EffectStatus {
    /// It can happen: it is noted as begun.
    New,
    /// It has happened, with this outcome.
    Done(String),
    /// It was begun before, and may have happened.
    Uncertain,
}

impl EffectId {
    pub(super) fn new(key: &EffectKey, asked: RequestDigest) -> Self {
        let path: Vec<&str> = key.path.iter().map(|call| &**call).collect();
        Self {
            // A list of texts always serialises.
            path: serde_json::to_string(&path).unwrap_or_default(),
            turn: key.turn,
            // A claim has the version of the session in its name: a run that is resumed from two
            // states claims the session twice, and both are other effects.
            effect: match &key.effect {
                Effect::ModelCall => "model_call".to_owned(),
                Effect::ToolCall(id) => format!("tool_call:{id}"),
                Effect::SessionRead => "session_read".to_owned(),
                Effect::SessionWrite => "session_write".to_owned(),
                Effect::ClaimRead(version) => format!("claim_read:{version}"),
                Effect::ClaimWrite(version) => format!("claim_write:{version}"),
            },
            name: key.to_string(),
            asked,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Refuses the outcome of something else.
    fn check(&self, asked: &str) -> Result<(), JournalFailure> {
        let earlier: RequestDigest =
            serde_json::from_str(asked).map_err(JournalFailure::refused)?;
        let parts = self.asked.changed_from(&earlier);
        if parts.is_empty() {
            return Ok(());
        }
        Err(JournalFailure::Own(JournalError::Changed {
            effect: self.name.clone(),
            parts,
        }))
    }

    fn asked(&self) -> Result<String, JournalFailure> {
        serde_json::to_string(&self.asked).map_err(JournalFailure::refused)
    }
}

struct Row {
    id: i64,
    asked: String,
    outcome: Option<String>,
    execution: i64,
}

impl Execution {
    /// Looks for an outcome, and changes nothing.
    pub(super) fn outcome(
        &self,
        db: &Connection,
        place: &EffectId,
    ) -> Result<Option<String>, JournalFailure> {
        let Some(row) = self.row(db, place)? else {
            return Ok(None);
        };
        // An effect without an outcome was never answered, so another question does no harm yet.
        // `begin` checks it for tools.
        if row.outcome.is_some() {
            place.check(&row.asked)?;
        }
        Ok(row.outcome)
    }

    /// Notes that an effect begins, unless it has happened or may have.
    pub(super) fn begin(
        &self,
        db: &mut Connection,
        place: &EffectId,
        on_uncertain: OnUncertain,
    ) -> Result<EffectStatus, JournalFailure> {
        // Without the write lock: of a run that goes on most effects are remembered, and looking them up disturbs nobody.
        if let Some(outcome) = self.outcome(db, place)? {
            return Ok(EffectStatus::Done(outcome));
        }
        let transaction = self.transaction(db)?;
        let Some(row) = self.row(&transaction, place)? else {
            // On the disk before the effect begins: from here on a crash leaves one that may have happened.
            self.insert(&transaction, place, None)?;
            transaction.commit()?;
            return Ok(EffectStatus::New);
        };
        // Whoever decides about a call that may have happened decides about these arguments and no others.
        place.check(&row.asked)?;
        let is_again = match on_uncertain {
            OnUncertain::Ask => false,
            OnUncertain::Again => true,
            // A decision is about what had begun before it.
            OnUncertain::Once => row.execution < self.decided(&transaction)?,
        };
        if !is_again {
            return Ok(EffectStatus::Uncertain);
        }
        // The call is this execution's from now on. If it breaks off again, an earlier decision
        // does not cover it.
        let sql = "UPDATE openai_agents_effects SET execution = ?2 WHERE id = ?1";
        transaction.execute(sql, params![row.id, self.number])?;
        transaction.commit()?;
        Ok(EffectStatus::New)
    }

    /// Keeps an outcome, of an effect that was begun or of one that nobody needs to know the beginning of.
    pub(super) fn finish(
        &self,
        db: &mut Connection,
        place: &EffectId,
        outcome: &str,
    ) -> Result<(), JournalFailure> {
        let transaction = self.transaction(db)?;
        match self.row(&transaction, place)? {
            Some(row) => {
                let sql = "UPDATE openai_agents_effects SET outcome = ?2, asked = ?3, execution = ?4 WHERE id = ?1";
                let values = params![row.id, outcome, place.asked()?, self.number];
                transaction.execute(sql, values)?;
            }
            None => self.insert(&transaction, place, Some(outcome))?,
        }
        Ok(transaction.commit()?)
    }

    /// Takes back that an effect began, since it is known not to have happened.
    pub(super) fn undo(&self, db: &mut Connection, place: &EffectId) -> Result<(), JournalFailure> {
        let transaction = self.transaction(db)?;
        if let Some(row) = self.row(&transaction, place)?
            && row.outcome.is_none()
        {
            let sql = "DELETE FROM openai_agents_effects WHERE id = ?1";
            transaction.execute(sql, [row.id])?;
        }
        Ok(transaction.commit()?)
    }

    /// The outcome of the latest change of the session, if there was one; a claim changes the version as well.
    pub(super) fn latest_write(
        &self,
        db: &Connection,
        place: &EffectId,
    ) -> Result<Option<String>, JournalFailure> {
        let sql = "SELECT outcome FROM openai_agents_effects
            WHERE run = ?1 AND path = ?2 AND outcome IS NOT NULL
            AND (effect = 'session_write' OR effect LIKE 'claim\\_write:%' ESCAPE '\\') ORDER BY id DESC LIMIT 1";
        let found = db.query_row(sql, params![self.run, place.path], |row| row.get(0));
        Ok(found.optional()?)
    }

    /// Begins a change of this run, unless another execution has begun since.
    pub(super) fn transaction<'db>(
        &self,
        db: &'db mut Connection,
    ) -> Result<Transaction<'db>, JournalFailure> {
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // One statement finds out and takes part: between a look at the number and the change another execution could begin.
        let sql = "UPDATE openai_agents_runs SET updated_at = CURRENT_TIMESTAMP,
            changed = (SELECT max(changed) + 1 FROM openai_agents_runs) WHERE id = ?1 AND execution = ?2";
        if transaction.execute(sql, params![self.run, self.number])? == 0 {
            let run = self.run_id.clone();
            return Err(JournalFailure::Own(JournalError::TakenOver { run }));
        }
        Ok(transaction)
    }

    fn decided(&self, db: &Connection) -> Result<i64, JournalFailure> {
        let sql = "SELECT decided FROM openai_agents_runs WHERE id = ?1";
        Ok(db.query_row(sql, [self.run], |row| row.get(0))?)
    }

    fn row(&self, db: &Connection, place: &EffectId) -> Result<Option<Row>, JournalFailure> {
        let sql = "SELECT id, asked, outcome, execution FROM openai_agents_effects
            WHERE run = ?1 AND path = ?2 AND turn = ?3 AND effect = ?4";
        let mut statement = db.prepare(sql)?;
        let values = params![self.run, place.path, place.turn, place.effect];
        let row = statement.query_row(values, |row| {
            Ok(Row {
                id: row.get(0)?,
                asked: row.get(1)?,
                outcome: row.get(2)?,
                execution: row.get(3)?,
            })
        });
        Ok(row.optional()?)
    }

    fn insert(
        &self,
        db: &Connection,
        place: &EffectId,
        outcome: Option<&str>,
    ) -> Result<(), JournalFailure> {
        let sql =
            "INSERT INTO openai_agents_effects (run, path, turn, effect, asked, outcome, execution)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let asked = place.asked()?;
        db.prepare(sql)?.execute(params![
            self.run,
            place.path,
            place.turn,
            place.effect,
            asked,
            outcome,
            self.number
        ])?;
        Ok(())
    }
}
