//! Manifests, fixed places, skills, and how far a failure reaches.

use std::fs;
use std::os::unix::fs::symlink;

use super::{Package, SCHEMA, issues, words};

/// The manifest is refused, and nothing of the plugin is looked at.
#[track_caller]
fn check_refused(manifest: &str, expected: &str) {
    let package = Package::with_manifest(manifest).skill("a");
    let plugins = package.named();
    let error = plugins.found()[0].plugin.as_ref().unwrap_err();
    assert_eq!(words(error), expected, "{manifest}");
    assert_eq!(plugins.enabled().count(), 0);
}

#[track_caller]
fn check_issues(package: &Package, expected: &[&str]) {
    let plugins = package.named();
    assert_eq!(issues(&plugins.found()[0]), expected);
}

/// 5.2, 5.4: every field, and none but the required ones.
#[test]
fn manifest_with_all_or_only_required_fields_is_loaded() {
    let package = Package::new(
        r#", "version": "not semver", "description": "d", "author": {"name": "n", "email": "no address", "url": "no url"},
            "homepage": "h", "repository": "r", "license": "L", "keywords": ["k"], "extensions": {"com.example.client": {"x": [1]}}"#,
    );
    let plugins = package.named();
    let plugin = plugins.enabled().next().unwrap();
    let manifest = plugin.manifest();
    assert_eq!(manifest.name, "p");
    assert_eq!(manifest.version.as_deref(), Some("not semver"));
    assert_eq!(manifest.author.email.as_deref(), Some("no address"));
    assert_eq!(manifest.keywords, ["k"]);
    assert!(plugin.issues().is_empty());
    check_issues(&Package::new(""), &[]);
}

/// 5.2, 8.1: what is reported and ignored.
#[test]
fn manifest_with_unknown_fields_is_loaded_and_reported() {
    check_issues(
        &Package::new(r#", "hooks": {}, "skills": "./elsewhere""#),
        &[
            "plugin.json has the unknown field `hooks`, which is ignored",
            "plugin.json has the unknown field `skills`, which is ignored",
        ],
    );
    let ignored = "`extensions` in plugin.json is not an object and is ignored";
    check_issues(&Package::new(r#", "extensions": []"#), &[ignored]);
    check_issues(&Package::new(r#", "extensions": null"#), &[ignored]);
}

/// 5.2, 5.3, 5.4, 5.5: everything else rejects the plugin.
#[test]
fn manifest_that_breaks_a_rule_is_refused() {
    check_refused("", "plugin.json is wrong: line 1 is not JSON");
    check_refused("[]", "plugin.json is wrong: it is not an object");
    check_refused(
        r#"{"name": "p"}"#,
        "plugin.json is wrong: `$schema` must be a text: the identifier of the schema",
    );
    check_refused(
        r#"{"$schema": "https://agent-plugins.org/schemas/2.0.0/plugin.schema.json", "name": "p"}"#,
        "plugin.json is wrong: it is for version 2.0.0 of Agent Plugins; only 1.0.0 is supported",
    );
    check_refused(
        r#"{"$schema": "x", "name": "p"}"#,
        "plugin.json is wrong: it is for version x of Agent Plugins; only 1.0.0 is supported",
    );
    let name = "plugin.json is wrong: `name` must be 1 to 64 of a-z, 0-9, - and ., with a letter or digit at both ends, and neither -- nor ..";
    let long = "a".repeat(65);
    for bad in [
        "",
        "My-Plugin",
        "-start",
        "end-",
        ".a",
        "has--double",
        "too.many..dots",
        "a_b",
        "a b",
        "\u{e9}",
        &long,
    ] {
        check_refused(
            &format!(r#"{{"$schema": "{SCHEMA}", "name": "{bad}"}}"#),
            name,
        );
    }
    check_refused(&format!(r#"{{"$schema": "{SCHEMA}"}}"#), name);
    check_refused(&format!(r#"{{"$schema": "{SCHEMA}", "name": 1}}"#), name);
    for (field, expected) in [
        (r#""version": 1"#, "`version` must be a text"),
        (r#""license": null"#, "`license` must be a text"),
        (r#""keywords": "k""#, "`keywords` must be a list of texts"),
        (r#""keywords": [1]"#, "`keywords` must be a list of texts"),
        (
            r#""author": "n""#,
            "`author` must be an object of `name`, `email` and `url`, each a text",
        ),
        (
            r#""author": {"name": 1}"#,
            "`author` must be an object of `name`, `email` and `url`, each a text",
        ),
        (
            r#""author": {"phone": "1"}"#,
            "`author` must be an object of `name`, `email` and `url`, each a text",
        ),
        (
            r#""extensions": {"com.example.client": 1}"#,
            "`extensions` must be an object whose members are objects",
        ),
    ] {
        check_refused(
            &format!(r#"{{"$schema": "{SCHEMA}", "name": "p", {field}}}"#),
            &format!("plugin.json is wrong: {expected}"),
        );
    }
}

/// 5.5: what the specification calls valid.
#[test]
fn manifest_with_a_valid_name_is_loaded() {
    for name in ["my-plugin", "acme.tools", "lint3r", "a", &"a".repeat(64)] {
        let package =
            Package::with_manifest(&format!(r#"{{"$schema": "{SCHEMA}", "name": "{name}"}}"#));
        assert_eq!(package.named().enabled().next().unwrap().name(), name);
    }
}

/// 4.1.1 (first boundary): a manifest outside of the folder rejects the plugin; inside of it a link is a file.
#[test]
fn manifest_behind_a_link_stays_in_the_folder() {
    let package = Package::new("");
    fs::rename(package.path("plugin.json"), package.path("real.json")).unwrap();
    symlink("real.json", package.path("plugin.json")).unwrap();
    check_issues(&package, &[]);
    fs::rename(package.path("real.json"), package.outside("real.json")).unwrap();
    fs::remove_file(package.path("plugin.json")).unwrap();
    symlink("../../real.json", package.path("plugin.json")).unwrap();
    let plugins = package.named();
    let error = plugins.found()[0].plugin.as_ref().unwrap_err();
    assert_eq!(
        words(error),
        "plugin.json cannot be read: `plugin.json` leads out of the workspace"
    );
}

/// 7.1: one level of folders, each with a file that is named exactly so; a wrong one is skipped and reported.
#[test]
fn skills_are_found_one_level_deep_and_a_wrong_one_is_skipped() {
    let package = Package::new("")
        .skill("good")
        .file(
            "skills/SKILL.md",
            "---\nname: skills\ndescription: d\n---\n",
        )
        .file(
            "skills/deep/inner/SKILL.md",
            "---\nname: inner\ndescription: d\n---\n",
        )
        .file(
            "skills/lower/skill.md",
            "---\nname: lower\ndescription: d\n---\n",
        )
        .file("skills/wrong/SKILL.md", "no head")
        .file("skills/folder/SKILL.md/x", "");
    let plugins = package.named();
    let names: Vec<&str> = plugins
        .enabled()
        .next()
        .unwrap()
        .skills()
        .iter()
        .map(openai_agents::skills::Skill::name)
        .collect();
    assert_eq!(names, ["good"]);
    let root = package.root().display().to_string();
    assert_eq!(
        issues(&plugins.found()[0]),
        [format!(
            "the skill `wrong` cannot be used: SKILL.md in {root}/skills/wrong does not begin with a head between two lines of three hyphens"
        )]
    );
}

/// 4.1 (third boundary), 4.1.3: a skill that leads out is skipped, one that a link leads to within the folder is not.
#[test]
fn skills_behind_links_stay_in_the_folder() {
    let package = Package::new("").skill("good").file(
        "shared/SKILL.md",
        "---\nname: linked\ndescription: d\n---\n",
    );
    fs::create_dir_all(package.path("skills/linked")).unwrap();
    symlink(
        "../../shared/SKILL.md",
        package.path("skills/linked/SKILL.md"),
    )
    .unwrap();
    fs::create_dir_all(package.outside("out")).unwrap();
    fs::write(
        package.outside("out/SKILL.md"),
        "---\nname: out\ndescription: d\n---\n",
    )
    .unwrap();
    symlink("../../../out", package.path("skills/out")).unwrap();
    fs::create_dir_all(package.path("skills/file")).unwrap();
    symlink(
        "../../../../out/SKILL.md",
        package.path("skills/file/SKILL.md"),
    )
    .unwrap();
    let plugins = package.named();
    let names: Vec<&str> = plugins
        .enabled()
        .next()
        .unwrap()
        .skills()
        .iter()
        .map(openai_agents::skills::Skill::name)
        .collect();
    assert_eq!(names, ["good", "linked"]);
    let issues = issues(&plugins.found()[0]);
    assert_eq!(issues.len(), 2, "{issues:?}");
    assert!(
        issues
            .iter()
            .all(|issue| issue.ends_with("leads out of the workspace")),
        "{issues:?}"
    );
}

/// 6.2: what is absent is no error, and what is of the wrong kind is one of its part alone.
#[test]
fn places_of_the_wrong_kind_disable_their_part_only() {
    check_issues(
        &Package::new("").skill("good").file("mcp.json/x", ""),
        &["mcp.json cannot be used: `mcp.json` is a folder, and a regular file is needed"],
    );
    let package = Package::new("").file("skills", "").servers("{}");
    check_issues(
        &package,
        &["skills cannot be used: `skills` is a file, and a folder is needed"],
    );
    let package = Package::new("").servers("{}");
    fs::create_dir(package.outside("out")).unwrap();
    symlink("../../out", package.path("skills")).unwrap();
    check_issues(
        &package,
        &["skills cannot be used: `skills` leads out of the workspace"],
    );
}
