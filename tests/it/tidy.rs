//! The rules of CONTRIBUTING.md and ARCHITECTURE.md that a program can check, checked over the whole tree.
//!
//! Each rule is a pure function over text that returns complaints; beside each, a test shows that it can fail.

mod floors;
mod graph;
mod names;
mod promises;
mod source;
mod summaries;

use std::fs;
use std::path::{Path, PathBuf};

use source::Source;

/// Reads every Rust file below `folders`, with paths relative to the root of the repository.
fn sources(folders: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in folders {
        collect(&root.join(folder), &mut files);
    }
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let text =
                fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
            let path = file
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .replace('\\', "/");
            Source::new(path, &text)
        })
        .collect()
}

/// A folder that does not exist yet holds nothing.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[track_caller]
fn assert_none(complaints: &[String]) {
    assert!(
        complaints.is_empty(),
        "{} complaint(s)\n{}",
        complaints.len(),
        complaints.join("\n")
    );
}
