//! The errors of skills.

use std::path::PathBuf;

use crate::tools::workspace::WorkspaceError;

/// Says why a folder is not a skill, or cannot be used as one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SkillError {
    /// The folder, or a file of it, cannot be read.
    #[error("the skill in {} cannot be read", folder.display())]
    Unreadable {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: Box<WorkspaceError>,
    },
    /// `SKILL.md` does not begin with a head between two lines `---`.
    #[error("SKILL.md in {} does not begin with a head between two lines of three hyphens", folder.display())]
    NoHead {
        /// The folder.
        folder: PathBuf,
    },
    /// The head is not YAML, or a field of it has the wrong form.
    #[error("the head of SKILL.md in {} is wrong: {problem}", folder.display())]
    Head {
        /// The folder.
        folder: PathBuf,
        /// What is wrong, in the words of the YAML parser.
        problem: String,
    },
    /// A field is missing or breaks a rule of the specification.
    #[error("`{field}` in SKILL.md in {} must be {expected}", folder.display())]
    Field {
        /// The folder.
        folder: PathBuf,
        /// The field.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// The name of a skill is not that of its folder.
    #[error("the skill in {} is named `{name}`; the name must be that of its folder", folder.display())]
    OtherName {
        /// The folder.
        folder: PathBuf,
        /// The name.
        name: String,
    },
    /// A path leads out of the folder of the skill.
    #[error("the skill in {} has no file `{path}`: it leads out of the folder", folder.display())]
    Outside {
        /// The folder.
        folder: PathBuf,
        /// The path.
        path: String,
    },
    /// Two skills have one name.
    #[error("two skills are named `{name}`: in {} and in {}", first.display(), second.display())]
    Duplicate {
        /// The name.
        name: String,
        /// The folder of one.
        first: PathBuf,
        /// The folder of the other.
        second: PathBuf,
    },
    /// There is no skill of this name.
    #[error("there is no skill `{name}`; there are: {}", known.join(", "))]
    Unknown {
        /// The name.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
}
