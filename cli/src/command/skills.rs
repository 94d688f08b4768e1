//! `openai-agents skills`.

use std::io;

use anyhow::Result;
use clap::{Args, Subcommand};
use openai_agents::ErrorKind;
use openai_agents::config::Config;
use openai_agents::error::error_chain;
use openai_agents::skills::{FoundSkill, Skill, SkillError};
use serde_json::json;

use crate::args::Global;
use crate::escape::excerpt;
use crate::exit::Exit;
use crate::failure::failed_result;
use crate::logging;
use crate::output::{self, Lines, is_read};

/// List the skills that agents can have, or show one
///
/// Skills are looked for in the folders that `skills` of the configuration names. One that cannot be used is listed with the reason; the
/// exit code is then 2.
#[derive(Debug, Args)]
pub(crate) struct SkillsArgs {
    #[command(subcommand)]
    command: SkillsCommand,
}

#[derive(Debug, Subcommand)]
enum SkillsCommand {
    /// List all skills, with who has them, and what is wrong with those that cannot be used
    List(ListSkills),
    /// Print the instructions of a skill
    Show(Show),
}

#[derive(Debug, Args)]
struct ListSkills {
    /// Print each skill as a line of JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Show {
    /// The name of the skill.
    name: String,
}

impl SkillsArgs {
    pub(super) fn is_json(&self) -> bool {
        match &self.command {
            SkillsCommand::List(list) => list.json,
            SkillsCommand::Show(_) => false,
        }
    }
}

pub(crate) fn run(global: Global, arguments: &SkillsArgs) -> Result<Exit> {
    let config = global.load()?;
    logging::start(&config)?;
    match &arguments.command {
        SkillsCommand::List(list) => self::list(&config, list),
        SkillsCommand::Show(show) => self::show(&config, show),
    }
}

fn list(config: &Config, arguments: &ListSkills) -> Result<Exit> {
    let mut out = Lines::stdout();
    let mut skills = config.skills().iter();
    is_read(skills.try_for_each(|found| {
        if arguments.json {
            write_json(&mut out, config, found)
        } else {
            write_text(&mut out, config, found)
        }
    }))?;
    let mut broken = config
        .skills()
        .iter()
        .filter_map(|found| found.skill.as_ref().err());
    let Some(first) = broken.next() else {
        return Ok(Exit::Done);
    };
    let message = format!("a skill cannot be used: {}", error_chain(first));
    is_read(output::result(&failed_result(ErrorKind::Config, &message)))?;
    Ok(Exit::Usage)
}

fn write_text(out: &mut Lines, config: &Config, found: &FoundSkill) -> io::Result<()> {
    let folder = found.folder.display();
    match &found.skill {
        Ok(skill) => {
            out.text(format_args!("{} ({folder})", skill.name()))?;
            out.text(format_args!("  {}", excerpt(skill.description())))?;
            let agents = agents_with(config, skill);
            let agents = if agents.is_empty() {
                "none".to_owned()
            } else {
                agents.join(", ")
            };
            out.text(format_args!("  agents: {agents}"))
        }
        Err(error) => {
            out.text(format_args!("{folder}"))?;
            out.text(format_args!("  cannot be used: {}", error_chain(error)))
        }
    }
}

fn write_json(out: &mut Lines, config: &Config, found: &FoundSkill) -> io::Result<()> {
    let skill = found.skill.as_ref().ok();
    let line = json!({
        "type": "skill",
        "name": skill.map(Skill::name),
        "description": skill.map(Skill::description),
        "license": skill.and_then(Skill::license),
        "compatibility": skill.and_then(Skill::compatibility),
        "folder": found.folder.display().to_string(),
        "ok": skill.is_some(),
        "error": found.skill.as_ref().err().map(|error| error_chain(error)),
        "agents": skill.map(|skill| agents_with(config, skill)).unwrap_or_default(),
    });
    out.json(&line)
}

fn agents_with<'a>(config: &'a Config, skill: &Skill) -> Vec<&'a str> {
    let agents = config.agents().iter();
    agents
        .filter(|agent| agent.skills.iter().any(|name| name == skill.name()))
        .map(|agent| agent.name.as_str())
        .collect()
}

fn show(config: &Config, arguments: &Show) -> Result<Exit> {
    let name = &arguments.name;
    let skill = config.skill(name).ok_or_else(|| SkillError::Unknown {
        name: name.clone(),
        known: known(config),
    })?;
    let body = skill.body()?;
    let mut out = Lines::stdout();
    is_read(body.lines().try_for_each(|line| out.text(line)))?;
    Ok(Exit::Done)
}

fn known(config: &Config) -> Vec<String> {
    let usable = config
        .skills()
        .iter()
        .filter_map(|found| found.skill.as_ref().ok());
    usable.map(|skill| skill.name().to_owned()).collect()
}
