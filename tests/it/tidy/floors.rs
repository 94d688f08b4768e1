//! Imports point down the floors of ARCHITECTURE.md.

use std::collections::BTreeMap;

use super::source::Source;

/// The floors from the ground up. A file imports from lower floors and from earlier rooms on its own floor; the entry
/// with the longest matching path says where a module is.
const FLOORS: [&[&str]; 6] = [
    &[
        "kind",
        "error_chain",
        "secret",
        "usage",
        "id",
        "future",
        "file",
        "few",
        "memo",
        "item",
        "schema",
        "http",
    ],
    &[
        "trace",
        "limits",
        "context",
        "guardrail",
        "tools",
        "skills",
        "__private",
        "model",
        "session",
        "journal",
    ],
    &["agent", "error"],
    &["agent::runner", "agent::runtime", "realtime"],
    &[
        "model::dialect",
        "model::wire",
        "model::endpoint",
        "model::exchange",
        "model::http_model",
        "model::HttpModel",
        "model::openai_chat",
        "model::OpenAiChat",
        "model::ChatWire",
        "model::gpt_oss_completions",
        "model::GptOssCompletions",
        "model::gpt_oss_responses",
        "model::OpenAiResponses",
        "model::ResponsesWire",
        "model::litellm",
        "model::LiteLlm",
        "model::openai_realtime",
        "model::OpenAiRealtime",
        "model::openai_speech",
        "model::OpenAiSpeech",
        "sqlite",
        "session::sqlite",
        "session::postgres",
        "session::redis",
        "journal::beginning",
        "journal::file",
        "journal::sqlite",
        "journal::restate",
        "trace::post",
        "trace::otel",
        "trace::openai",
        "trace::store",
        "mcp",
        "plugin",
        "testing",
    ],
    &[
        "server",
        "voice",
        "config",
        "__private::bench",
        "__private::fuzz",
    ],
];
const ENGINES: usize = 3;
const DRIVERS: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FloorPlace {
    floor: usize,
    room: usize,
    name: &'static str,
}

fn place(path: &str) -> Option<FloorPlace> {
    let mut found: Option<FloorPlace> = None;
    for (floor, rooms) in FLOORS.iter().enumerate() {
        for (room, &name) in rooms.iter().enumerate() {
            let is_inside = path
                .strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
            if is_inside && found.is_none_or(|known| name.len() > known.name.len()) {
                found = Some(FloorPlace { floor, room, name });
            }
        }
    }
    found
}

/// Checks the imports of one file; `root` maps the names that `lib.rs` re-exports to where they come from.
fn check(source: &Source, root: &BTreeMap<String, String>) -> Vec<String> {
    let module = module_path(&source.path);
    let Some(here) = place(&module) else {
        return vec![format!(
            "{}: `{module}` has no place in the table of floors",
            source.path
        )];
    };
    imports(&without_tests(&source.code), &module)
        .into_iter()
        .filter_map(|path| {
            let first = path.split("::").next().unwrap_or_default();
            let target = root.get(first).map_or(path.as_str(), String::as_str);
            let there = place(target);
            complaint(here, there)
                .map(|reason| format!("{}: `crate::{path}`: {reason}", source.path))
        })
        .collect()
}

fn complaint(here: FloorPlace, there: Option<FloorPlace>) -> Option<String> {
    let Some(there) = there else {
        return Some("has no place in the table of floors".to_owned());
    };
    if there.floor > here.floor {
        let (from, to) = (here.floor, there.floor);
        return Some(format!(
            "`{}` (floor {from}) imports `{}` from above (floor {to})",
            here.name, there.name
        ));
    }
    if there.floor == here.floor && there.room > here.room {
        return Some(format!(
            "`{}` comes before `{}` on floor {}",
            here.name, there.name, here.floor
        ));
    }
    if here.floor == DRIVERS && there.floor == ENGINES {
        return Some(format!(
            "the driver `{}` names the engine `{}`",
            here.name, there.name
        ));
    }
    None
}

/// `src/model/wire/mod.rs` is `model::wire`.
fn module_path(file: &str) -> String {
    let path = file
        .trim_start_matches("src/")
        .trim_end_matches(".rs")
        .trim_end_matches("/mod");
    path.replace('/', "::")
}

/// Removes `#[cfg(test)]` items: tests may look anywhere.
fn without_tests(code: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    while let Some((before, after)) = rest.split_once("#[cfg(test)]") {
        kept.push_str(before);
        let end = after.find(['{', ';']).map_or(after.len(), |at| {
            if after[at..].starts_with('{') {
                at + matching_brace(&after[at..])
            } else {
                at + 1
            }
        });
        rest = &after[end..];
    }
    kept + rest
}

/// The length of the block that `text` begins with.
fn matching_brace(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}

/// Every path from the root of the crate in `code`, also those written with `super`, braces opened out.
fn imports(code: &str, module: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            paths("", &code[at + "crate::".len()..], &mut found);
        }
    }
    let depth = module.split("::").count();
    for (at, _) in code.match_indices("super::") {
        if code[..at].ends_with("::")
            || code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
        {
            continue;
        }
        let mut rest = &code[at..];
        let mut n_up = 0;
        while let Some(next) = rest.strip_prefix("super::") {
            (rest, n_up) = (next, n_up + 1);
        }
        let parents: Vec<_> = module
            .split("::")
            .take(depth.saturating_sub(n_up))
            .collect();
        paths(&parents.join("::"), rest, &mut found);
    }
    found.sort();
    found.dedup();
    found
}

/// Adds the paths that `text`, the rest of a use tree below `prefix`, begins with.
fn paths(prefix: &str, text: &str, found: &mut Vec<String>) {
    let text = text.trim_start();
    let join = |name: &str| {
        if prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{prefix}::{name}")
        }
    };
    if text.starts_with('{') {
        let block = &text[1..matching_brace(text).max(2) - 1];
        let mut depth = 0;
        for branch in block.split(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == ',' && depth == 0
        }) {
            paths(prefix, branch, found);
        }
        return;
    }
    let name: String = text
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    match text[name.len()..].strip_prefix("::") {
        _ if name == "self" => found.push(prefix.to_owned()),
        _ if name.is_empty() => {}
        Some(rest) if rest.starts_with(|c: char| c.is_alphabetic() || c == '{') => {
            paths(&join(&name), rest, found);
        }
        _ => found.push(join(&name)),
    }
}

/// The names that `lib.rs` re-exports, with where they come from.
fn root_names(lib: &Source) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for statement in lib.code.split(';') {
        let Some((_, tree)) = statement.split_once("pub use ") else {
            continue;
        };
        let mut found = Vec::new();
        paths("", tree, &mut found);
        for path in found {
            names.insert(
                path.rsplit("::").next().unwrap_or_default().to_owned(),
                path,
            );
        }
    }
    names
}

#[test]
fn imports_point_down() {
    let sources = super::sources(&["src"]);
    let lib = sources
        .iter()
        .find(|source| source.path == "src/lib.rs")
        .unwrap();
    let root = root_names(lib);
    let complaints: Vec<_> = sources
        .iter()
        .filter(|source| source.path != "src/lib.rs" && !source.is_tests())
        .flat_map(|source| check(source, &root))
        .collect();
    super::assert_none(&complaints);
}

#[cfg(test)]
fn complaints(file: &str, text: &str) -> usize {
    let lib = Source::new(
        "src/lib.rs",
        "mod agent;\npub use agent::{Agent, runner::Runner};\npub use usage::Usage;",
    );
    check(&Source::new(file, text), &root_names(&lib)).len()
}

#[test]
fn the_floors_check_refuses_an_upward_import() {
    for (file, text) in [
        ("src/tools/mod.rs", "use crate::agent::Agent;"),
        (
            "src/tools/mod.rs",
            "use crate::{context::Cx, agent::{Agent}};",
        ),
        ("src/tools/function.rs", "fn f(x: &crate::agent::Agent) {}"),
        ("src/tools/function.rs", "use super::super::agent::Agent;"),
        ("src/usage.rs", "use crate::Agent;"),
        ("src/model/request.rs", "use crate::model::wire::chat;"),
        ("src/agent/runner/drive.rs", "use crate::model::OpenAiChat;"),
        ("src/agent/builder.rs", "use super::runner::Run;"),
    ] {
        assert_eq!(complaints(file, text), 1, "{file}: {text}");
    }
}

#[test]
fn the_floors_check_refuses_a_later_room_of_the_same_floor() {
    assert_eq!(complaints("src/usage.rs", "use crate::item::Item;"), 1);
    assert_eq!(
        complaints("src/tools/mod.rs", "use crate::model::Model;"),
        1
    );
}

#[test]
fn the_floors_check_refuses_a_driver_that_names_an_engine() {
    assert_eq!(
        complaints("src/mcp/mod.rs", "use crate::agent::runner::Runner;"),
        1
    );
    assert_eq!(complaints("src/mcp/mod.rs", "use crate::Runner;"), 1);
}

#[test]
fn the_floors_check_refuses_a_room_without_a_place() {
    assert_eq!(complaints("src/utils.rs", ""), 1);
    assert_eq!(complaints("src/usage.rs", "use crate::utils::f;"), 1);
}

#[test]
fn the_floors_check_lets_imports_down_and_tests_anywhere() {
    for (file, text) in [
        (
            "src/agent/runner/run.rs",
            "use crate::agent::Agent;\nuse crate::{Usage, model::{self, Model}};",
        ),
        (
            "src/agent/runner/run.rs",
            "use super::step::Step;\nuse super::super::Agent;",
        ),
        (
            "src/model/openai_chat.rs",
            "use crate::model::wire::chat::{self, Request};\nuse super::Model;",
        ),
        (
            "src/tools/mod.rs",
            "use crate::context::Cx;\n// use crate::agent::Agent;\n#[cfg(test)]\nmod tests { use crate::agent::Agent; }",
        ),
        (
            "src/usage.rs",
            "#[cfg(test)]\nuse crate::agent::Agent;\nuse my_crate::agent::Agent;",
        ),
    ] {
        assert_eq!(complaints(file, text), 0, "{file}: {text}");
    }
}
