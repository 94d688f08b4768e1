//! Commands that a model asks for by the tools `shell` and `local_shell` of the Responses API.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::output::end_line;
use super::{CommandEnd, CommandOptions, CommandRequest, CommandResult, Streams, execute};
use crate::tools::workspace::WorkspaceError;
use crate::tools::workspace::root::Root;

/// What shells give for a command that was ended by a signal, less the number of the signal.
const SIGNAL_BASE: i32 = 128;

/// The action of a `shell_call`.
#[derive(Deserialize, JsonSchema)]
pub(in crate::tools::workspace) struct ShellArguments {
    commands: Vec<String>,
    timeout_ms: Option<u64>,
    max_output_length: Option<usize>,
}

/// The action of a `local_shell_call`.
#[derive(Deserialize, JsonSchema)]
pub(in crate::tools::workspace) struct LocalShellArguments {
    /// Always `exec`.
    #[serde(rename = "type")]
    _type: Option<String>,
    command: Vec<String>,
    env: Option<BTreeMap<String, String>>,
    timeout_ms: Option<u64>,
    user: Option<String>,
    working_directory: Option<String>,
}

/// Runs commands of a shell in order; the rest is left out when one takes too long.
pub(in crate::tools::workspace) async fn shell(
    root: Arc<Root>,
    options: Arc<CommandOptions>,
    arguments: ShellArguments,
) -> Result<String, WorkspaceError> {
    let asked = arguments.max_output_length;
    let mut options = (*options).clone();
    options.max_output_bytes = asked.map_or(options.max_output_bytes, |asked| {
        asked.min(options.max_output_bytes)
    });
    let options = Arc::new(options);
    let mut chunks = Vec::with_capacity(arguments.commands.len());
    for command in arguments.commands {
        let request = CommandRequest {
            words: vec!["sh".to_owned(), "-c".to_owned(), command],
            timeout: timeout(arguments.timeout_ms),
            ..CommandRequest::default()
        };
        let call = (request, Streams::Separate);
        let result = execute(Arc::clone(&root), Arc::clone(&options), call).await?;
        let is_last = matches!(
            result.end,
            CommandEnd::TimedOut { .. } | CommandEnd::GivenUp
        );
        chunks.push(chunk(result));
        if is_last {
            break;
        }
    }
    let mut output = json!({ "output": chunks });
    // The server wants it said again.
    if let (Some(asked), Some(output)) = (asked, output.as_object_mut()) {
        output.insert("max_output_length".to_owned(), asked.into());
    }
    Ok(output.to_string())
}

/// Runs a program with arguments.
pub(in crate::tools::workspace) async fn local_shell(
    root: Arc<Root>,
    options: Arc<CommandOptions>,
    arguments: LocalShellArguments,
) -> Result<String, WorkspaceError> {
    if arguments.user.is_some() {
        return Err(WorkspaceError::OtherUser);
    }
    let request = CommandRequest {
        words: arguments.command,
        folder: arguments.working_directory,
        variables: arguments.env.unwrap_or_default().into_iter().collect(),
        timeout: timeout(arguments.timeout_ms),
    };
    let result = execute(root, options, (request, Streams::Merged)).await?;
    Ok(result.text())
}

/// The Python SDK takes 0 as no wish, too.
fn timeout(milliseconds: Option<u64>) -> Option<Duration> {
    milliseconds
        .filter(|milliseconds| *milliseconds > 0)
        .map(Duration::from_millis)
}

fn chunk(result: CommandResult) -> Value {
    let mut errors = result.errors;
    let outcome = match result.end {
        CommandEnd::TimedOut { .. } => json!({"type": "timeout"}),
        CommandEnd::ByItself { status, .. } => {
            let code = status.code();
            let signal = || status.signal().map(|signal| SIGNAL_BASE + signal);
            json!({"type": "exit", "exit_code": code.or_else(signal)})
        }
        CommandEnd::TooManyProcesses { .. }
        | CommandEnd::TooMuchMemory { .. }
        | CommandEnd::GivenUp => {
            let killed = SIGNAL_BASE + rustix::process::Signal::KILL.as_raw();
            json!({"type": "exit", "exit_code": killed})
        }
    };
    // The exit code alone does not say this.
    if !matches!(result.end, CommandEnd::ByItself { n_left: 0, .. }) {
        end_line(&mut errors);
        errors = format!("{errors}[{}]", result.end.words());
    }
    json!({"stdout": result.output, "stderr": errors, "outcome": outcome})
}
