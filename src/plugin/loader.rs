//! Loads a plugin from its folder. An error affects as little of the plugin as the specification
//! asks.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::content::Content;
use super::extension::{DefinitionsFile, Described, EXTENSION_FOLDER};
use super::manifest::PluginManifest;
use super::module::PluginModule;
use super::servers::{self, PluginFolders, PluginServer};
use super::{Plugin, PluginError, PluginIssue, content, extension, manifest};
use crate::skills::Skill;
use crate::tools::workspace::{Workspace, WorkspaceError};

const MANIFEST: &str = "plugin.json";
const SERVERS: &str = "mcp.json";
const SKILLS: &str = "skills";

/// Loads a plugin without running anything of it.
///
/// Each plugin keeps its data in a folder of its name below `data`. The folder is not created here.
///
/// # Errors
///
/// [`PluginError`] if the folder is not a plugin, or others can change it.
pub(super) fn load(folder: &Path, data: &Path) -> Result<Plugin, PluginError> {
    let unreadable = |source| PluginError::Unreadable {
        source: Box::new(source),
    };
    let package = Workspace::open(folder).map_err(unreadable)?;
    let text = package.read_text(MANIFEST).map_err(unreadable)?;
    let mut issues = Vec::new();
    let manifest =
        manifest::parse(&text, &mut issues).map_err(|problem| PluginError::Manifest { problem })?;
    // The manifest was read before the folder was hashed. `refuse_changed` below makes sure that
    // both saw the same text.
    let content = content::sum_up(package.root())?;
    let package = Package {
        files: package,
        content,
    };
    package.refuse_changed(MANIFEST, &text)?;
    let data = data.join(&manifest.name);
    let skills = skills(&package.files, &mut issues);
    let servers = mcp_servers(&package, &data, &mut issues)?;
    let described = extension(&package, &mut issues)?;
    let definitions = match &described.definitions {
        Some(file) => definitions(&package, file, &mut issues)?,
        None => None,
    };
    Ok(Plugin {
        folder: folder.to_owned(),
        root: package.files.root().to_owned(),
        data,
        manifest,
        content: package.content,
        skills,
        servers,
        modules: described.modules,
        definitions,
        issues,
    })
}

/// Loads a shared library or a WebAssembly module that is a plugin by itself, without running it.
pub(super) fn load_file(file: &Path, data: &Path) -> Result<Plugin, PluginError> {
    let (name, kind) = extension::name_of_file(file).ok_or(PluginError::FileName)?;
    if !extension::is_name(&name) {
        return Err(PluginError::FileName);
    }
    let hash = content::hash_file(file)?;
    let root = file.canonicalize().map_err(|source| PluginError::File {
        path: file.to_owned(),
        source,
    })?;
    let module = PluginModule::new(name.clone(), kind, root.clone(), hash.clone());
    let content = Content::of_file(hash);
    Ok(Plugin {
        folder: file.to_owned(),
        root,
        data: data.join(&name),
        manifest: PluginManifest {
            name,
            ..PluginManifest::default()
        },
        content,
        skills: Vec::new(),
        servers: Vec::new(),
        modules: vec![module],
        definitions: None,
        issues: Vec::new(),
    })
}

/// The files of a plugin, and their hashes.
struct Package {
    files: Workspace,
    content: Content,
}

impl Package {
    /// Makes sure that the text that was read is the one that was hashed, so that nothing can be
    /// replaced in between.
    fn refuse_changed(&self, path: &str, text: &str) -> Result<(), PluginError> {
        let resolved = self.files.resolve(path);
        let is_same = resolved.is_ok_and(|resolved| {
            let relative = resolved.strip_prefix(self.files.root());
            relative.is_ok_and(|relative| self.content.is_text_of(relative, text))
        });
        if is_same {
            return Ok(());
        }
        let path = path.into();
        Err(PluginError::Changed { path })
    }
}

/// Loads the direct children of `skills` that have a `SKILL.md` (7.1).
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
            // A folder without `SKILL.md` is not a skill.
            Ok(None) => {}
            Err(error) => issues.push(PluginIssue::Skill {
                name: name.to_string_lossy().into_owned(),
                source: Box::new(error),
            }),
        }
    }
    skills
}

fn mcp_servers(
    package: &Package,
    data: &Path,
    issues: &mut Vec<PluginIssue>,
) -> Result<Vec<PluginServer>, PluginError> {
    let text = match package.files.read_text(SERVERS) {
        Ok(text) => text,
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => {
            issues.push(PluginIssue::ServersUnreadable {
                source: Box::new(error),
            });
            return Ok(Vec::new());
        }
    };
    package.refuse_changed(SERVERS, &text)?;
    let folders = PluginFolders {
        package: &package.files,
        data,
    };
    let servers = servers::parse(&text, folders, issues);
    Ok(servers.unwrap_or_else(|problem| {
        issues.push(PluginIssue::Servers { problem });
        Vec::new()
    }))
}

/// Reads the folder of this library. The folders of other clients are ignored (8.2).
fn extension(package: &Package, issues: &mut Vec<PluginIssue>) -> Result<Described, PluginError> {
    let text = match package.files.read_text(extension::FILE) {
        Ok(text) => text,
        Err(error) if is_absent(&error) => return Ok(Described::default()),
        Err(error) => {
            let problem = error.to_string();
            issues.push(PluginIssue::Extension { problem });
            return Ok(Described::default());
        }
    };
    package.refuse_changed(extension::FILE, &text)?;
    Ok(extension::parse(
        &text,
        &package.files,
        &package.content,
        issues,
    ))
}

/// Reads the file of agents, guardrails and prompts, and the text files that it may name.
fn definitions(
    package: &Package,
    file: &str,
    issues: &mut Vec<PluginIssue>,
) -> Result<Option<DefinitionsFile>, PluginError> {
    let read = |relative: &Path| {
        let path = package.files.resolve(&relative.to_string_lossy())?;
        let text = package.files.read_text(&relative.to_string_lossy())?;
        Ok::<_, WorkspaceError>((path, text))
    };
    let file = Path::new(EXTENSION_FOLDER).join(file);
    let (path, text) = match read(&file) {
        Ok(found) => found,
        Err(error) => {
            let problem = error.to_string();
            issues.push(PluginIssue::Definitions { problem });
            return Ok(None);
        }
    };
    package.refuse_changed(&file.to_string_lossy(), &text)?;
    let mut texts = BTreeMap::new();
    for relative in package.content.texts_in(Path::new(EXTENSION_FOLDER)) {
        // A file that is not UTF-8 cannot be used. Naming it is an error of the definitions.
        let Ok((path, text)) = read(relative) else {
            continue;
        };
        package.refuse_changed(&relative.to_string_lossy(), &text)?;
        texts.insert(path, text);
    }
    Ok(Some(DefinitionsFile { path, text, texts }))
}

/// Says whether a file does not exist, which is not an error (6.2).
fn is_absent(error: &WorkspaceError) -> bool {
    matches!(error, WorkspaceError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}
