//! Heads of skills: text in, fields or one error out.

use std::path::Path;

use super::front_matter::{FrontMatter, parse, split};

fn read(text: &str) -> Result<(FrontMatter, &str), String> {
    let folder = Path::new("s");
    let read = split(text, folder).and_then(|(head, body)| Ok((parse(head, folder)?, body)));
    read.map_err(|error| error.to_string())
}

#[test]
fn head_with_its_fields_is_read() {
    let text = "---\r\nname: pdf-tools\ndescription: >\n  Reads\n  PDFs.\nlicense: MIT\ncompatibility: Needs Python\n\
        metadata:\n  version: 1.0\nallowed-tools: Read\n---\n# Body\n---\nmore";
    let head = FrontMatter {
        name: "pdf-tools".to_owned(),
        description: "Reads PDFs.\n".to_owned(),
        license: Some("MIT".to_owned()),
        compatibility: Some("Needs Python".to_owned()),
    };
    assert_eq!(read(text), Ok((head, "# Body\n---\nmore")));
    let marked = "\u{feff}---\nname: a\ndescription: b\n---";
    assert_eq!(read(marked).unwrap().1, "");
}

#[test]
fn head_that_breaks_a_rule_says_which() {
    const NO_HEAD: &str =
        "SKILL.md in s does not begin with a head between two lines of three hyphens";
    const NAME: &str = "`name` in SKILL.md in s must be 1 to 64 lower-case letters, digits and single hyphens, with none at an end";
    const DESCRIPTION: &str =
        "`description` in SKILL.md in s must be a text of 1 to 1024 characters";
    let check =
        |text: &str, expected: &str| assert_eq!(read(text), Err(expected.to_owned()), "{text}");
    check("", NO_HEAD);
    check("# Body", NO_HEAD);
    check("\n---\nname: a\n---", NO_HEAD);
    check("---\nname: a\ndescription: b\n", NO_HEAD);
    for name in ["", "A", "-a", "a-", "a--b", "a b", "a_b", &"a".repeat(65)] {
        check(&format!("---\nname: '{name}'\ndescription: b\n---"), NAME);
    }
    check("---\ndescription: b\n---", NAME);
    check("---\nname: a\n---", DESCRIPTION);
    check("---\nname: a\ndescription: ' '\n---", DESCRIPTION);
    check(
        &format!("---\nname: a\ndescription: {}\n---", "b".repeat(1025)),
        DESCRIPTION,
    );
    let long = "b".repeat(501);
    check(
        &format!("---\nname: a\ndescription: b\ncompatibility: {long}\n---"),
        "`compatibility` in SKILL.md in s must be a text of 1 to 500 characters",
    );
    for broken in [
        "---\nname: [a\n---",
        "---\n- a\n---",
        "---\nname: a\nname: b\ndescription: c\n---",
    ] {
        let error = read(broken).unwrap_err();
        assert!(
            error.starts_with("the head of SKILL.md in s is wrong: "),
            "{error}"
        );
    }
}
