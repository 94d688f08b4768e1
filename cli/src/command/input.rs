//! Reads the question: the prompt, stdin, `--file` and `--image`.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use openai_agents::ErrorKind;
use openai_agents::file;
use openai_agents::item::{Message, Part, Role};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::data_url;
use crate::failure::{Unusable, Usage};
use crate::output;

/// About a million tokens. No model takes more, and a wrong pipe must not fill the memory.
const MAX_TEXT_BYTES: u64 = 4 * 1024 * 1024;
/// Most servers refuse larger files.
const MAX_BINARY_BYTES: u64 = 20 * 1024 * 1024;
/// How long stdin is read before a note appears. Many pipes are slow, and one that nobody writes to
/// looks the same.
const PATIENCE: Duration = Duration::from_secs(2);
const STILL_READING: &str =
    "still reading stdin to its end (nothing in it? use --no-stdin or < /dev/null)";

/// What to ask.
#[derive(Debug, Args)]
pub(super) struct Input {
    /// What to ask. Text from a pipe or a redirected file is added after it; - means only that text.
    prompt: Option<String>,
    /// Attach an image (PNG, JPEG, GIF or WebP); can be repeated.
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
    /// Attach a file (UTF-8 text or PDF); can be repeated.
    #[arg(long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Do not read stdin.
    #[arg(long)]
    no_stdin: bool,
    /// Accept at most this many bytes from stdin and from each file [default: 4 MiB of text, 20 MiB of an image or PDF].
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    max_input_bytes: Option<u64>,
}

impl Input {
    /// Reads the whole question. Stdin may take `patience`; without one, as long as it needs.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, what was read from stdin is lost.
    pub(super) async fn message(&self, patience: Option<Duration>) -> Result<Message> {
        let text = self.text(patience).await?;
        let files = self.file.iter().map(|path| self.read_file(path));
        let images = self.image.iter().map(|path| self.read_image(path));
        let attached: Vec<Part> = files.chain(images).collect::<Result<_>>()?;
        if text.trim().is_empty() && attached.is_empty() {
            return Err(Usage("the prompt is empty".to_owned()).into());
        }
        if attached.is_empty() {
            return Ok(Message::new(Role::User, text));
        }
        let text = (!text.is_empty()).then(|| Part::text(text));
        let parts = text.into_iter().chain(attached).collect();
        Ok(Message::from_parts(Role::User, parts))
    }

    /// A question of text only.
    pub(super) const fn of_text(prompt: Option<String>) -> Self {
        Self {
            prompt,
            image: Vec::new(),
            file: Vec::new(),
            no_stdin: false,
            max_input_bytes: None,
        }
    }

    /// Reads the text of the question.
    ///
    /// # Cancel safety
    ///
    /// As [`message`](Self::message).
    pub(super) async fn text(&self, patience: Option<Duration>) -> Result<String> {
        let is_terminal = io::stdin().is_terminal();
        match self.prompt.as_deref() {
            Some("-") if self.no_stdin => {
                let message = "- reads the prompt from stdin, which --no-stdin forbids: leave out one of the two";
                Err(Usage(message.to_owned()).into())
            }
            Some("-") => {
                if is_terminal {
                    output::note("the prompt is read from the terminal; Ctrl-D ends it");
                }
                self.read_stdin(patience).await
            }
            Some(prompt) if self.no_stdin || is_terminal => Ok(prompt.to_owned()),
            Some(prompt) => Ok(joined(prompt, &self.read_stdin(patience).await?)),
            None if self.no_stdin || is_terminal => Err(no_prompt().into()),
            None => match self.read_stdin(patience).await? {
                piped if piped.trim().is_empty() => Err(no_prompt().into()),
                piped => Ok(piped),
            },
        }
    }

    /// Reads stdin to its end, on a thread of its own: a blocking read cannot be cancelled, and the
    /// program can end without waiting for it.
    async fn read_stdin(&self, patience: Option<Duration>) -> Result<String> {
        let max_bytes = self.max_input_bytes.unwrap_or(MAX_TEXT_BYTES);
        let (read, mut is_read) = oneshot::channel();
        let reader = thread::Builder::new().name("openai-agents-stdin".to_owned());
        reader
            .spawn(move || {
                let bytes = file::read_up_to(io::stdin().lock(), max_bytes);
                // The receiver is gone if the program is about to end.
                drop(read.send(bytes.and_then(file::into_text)));
            })
            .map_err(|error| unreadable("stdin", &error))?;
        let ended = async {
            if let Ok(text) = timeout(PATIENCE, &mut is_read).await {
                return text;
            }
            output::note(STILL_READING);
            is_read.await
        };
        let text = match patience {
            None => ended.await,
            Some(patience) => timeout(patience, ended).await.map_err(|_| late(patience))?,
        };
        let text = text.unwrap_or_else(|_| Err(io::Error::other("its reader has ended")));
        let mut text = text.map_err(|error| unreadable("stdin", &error))?;
        // The line end comes from the shell and is not part of the prompt.
        let n_bytes = text.trim_end_matches(['\n', '\r']).len();
        text.truncate(n_bytes);
        Ok(text)
    }

    /// Reads an attached file. Text goes into the prompt, where every model can read it; a PDF is
    /// sent as a file.
    fn read_file(&self, path: &Path) -> Result<Part> {
        let name = path.file_name().unwrap_or(path.as_os_str());
        let name = name.to_string_lossy().into_owned();
        let bytes = self.read(path, MAX_BINARY_BYTES)?;
        if let Some(url) = data_url::of_pdf(&bytes) {
            return Ok(Part::File {
                file_data: Some(url),
                file_id: None,
                filename: Some(name),
            });
        }
        let max_bytes = self.max_input_bytes.unwrap_or(MAX_TEXT_BYTES);
        let bytes = file::read_up_to(bytes.as_slice(), max_bytes)
            .map_err(|error| unreadable(&path.display().to_string(), &error))?;
        let text = file::into_text(bytes).map_err(|_| {
            let path = path.display();
            Usage(format!(
                "cannot send {path}: it is neither UTF-8 text nor a PDF"
            ))
        })?;
        Ok(Part::text(format!("{name}:\n\n{text}")))
    }

    fn read_image(&self, path: &Path) -> Result<Part> {
        let bytes = self.read(path, MAX_BINARY_BYTES)?;
        let url = data_url::of_image(&bytes).ok_or_else(|| {
            let path = path.display();
            Usage(format!(
                "cannot send the image {path}: it is neither PNG, JPEG, GIF nor WebP"
            ))
        })?;
        Ok(Part::image(url))
    }

    fn read(&self, path: &Path, max_bytes: u64) -> Result<Vec<u8>, Usage> {
        let max_bytes = self.max_input_bytes.unwrap_or(max_bytes);
        file::read(path, max_bytes).map_err(|error| unreadable(&path.display().to_string(), &error))
    }
}

/// Joins two texts with an empty line between them; an empty text is left out.
fn joined(prompt: &str, piped: &str) -> String {
    match (prompt.trim().is_empty(), piped.trim().is_empty()) {
        (_, true) => prompt.to_owned(),
        (true, false) => piped.to_owned(),
        (false, false) => format!("{prompt}\n\n{piped}"),
    }
}

fn unreadable(what: &str, error: &io::Error) -> Usage {
    let hint = match error.kind() {
        io::ErrorKind::FileTooLarge => "; --max-input-bytes allows more",
        _ => "",
    };
    Usage(format!("cannot read {what}: {error}{hint}"))
}

fn no_prompt() -> Usage {
    Usage("no prompt: give it as an argument, or - to read it from stdin".to_owned())
}

fn late(patience: Duration) -> Unusable {
    Unusable {
        kind: ErrorKind::BudgetExceeded,
        message: format!("stdin did not end within {patience:?}"),
        hint: Some("--timeout allows more; --no-stdin does not read it".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn prompt_and_pipe_are_joined_by_an_empty_line() {
        for (prompt, piped, expected) in [
            ("Summarise", "a\nb", "Summarise\n\na\nb"),
            ("Summarise", "", "Summarise"),
            ("Summarise", " \n", "Summarise"),
            (" ", "log", "log"),
            ("", "", ""),
        ] {
            assert_eq!(joined(prompt, piped), expected);
        }
    }
}
