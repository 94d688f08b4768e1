//! Finds the skills of a folder.

use std::io;
use std::path::{Path, PathBuf};

use super::{SKILL_FILE, Skill, SkillError};

/// A folder with a `SKILL.md`, usable or not.
#[derive(Debug)]
#[non_exhaustive]
pub struct FoundSkill {
    /// The folder.
    pub folder: PathBuf,
    /// The skill, or why it cannot be used.
    pub skill: Result<Skill, SkillError>,
}

/// Finds the skill in a folder, or the skills in its direct children.
///
/// The children are sorted by name. Children without a `SKILL.md` are not skills, and are not
/// searched.
///
/// # Errors
///
/// [`io::Error`] if the folder cannot be listed.
pub fn find_skills(folder: impl AsRef<Path>) -> io::Result<Vec<FoundSkill>> {
    let folder = folder.as_ref();
    if has_skill_file(folder) {
        return Ok(vec![found(folder.to_owned())]);
    }
    let mut children = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        if has_skill_file(&path) {
            children.push(path);
        }
    }
    children.sort();
    Ok(children.into_iter().map(found).collect())
}

/// Says whether a folder has a `SKILL.md`. A dangling link counts, so that loading it reports the
/// error.
fn has_skill_file(folder: &Path) -> bool {
    folder.join(SKILL_FILE).symlink_metadata().is_ok()
}

fn found(folder: PathBuf) -> FoundSkill {
    FoundSkill {
        skill: Skill::open(&folder),
        folder,
    }
}
