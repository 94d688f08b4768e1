//! Diffs in the V4A format: hunks that are found by what stands around them, and not by line numbers.
//!
//! What fits and where is what the Python Agents SDK's `apply_diff` says, which `tests/python_sdk.rs` compares on thousands of diffs.

use std::borrow::Cow;

const END_PATCH: &str = "*** End Patch";
const END_FILE: &str = "*** End of File";
const FILE_HEADERS: [&str; 3] = ["*** Update File:", "*** Delete File:", "*** Add File:"];

/// Says how a diff is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiffMode {
    /// Hunks that change a text.
    #[default]
    Update,
    /// Lines that begin with `+`, of a new text.
    Create,
}

/// Says why a patch or a diff cannot be read or does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// A line has no form that a diff has.
    #[error("line {line:?} is not part of a patch: {expected}")]
    Line {
        /// The line.
        line: String,
        /// What stands there otherwise.
        expected: &'static str,
    },
    /// A hunk has neither context nor change.
    #[error("a hunk is empty, before line {before:?}")]
    EmptyHunk {
        /// The line after it.
        before: String,
    },
    /// The lines that a hunk keeps or removes are not in the text.
    ///
    /// They are looked for after the hunk before it.
    #[error("these lines are not in the file after line {after}, in this order:\n{context}")]
    ContextNotFound {
        /// The line after which they were looked for.
        after: usize,
        /// The lines.
        context: String,
    },
    /// One of several `@@` lines of a hunk is not in the text.
    #[error("the line of `@@ {anchor}` is not in the file after line {after}")]
    AnchorNotFound {
        /// The line after which it was looked for.
        after: usize,
        /// The line.
        anchor: String,
    },
    /// Two hunks change the same lines.
    #[error("two hunks overlap at line {line}")]
    Overlap {
        /// The line.
        line: usize,
    },
    /// Two parts of a patch are about the same file.
    #[error("`{path}` is in the patch twice; put all hunks of a file under one header")]
    FileTwice {
        /// The file.
        path: String,
    },
    /// A patch changes no file.
    #[error("it names no file")]
    Empty,
}

/// Applies a diff in the V4A format to a text.
///
/// A hunk begins with `@@`, which may name a line above it, and has lines that begin with a space (kept), `-` (removed) or `+` (added).
/// Where it fits exactly is where it goes; if it fits nowhere, white space at the ends of lines does not count, then at their beginnings.
/// The text keeps its line ends.
///
/// ```
/// use openai_agents::tools::workspace::{DiffMode, apply_diff};
///
/// let text = "one\ntwo\nthree\n";
/// assert_eq!(apply_diff(text, "@@\n one\n-two\n+2\n", DiffMode::Update)?, "one\n2\nthree\n");
/// assert_eq!(apply_diff("", "+new\n", DiffMode::Create)?, "new");
/// # Ok::<(), openai_agents::tools::workspace::PatchError>(())
/// ```
///
/// # Errors
///
/// [`PatchError`] if the diff cannot be read or does not fit.
pub fn apply_diff(text: &str, diff: &str, mode: DiffMode) -> Result<String, PatchError> {
    let lines = diff_lines(diff);
    match mode {
        DiffMode::Create => create(&lines, line_end_of(diff)),
        DiffMode::Update => {
            let line_end = line_end_of(if text.contains('\n') { text } else { diff });
            let text: Cow<'_, str> = if text.contains("\r\n") {
                text.replace("\r\n", "\n").into()
            } else {
                text.into()
            };
            // First the place of every hunk is found, then the text is put together. A hunk that
            // does not fit changes nothing.
            let text: Vec<&str> = text.split('\n').collect();
            let chunks = DiffParser::new(&lines).chunks(&text)?;
            replace(&text, &chunks, line_end)
        }
    }
}

fn diff_lines(diff: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = diff
        .split('\n')
        .map(|line| line.trim_end_matches('\r'))
        .collect();
    if lines.last() == Some(&"") {
        lines.pop();
    }
    lines
}

fn line_end_of(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

fn is_file_header(line: &str) -> bool {
    FILE_HEADERS.iter().any(|header| line.starts_with(header))
}

fn create(lines: &[&str], line_end: &str) -> Result<String, PatchError> {
    let is_end = |line: &&&str| line.starts_with(END_PATCH) || is_file_header(line);
    let mut created = Vec::with_capacity(lines.len());
    for line in lines.iter().take_while(|line| !is_end(line)) {
        let added = line.strip_prefix('+').ok_or_else(|| PatchError::Line {
            line: (*line).to_owned(),
            expected: "every line of a new file begins with `+`",
        })?;
        created.push(added);
    }
    Ok(created.join(line_end))
}

/// Lines that take the place of others.
#[derive(Debug, Default, Clone)]
struct Chunk<'a> {
    /// Where it begins, from 0: within its hunk's context at first, and within the text in the end.
    at: usize,
    removed: usize,
    added: Vec<&'a str>,
}

/// A hunk as it is written.
#[derive(Default)]
struct Hunk<'a> {
    /// The lines that the text has here.
    context: Vec<&'a str>,
    chunks: Vec<Chunk<'a>>,
    /// Whether it belongs to the end of the text.
    is_at_end: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LineKind {
    Keep,
    Add,
    Remove,
}

struct DiffParser<'a> {
    lines: &'a [&'a str],
    next: usize,
}

impl<'a> DiffParser<'a> {
    const fn new(lines: &'a [&'a str]) -> Self {
        Self { lines, next: 0 }
    }

    fn peek(&self) -> Option<&'a str> {
        self.lines.get(self.next).copied()
    }

    fn is_done(&self) -> bool {
        self.peek().is_none_or(|line| {
            line.starts_with(END_PATCH) || line.starts_with(END_FILE) || is_file_header(line)
        })
    }

    /// Finds the place of every hunk in the text.
    fn chunks(mut self, text: &[&str]) -> Result<Vec<Chunk<'a>>, PatchError> {
        let mut chunks = Vec::new();
        let mut cursor = 0;
        while !self.is_done() {
            let anchors = self.anchors();
            if anchors.n_lines == 0 && cursor != 0 {
                return Err(PatchError::Line {
                    line: self.peek().unwrap_or_default().to_owned(),
                    expected: "a hunk begins with `@@`",
                });
            }
            for (n, anchor) in anchors.named.iter().enumerate() {
                let rule = AnchorRule {
                    is_required: anchors.n_lines > 1,
                    is_below: n > 0,
                };
                cursor = find_anchor(text, anchor, cursor, rule)?;
            }
            let hunk = self.hunk()?;
            let at =
                find_context(text, &hunk, cursor).ok_or_else(|| PatchError::ContextNotFound {
                    after: cursor,
                    context: hunk.context.join("\n"),
                })?;
            cursor = at + hunk.context.len();
            chunks.extend(hunk.chunks.into_iter().map(|chunk| Chunk {
                at: chunk.at + at,
                ..chunk
            }));
        }
        Ok(chunks)
    }

    /// The `@@` lines before a hunk; several narrow the place down, from the outside in.
    fn anchors(&mut self) -> Anchors<'a> {
        let mut anchors = Anchors::default();
        while let Some(line) = self.peek() {
            match line.strip_prefix("@@ ") {
                Some(name) if !trim(name).is_empty() => anchors.named.push(name),
                Some(_) => {}
                None if line == "@@" => {}
                None => break,
            }
            anchors.n_lines += 1;
            self.next += 1;
        }
        anchors
    }

    fn hunk(&mut self) -> Result<Hunk<'a>, PatchError> {
        let beginning = self.next;
        let mut hunk = Hunk::default();
        let mut open = Chunk::default();
        let mut last = LineKind::Keep;
        while let Some(line) = self.peek() {
            if line.starts_with("@@") || line == "***" || self.is_done() {
                break;
            }
            let (kind, content) = read_line(line)?;
            self.next += 1;
            if kind == LineKind::Keep && last != kind {
                hunk.close(&mut open);
            }
            last = kind;
            match kind {
                LineKind::Remove => open.removed += 1,
                LineKind::Add => open.added.push(content),
                LineKind::Keep => {}
            }
            if kind != LineKind::Add {
                hunk.context.push(content);
            }
        }
        hunk.close(&mut open);
        if self.peek() == Some(END_FILE) {
            self.next += 1;
            hunk.is_at_end = true;
        } else if self.next == beginning {
            let before = self.peek().unwrap_or(END_PATCH).to_owned();
            return Err(PatchError::EmptyHunk { before });
        }
        Ok(hunk)
    }
}

impl<'a> Hunk<'a> {
    fn close(&mut self, open: &mut Chunk<'a>) {
        let mut chunk = std::mem::take(open);
        if chunk.removed > 0 || !chunk.added.is_empty() {
            chunk.at = self.context.len() - chunk.removed;
            self.chunks.push(chunk);
        }
    }
}

fn read_line(line: &str) -> Result<(LineKind, &str), PatchError> {
    let wrong = |expected| PatchError::Line {
        line: line.to_owned(),
        expected,
    };
    if line.starts_with("***") {
        return Err(wrong("no header of a patch is written so"));
    }
    // An empty line is a kept empty one: models leave out the space that would stand there alone.
    if line.is_empty() {
        return Ok((LineKind::Keep, ""));
    }
    let kinds = [
        (' ', LineKind::Keep),
        ('+', LineKind::Add),
        ('-', LineKind::Remove),
    ];
    let read = kinds
        .iter()
        .find_map(|(sign, kind)| Some((*kind, line.strip_prefix(*sign)?)));
    read.ok_or_else(|| wrong("a line of a hunk begins with a space, `+` or `-`"))
}

#[derive(Default)]
struct Anchors<'a> {
    /// Those that name a line.
    named: Vec<&'a str>,
    /// All of them.
    n_lines: usize,
}

#[derive(Clone, Copy)]
struct AnchorRule {
    /// Whether it must be there; one that stands alone is a hint only.
    is_required: bool,
    /// Whether it is below the one before, and nowhere above.
    is_below: bool,
}

/// Returns the line after the anchor; a line that was passed already leaves the place as it is.
fn find_anchor(
    text: &[&str],
    anchor: &str,
    cursor: usize,
    rule: AnchorRule,
) -> Result<usize, PatchError> {
    let comparisons: [fn(&str) -> &str; 2] = [|line| line, trim];
    for compare in comparisons {
        let mut places = text
            .iter()
            .enumerate()
            .filter(|(_, line)| compare(line) == compare(anchor))
            .map(|(at, _)| at)
            .peekable();
        // Mostly an earlier hunk was in the same function.
        if !rule.is_below && places.peek().is_some_and(|at| *at < cursor) {
            return Ok(cursor);
        }
        if let Some(at) = places.find(|at| *at >= cursor) {
            return Ok(at + 1);
        }
    }
    if rule.is_required {
        return Err(PatchError::AnchorNotFound {
            after: cursor,
            anchor: anchor.to_owned(),
        });
    }
    Ok(cursor)
}

fn find_context(text: &[&str], hunk: &Hunk<'_>, cursor: usize) -> Option<usize> {
    if !hunk.is_at_end {
        return find_lines(text, &hunk.context, cursor);
    }
    // The line end of the last line is no line of its own.
    let text = match text.split_last() {
        Some((&"", before)) => before,
        _ => text,
    };
    let end = text.len().saturating_sub(hunk.context.len());
    find_lines(text, &hunk.context, end)
        .or_else(|| find_lines(text, &hunk.context, cursor.min(text.len())))
}

fn find_lines(text: &[&str], context: &[&str], start: usize) -> Option<usize> {
    if context.is_empty() {
        return Some(start);
    }
    let comparisons: [fn(&str) -> &str; 3] = [|line| line, trim_end, trim];
    comparisons.into_iter().find_map(|compare| {
        let mut windows = text.windows(context.len()).enumerate().skip(start);
        let fits = |window: &[&str]| {
            let mut pairs = window.iter().zip(context);
            pairs.all(|(line, wanted)| compare(line) == compare(wanted))
        };
        windows.find_map(|(at, window)| fits(window).then_some(at))
    })
}

fn replace(text: &[&str], chunks: &[Chunk<'_>], line_end: &str) -> Result<String, PatchError> {
    let mut lines = Vec::with_capacity(text.len());
    let mut cursor = 0;
    for chunk in chunks {
        let Some(kept) = text.get(cursor..chunk.at) else {
            return Err(PatchError::Overlap { line: chunk.at + 1 });
        };
        lines.extend_from_slice(kept);
        lines.extend_from_slice(&chunk.added);
        cursor = chunk.at + chunk.removed;
    }
    lines.extend_from_slice(text.get(cursor..).unwrap_or_default());
    Ok(lines.join(line_end))
}

/// White space as Python's `str.strip` knows it, which is more than Rust's.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn trim(line: &str) -> &str {
    line.trim_matches(is_space)
}

fn trim_end(line: &str) -> &str {
    line.trim_end_matches(is_space)
}
