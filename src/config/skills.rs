//! Reads the section `skills`: the folders of skills.

use std::sync::Arc;

use super::error::ConfigError;
use super::fields::Fields;
use super::loader::Loader;
use super::nearest::nearest;
use super::schema::{AgentConfig, Config};
use crate::skills::{FoundSkill, Skill, Skills, find_skills};

const KEY: &str = "skills";

/// The skills in the folders of the file.
#[derive(Debug, Clone, Default)]
pub(super) struct ConfiguredSkills {
    found: Arc<[FoundSkill]>,
    /// Those that can be used.
    usable: Skills,
}

impl Config {
    /// Returns the skills that were found, with the error of those that cannot be used.
    pub fn skills(&self) -> &[FoundSkill] {
        &self.skills.found
    }

    /// Finds a skill that can be used. One of a plugin is named `PLUGIN/SKILL`.
    pub fn skill(&self, name: &str) -> Option<&Skill> {
        #[cfg(feature = "plugins")]
        if let Some(skill) = self.plugin_skill(name) {
            return Some(skill);
        }
        self.skills.usable.get(name)
    }

    /// Returns the skills of an agent.
    pub(super) fn skills_of(&self, agent: &AgentConfig) -> Result<Skills, ConfigError> {
        let skills = agent.skills.iter().map(|name| {
            let skill = self.skill(name).cloned();
            skill.ok_or_else(|| self.no_skill(agent, name))
        });
        let skills = skills.collect::<Result<Vec<_>, _>>()?;
        #[cfg(feature = "plugins")]
        let skills = {
            let of_plugins = self.plugin_skills_of(agent).into_iter().cloned();
            skills.into_iter().chain(of_plugins)
        };
        Skills::new(skills).map_err(|source| ConfigError::Skills {
            key: format!("agents.{}.{KEY}", agent.name),
            origin: agent.origin.clone(),
            source: Box::new(source),
        })
    }

    /// Says why an agent cannot have a skill: its folder is there and broken, or nothing has this
    /// name.
    fn no_skill(&self, agent: &AgentConfig, name: &str) -> ConfigError {
        let (skill, agent_name) = (name.into(), agent.name.as_str().into());
        let origin = agent.origin.clone();
        let broken = self.skills().iter().find_map(|found| {
            let is_named = found
                .folder
                .file_name()
                .is_some_and(|folder| folder == name);
            found.skill.as_ref().err().filter(|_| is_named)
        });
        if let Some(error) = broken {
            return ConfigError::UnusableSkill {
                skill,
                reason: error.to_string().into(),
                agent: agent_name,
                origin,
            };
        }
        let known = self.skills.usable.iter().map(Skill::name);
        ConfigError::UnknownSkill {
            nearest: nearest(name, known).map(Into::into),
            skill,
            agent: agent_name,
            origin,
        }
    }
}

/// Reads a list of folders, each a skill or a folder of skills.
pub(super) fn skills(
    root: &mut Fields<'_>,
    loader: &Loader,
) -> Result<ConfiguredSkills, ConfigError> {
    let origin = root.origin_of(KEY);
    let mut found = Vec::new();
    for folder in root.texts(KEY)?.unwrap_or_default() {
        let path = loader.path_of(KEY, &folder, &origin)?;
        let of_folder = find_skills(&path).map_err(|source| ConfigError::SkillFolder {
            key: KEY.to_owned(),
            origin: origin.clone(),
            path: path.clone(),
            source,
        })?;
        found.extend(of_folder);
    }
    let usable = found.iter().filter_map(|found| found.skill.as_ref().ok());
    let usable = Skills::new(usable.cloned()).map_err(|source| ConfigError::Skills {
        key: KEY.to_owned(),
        origin,
        source: Box::new(source),
    })?;
    Ok(ConfiguredSkills {
        found: found.into(),
        usable,
    })
}
