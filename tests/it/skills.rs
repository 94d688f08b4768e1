//! Skills: what is read of them, and that reading never leaves their folder.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;

use openai_agents::skills::{Skill, Skills, find_skills};
use serde_json::{Value, json};

use crate::folder::Folder;
use crate::workspace::call;

fn skill(folder: &Folder, name: &str) {
    fs::create_dir_all(folder.path(name)).unwrap();
    let text = format!("---\nname: {name}\ndescription: >\n  For\n  {name}.\n---\n# {name}\n");
    fs::write(folder.path(name).join("SKILL.md"), text).unwrap();
}

async fn read(skills: &Skills, skill: &str, file: Value) -> Result<String, String> {
    call(&skills.tool(), &json!({"skill": skill, "file": file})).await
}

#[tokio::test]
async fn skills_are_told_in_a_line_each_and_read_when_asked_for() {
    let folder = Folder::new();
    skill(&folder, "alpha");
    skill(&folder, "beta");
    fs::create_dir(folder.path("alpha/scripts")).unwrap();
    fs::write(folder.path("alpha/scripts/run.sh"), "echo\n").unwrap();
    let skills = ["alpha", "beta"].map(|name| Skill::open(folder.path(name)).unwrap());
    let skills = Skills::new(skills).unwrap();
    assert!(
        skills
            .instructions()
            .ends_with("\n\n- alpha: For alpha.\n- beta: For beta.")
    );
    let alpha = "# alpha\n\nFiles of this skill:\n- scripts/run.sh";
    assert_eq!(
        read(&skills, "alpha", Value::Null).await,
        Ok(alpha.to_owned())
    );
    assert_eq!(
        read(&skills, "alpha", json!("scripts/run.sh")).await,
        Ok("echo\n".to_owned())
    );
    assert_eq!(
        read(&skills, "beta", Value::Null).await,
        Ok("# beta".to_owned())
    );
    assert_eq!(
        read(&skills, "gamma", Value::Null).await,
        Err("there is no skill `gamma`; there are: alpha, beta".to_owned())
    );
    // What stands there now is read, not what stood there when it was opened.
    fs::write(folder.path("beta/SKILL.md"), "---\n---\nnew").unwrap();
    assert_eq!(
        read(&skills, "beta", Value::Null).await,
        Ok("new".to_owned())
    );
}

#[tokio::test]
async fn files_of_a_skill_never_lead_out_of_its_folder() {
    let folder = Folder::new();
    skill(&folder, "alpha");
    fs::write(folder.path("secret"), "secret").unwrap();
    symlink("../secret", folder.path("alpha/link")).unwrap();
    fs::hard_link(folder.path("secret"), folder.path("alpha/hard")).unwrap();
    let skills = Skills::new([Skill::open(folder.path("alpha")).unwrap()]).unwrap();
    for path in [
        "../secret",
        "link",
        "hard",
        "/etc/passwd",
        "../alpha/../secret",
    ] {
        let refused = read(&skills, "alpha", json!(path)).await.unwrap_err();
        assert!(refused.starts_with("the skill in "), "{path}: {refused}");
        assert!(!refused.ends_with("secret\n"), "{path}: {refused}");
    }
    // Of the head too: a link out of the folder makes no skill.
    fs::create_dir(folder.path("beta")).unwrap();
    symlink("../alpha/SKILL.md", folder.path("beta/SKILL.md")).unwrap();
    let error = Skill::open(folder.path("beta")).unwrap_err();
    assert!(
        std::error::Error::source(&error)
            .unwrap()
            .to_string()
            .ends_with("leads out of the workspace")
    );
}

#[test]
fn skills_of_a_folder_are_its_immediate_children() {
    let folder = Folder::new();
    skill(&folder, "beta");
    skill(&folder, "alpha");
    fs::create_dir_all(folder.path("deep/gamma")).unwrap();
    fs::write(folder.path("deep/gamma/SKILL.md"), "").unwrap();
    fs::write(folder.path("file"), "").unwrap();
    let names = |path| -> Vec<String> {
        let found = find_skills(path).unwrap();
        found
            .iter()
            .map(|found| found.skill.as_ref().unwrap().name().to_owned())
            .collect()
    };
    assert_eq!(names(folder.path("")), ["alpha", "beta"]);
    assert_eq!(names(folder.path("alpha")), ["alpha"]);
    assert!(find_skills(folder.path("gone")).is_err());
}

#[test]
fn skills_of_one_name_are_refused() {
    let folder = Folder::new();
    skill(&folder, "alpha");
    let one = Skill::open(folder.path("alpha")).unwrap();
    let path = one.folder().display().to_string();
    let error = Skills::new([one.clone(), one]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("two skills are named `alpha`: in {path} and in {path}")
    );
}
