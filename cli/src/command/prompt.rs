//! What an agent is asked: a prompt, and images.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Result;
use openai_agents::item::{Message, Part, Role};

use crate::failure::Usage;
use crate::image;

/// More would not pass most servers, and a wrong file should not fill the memory.
const MAX_IMAGE_BYTES: u64 = 20 * 1024 * 1024;

/// Reads the prompt, `-` from stdin, and the images that go along.
pub(super) fn message(prompt: Option<&str>, images: &[PathBuf]) -> Result<Message> {
    let text = match prompt {
        None => {
            let message = "no prompt: give it as an argument, or - to read it from stdin";
            return Err(Usage(message.to_owned()).into());
        }
        Some("-") => read_stdin()?,
        Some(text) => text.to_owned(),
    };
    if text.trim().is_empty() && images.is_empty() {
        return Err(Usage("the prompt is empty".to_owned()).into());
    }
    if images.is_empty() {
        return Ok(Message::new(Role::User, text));
    }
    let mut parts = vec![Part::text(text)];
    for path in images {
        parts.push(Part::image(read_image(path)?));
    }
    Ok(Message::from_parts(Role::User, parts))
}

fn read_stdin() -> Result<String> {
    let mut text = String::new();
    io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Usage(format!("cannot read the prompt from stdin: {error}")))?;
    // The line end is the shell's, not the prompt's.
    let n_bytes = text.trim_end_matches(['\n', '\r']).len();
    text.truncate(n_bytes);
    Ok(text)
}

fn read_image(path: &Path) -> Result<String> {
    let cannot = |reason: &str| {
        Usage(format!(
            "cannot send the image {}: {reason}",
            path.display()
        ))
    };
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(MAX_IMAGE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| cannot(&error.to_string()))?;
    if bytes.len() as u64 > MAX_IMAGE_BYTES {
        return Err(cannot("it has more than 20 MiB").into());
    }
    let url = image::data_url(&bytes);
    Ok(url.ok_or_else(|| cannot("it is neither PNG, JPEG, GIF nor WebP"))?)
}
