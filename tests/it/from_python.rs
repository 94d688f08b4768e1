//! The page for those who come from Python: its names exist, its counts are true.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/from-python.md";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    fs::read_to_string(root().join(PAGE)).unwrap()
}

/// The cells of the rows of a table, from the headline of its section to the next of the same depth.
fn rows(page: &str, section: &str) -> Vec<Vec<String>> {
    let (_, rest) = page.split_once(&format!("## {section}\n")).expect(section);
    let (table, _) = rest.split_once("\n## ").unwrap_or((rest, ""));
    let cells = |line: &str| {
        let line = line.replace("\\|", "\u{1}");
        let cells = line.trim_matches('|').split('|');
        cells
            .map(|cell| cell.trim().replace('\u{1}', "|"))
            .collect()
    };
    let lines = table.lines().filter(|line| line.starts_with("| "));
    lines.map(cells).collect()
}

/// The identifiers in the code of a text: what stands between back-ticks, without strings and paths of files.
fn identifiers(text: &str) -> impl Iterator<Item = String> {
    let code = text.split('`').skip(1).step_by(2);
    let code = code.flat_map(|code| {
        let outside = code.split('"').step_by(2).map(str::to_owned);
        outside.collect::<Vec<_>>()
    });
    let words = code.flat_map(|code| {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let words = code.split(move |c| !is_part(c)).map(str::to_owned);
        words.collect::<Vec<_>>()
    });
    // Letters of their own stand for what the reader has: `T`, `f`, `s`.
    words.filter(|word| word.len() > 2 && !word.starts_with(|c: char| c.is_ascii_digit()))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
}

/// All words that stand in the code of the library, its macros and the program.
fn known() -> BTreeSet<String> {
    let mut files = Vec::new();
    for folder in ["src", "macros/src", "cli/src/command"] {
        sources(&root().join(folder), &mut files);
    }
    let mut words = BTreeSet::new();
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        words.insert(name);
        let code = fs::read_to_string(file).unwrap();
        let lines = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for line in lines {
            let split = line.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            words.extend(split.map(str::to_owned));
        }
    }
    words
}

#[test]
fn names_of_the_page_exist() {
    let page = page();
    let known = known();
    let mut unknown = Vec::new();
    for section in ["Names, at a glance", "Its features, one by one"] {
        for row in rows(&page, section).iter().filter(|row| row.len() > 1) {
            // Of the agents, sessions and results in the page's code only the names of this library are looked for.
            let own = [
                "input", "runner", "agent", "result", "error", "call", "file", "here", "open",
            ];
            let of_row = identifiers(&row[1]).filter(|name| !own.contains(&name.as_str()));
            unknown.extend(of_row.filter(|name| !known.contains(name)));
        }
    }
    assert_eq!(unknown, [""; 0], "{PAGE} names what is not there");
}

#[test]
fn line_counts_of_the_page_are_those_of_the_programs() {
    let page = page();
    let programs = rows(&page, "Six programs");
    let count = |path: String| {
        let text = fs::read_to_string(root().join("examples/compared").join(&path));
        let text = text.unwrap_or_else(|error| panic!("{path}: {error}"));
        let is_code = |line: &&str| {
            let line = line.trim();
            let is_comment = line == "//"
                || (line.starts_with("//") && !line.starts_with("///"))
                || line.starts_with("#!")
                || line.starts_with("# ");
            !line.is_empty() && !is_comment
        };
        text.lines().filter(is_code).count()
    };
    let programs = programs.iter().filter(|row| row[0].starts_with('`'));
    let mut n_programs = 0;
    for row in programs {
        let name = identifiers(&row[0]).next().unwrap();
        let counts = [
            count(format!("{name}.rs")),
            count(format!("python/{name}.py")),
            count(format!("rig/{name}.rs")),
        ];
        let told = row[1..].iter().map(|cell| {
            let digits: String = cell.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().unwrap()
        });
        assert_eq!(told.collect::<Vec<usize>>(), counts, "{name}");
        n_programs += 1;
    }
    assert_eq!(n_programs, 6);
}
