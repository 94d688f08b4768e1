//! Loads a plugin from its folder: manifest, then skills and servers, each failure as narrow as the specification has it.

use std::io;
use std::path::Path;

use super::servers::{self, PluginFolders, PluginServer};
use super::{Plugin, PluginError, PluginIssue, content, manifest};
use crate::skills::Skill;
use crate::tools::workspace::{Workspace, WorkspaceError};

const MANIFEST: &str = "plugin.json";
const SERVERS: &str = "mcp.json";
const SKILLS: &str = "skills";

/// Loads a plugin; nothing of it is run.
///
/// The data of all plugins are below `data`, each in a folder of the plugin's name; none is made here.
///
/// # Errors
///
/// [`PluginError`] if the folder is no plugin, or could be changed by others.
pub(super) fn load(folder: &Path, data: &Path) -> Result<Plugin, PluginError> {
    let unreadable = |source| PluginError::Unreadable {
        source: Box::new(source),
    };
    let package = Workspace::open(folder).map_err(unreadable)?;
    let text = package.read_text(MANIFEST).map_err(unreadable)?;
    let mut issues = Vec::new();
    let manifest =
        manifest::parse(&text, &mut issues).map_err(|problem| PluginError::Manifest { problem })?;
    let hash = content::hash(package.root())?;
    let data = data.join(&manifest.name);
    let skills = skills(&package, &mut issues);
    let folders = PluginFolders {
        package: &package,
        data: &data,
    };
    let servers = mcp_servers(folders, &mut issues);
    Ok(Plugin {
        folder: folder.to_owned(),
        root: package.root().to_owned(),
        data,
        manifest,
        hash,
        skills,
        servers,
        issues,
    })
}

/// The immediate children of `skills` that have a `SKILL.md` (7.1).
fn skills(package: &Workspace, issues: &mut Vec<PluginIssue>) -> Vec<Skill> {
    let names = match package.folders_in(SKILLS) {
        Ok(names) => names,
        Err(error) if is_absent(&error) => return Vec::new(),
        Err(error) => {
            issues.push(PluginIssue::Skills {
                source: Box::new(error),
            });
            return Vec::new();
        }
    };
    let mut skills = Vec::with_capacity(names.len());
    for name in names {
        let folder = Path::new(SKILLS).join(&name);
        match Skill::open_within(package, &folder) {
            Ok(Some(skill)) => skills.push(skill),
            // A folder without `SKILL.md` is no skill.
            Ok(None) => {}
            Err(error) => issues.push(PluginIssue::Skill {
                name: name.to_string_lossy().into_owned(),
                source: Box::new(error),
            }),
        }
    }
    skills
}

fn mcp_servers(folders: PluginFolders<'_>, issues: &mut Vec<PluginIssue>) -> Vec<PluginServer> {
    let text = match folders.package.read_text(SERVERS) {
        Ok(text) => text,
        Err(error) if is_absent(&error) => return Vec::new(),
        Err(error) => {
            issues.push(PluginIssue::ServersUnreadable {
                source: Box::new(error),
            });
            return Vec::new();
        }
    };
    servers::parse(&text, folders, issues).unwrap_or_else(|problem| {
        issues.push(PluginIssue::Servers { problem });
        Vec::new()
    })
}

/// What is not there is no error (6.2).
fn is_absent(error: &WorkspaceError) -> bool {
    matches!(error, WorkspaceError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}
