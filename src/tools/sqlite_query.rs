//! The tool `sqlite_query`: reads a SQLite database by SQL, and can do nothing but read it.
//!
//! Three things hold that, each of them alone: the file is opened for reading, statements that write are refused when they are prepared,
//! and so is every action that is not on a list, such as attaching another file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::constant::always_valid;
use super::{FunctionTool, ToolContext, ToolFailure, ToolOptions, blocking};

const DESCRIPTION: &str = "Reads a SQLite database by one SELECT statement. Gives JSON: the names of the columns, and the rows. To see which \
    tables there are and their columns: SELECT name, sql FROM sqlite_schema. Ask for few rows: aggregate, or use LIMIT. Nothing \
    can be changed.";

/// How many steps of its machine SQLite makes between two looks at the time; some microseconds.
const STEPS_BETWEEN_LOOKS: i32 = 1000;
/// The longest text or row that SQLite builds, so that no function can fill the memory; 4 MiB.
const MAX_VALUE_BYTES: i32 = 4 * 1024 * 1024;
/// The longest statement; 64 KiB.
const MAX_SQL_BYTES: i32 = 64 * 1024;
/// How long another program that writes may keep the tool waiting.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// Sets how much `sqlite_query` reads.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqliteQueryOptions {
    /// How long a query may take; 5 seconds by default.
    pub timeout: Duration,
    /// How many rows the model is given; 200 by default.
    pub max_rows: usize,
    /// How much text the model is given; 64 KiB by default.
    pub max_bytes: usize,
}

impl SqliteQueryOptions {
    /// Sets how long a query may take.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how many rows the model is given.
    #[must_use]
    pub const fn max_rows(mut self, max_rows: usize) -> Self {
        self.max_rows = max_rows;
        self
    }

    /// Sets how much text the model is given.
    #[must_use]
    pub const fn max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }
}

impl Default for SqliteQueryOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            max_rows: 200,
            max_bytes: 64 * 1024,
        }
    }
}

/// Says why a query gave nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqliteQueryError {
    /// The database cannot be opened.
    #[error("the database {} cannot be opened: {reason}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The statement is wrong, or does what it may not.
    #[error("{reason}")]
    Statement {
        /// What SQLite says.
        reason: String,
    },
    /// The statement would change something.
    #[error("the statement is not one that only reads; use one SELECT")]
    NotReading,
    /// The query took too long.
    #[error("the query took longer than {} s; ask for less, or use an index", limit.as_secs_f64())]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
}

/// Makes the tool `sqlite_query` for a database, which is opened anew for each call.
///
/// A database in WAL mode has a file of shared memory beside it, which SQLite itself may make or change; the data do not change.
///
/// ```
/// use openai_agents::tools::sqlite_query::{SqliteQueryOptions, sqlite_query};
///
/// let tool = sqlite_query("shop.db", SqliteQueryOptions::default().max_rows(50));
/// assert_eq!(tool.name().as_str(), "sqlite_query");
/// ```
pub fn sqlite_query(path: impl Into<PathBuf>, options: SqliteQueryOptions) -> FunctionTool {
    let shared = Arc::new((path.into(), options));
    // The rows are cut by the options; that some are left out is said, and not an error.
    let tool_options = ToolOptions::default()
        .max_output_bytes(usize::MAX)
        .failure(ToolFailure::TellModelDetail)
        .idempotent();
    always_valid(FunctionTool::with_options(
        "sqlite_query",
        DESCRIPTION,
        tool_options,
        move |_: ToolContext, QueryArguments { sql }| {
            let shared = Arc::clone(&shared);
            blocking(move || query(&shared.0, &shared.1, &sql))
        },
    ))
}

#[derive(Deserialize, JsonSchema)]
struct QueryArguments {
    /// One SELECT statement in the SQL of SQLite.
    sql: String,
}

fn query(path: &Path, options: &SqliteQueryOptions, sql: &str) -> Result<String, SqliteQueryError> {
    let connection = open(path, options).map_err(|error| SqliteQueryError::Open {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    read(&connection, options, sql).map_err(|error| match error {
        Refusal::NotReading => SqliteQueryError::NotReading,
        Refusal::Sqlite(error) => match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => SqliteQueryError::TimedOut {
                limit: options.timeout,
            },
            Some(ErrorCode::AuthorizationForStatementDenied | ErrorCode::ReadOnly) => {
                SqliteQueryError::NotReading
            }
            _ => SqliteQueryError::Statement {
                reason: error.to_string(),
            },
        },
    })
}

fn open(path: &Path, options: &SqliteQueryOptions) -> rusqlite::Result<Connection> {
    // Without `SQLITE_OPEN_URI` a path is a path, and says nothing about how to open it.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT.min(options.timeout))?;
    connection.pragma_update(None, "query_only", true)?;
    // A schema that someone else wrote may call functions that have side effects.
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)?;
    connection.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, MAX_SQL_BYTES)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.set_limit(Limit::SQLITE_LIMIT_WORKER_THREADS, 0)?;
    let beginning = Instant::now();
    let timeout = options.timeout;
    let is_over = move || beginning.elapsed() >= timeout;
    connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(is_over))?;
    connection.authorizer(Some(|cx: AuthContext<'_>| authorize(&cx.action)))?;
    Ok(connection)
}

/// Lets a statement read, and compute what it read; nothing else.
fn authorize(action: &AuthAction<'_>) -> Authorization {
    /// What tells about tables.
    const PRAGMAS: [&str; 7] = [
        "table_info",
        "table_xinfo",
        "table_list",
        "index_list",
        "index_info",
        "index_xinfo",
        "foreign_key_list",
    ];
    match action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => {
            Authorization::Allow
        }
        AuthAction::Function { function_name } if *function_name != "load_extension" => {
            Authorization::Allow
        }
        AuthAction::Pragma { pragma_name, .. } if PRAGMAS.contains(pragma_name) => {
            Authorization::Allow
        }
        _ => Authorization::Deny,
    }
}

enum Refusal {
    NotReading,
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn read(
    connection: &Connection,
    options: &SqliteQueryOptions,
    sql: &str,
) -> Result<String, Refusal> {
    // A second statement behind the first is an error of `prepare`, and never left out.
    let mut statement = connection.prepare(sql)?;
    if !statement.readonly() || statement.column_count() == 0 {
        return Err(Refusal::NotReading);
    }
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let columns = Value::from(columns).to_string();
    let mut rows = statement.query([])?;
    let mut lines: Vec<String> = Vec::new();
    let mut n_bytes = columns.len();
    let mut rest = "";
    while let Some(row) = rows.next()? {
        let line = Value::from(values(row)?).to_string();
        n_bytes += line.len() + 2;
        if lines.len() == options.max_rows || n_bytes > options.max_bytes {
            rest = ",\n\"more\":\"there are more rows; they are left out\"";
            break;
        }
        lines.push(line);
    }
    let rows = lines.join(",\n");
    Ok(format!(
        "{{\"columns\":{columns},\n\"rows\":[{rows}]{rest}}}"
    ))
}

/// The values of a row: numbers, texts and nulls as in JSON; of other bytes how many there are.
fn values(row: &Row<'_>) -> rusqlite::Result<Vec<Value>> {
    let n_columns = row.as_ref().column_count();
    let value = |n| {
        Ok(match row.get_ref(n)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => json!(number),
            // JSON has no infinite numbers.
            ValueRef::Real(number) if number.is_finite() => json!(number),
            ValueRef::Real(number) => json!(number.to_string()),
            ValueRef::Text(bytes) => json!(String::from_utf8_lossy(bytes)),
            ValueRef::Blob(bytes) => json!(format!("({} bytes)", bytes.len())),
        })
    };
    (0..n_columns).map(value).collect()
}
