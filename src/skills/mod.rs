//! Skills: folders of instructions that a model reads when a task needs them.
//!
//! A skill is a folder with a `SKILL.md` in the format of [agentskills.io](https://agentskills.io/specification): a head with `name` and
//! `description`, then instructions, and any files beside it. A model is told the heads of its [`Skills`]. It reads the rest by one
//! tool, which never leaves the folder of the skill.
//!
//! ```
//! use openai_agents::Agent;
//! use openai_agents::skills::{Skill, Skills};
//!
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let skills = Skills::new([Skill::open("skills/release")?])?;
//! let agent = Agent::builder("Maintainer")
//!     .instructions(format!("You look after a project.\n\n{}", skills.instructions()))
//!     .tool(skills.tool())
//!     .build()?;
//! # Ok(())
//! # }
//! ```

mod error;
mod front_matter;
mod folder;
mod set;
#[cfg(test)]
mod tests;

pub use error::SkillError;
pub use folder::{FoundSkill, find_skills};
pub use set::Skills;

use std::ffi::OsStr;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use self::front_matter::FrontMatter;
use crate::tools::workspace::{Workspace, WorkspaceError};

/// The file that makes a folder a skill.
const SKILL_FILE: &str = "SKILL.md";

/// Holds one skill.
///
/// Its head is loaded; everything else is read when it is asked for. Clones share it.
#[derive(Clone)]
pub struct Skill {
    inner: Arc<SkillInner>,
}

struct SkillInner {
    /// The folder that links must not leave: that of the skill, or of the plugin that it is part of.
    container: Workspace,
    /// The folder, relative to the container.
    prefix: PathBuf,
    folder: PathBuf,
    head: FrontMatter,
}

impl Skill {
    /// Opens the folder of a skill and reads the head of its `SKILL.md`.
    ///
    /// # Errors
    ///
    /// [`SkillError`] if there is no `SKILL.md`, or its head breaks the specification.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, SkillError> {
        let path = folder.as_ref();
        let container = Workspace::open(path).map_err(|source| SkillError::Unreadable {
            folder: path.to_owned(),
            source: Box::new(source),
        })?;
        // The name of the folder as it was given, and not that of the target of a link.
        let called = path.file_name().or_else(|| container.root().file_name());
        let called = called.unwrap_or_default().to_owned();
        let folder = container.root().to_owned();
        Self::read((container, PathBuf::new()), path, (&called, folder))
    }

    /// Opens a folder of a plugin as a skill, if it has a `SKILL.md` that is a file. Links must
    /// stay in the plugin.
    #[cfg(feature = "plugins")]
    pub(crate) fn open_within(
        package: &Workspace,
        folder: &Path,
    ) -> Result<Option<Self>, SkillError> {
        let absolute = package.root().join(folder);
        match package.is_file(&joined(folder, SKILL_FILE)) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(source) => {
                return Err(SkillError::Unreadable {
                    folder: absolute,
                    source: Box::new(source),
                });
            }
        }
        let called = folder.file_name().unwrap_or_default().to_owned();
        let place = (package.clone(), folder.to_owned());
        Self::read(place, &absolute.clone(), (&called, absolute)).map(Some)
    }

    fn read(
        (container, prefix): (Workspace, PathBuf),
        shown: &Path,
        (called, folder): (&OsStr, PathBuf),
    ) -> Result<Self, SkillError> {
        let text = container.read_text(&joined(&prefix, SKILL_FILE));
        let text = text.map_err(|source| SkillError::Unreadable {
            folder: shown.to_owned(),
            source: Box::new(source),
        })?;
        let (head, _) = front_matter::split(&text, shown)?;
        let head = front_matter::parse(head, shown)?;
        if called != head.name.as_str() {
            return Err(SkillError::OtherName {
                folder: shown.to_owned(),
                name: head.name,
            });
        }
        Ok(Self {
            inner: Arc::new(SkillInner {
                container,
                prefix,
                folder,
                head,
            }),
        })
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.inner.head.name
    }

    /// Returns what the skill is for and when to use it.
    pub fn description(&self) -> &str {
        &self.inner.head.description
    }

    /// Returns the licence, if the skill names one.
    pub fn license(&self) -> Option<&str> {
        self.inner.head.license.as_deref()
    }

    /// Returns what the skill needs from the machine, if it says so.
    pub fn compatibility(&self) -> Option<&str> {
        self.inner.head.compatibility.as_deref()
    }

    /// Returns the folder, links resolved.
    pub fn folder(&self) -> &Path {
        &self.inner.folder
    }

    /// Reads the instructions as they are now.
    ///
    /// # Errors
    ///
    /// [`SkillError`] if `SKILL.md` can no longer be read or has no head.
    pub fn body(&self) -> Result<String, SkillError> {
        let path = joined(&self.inner.prefix, SKILL_FILE);
        let text = self.inner.container.read_text(&path);
        let text = text.map_err(|source| self.unreadable(source))?;
        let (_, body) = front_matter::split(&text, self.folder())?;
        Ok(body.trim().to_owned())
    }

    /// Lists at most `max` files beside `SKILL.md`.
    fn files(&self, max: usize) -> Result<Vec<PathBuf>, SkillError> {
        let inner = &self.inner;
        // One more, because `SKILL.md` is among them and is left out below.
        let files = inner.container.files(&joined(&inner.prefix, ""), max + 1);
        let mut files = files.map_err(|source| self.unreadable(source))?;
        files.retain(|path| path != Path::new(SKILL_FILE));
        files.truncate(max);
        Ok(files)
    }

    /// Reads a file of the skill, as `read_file` of a workspace does.
    fn file(&self, path: &str) -> Result<String, SkillError> {
        // In a plugin, `..` would lead to the files of other skills.
        let leads_out = Path::new(path)
            .components()
            .any(|part| !matches!(part, Component::Normal(_) | Component::CurDir));
        if leads_out {
            return Err(SkillError::Outside {
                folder: self.folder().to_owned(),
                path: path.to_owned(),
            });
        }
        let path = joined(&self.inner.prefix, path);
        let text = self.inner.container.read_beginning(&path);
        text.map_err(|source| self.unreadable(source))
    }

    fn unreadable(&self, source: WorkspaceError) -> SkillError {
        SkillError::Unreadable {
            folder: self.folder().to_owned(),
            source: Box::new(source),
        }
    }
}

/// Gives a path in the container as text. A path that is not UTF-8 cannot belong to a skill.
fn joined(prefix: &Path, path: &str) -> String {
    prefix.join(path).to_string_lossy().into_owned()
}

impl fmt::Debug for Skill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Skill")
            .field("name", &self.name())
            .field("folder", &self.folder())
            .finish_non_exhaustive()
    }
}
