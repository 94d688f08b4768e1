//! The skills of an agent: what its model is told about them, and the tool that reads them.

use std::fmt::Write as _;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Skill, SkillError};
use crate::tools::{
    FunctionTool, ToolContext, ToolDefinitionError, ToolFailure, ToolOptions, blocking,
};

/// The most files of a skill that a model is told about.
const MAX_FILES: usize = 100;

const DESCRIPTION: &str = "Reads a skill: its instructions, with the names of its files, or one of these files. Read a skill before you \
    do a task that it is for.";

/// A set of skills with unique names. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Skills {
    skills: Arc<[Skill]>,
}

impl Skills {
    /// Makes a set of skills.
    ///
    /// # Errors
    ///
    /// [`SkillError::Duplicate`] if two have the same name.
    pub fn new(skills: impl IntoIterator<Item = Skill>) -> Result<Self, SkillError> {
        let skills: Arc<[Skill]> = skills.into_iter().collect();
        for (n, second) in skills.iter().enumerate() {
            let mut before = skills.iter().take(n);
            if let Some(first) = before.find(|first| first.name() == second.name()) {
                return Err(SkillError::Duplicate {
                    name: second.name().to_owned(),
                    first: first.folder().to_owned(),
                    second: second.folder().to_owned(),
                });
            }
        }
        Ok(Self { skills })
    }

    /// Returns the skills in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Skill> {
        self.skills.iter()
    }

    /// Finds a skill by its name.
    pub fn get(&self, name: &str) -> Option<&Skill> {
        self.iter().find(|skill| skill.name() == name)
    }

    /// Returns the text about the skills for the instructions of a model; empty without skills.
    pub fn instructions(&self) -> String {
        if self.skills.is_empty() {
            return String::new();
        }
        let mut text = "Skills are instructions for certain tasks. If a task is one that a skill is for, read the skill with the tool \
            read_skill first.\n"
            .to_owned();
        for skill in self {
            // One line each, even if the author wrote several.
            let words: Vec<&str> = skill.description().split_whitespace().collect();
            // Writing to a `String` cannot fail.
            write!(text, "\n- {}: {}", skill.name(), words.join(" ")).ok();
        }
        text
    }

    /// Gives the tool `read_skill`, which reads the instructions of a skill and its files.
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "name and schema are constants, and a test makes the tool"
    )]
    pub fn tool(&self) -> FunctionTool {
        let skills = self.clone();
        let options = ToolOptions::default()
            .failure(ToolFailure::TellModelDetail)
            .idempotent();
        let made: Result<FunctionTool, ToolDefinitionError> = FunctionTool::with_options(
            "read_skill",
            DESCRIPTION,
            options,
            move |_: ToolContext, arguments: ReadSkillArgs| {
                let skills = skills.clone();
                blocking(move || skills.read(&arguments))
            },
        );
        made.expect("the tool has a valid name and schema")
    }

    fn read(&self, arguments: &ReadSkillArgs) -> Result<String, SkillError> {
        let name = &arguments.skill;
        let skill = self.get(name).ok_or_else(|| SkillError::Unknown {
            name: name.clone(),
            known: self.iter().map(|skill| skill.name().to_owned()).collect(),
        })?;
        if let Some(path) = &arguments.file {
            return skill.file(path);
        }
        let mut text = skill.body()?;
        let files = skill.files(MAX_FILES)?;
        if !files.is_empty() {
            text.push_str("\n\nFiles of this skill:");
            for file in files {
                write!(text, "\n- {}", file.display()).ok();
            }
        }
        Ok(text)
    }
}

impl<'a> IntoIterator for &'a Skills {
    type Item = &'a Skill;
    type IntoIter = std::slice::Iter<'a, Skill>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[derive(Deserialize, JsonSchema)]
struct ReadSkillArgs {
    /// The name of the skill.
    skill: String,
    /// A file of the skill, such as references/api.md; null reads its instructions.
    file: Option<String>,
}
