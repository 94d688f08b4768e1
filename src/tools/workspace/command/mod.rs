//! The tool `run_command`: a program with arguments, confined and watched, and ended with all that it started.

mod built_in;
mod calls;
mod control_group;
mod files;
mod group;
mod options;
mod output;
mod spawn;
mod temporary;
#[cfg(test)]
mod tests;

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Deserialize;

use super::WorkspaceError;
use super::root::Root;
use crate::tools::blocking;

pub(super) use built_in::{local_shell, shell};
pub use options::{CommandOptions, Confinement};

use self::control_group::ControlGroup;
use self::group::Group;
use self::output::{Output, Reader, Writers, end_line};
use self::spawn::CommandFolders;

pub(super) const DESCRIPTION: &str = "Runs a program in the workspace and gives what it writes, and its exit code. command is the program \
    and its arguments, one each: there is no shell, so pipes, redirections, wildcards and && mean nothing; for those run \
    [\"sh\", \"-c\", \"...\"]. Its input is empty. It ends when its time is over, and what it leaves behind in the background is ended \
    with it.";

/// The longest time between two looks at a command; in between it can go beyond its bounds.
const MAX_INTERVAL: Duration = Duration::from_millis(25);
/// How long the output may stay open after everything was ended, because a process got away that was not confined.
const OUTPUT_GRACE: Duration = Duration::from_secs(1);

#[derive(Deserialize, JsonSchema)]
pub(super) struct CommandArguments {
    /// The program and its arguments, one each: cargo, test, --quiet.
    command: Vec<String>,
    /// The folder to run it in, relative to the root of the workspace; null means the root.
    folder: Option<String>,
}

/// What is to be run, and where.
#[derive(Debug, Default)]
struct CommandRequest {
    /// The program and its arguments.
    words: Vec<String>,
    /// Relative to the root; none is the root.
    folder: Option<String>,
    /// Variables beside those of the options.
    variables: Vec<(String, String)>,
    /// At most the one of the options.
    timeout: Option<Duration>,
}

/// What a command did.
#[derive(Debug)]
struct CommandResult {
    /// Cut in the middle.
    output: String,
    /// Empty if it is in `output`, in the order in which both were written.
    errors: String,
    end: CommandEnd,
}

impl CommandResult {
    /// What the command wrote, and on the last line how it ended.
    fn text(self) -> String {
        let mut text = self.output;
        end_line(&mut text);
        format!("{text}[{}]", self.end.words())
    }
}

/// How a command came to its end.
#[derive(Debug, Clone, Copy)]
enum CommandEnd {
    ByItself {
        status: ExitStatus,
        /// How many processes it left in the background, which were ended.
        n_left: usize,
    },
    TimedOut {
        timeout: Duration,
    },
    TooManyProcesses {
        limit: usize,
    },
    TooMuchMemory {
        limit: u64,
    },
    GivenUp,
}

/// Whether what a command writes to its two outputs is told apart.
#[derive(Debug, Clone, Copy)]
enum Streams {
    /// In the order in which it was written.
    Merged,
    Separate,
}

/// Runs the command that a model asks for.
pub(super) async fn run_command(
    root: Arc<Root>,
    options: Arc<CommandOptions>,
    arguments: CommandArguments,
) -> Result<String, WorkspaceError> {
    let request = CommandRequest {
        words: arguments.command,
        folder: arguments.folder,
        ..CommandRequest::default()
    };
    let result = execute(root, options, (request, Streams::Merged)).await?;
    Ok(result.text())
}

/// Runs a command; when the future is dropped the command is ended, with all that it started.
async fn execute(
    root: Arc<Root>,
    options: Arc<CommandOptions>,
    (request, streams): (CommandRequest, Streams),
) -> Result<CommandResult, WorkspaceError> {
    let group = Arc::new(Group::default());
    let (running, stopped) = mpsc::channel();
    let end = EndOnDrop(Arc::clone(&group));
    // Not on the runtime's own threads, because waiting for a process blocks.
    let answer = blocking(move || {
        let call = CommandCall {
            options: &options,
            request: &request,
            group: &group,
            stopped: &stopped,
        };
        call.run(&root, streams)
    });
    let answer = answer.await;
    // Both stay until the answer is there: what is dropped before ends the command.
    drop((end, running));
    answer
}

/// Ends the command at once when the call is given up, also if the process ends right then.
struct EndOnDrop(Arc<Group>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// One call of a command.
#[derive(Clone, Copy)]
struct CommandCall<'a> {
    options: &'a CommandOptions,
    request: &'a CommandRequest,
    group: &'a Group,
    /// Disconnected when nobody waits for the call any more.
    stopped: &'a Receiver<()>,
}

impl CommandCall<'_> {
    fn run(self, root: &Root, streams: Streams) -> Result<CommandResult, WorkspaceError> {
        let folder = root.parse(self.request.folder.as_deref().unwrap_or("."))?;
        let folder = root.folder(&folder)?;
        let temporary = temporary::Folder::new()?;
        let control_group = ControlGroup::new(spawn::max_threads(self.options));
        let place = CommandFolders {
            control_group: control_group.as_ref(),
            root,
            folder: &folder,
            temporary: temporary.path(),
        };
        // All that can fail comes before the command: one that runs while this program makes a thread may leave it none.
        let (readers, writers) = self.readers(streams)?;
        thread::scope(|scope| {
            let (starter, started) = mpsc::sync_channel(1);
            // The thread that starts the command stays until this is dropped: the kernel ends the command with it.
            let (_ended, end): (Sender<()>, _) = mpsc::channel();
            let start = move || {
                let spawned = spawn::spawn(&place, self.options, (self.request, writers));
                // The other end waits below; it is gone only if that thread has panicked.
                starter.send(spawned).ok();
                end.recv().ok();
            };
            let thread = thread::Builder::new().spawn_scoped(scope, start);
            thread.map_err(|source| spawn::not_started(self.request, source))?;
            let process = started
                .recv()
                .map_err(|_| WorkspaceError::StarterPanicked)??;
            let mut command = RunningCommand {
                group: self.group,
                process,
            };
            let end = self.watch(&mut command)?;
            let [output, errors] = readers.map(|reader| {
                let output = reader.map(|reader| reader.finish(OUTPUT_GRACE));
                output.map(Output::text).unwrap_or_default()
            });
            Ok(CommandResult {
                output,
                errors,
                end,
            })
        })
    }

    /// Makes the pipes: the first is always there.
    fn readers(self, streams: Streams) -> Result<([Option<Reader>; 2], Writers), WorkspaceError> {
        let not_started = |source| spawn::not_started(self.request, source);
        let max_bytes = self.options.max_output_bytes;
        let (reader, output) = Reader::start(max_bytes).map_err(not_started)?;
        let (second, errors) = match streams {
            Streams::Merged => (None, output.try_clone().map_err(not_started)?),
            Streams::Separate => {
                let (second, errors) = Reader::start(max_bytes).map_err(not_started)?;
                (Some(second), errors)
            }
        };
        Ok(([Some(reader), second], Writers { output, errors }))
    }

    /// Looks at the command until it has ended, or ends it.
    fn watch(self, command: &mut RunningCommand<'_>) -> Result<CommandEnd, WorkspaceError> {
        let ended = if self.group.begin(&command.process) {
            self.wait()
        } else {
            Some(CommandEnd::GivenUp)
        };
        // The whole group, not only the program: what it left in the background ends here as well.
        let n_left = self.group.end();
        let status = command
            .reap()
            .map_err(|source| spawn::not_started(self.request, source))?;
        // Between two looks a command can begin too many processes and end, for example because it
        // could begin no more.
        let limit = self.options.max_processes;
        let ended = ended.or((n_left > limit).then_some(CommandEnd::TooManyProcesses { limit }));
        Ok(ended.unwrap_or(CommandEnd::ByItself { status, n_left }))
    }

    /// Waits until the command has ended by itself, or gives the reason to end it.
    fn wait(self) -> Option<CommandEnd> {
        let options = self.options;
        let timeout = self.request.timeout.unwrap_or(options.timeout);
        let timeout = timeout.min(options.timeout);
        let beginning = Instant::now();
        let mut interval = Duration::from_millis(1);
        loop {
            match self.stopped.recv_timeout(interval) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return Some(CommandEnd::GivenUp),
            }
            // Looked at before the bounds: a command that has ended is not said to have been
            // stopped.
            if self.group.has_command_ended() {
                return None;
            }
            let usage = self.group.usage(options.max_processes);
            if usage.n_processes > options.max_processes {
                let limit = options.max_processes;
                return Some(CommandEnd::TooManyProcesses { limit });
            }
            if usage.n_bytes > options.max_memory_bytes {
                let limit = options.max_memory_bytes;
                return Some(CommandEnd::TooMuchMemory { limit });
            }
            if beginning.elapsed() >= timeout {
                return Some(CommandEnd::TimedOut { timeout });
            }
            // Short commands are seen to end at once, and long ones cost little.
            interval = (interval * 2).min(MAX_INTERVAL);
        }
    }
}

/// A command that has started; when this is dropped, on whatever way, its group is ended and it is waited for.
struct RunningCommand<'a> {
    group: &'a Group,
    process: Child,
}

impl RunningCommand<'_> {
    /// Takes the command's status; only then is its number free for another process.
    fn reap(&mut self) -> std::io::Result<ExitStatus> {
        self.group.forget();
        self.process.wait()
    }
}

impl Drop for RunningCommand<'_> {
    fn drop(&mut self) {
        // One that was waited for gives its status again.
        self.reap().ok();
    }
}

impl CommandEnd {
    /// Says how the command ended, for the model.
    fn words(self) -> String {
        match self {
            Self::ByItself { status, n_left } => {
                let words = match (status.code(), status.signal()) {
                    (Some(code), _) => format!("exit code {code}"),
                    (None, Some(signal)) => format!("ended by signal {signal}"),
                    (None, None) => "ended".to_owned(),
                };
                match n_left {
                    0 => words,
                    n => format!("{words}; {n} in the background ended"),
                }
            }
            Self::TimedOut { timeout } => format!(
                "ended, because it took longer than {} s",
                timeout.as_secs_f64()
            ),
            Self::TooManyProcesses { limit } => {
                format!("ended, because it had more than {limit} processes")
            }
            Self::TooMuchMemory { limit } => {
                format!("ended, because it used more than {limit} bytes of memory")
            }
            Self::GivenUp => "ended, because the call was given up".to_owned(),
        }
    }
}
