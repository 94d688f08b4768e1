//! Which crates a build pulls in: their number, their licences, and some that must not come.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

const ALLOWED_LICENCES: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

const BANNED: [(&str, &str); 6] = [
    ("openssl-sys", "TLS is rustls"),
    ("native-tls", "TLS is rustls"),
    (
        "aws-lc-sys",
        "rustls runs on ring, which needs no C toolchain of its own",
    ),
    (
        "eventsource-stream",
        "panics on a byte order mark and takes quadratic time",
    ),
    ("serde_yaml", "unmaintained; serde-saphyr reads YAML"),
    ("serde_yml", "unsound; serde-saphyr reads YAML"),
];

const MAX_DEFAULT_CRATES: usize = 100;

/// Whether an SPDX expression can be met with the allowed licences alone: every part of an `AND`, one part of an `OR`.
/// The `/` of old manifests means `OR`.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let allowed = any_of(&mut words);
    allowed && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words<'_>) -> bool {
    let mut allowed = all_of(words);
    while words.next_if_eq(&"OR").is_some() {
        allowed |= all_of(words);
    }
    allowed
}

fn all_of(words: &mut Words<'_>) -> bool {
    let mut allowed = one(words);
    while words.next_if_eq(&"AND").is_some() {
        allowed &= one(words);
    }
    allowed
}

fn one(words: &mut Words<'_>) -> bool {
    let Some(word) = words.next() else {
        return false;
    };
    if word == "(" {
        return any_of(words) & (words.next() == Some(")"));
    }
    let mut licence = word.to_owned();
    if words.next_if_eq(&"WITH").is_some() {
        licence = format!("{word} WITH {}", words.next().unwrap_or_default());
    }
    ALLOWED_LICENCES.contains(&licence.as_str())
}

fn check_licences(metadata: &Value) -> Vec<String> {
    let crates = metadata["packages"].as_array().unwrap();
    let complaint = |package: &Value| match package["license"].as_str() {
        Some(licence) if is_allowed(licence) => None,
        licence => Some(format!(
            "{} {}: licence {licence:?} is not allowed",
            package["name"], package["version"]
        )),
    };
    crates.iter().filter_map(complaint).collect()
}

fn check_banned(metadata: &Value) -> Vec<String> {
    let names: BTreeSet<_> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|p| p["name"].as_str())
        .collect();
    let is_there = |name: &str| names.contains(name);
    BANNED
        .iter()
        .filter(|(name, _)| is_there(name))
        .map(|(name, why)| format!("{name} is banned: {why}"))
        .collect()
}

/// Counts the crates in the output of `cargo tree --prefix none`, which repeats them.
fn count_crates(tree: &str) -> usize {
    let lines = tree.lines().map(|line| line.trim_end_matches(" (*)"));
    lines
        .filter(|line| !line.is_empty())
        .collect::<BTreeSet<_>>()
        .len()
}

/// Runs cargo without the network, and only where that fails, because a manifest is not here yet, with it.
fn cargo(arguments: &[&str]) -> String {
    let run = |extra: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        command
            .args(arguments)
            .args(extra)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap()
    };
    let mut output = run(&["--offline"]);
    if !output.status.success() {
        output = run(&[]);
    }
    assert!(
        output.status.success(),
        "cargo {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn metadata() -> Value {
    serde_json::from_str(&cargo(&[
        "metadata",
        "--format-version=1",
        "--locked",
        "--all-features",
    ]))
    .unwrap()
}

#[test]
fn every_licence_is_allowed() {
    super::assert_none(&check_licences(&metadata()));
}

#[test]
fn no_banned_crate_comes_in() {
    super::assert_none(&check_banned(&metadata()));
}

#[test]
fn the_default_library_build_stays_small() {
    let tree = cargo(&[
        "tree",
        "--locked",
        "-p",
        "openai-agents-kit",
        "--edges=normal",
        "--prefix=none",
    ]);
    let n_crates = count_crates(&tree);
    assert!(n_crates > 1, "{tree}");
    assert!(
        n_crates <= MAX_DEFAULT_CRATES,
        "{n_crates} crates, over the limit of {MAX_DEFAULT_CRATES}\n{tree}"
    );
}

#[test]
fn the_licence_check_understands_expressions() {
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0 OR MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
        "GPL-2.0 AND MIT OR ISC",
    ] {
        assert!(is_allowed(good), "{good}");
    }
    for bad in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(GPL-3.0 OR MPL-2.0) AND MIT",
        "Apache-2.0 WITH other",
        "(MIT",
        "MIT MIT",
    ] {
        assert!(!is_allowed(bad), "{bad}");
    }
}

#[test]
fn the_licence_check_refuses_a_crate_without_a_licence() {
    let metadata = serde_json::json!({ "packages": [
        { "name": "a", "version": "1.0.0", "license": null },
        { "name": "b", "version": "1.0.0", "license": "MIT" },
    ] });
    assert_eq!(check_licences(&metadata).len(), 1);
}

#[test]
fn the_ban_check_refuses_a_banned_crate() {
    let metadata =
        serde_json::json!({ "packages": [{ "name": "openssl-sys" }, { "name": "rustls" }] });
    assert_eq!(
        check_banned(&metadata),
        ["openssl-sys is banned: TLS is rustls"]
    );
}

#[test]
fn the_crate_count_counts_a_crate_once() {
    assert_eq!(
        count_crates("a v1.0.0\nb v1.0.0\nb v1.0.0 (*)\nb v2.0.0\n\n"),
        3
    );
}
