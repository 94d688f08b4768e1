//! The tool `search_files`.

use std::ops::ControlFlow;

use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::sinks::Lossy;
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder};
use schemars::JsonSchema;
use serde::Deserialize;

use super::WorkspaceError;
use super::list::{fits, glob};
use super::path::WorkspacePath;
use super::read::beginning;
use super::root::Root;
use super::walk::{WalkExtent, plain, walk};

pub(super) const DESCRIPTION: &str = "Looks for a regular expression in the lines of the files of the workspace and gives each line that \
    fits as path:line: text. Files that .gitignore names and files that are no text are left out. At most 200 lines are given.";

const MAX_MATCHES: usize = 200;
const MAX_LINE_BYTES: usize = 400;
/// A longer line is not searched; it would have to be kept whole.
const MAX_HEAP_BYTES: usize = 8 * 1024 * 1024;
/// What a search reads in sum, so that it ends also where a folder holds a disk.
const MAX_READ_BYTES: u64 = 4 * 1024 * 1024 * 1024;

#[derive(Deserialize, JsonSchema)]
pub(super) struct SearchArguments {
    /// The regular expression, in Rust's syntax, such as fn \w+_test. It is looked for within single lines.
    pattern: String,
    /// The file or folder to search, relative to the root of the workspace; null means the root.
    path: Option<String>,
    /// Only files that fit this pattern, such as *.rs; null means all.
    files: Option<String>,
    /// Whether upper and lower case are the same; null means no.
    ignore_case: Option<bool>,
}

pub(super) fn search_files(
    root: &Root,
    arguments: &SearchArguments,
) -> Result<String, WorkspaceError> {
    let path = root.parse(arguments.path.as_deref().unwrap_or("."))?;
    let mut search = FileSearch {
        root,
        matcher: matcher(arguments)?,
        searcher: SearcherBuilder::new()
            .line_number(true)
            .heap_limit(Some(MAX_HEAP_BYTES))
            // A zero byte means that it is no text, as grep sees it.
            .binary_detection(BinaryDetection::quit(0))
            .build(),
        lines: Vec::new(),
        n_bytes: 0,
        is_whole: true,
    };
    if root.metadata(&path)?.is_file() {
        // A file that was named is an error if it cannot be read.
        drop(root.file(&path)?);
        let (ControlFlow::Continue(()) | ControlFlow::Break(())) = search.file(&path);
        return Ok(search.finish());
    }
    let glob = arguments.files.as_deref().map(glob).transpose()?;
    let start = plain(path.as_path());
    let extent = walk(root, &path, &mut |entry| {
        let is_wanted = glob.as_ref().is_none_or(|glob| fits(glob, &start, entry));
        if entry.file_type.is_file() && is_wanted {
            return search.file(&WorkspacePath::found(entry.path.clone()));
        }
        ControlFlow::Continue(())
    })?;
    search.is_whole &= extent == WalkExtent::Whole;
    Ok(search.finish())
}

fn matcher(arguments: &SearchArguments) -> Result<RegexMatcher, WorkspaceError> {
    RegexMatcherBuilder::new()
        .case_insensitive(arguments.ignore_case.unwrap_or(false))
        .line_terminator(Some(b'\n'))
        .build(&arguments.pattern)
        .map_err(|source| WorkspaceError::Pattern {
            pattern: arguments.pattern.clone(),
            source: Box::new(source),
        })
}

struct FileSearch<'a> {
    root: &'a Root,
    matcher: RegexMatcher,
    searcher: Searcher,
    lines: Vec<String>,
    n_bytes: u64,
    is_whole: bool,
}

impl FileSearch<'_> {
    /// Searches one file; one that cannot be read or has too long lines is passed over, as is one that has other hard links.
    fn file(&mut self, path: &WorkspacePath) -> ControlFlow<()> {
        let Ok(file) = self.root.file(path) else {
            return ControlFlow::Continue(());
        };
        self.n_bytes += file.metadata().map_or(0, |metadata| metadata.len());
        if self.n_bytes > MAX_READ_BYTES {
            self.is_whole = false;
            return ControlFlow::Break(());
        }
        let (lines, is_whole) = (&mut self.lines, &mut self.is_whole);
        let sink = Lossy(|number, line| {
            if lines.len() >= MAX_MATCHES {
                *is_whole = false;
                return Ok(false);
            }
            let line = line.trim_end_matches(['\n', '\r']);
            let cut = beginning(line, MAX_LINE_BYTES);
            let end = if cut.len() < line.len() { " .." } else { "" };
            lines.push(format!("{path}:{number}: {cut}{end}"));
            Ok(true)
        });
        // An error is a line beyond the bound or a disk that fails; what was found before stays.
        self.searcher.search_reader(&self.matcher, file, sink).ok();
        if *is_whole {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }

    fn finish(mut self) -> String {
        if !self.is_whole {
            self.lines.push(
                "[there are more; search a folder below or for something narrower]".to_owned(),
            );
        }
        if self.lines.is_empty() {
            return "[nothing found]".to_owned();
        }
        self.lines.join("\n")
    }
}
