//! What one source file may hold: its size, no unfinished code, no silenced lints, no empty module.

/// A Rust file with its comments and the contents of its literals blanked out, so that only code is left to look at.
pub(super) struct Source {
    /// Relative to the root of the repository, with `/`.
    pub(super) path: String,
    /// Same lines as the file.
    pub(super) code: String,
    /// The file as it is.
    pub(super) text: String,
}

impl Source {
    pub(super) fn new(path: impl Into<String>, text: &str) -> Self {
        Self {
            path: path.into(),
            code: blank(text),
            text: text.to_owned(),
        }
    }

    /// Whether the file holds nothing but tests.
    pub(super) fn is_tests(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    fn is_crate_root(&self) -> bool {
        self.path.ends_with("/lib.rs") || self.path.ends_with("/main.rs")
    }
}

const MAX_CODE_LINES: usize = 500;
const MAX_TEST_LINES: usize = 1000;

fn check_size(source: &Source) -> Option<String> {
    let limit = if source.path.ends_with("/tests.rs") {
        MAX_TEST_LINES
    } else {
        MAX_CODE_LINES
    };
    let n_lines = source
        .code
        .lines()
        .filter(|line| !line.trim().is_empty())
        .count();
    (n_lines > limit).then(|| {
        format!(
            "{}: {n_lines} code lines, over the limit of {limit}",
            source.path
        )
    })
}

const FORBIDDEN: [(&str, &str); 5] = [
    ("todo!", "unfinished code is not merged"),
    ("unimplemented!", "unfinished code is not merged"),
    ("#[ignore", "a test runs or does not exist"),
    ("#[allow(", "use #[expect(.., reason = \"..\")]"),
    ("#![allow(", "use #![expect(.., reason = \"..\")]"),
];

fn check_forbidden(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    // What the macro writes into a user's crate must hold whether or not the lint would speak there.
    let writes_for_users = source.path.starts_with("macros/src/");
    for (number, line) in source.code.lines().enumerate() {
        for (word, reason) in FORBIDDEN {
            if line.contains(word) && !(writes_for_users && word == "#[allow(") {
                complaints.push(format!(
                    "{}:{}: `{word}`: {reason}",
                    source.path,
                    number + 1
                ));
            }
        }
    }
    complaints
}

/// A crate root may be only documentation; any other file is a module that must do something.
fn check_empty(source: &Source) -> Option<String> {
    let without_attributes: String = source
        .code
        .lines()
        .filter(|line| !line.trim_start().starts_with("#!["))
        .collect();
    let is_empty = without_attributes.trim().is_empty() && !source.is_crate_root();
    let squeezed: String = source.code.split_whitespace().collect::<Vec<_>>().join(" ");
    let has_empty_module = squeezed.split("mod ").skip(1).any(|rest| {
        let after_name = rest
            .trim_start_matches(|c: char| c.is_alphanumeric() || c == '_')
            .trim_start();
        after_name
            .strip_prefix('{')
            .is_some_and(|body| body.trim_start().starts_with('}'))
    });
    (is_empty || has_empty_module).then(|| format!("{}: an empty module", source.path))
}

/// Replaces comments by spaces and the contents of string and character literals by `_`; keeps every line break.
pub(super) fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let (end, filler) = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => (line_end(&chars, at), ' '),
            '/' if chars.get(at + 1) == Some(&'*') => (block_comment_end(&chars, at), ' '),
            '"' => (string_end(&chars, at + 1, raw_hashes(&chars, at)), '_'),
            '\'' => (char_end(&chars, at), '_'),
            _ => (at, ' '),
        };
        if end == at {
            code.push(chars[at]);
            at += 1;
            continue;
        }
        code.extend(
            chars[at..end]
                .iter()
                .map(|&c| if c == '\n' { '\n' } else { filler }),
        );
        at = end;
    }
    code
}

fn line_end(chars: &[char], at: usize) -> usize {
    chars[at..]
        .iter()
        .position(|&c| c == '\n')
        .map_or(chars.len(), |n| at + n)
}

fn block_comment_end(chars: &[char], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 1),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 1),
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}

/// `None` for an ordinary string whose quote is at `at`, else the number of `#` of a raw one.
fn raw_hashes(chars: &[char], at: usize) -> Option<usize> {
    let n_hashes = chars[..at].iter().rev().take_while(|&&c| c == '#').count();
    let before = |back: usize| at.checked_sub(n_hashes + back).map(|index| chars[index]);
    let is_raw = before(1) == Some('r')
        && !before(2).is_some_and(|c| c.is_alphanumeric() && !matches!(c, 'b' | 'c') || c == '_');
    is_raw.then_some(n_hashes)
}

fn string_end(chars: &[char], start: usize, raw: Option<usize>) -> usize {
    let mut at = start;
    while at < chars.len() {
        match (chars[at], raw) {
            ('\\', None) => at += 1,
            ('"', None) => return at + 1,
            ('"', Some(n)) if chars[at + 1..].iter().take_while(|&&c| c == '#').count() >= n => {
                return at + 1 + n;
            }
            _ => {}
        }
        at += 1;
    }
    chars.len()
}

/// The end of a character literal at `at`, or `at` itself where the quote begins a lifetime.
fn char_end(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), Some(_)) => {
            let rest = chars.get(at + 3..).unwrap_or_default();
            rest.iter()
                .position(|&c| c == '\'')
                .map_or(chars.len(), |n| at + n + 4)
        }
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

const ALL: [&str; 8] = [
    "src",
    "cli",
    "macros",
    "plugin-sdk",
    "testbed",
    "examples",
    "tests/it",
    "fuzz/fuzz_targets",
];

#[test]
fn files_stay_short() {
    let complaints: Vec<_> = super::sources(&ALL).iter().filter_map(check_size).collect();
    super::assert_none(&complaints);
}

#[test]
fn unfinished_code_and_silenced_lints_are_absent() {
    let complaints: Vec<_> = super::sources(&ALL)
        .iter()
        .flat_map(check_forbidden)
        .collect();
    super::assert_none(&complaints);
}

#[test]
fn no_module_is_empty() {
    let complaints: Vec<_> = super::sources(&ALL)
        .iter()
        .filter_map(check_empty)
        .collect();
    super::assert_none(&complaints);
}

#[test]
fn the_size_check_counts_code_only() {
    let lines = |n: usize| "// a comment\n\nlet x = 1;\n".repeat(n);
    assert!(check_size(&Source::new("src/a.rs", &lines(500))).is_none());
    assert!(check_size(&Source::new("src/a.rs", &lines(501))).is_some());
    assert!(check_size(&Source::new("src/a/tests.rs", &lines(1000))).is_none());
    assert!(check_size(&Source::new("src/a/tests.rs", &lines(1001))).is_some());
}

#[test]
fn the_forbidden_check_sees_code_and_not_words() {
    for bad in [
        "fn f() { todo!() }",
        "#[ignore = \"slow\"]\nfn f() {}",
        "#[allow(dead_code)]\nfn f() {}",
        "#![allow(x)]",
    ] {
        assert_eq!(
            check_forbidden(&Source::new("src/a.rs", bad)).len(),
            1,
            "{bad}"
        );
    }
    for good in [
        "// todo!()\nfn f() {}",
        "const X: &str = \"#[ignore\";",
        "const X: &str = r#\" \" todo!() \"#;",
    ] {
        assert!(
            check_forbidden(&Source::new("src/a.rs", good)).is_empty(),
            "{good}"
        );
    }
}

#[test]
fn the_empty_check_refuses_files_and_blocks_without_items() {
    for bad in [
        "//! Only words.\n",
        "//! Words.\n#![cfg(unix)]\n",
        "fn f() {}\nmod later {\n // soon\n}\n",
    ] {
        assert!(
            check_empty(&Source::new("src/a.rs", bad)).is_some(),
            "{bad}"
        );
    }
    assert!(check_empty(&Source::new("macros/src/lib.rs", "//! Only words.\n")).is_none());
    assert!(check_empty(&Source::new("src/a.rs", "mod a { fn f() {} }\nmod b;\n")).is_none());
}

#[test]
fn blanking_keeps_lines_and_knows_literals() {
    let check = |text: &str, expect: &str| assert_eq!(blank(text), expect, "{text}");
    check("a /* b\n /* c */ d */ e", "a     \n              e");
    check(
        "'\"' 'x' '\\'' '\\u{41}' &'a str",
        "___ ___ ____ ________ &'a str",
    );
    check("r\"\\\" x // y", "r___ x     ");
    check("br##\"a\"#b\"## c", "br##________ c");
    check("\"a\\\"b\nc\" d", "_____\n__ d");
    check("\"a\" // b", "___     ");
}
