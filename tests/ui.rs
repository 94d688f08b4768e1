//! What the compiler says about a `#[tool]` that cannot be one, and that it says nothing about one that can.
//!
//! Each file of `tests/ui` is checked by rustc against the library that this test is linked to. No cargo runs and nothing is
//! built again: a test crate of its own, as trybuild makes one, costs a second build of all dependencies.
//!
//! The messages are those of rustc 1.95. `OVERWRITE=1` writes them anew.
#![cfg(test)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;
use std::{env, fs};

use serde_json::Value;

#[test]
fn tool_macro_misuse_is_explained_at_its_place() {
    let overwrites = env::var_os("OVERWRITE").is_some();
    let mut differing = Vec::new();
    for case in cases("fail") {
        let said = errors(&case);
        let expected = case.with_extension("stderr");
        if overwrites {
            fs::write(&expected, &said).unwrap();
        }
        let wanted = fs::read_to_string(&expected).unwrap_or_default();
        if said.is_empty() || said != wanted {
            differing.push(format!(
                "== {}, expected\n{wanted}== found\n{said}",
                case.display()
            ));
        }
    }
    assert!(differing.is_empty(), "{}", differing.concat());
}

#[test]
fn tool_macro_right_use_has_no_error() {
    for case in cases("pass") {
        assert_eq!(errors(&case), "", "{}", case.display());
    }
}

fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/ui")
        .join(folder);
    let entries = fs::read_dir(folder).unwrap();
    let mut cases: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

/// The errors in a file, as an editor shows them: the message, the place and what stands there, the notes.
fn errors(case: &Path) -> String {
    let library = library();
    let output = Command::new("rustc")
        .args(["--edition", "2024", "--emit", "metadata", "--out-dir"])
        .arg(env!("CARGO_TARGET_TMPDIR"))
        .args(["--error-format", "json", "-L"])
        .arg(format!(
            "dependency={}",
            library.parent().unwrap().display()
        ))
        .arg("--extern")
        .arg(format!("openai_agents={}", library.display()))
        .arg(case)
        .output()
        .unwrap();
    let lines = String::from_utf8(output.stderr).unwrap();
    let diagnostics = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")));
    let text: String = diagnostics.map(|diagnostic| error(&diagnostic)).collect();
    assert_eq!(output.status.success(), text.is_empty(), "{lines}");
    text
}

/// Cargo has linked this test to the newest library that is older than the test.
fn library() -> PathBuf {
    let this = env::current_exe().unwrap();
    let linked = modified(&this);
    let entries = fs::read_dir(this.parent().unwrap()).unwrap();
    let libraries = entries.map(|entry| entry.unwrap().path()).filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("libopenai_agents-") && name.ends_with(".rlib")
    });
    libraries
        .filter(|path| modified(path) <= linked)
        .max_by_key(|path| modified(path))
        .unwrap()
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

/// Leaves out what is not about the case: warnings, places in other files, and lists of what else has a trait, which change
/// with each dependency.
fn error(diagnostic: &Value) -> String {
    let places = places(diagnostic);
    if diagnostic["level"] != "error" || places.is_empty() {
        return String::new();
    }
    let mut text = "error".to_owned();
    if let Some(code) = diagnostic["code"]["code"].as_str() {
        write!(text, "[{code}]").unwrap();
    }
    writeln!(text, ": {}", first_line(diagnostic)).unwrap();
    text += &places;
    for child in diagnostic["children"].as_array().unwrap() {
        let places = self::places(child);
        let is_elsewhere = places.is_empty() && !child["spans"].as_array().unwrap().is_empty();
        if !is_elsewhere {
            let level = child["level"].as_str().unwrap();
            writeln!(text, "  {level}: {}", first_line(child)).unwrap();
            text += &places;
        }
    }
    text + "\n"
}

fn first_line(diagnostic: &Value) -> &str {
    let message = diagnostic["message"].as_str().unwrap();
    message.lines().next().unwrap()
}

fn places(diagnostic: &Value) -> String {
    let spans = diagnostic["spans"].as_array().unwrap().iter();
    let here = spans.filter(|span| span["file_name"].as_str().unwrap().contains("tests/ui/"));
    let lines = here.map(|span| {
        let line = &span["text"][0]["text"].as_str().unwrap();
        let column = |name: &str| usize::try_from(span[name].as_u64().unwrap()).unwrap() - 1;
        let (from, to) = (column("column_start"), column("column_end"));
        let is_one_line = span["line_start"] == span["line_end"];
        let to = if is_one_line {
            to
        } else {
            line.chars().count()
        };
        let code: String = line.chars().skip(from).take(to - from).collect();
        let label = span["label"].as_str().map(|label| format!(": {label}"));
        let label = label.unwrap_or_default();
        format!("  {}:{} `{code}`{label}\n", span["line_start"], from + 1)
    });
    lines.collect::<Vec<_>>().concat()
}
