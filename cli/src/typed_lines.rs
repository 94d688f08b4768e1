//! Reads stdin line by line, from a person or another program.

use std::io::{self, BufRead, IsTerminal as _, Read as _, Write as _};
use std::thread;

use anyhow::{Context as _, Result};
use tokio::sync::mpsc;

use crate::failure::Usage;
use crate::output::Output;

/// The longest line, as long as stdin of `run`. A line without an end, as from /dev/zero, must not
/// fill the memory.
const MAX_LINE_BYTES: u64 = 4 * 1024 * 1024;

/// The lines of stdin.
pub(crate) struct TypedLines {
    lines: mpsc::Receiver<io::Result<String>>,
    is_terminal: bool,
}

impl TypedLines {
    /// Starts to read, on a thread of its own: a blocking read cannot be cancelled, and the program
    /// can end without waiting for it.
    pub(crate) fn read() -> Result<Self> {
        // One line waits while another is answered. The writer waits with the next ones.
        let (sender, lines) = mpsc::channel(1);
        let reader = thread::Builder::new().name("openai-agents-stdin".to_owned());
        reader
            .spawn(move || {
                let mut stdin = io::stdin().lock();
                while let Some(line) = next_line(&mut stdin).transpose() {
                    let is_last = line.is_err();
                    if sender.blocking_send(line).is_err() || is_last {
                        return;
                    }
                }
            })
            .context("cannot read stdin")?;
        Ok(Self {
            lines,
            is_terminal: io::stdin().is_terminal(),
        })
    }

    /// Says whether a person types them.
    pub(crate) const fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Returns the next line without its end; `None` after the last one.
    ///
    /// # Cancel safety
    ///
    /// No line is lost.
    pub(crate) async fn next(&mut self) -> Result<Option<String>> {
        let line = self.lines.recv().await.transpose();
        Ok(line.map_err(|error| Usage(format!("cannot read stdin: {error}")))?)
    }

    /// Asks on stderr, and gives the next line.
    pub(crate) async fn ask(
        &mut self,
        question: &str,
        output: &mut Output,
    ) -> Result<Option<String>> {
        // An answer counts even if stderr is closed.
        drop(
            output
                .err
                .write_all(question.as_bytes())
                .and_then(|()| output.err.flush()),
        );
        self.next().await
    }
}

/// Says whether an answer is yes.
pub(crate) fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

fn next_line(stdin: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    stdin
        .take(MAX_LINE_BYTES + 1)
        .read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.len() as u64 > MAX_LINE_BYTES {
        let message = format!("a line has more than {MAX_LINE_BYTES} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    let line = String::from_utf8(bytes);
    let mut line =
        line.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a line is not UTF-8 text"))?;
    line.truncate(line.trim_end_matches(['\n', '\r']).len());
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_line_gives_lines_without_their_ends() {
        let mut stdin = "a\r\n\nb".as_bytes();
        let lines = [Some("a"), Some(""), Some("b"), None];
        for expected in lines {
            assert_eq!(next_line(&mut stdin).unwrap().as_deref(), expected);
        }
    }

    #[test]
    fn next_line_refuses_what_does_not_end_and_what_is_no_text() {
        let mut endless = io::BufReader::new(io::repeat(b'x'));
        let error = next_line(&mut endless).unwrap_err();
        assert_eq!(error.to_string(), "a line has more than 4194304 bytes");
        let error = next_line(&mut &b"\xff\n"[..]).unwrap_err();
        assert_eq!(error.to_string(), "a line is not UTF-8 text");
    }
}
