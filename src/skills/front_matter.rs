//! Reads the head of a `SKILL.md`: YAML between two lines of three hyphens.

use std::path::Path;

use serde::Deserialize;

use super::SkillError;

const MAX_NAME_CHARS: usize = 64;
const MAX_DESCRIPTION_CHARS: usize = 1024;
const MAX_COMPATIBILITY_CHARS: usize = 500;

/// The fields of a head that are used. Others, such as `metadata`, belong to the author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FrontMatter {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) license: Option<String>,
    pub(super) compatibility: Option<String>,
}

#[derive(Deserialize)]
struct WrittenHead {
    name: Option<String>,
    description: Option<String>,
    license: Option<String>,
    compatibility: Option<String>,
}

/// Splits a `SKILL.md` into its head and its body.
pub(super) fn split<'a>(text: &'a str, folder: &Path) -> Result<(&'a str, &'a str), SkillError> {
    let missing = || SkillError::NoHead {
        folder: folder.to_owned(),
    };
    // Editors on Windows put a byte order mark first.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let is_rule = |line: &str| line.trim_end() == "---";
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().filter(|line| is_rule(line));
    let beginning = first.ok_or_else(missing)?.len();
    let mut end = beginning;
    for line in lines {
        if is_rule(line) {
            let head = text.get(beginning..end).unwrap_or_default();
            let body = text.get(end + line.len()..).unwrap_or_default();
            return Ok((head, body));
        }
        end += line.len();
    }
    Err(missing())
}

/// Parses a head by the rules of the specification.
pub(super) fn parse(head: &str, folder: &Path) -> Result<FrontMatter, SkillError> {
    let written = read(head).map_err(|problem| SkillError::Head {
        folder: folder.to_owned(),
        problem,
    })?;
    let wrong = |field, expected| SkillError::Field {
        folder: folder.to_owned(),
        field,
        expected,
    };
    let name = written.name.filter(|name| is_name(name)).ok_or_else(|| {
        wrong(
            "name",
            "1 to 64 lower-case letters, digits and single hyphens, with none at an end",
        )
    })?;
    let description = written
        .description
        .filter(|text| !text.trim().is_empty() && text.chars().count() <= MAX_DESCRIPTION_CHARS)
        .ok_or_else(|| wrong("description", "a text of 1 to 1024 characters"))?;
    let compatibility = written.compatibility;
    if compatibility
        .as_ref()
        .is_some_and(|text| text.is_empty() || text.chars().count() > MAX_COMPATIBILITY_CHARS)
    {
        return Err(wrong("compatibility", "a text of 1 to 500 characters"));
    }
    Ok(FrontMatter {
        name,
        description,
        license: written.license,
        compatibility,
    })
}

fn read(head: &str) -> Result<WrittenHead, String> {
    // The bound on aliases stops a small head that expands to gigabytes.
    let options = serde_saphyr::options! {
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 1000 },
    };
    serde_saphyr::from_str_with_options::<WrittenHead>(head, options)
        .map_err(|error| error.to_string())
}

fn is_name(name: &str) -> bool {
    let is_allowed = |c: char| c == '-' || (c.is_alphanumeric() && !c.is_uppercase());
    (1..=MAX_NAME_CHARS).contains(&name.chars().count())
        && name.chars().all(is_allowed)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}
