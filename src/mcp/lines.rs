//! Messages over a child's stdin and stdout, one per line.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::service::{RoleClient, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::Mutex;

use super::frames::Frames;

/// How large a message may be.
const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;
/// How much is read at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// The pipes of a child.
pub(super) struct Lines {
    frames: Arc<Frames>,
    output: ChildStdout,
    input: Arc<Mutex<Option<ChildStdin>>>,
    /// What was read and is no whole line yet.
    buffer: Vec<u8>,
    /// How much of it is known to hold no end of a line.
    n_searched: usize,
    /// Whether the rest of a line that is too long is being passed over.
    is_passing: bool,
    /// What was read and not taken.
    ready: VecDeque<ServerJsonRpcMessage>,
}

impl Lines {
    pub(super) fn new(frames: Arc<Frames>, output: ChildStdout, input: ChildStdin) -> Self {
        Self {
            frames,
            output,
            input: Arc::new(Mutex::new(Some(input))),
            buffer: Vec::new(),
            n_searched: 0,
            is_passing: false,
            ready: VecDeque::new(),
        }
    }

    /// Takes the whole lines out of the buffer.
    fn take_lines(&mut self) {
        let mut begin = 0;
        let mut search = self.n_searched;
        while let Some(end) = self
            .buffer
            .get(search..)
            .and_then(|rest| memchr::memchr(b'\n', rest))
        {
            let end = search + end;
            let line = self.buffer.get(begin..end).unwrap_or_default();
            if std::mem::take(&mut self.is_passing) {
                // The request that it answers has its error already.
            } else {
                self.ready.extend(read(&self.frames, line));
            }
            begin = end + 1;
            search = begin;
        }
        self.buffer.drain(..begin);
        if self.buffer.len() > MAX_LINE_BYTES {
            if !std::mem::replace(&mut self.is_passing, true) {
                let beginning = self.buffer.get(..CHUNK_BYTES).unwrap_or_default();
                let broken = Frames::too_long(beginning, MAX_LINE_BYTES);
                self.ready.extend(self.frames.fail(broken));
            }
            self.buffer = Vec::new();
        }
        self.n_searched = self.buffer.len();
    }
}

fn read(frames: &Frames, line: &[u8]) -> Vec<ServerJsonRpcMessage> {
    let line = line.trim_ascii();
    match line.first() {
        None => Vec::new(),
        Some(b'{' | b'[') => frames
            .read(line)
            .unwrap_or_else(|broken| frames.fail(broken)),
        // What a program prints when it starts, and what it prints to find its errors.
        Some(_) => {
            frames.stray(&String::from_utf8_lossy(line));
            Vec::new()
        }
    }
}

impl Transport<RoleClient> for Lines {
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        self.frames.sent(&message);
        let input = Arc::clone(&self.input);
        async move { write(&input, &message).await }
    }

    /// Cancel safety: what was read stays in the buffer.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Some(message);
            }
            self.buffer.reserve(CHUNK_BYTES);
            match self.output.read_buf(&mut self.buffer).await {
                Ok(1..) => self.take_lines(),
                Ok(0) | Err(_) if self.buffer.is_empty() => return None,
                // The last line may have no end.
                Ok(0) | Err(_) => {
                    self.buffer.push(b'\n');
                    self.take_lines();
                }
            }
        }
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        drop(self.input.lock().await.take());
        Ok(())
    }
}

async fn write(
    input: &Mutex<Option<ChildStdin>>,
    message: &ClientJsonRpcMessage,
) -> Result<(), io::Error> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let mut input = input.lock().await;
    let pipe = input
        .as_mut()
        .ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))?;
    pipe.write_all(&line).await?;
    pipe.flush().await
}
