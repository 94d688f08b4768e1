//! One name, one meaning: where the types of the library and the program are declared.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;

/// In how many rooms a type name may stand. A third use of a name is one that nobody finds by searching for it.
const MAX_ROOMS: usize = 2;

/// The folder below `src`, or the crate beside the library.
fn room(path: &str) -> &str {
    match path.strip_prefix("src/") {
        Some(path) => path.split(['/', '.']).next().unwrap_or(path),
        None => path.split('/').next().unwrap_or(path),
    }
}

/// The types that a file declares at its top level.
fn declared(code: &str) -> impl Iterator<Item = &str> {
    code.lines().filter_map(|line| {
        let line = match line.strip_prefix("pub(") {
            Some(rest) => rest.split_once(") ")?.1,
            None => line.strip_prefix("pub ").unwrap_or(line),
        };
        let (keyword, rest) = line.split_once(' ')?;
        let is_type = matches!(keyword, "struct" | "enum" | "trait");
        is_type.then(|| rest.split(|c: char| !c.is_alphanumeric()).next())?
    })
}

fn check_rooms(sources: &[Source]) -> Vec<String> {
    let mut rooms = BTreeMap::<&str, BTreeSet<&str>>::new();
    for source in sources.iter().filter(|source| !source.is_tests()) {
        for name in declared(&source.code) {
            rooms.entry(name).or_default().insert(room(&source.path));
        }
    }
    let mut complaints = Vec::new();
    for (name, rooms) in rooms {
        if rooms.len() > MAX_ROOMS {
            complaints.push(format!("the type name `{name}` stands in {rooms:?}"));
        }
    }
    complaints
}

#[test]
fn type_names_stand_in_at_most_two_rooms() {
    super::assert_none(&check_rooms(&super::sources(&[
        "src",
        "cli/src",
        "macros/src",
    ])));
}

#[test]
fn type_name_in_three_rooms_is_a_complaint() {
    let source = |path| Source::new(path, "pub(super) struct Place<'a> {}\npub struct Name;\n");
    let sources = ["src/http/a.rs", "src/http/b.rs", "src/limits.rs"].map(source);
    assert_eq!(check_rooms(&sources), [""; 0]);
    let sources = ["src/http/a.rs", "src/limits.rs", "cli/src/args.rs"].map(source);
    assert_eq!(
        check_rooms(&sources),
        [
            "the type name `Name` stands in {\"cli\", \"http\", \"limits\"}",
            "the type name `Place` stands in {\"cli\", \"http\", \"limits\"}",
        ]
    );
}
