//! The tool `read_file`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::WorkspaceError;
use super::root::Root;

pub(super) const DESCRIPTION: &str = "Reads a text file of the workspace. Without first_line and n_lines it gives the file from its \
    beginning, at most 2000 lines; the last line of the answer says if there is more.";

/// The largest file of which anything is read.
pub(super) const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;
/// How much is given at once; a model's context is not endless.
const MAX_LINES: usize = 2000;
const MAX_BYTES: usize = 256 * 1024;

#[derive(Deserialize, JsonSchema)]
pub(super) struct ReadArguments {
    /// The path of the file, relative to the root of the workspace, such as src/main.rs.
    path: String,
    /// The first line to read, from 1; null means the first of the file.
    first_line: Option<u64>,
    /// How many lines to read; null means as many as are given at once.
    n_lines: Option<u64>,
}

impl ReadArguments {
    /// A file from its beginning.
    #[cfg(feature = "skills")]
    pub(super) fn of(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            first_line: None,
            n_lines: None,
        }
    }
}

pub(super) fn read_file(root: &Root, arguments: &ReadArguments) -> Result<String, WorkspaceError> {
    let path = root.parse(&arguments.path)?;
    let text = root.read_text(&path, MAX_FILE_BYTES)?;
    if text.is_empty() {
        return Ok("[the file is empty]".to_owned());
    }
    let n_lines = text.split_inclusive('\n').count();
    let first = arguments.first_line.unwrap_or(1).max(1);
    let asked = arguments.n_lines.unwrap_or(u64::MAX);
    let skipped = usize::try_from(first - 1).unwrap_or(usize::MAX);
    if skipped >= n_lines {
        return Err(WorkspaceError::NoSuchLine {
            path: path.to_string(),
            asked: first,
            n_lines,
        });
    }
    let wanted = usize::try_from(asked).unwrap_or(usize::MAX);
    let given = Given::of(&text, skipped, wanted.min(MAX_LINES));
    let last = skipped + given.n_lines;
    if first == 1 && last == n_lines && !given.is_cut {
        return Ok(given.text);
    }
    let line_end = if given.text.ends_with('\n') { "" } else { "\n" };
    let cut = if given.is_cut {
        ", the last one cut"
    } else {
        ""
    };
    let note = format!("[lines {first} to {last} of {n_lines}{cut}]");
    Ok(given.text + line_end + &note)
}

/// The lines that are given at once.
#[derive(Default)]
struct Given {
    text: String,
    n_lines: usize,
    /// Whether the last line is longer than what is given; a model is then told its beginning.
    is_cut: bool,
}

impl Given {
    fn of(text: &str, skipped: usize, wanted: usize) -> Self {
        let mut given = Self::default();
        for line in text.split_inclusive('\n').skip(skipped).take(wanted) {
            let is_first = given.n_lines == 0;
            if given.text.len() + line.len() > MAX_BYTES && !is_first {
                break;
            }
            let beginning = beginning(line, MAX_BYTES);
            given.is_cut = beginning.len() < line.len();
            given.text.push_str(beginning);
            given.n_lines += 1;
        }
        given
    }
}

/// The longest beginning of at most `max_bytes` that ends with a whole character.
pub(super) fn beginning(text: &str, max_bytes: usize) -> &str {
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(|end| *end <= max_bytes).last().unwrap_or(0);
    if text.len() <= max_bytes {
        return text;
    }
    text.get(..end).unwrap_or(text)
}
