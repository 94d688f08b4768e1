//! Reads `{"in": schema}` lines and answers each with its strict form or the error.
//!
//! Answers are `{"ok": schema}` or `{"error": class, "message": text}`, where the class is the one that the Python Agents SDK
//! raises. A line that is not of that form ends the program with exit code 2.

use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use openai_agents::schema::{self, SchemaError};
use serde_json::{Value, json};

fn main() -> ExitCode {
    match answer_lines(io::stdin().lock(), io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // When stderr is closed too, the exit code has to do.
            writeln!(io::stderr(), "strict_schema: {error}").ok();
            ExitCode::from(2)
        }
    }
}

fn answer_lines(input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    for (idx, line) in input.lines().enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let answer = answer(&line).map_err(|reason| {
            let message = format!("line {}: {reason}", idx + 1);
            io::Error::new(io::ErrorKind::InvalidData, message)
        })?;
        writeln!(output, "{answer}")?;
    }
    output.flush()
}

fn answer(line: &str) -> Result<Value, String> {
    let mut request: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let Some(schema) = request.get_mut("in").map(Value::take) else {
        return Err("no \"in\" that holds a schema".to_owned());
    };
    Ok(match schema::strict(schema) {
        Ok(strict) => json!({ "ok": strict }),
        Err(error) => json!({ "error": python_class(&error), "message": error.to_string() }),
    })
}

/// Names the Python exception.
///
/// A reference to nothing is a `KeyError` or `AssertionError` there, and a non-schema a `TypeError`; those slips are reported as
/// the `UserError` they were meant to be.
fn python_class(error: &SchemaError) -> &'static str {
    match error {
        SchemaError::RefOutside { .. } | SchemaError::RefEncoding { .. } => "ValueError",
        _ => "UserError",
    }
}
