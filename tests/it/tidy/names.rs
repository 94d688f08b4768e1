//! One name, one meaning: where the types of the workspace are declared, in its tests too.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;

/// How many files may declare a type of one name. A third is one that nobody finds by searching for it.
///
/// It holds for what a file has for itself, too: whoever reads `Parts` in a signature looks for it, and finds six. Types inside a function
/// count, since they stand in search results as all others do, and so do those of tests, testbeds and benchmarks. Left out is what stands
/// for other people's programs: the examples, and the sources that the macros' messages are tested with.
const MAX_FILES: usize = 2;

/// The types that a file declares, aliases at its top level among them.
fn declared(code: &str) -> impl Iterator<Item = &str> {
    code.lines().filter_map(|indented| {
        let line = indented.trim_start();
        let is_inside = line.len() < indented.len();
        let line = match line.strip_prefix("pub(") {
            Some(rest) => rest.split_once(") ")?.1,
            None => line.strip_prefix("pub ").unwrap_or(line),
        };
        let (keyword, rest) = line.split_once(' ')?;
        let is_type = match keyword {
            "struct" | "enum" | "trait" => true,
            // Inside a trait or its implementation it is an associated type, such as `Item` of an iterator.
            "type" => !is_inside,
            _ => false,
        };
        is_type.then(|| rest.split(|c: char| !c.is_alphanumeric()).next())?
    })
}

fn check_names(sources: &[Source]) -> Vec<String> {
    let mut files = BTreeMap::<&str, BTreeSet<&str>>::new();
    let is_ours = |source: &&Source| {
        let foreign = ["tests/ui/", "tests/fixtures/", "benches/compare/"];
        !foreign.iter().any(|folder| source.path.starts_with(folder))
    };
    for source in sources.iter().filter(is_ours) {
        for name in declared(&source.code) {
            files.entry(name).or_default().insert(&source.path);
        }
    }
    let mut complaints = Vec::new();
    for (name, files) in files {
        if files.len() > MAX_FILES {
            complaints.push(format!("the type name `{name}` is declared in {files:?}"));
        }
    }
    complaints
}

/// How many names stand at the root of the library: what a reader meets at one sitting. All else is by its module.
const MAX_ROOT_EXPORTS: usize = 30;

fn root_exports(code: &str) -> Vec<&str> {
    let uses = code.split("pub use ").skip(1);
    let lists = uses.filter_map(|rest| Some(rest.split_once(';')?.0));
    let names = lists.flat_map(|list| {
        let names = list.rsplit_once("::").map_or(list, |(_, names)| names);
        names.trim_matches(['{', '}']).split(',').map(str::trim)
    });
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn root_exports_are_at_most_thirty() {
    let sources = super::sources(&["src"]);
    let root = sources.iter().find(|source| source.path == "src/lib.rs");
    let names = root_exports(&root.unwrap().code);
    assert!(names.len() > 20, "{names:?}");
    assert!(names.len() <= MAX_ROOT_EXPORTS, "{names:?}");
}

#[test]
fn root_exports_in_lists_are_counted_one_by_one() {
    let code = "pub use a::b::One;\nuse c::Inner;\npub use d::{Two, Three};\npub use e::{\n    Four,\n    Five,\n};\n";
    assert_eq!(root_exports(code), ["One", "Two", "Three", "Four", "Five"]);
}

#[test]
fn type_names_are_declared_in_at_most_two_files() {
    super::assert_none(&check_names(&super::sources(&[
        "src",
        "cli",
        "macros",
        "plugin-sdk",
        "testbed",
        "tests",
        "benches",
    ])));
}

#[test]
fn type_name_in_three_files_is_a_complaint() {
    let source = |path| {
        let code = "pub(super) struct Place<'a> {}\npub struct Name;\ntype Job = u8;\nimpl A for B {\n    type Item = u8;\n}\n\
                    fn f() {\n    struct Head;\n}\n";
        Source::new(path, code)
    };
    let two = ["src/http/a.rs", "tests/ui/pass/b.rs", "tests/it/b.rs"].map(source);
    assert_eq!(check_names(&two), [""; 0]);
    let three = ["src/http/a.rs", "tests/it/b.rs", "cli/src/args.rs"].map(source);
    let complaint = |name: &str| {
        let files = r#"{"cli/src/args.rs", "src/http/a.rs", "tests/it/b.rs"}"#;
        format!("the type name `{name}` is declared in {files}")
    };
    assert_eq!(
        check_names(&three),
        ["Head", "Job", "Name", "Place"].map(complaint)
    );
}
