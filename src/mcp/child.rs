//! The process of a server: its environment, the end of its stderr, its exit.

use std::collections::VecDeque;
use std::io;
use std::process::Stdio as Pipe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::Stdio;
use crate::secret::Redactor;

/// How much of what a server writes to its standard error output is kept.
const MAX_STDERR_BYTES: usize = 2048;
/// How long a line may be; a longer one is taken as several.
const MAX_LINE_BYTES: usize = 64 * 1024;
/// How long a server may take to end by itself after its input was closed.
const GRACE: Duration = Duration::from_secs(2);

/// A server's process; it ends, with all that it started, when this is dropped, and by itself when this program is killed.
#[derive(Debug)]
pub(super) struct ServerProcess {
    child: Child,
    /// The child leads it; the number stays taken as long as anything of the group lives.
    #[cfg(unix)]
    group: Option<rustix::process::Pid>,
    stderr: Arc<Tail>,
    reader: JoinHandle<()>,
}

/// The ends of the process's pipes that the protocol uses.
pub(super) type Pipes = (ChildStdout, ChildStdin);

impl ServerProcess {
    /// Starts the process, in a group of its own.
    pub(super) fn spawn(
        server: &str,
        stdio: &Stdio,
        redactor: Redactor,
    ) -> io::Result<(Self, Pipes)> {
        let mut command = Command::new(&stdio.program);
        command
            .args(&stdio.arguments)
            // Then only what it may see: a server must not find our keys in its environment.
            .env_clear()
            .envs(inherited(stdio))
            .envs(
                stdio
                    .environment
                    .iter()
                    .map(|(name, value)| (name, value.expose())),
            )
            .stdin(Pipe::piped())
            .stdout(Pipe::piped())
            .stderr(Pipe::piped())
            .kill_on_drop(true);
        // A group of its own, so that all it starts can be ended with it, and Ctrl-C in our
        // terminal does not reach it.
        #[cfg(unix)]
        command.process_group(0);
        if let Some(directory) = &stdio.directory {
            command.current_dir(directory);
        }
        let mut child = super::spawn::spawn(command)?;
        let missing = || io::Error::other("a pipe of the child is missing");
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let pipe = child.stderr.take().ok_or_else(missing)?;
        let stderr = Arc::new(Tail {
            server: server.to_owned(),
            redactor,
            kept: Mutex::default(),
        });
        let reader = tokio::spawn(keep_tail(pipe, Arc::clone(&stderr)));
        let process = Self {
            #[cfg(unix)]
            group: child
                .id()
                .and_then(|id| i32::try_from(id).ok())
                .and_then(rustix::process::Pid::from_raw),
            child,
            stderr,
            reader,
        };
        Ok((process, (stdout, stdin)))
    }

    /// Returns what the server last wrote to its standard error output.
    pub(super) fn stderr_tail(&self) -> Option<String> {
        self.stderr.text()
    }

    /// Says how the process ended, if it did.
    pub(super) fn end_in_words(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        #[cfg(unix)]
        if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
            return Some(format!("by signal {signal}"));
        }
        Some(format!("with {status}").replace("exit status: ", "exit status "))
    }

    /// Waits until the server has ended by itself, its input being closed, and then ends what is left.
    pub(super) async fn end(mut self) {
        if tokio::time::timeout(GRACE, self.child.wait())
            .await
            .is_err()
        {
            tracing::debug!(target: "openai_agents::mcp", "a server did not end when its input was closed");
        }
        self.kill();
    }

    /// Waits for the end of a server that closed its output, so that its last words are there.
    pub(super) async fn settle(&mut self) {
        let ended = async {
            self.child.wait().await.ok();
            (&mut self.reader).await.ok();
        };
        tokio::time::timeout(Duration::from_millis(200), ended)
            .await
            .ok();
    }

    fn kill(&mut self) {
        #[cfg(unix)]
        if let Some(group) = self.group {
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
        }
        self.child.start_kill().ok();
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.kill();
        self.reader.abort();
    }
}

/// The variables of this process that the child may see, as they are now.
///
/// A value that begins with `()` is a function of some shell, which other clients withhold too.
fn inherited(stdio: &Stdio) -> impl Iterator<Item = (String, String)> {
    let names = Stdio::INHERITED.iter().copied();
    names
        .chain(stdio.inherited.iter().map(String::as_str))
        .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
        .filter(|(_, value)| !value.starts_with("()"))
}

/// The end of what a server writes to its standard error output, without its secrets.
#[derive(Debug)]
struct Tail {
    server: String,
    redactor: Redactor,
    kept: Mutex<VecDeque<u8>>,
}

impl Tail {
    fn text(&self) -> Option<String> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(kept.make_contiguous())
            .trim()
            .to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// Takes whole lines: of a secret that is cut nobody could tell that it is one.
    fn take(&self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        let lines = String::from_utf8_lossy(lines);
        let text = self.redactor.redact(&lines);
        tracing::debug!(target: "openai_agents::mcp", server = self.server, "{}", text.trim_end());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(text.as_bytes());
        let n_over = kept.len().saturating_sub(MAX_STDERR_BYTES);
        kept.drain(..n_over);
    }
}

/// Reads to the end, so that the server never waits for a reader, and keeps the end of it.
async fn keep_tail(mut pipe: ChildStderr, tail: Arc<Tail>) {
    let mut open = Vec::new();
    while let Ok(1..) = pipe.read_buf(&mut open).await {
        let end = memchr::memrchr(b'\n', &open).map(|at| at + 1);
        let end = end.or((open.len() > MAX_LINE_BYTES).then_some(open.len()));
        if let Some(end) = end {
            tail.take(open.get(..end).unwrap_or_default());
            open.drain(..end);
        }
    }
    tail.take(&open);
}
