//! The section `skills`, and the skills of agents.

use super::{check_error, load, yaml};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/skills");

#[test]
fn skills_of_an_agent_are_told_and_can_be_read() {
    let config = load(yaml(&format!(
        "skills: [{FOLDER}]\nbase_url: http://127.0.0.1:1\nmodel: m\n\
         agents: [{{ name: A, instructions: Be brief., skills: [release-notes] }}]"
    )));
    let agent = config.agent("A").unwrap();
    assert!(agent.tools().get("read_skill").is_some());
    let told = agent.instructions().unwrap();
    assert_eq!(
        told,
        "Be brief.\n\nSkills are instructions for certain tasks. If a task is one that a skill is for, read the skill with the tool \
         read_skill first.\n\n- release-notes: Writes release notes. Use when asked what is new in a version."
    );
    let states: Vec<(String, Option<String>)> = config
        .skills()
        .iter()
        .map(|found| {
            let name = found
                .folder
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            (name, found.skill.as_ref().err().map(ToString::to_string))
        })
        .collect();
    let broken = format!(
        "the skill in {FOLDER}/broken is named `other`; the name must be that of its folder"
    );
    assert_eq!(
        states,
        [
            ("broken".to_owned(), Some(broken)),
            ("release-notes".to_owned(), None)
        ]
    );
}

#[test]
fn skills_that_cannot_be_used_say_why() {
    let check = |skills: &str, expected: &str| {
        let config = load(yaml(&format!(
            "skills: [{FOLDER}]\nagents: [{{ name: A, skills: [{skills}] }}]"
        )));
        assert_eq!(config.check().unwrap_err().to_string(), expected);
    };
    check(
        "release-note",
        "agent `A` (./config.yaml:2) has the unknown skill `release-note`; did you mean `release-notes`?",
    );
    check(
        "broken",
        &format!(
            "agent `A` (./config.yaml:2) has the skill `broken`, which cannot be used: the skill in {FOLDER}/broken is named `other`; the name must be that of its folder"
        ),
    );
    check(
        "release-notes, release-notes",
        "`agents.A.skills` (./config.yaml:2) cannot be used",
    );
    check_error(
        yaml("skills: [/nowhere/at/all]"),
        "`skills` (./config.yaml:1): the folder /nowhere/at/all cannot be listed",
    );
    check_error(
        yaml(&format!("skills: [{FOLDER}, {FOLDER}/release-notes]")),
        "`skills` (./config.yaml:1) cannot be used",
    );
}
