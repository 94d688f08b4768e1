//! What a command writes: of each stream the beginning and the end, however much it is.

use std::collections::VecDeque;
use std::io::{self, PipeWriter, Read as _};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{mem, thread};

/// The beginning and the end of a stream of bytes.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// How long each of both may be.
    half: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    n_bytes: u64,
    /// Whether somebody still has the other end.
    is_open: bool,
}

/// The ends of pipes that a command writes to.
#[derive(Debug)]
pub(super) struct Writers {
    pub(super) output: PipeWriter,
    pub(super) errors: PipeWriter,
}

/// Reads a pipe on a thread of its own, so that a command never waits for a reader.
#[derive(Debug)]
pub(super) struct Reader {
    output: Arc<Mutex<Output>>,
    done: Receiver<()>,
}

impl Reader {
    /// Starts to read, and gives the end that is written to.
    pub(super) fn start(max_bytes: usize) -> io::Result<(Self, PipeWriter)> {
        let (mut pipe, writer) = io::pipe()?;
        let output = Arc::new(Mutex::new(Output::new(max_bytes)));
        let (sender, done) = mpsc::channel();
        let filled = Arc::clone(&output);
        thread::Builder::new().spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(n @ 1..) = pipe.read(&mut buffer) {
                let read = buffer.get(..n).unwrap_or_default();
                let mut output = filled.lock().unwrap_or_else(PoisonError::into_inner);
                output.push(read);
            }
            // Nobody waits for a reader that took too long.
            sender.send(()).ok();
        })?;
        Ok((Self { output, done }, writer))
    }

    /// Returns what was read to the end of the stream, or after the grace without it; the thread then ends with the last writer.
    pub(super) fn finish(self, grace: Duration) -> Output {
        let is_open = self.done.recv_timeout(grace).is_err();
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.is_open = is_open;
        mem::take(&mut output)
    }
}

impl Output {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            half: max_bytes / 2,
            ..Self::default()
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.n_bytes += bytes.len() as u64;
        let n_free = self.half.saturating_sub(self.head.len());
        let (head, rest) = bytes.split_at(n_free.min(bytes.len()));
        self.head.extend_from_slice(head);
        // Of a long piece only its end can stay.
        let rest = rest
            .get(rest.len().saturating_sub(self.half)..)
            .unwrap_or_default();
        self.tail.extend(rest);
        let n_over = self.tail.len().saturating_sub(self.half);
        self.tail.drain(..n_over);
    }

    /// What is left out between the beginning and the end is counted.
    pub(super) fn text(mut self) -> String {
        let kept = (self.head.len() + self.tail.len()) as u64;
        let n_left_out = self.n_bytes - kept;
        let mut text = if n_left_out == 0 {
            // A character may stand on both sides.
            self.head.extend(self.tail);
            String::from_utf8_lossy(&self.head).into_owned()
        } else {
            let head = String::from_utf8_lossy(&self.head);
            let tail = String::from_utf8_lossy(self.tail.make_contiguous());
            format!("{head}\n[{n_left_out} bytes left out]\n{tail}")
        };
        if self.is_open {
            end_line(&mut text);
            text.push_str("[a process that got away still writes]\n");
        }
        text
    }
}

/// Lets what follows begin on a line of its own.
pub(super) fn end_line(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}
