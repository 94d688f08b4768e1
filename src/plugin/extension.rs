//! Reads the folder of this library in a plugin, for what the specification does not define:
//! modules of code, and definitions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::PluginIssue;
use super::content::Content;
use super::module::{ModuleKind, PluginModule};
use crate::tools::workspace::Workspace;

/// The folder of this library in a plugin, by its reverse-domain name (specification, 8.2).
pub const EXTENSION_FOLDER: &str = "io.github.openai-agents-rs";
/// The file that describes the content of the folder.
pub(super) const FILE: &str = "io.github.openai-agents-rs/extension.json";

const VERSION: u64 = 1;
/// The ABI of modules, as in `plugin-sdk`.
const ABI: u64 = 1;
const MAX_TIMEOUT_SECONDS: u64 = 24 * 60 * 60;
const MAX_MEMORY_MIB: u64 = 4096;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Extension {
    version: u64,
    #[serde(default)]
    modules: Vec<Value>,
    definitions: Option<String>,
}

/// The file in which a plugin defines agents, guardrails and prompts.
///
/// The configuration reads its YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DefinitionsFile {
    /// The file, links resolved.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// The text and Markdown files beside it by their paths.
    ///
    /// They are for instructions of agents that name them.
    pub texts: BTreeMap<PathBuf, String>,
}

/// The content of `extension.json`.
#[derive(Debug, Default)]
pub(super) struct Described {
    pub(super) modules: Vec<PluginModule>,
    pub(super) definitions: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DescribedModule {
    name: String,
    kind: ModuleKind,
    abi: u64,
    file: File,
    sha256: Option<String>,
    tools: Vec<String>,
    timeout_seconds: Option<u64>,
    max_memory_mib: Option<u64>,
    max_fuel: Option<u64>,
}

/// One file, or one for each platform, such as `linux-x86_64`.
#[derive(Deserialize)]
#[serde(untagged)]
enum File {
    One(String),
    Each(serde_json::Map<String, Value>),
}

/// Reads `extension.json`. A problem of one module is added to the issues, and the other modules
/// are used.
pub(super) fn parse(
    text: &str,
    package: &Workspace,
    content: &Content,
    issues: &mut Vec<PluginIssue>,
) -> Described {
    let extension: Extension = match serde_json::from_str(text) {
        Ok(extension) => extension,
        Err(error) => {
            let problem = error.to_string();
            issues.push(PluginIssue::Extension { problem });
            return Described::default();
        }
    };
    if extension.version != VERSION {
        let problem = format!(
            "it has version {}; only {VERSION} is supported",
            extension.version
        );
        issues.push(PluginIssue::Extension { problem });
        return Described::default();
    }
    let mut modules: Vec<PluginModule> = Vec::new();
    for (position, described) in extension.modules.into_iter().enumerate() {
        let name = described.get("name").and_then(Value::as_str);
        let name = name.map_or_else(|| format!("number {}", position + 1), str::to_owned);
        let module = module(described, package, content).and_then(|module| {
            if modules.iter().any(|known| known.name == module.name) {
                return Err("another module has its name".to_owned());
            }
            Ok(module)
        });
        match module {
            Ok(module) => modules.push(module),
            Err(problem) => issues.push(PluginIssue::Module { name, problem }),
        }
    }
    Described {
        modules,
        definitions: extension.definitions,
    }
}

fn module(
    described: Value,
    package: &Workspace,
    content: &Content,
) -> Result<PluginModule, String> {
    let described: DescribedModule =
        serde_json::from_value(described).map_err(|error| error.to_string())?;
    if !is_name(&described.name) {
        return Err("its `name` must be 1 to 64 of a-z, 0-9, - and _".to_owned());
    }
    if described.abi != ABI {
        return Err(format!(
            "it is for ABI {}; only {ABI} is supported",
            described.abi
        ));
    }
    let file = described.file.of_this_platform()?;
    let path = Path::new(EXTENSION_FOLDER).join(&file);
    let text = path.to_str().ok_or("its `file` is not text")?;
    let resolved = package
        .resolve(text)
        .map_err(|error| format!("its `file` is not a path in the plugin: {error}"))?;
    let relative = resolved.strip_prefix(package.root()).unwrap_or(&resolved);
    let found = content.sha256_of(relative);
    let sha256 = found.ok_or_else(|| format!("`{file}` is not a file"))?;
    if let Some(said) = described.sha256.filter(|said| *said != sha256) {
        return Err(format!(
            "`{file}` has the sha256 {sha256}, but extension.json says {said}"
        ));
    }
    let mut module = PluginModule::new(described.name, described.kind, resolved, sha256);
    module.tools = Some(described.tools);
    if let Some(seconds) = described.timeout_seconds {
        // A plugin may ask for more than the default, but not beyond the limits of this program.
        module.timeout = Duration::from_secs(seconds.clamp(1, MAX_TIMEOUT_SECONDS));
    }
    if let Some(mib) = described.max_memory_mib {
        module.max_memory_mib = mib.clamp(1, MAX_MEMORY_MIB);
    }
    module.max_fuel = described.max_fuel.unwrap_or(module.max_fuel);
    Ok(module)
}

pub(super) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}

impl File {
    fn of_this_platform(self) -> Result<String, String> {
        let platform = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
        match self {
            Self::One(file) => Ok(file),
            Self::Each(files) => match files.get(&platform).and_then(Value::as_str) {
                Some(file) => Ok(file.to_owned()),
                None => Err(format!("its `file` has no entry for {platform}")),
            },
        }
    }
}

/// Returns the name of a module that is a file without a folder: `libword_count.so` is `word-count`.
pub(super) fn name_of_file(file: &Path) -> Option<(String, ModuleKind)> {
    let kind = match file.extension()?.to_str()? {
        "so" | "dylib" => ModuleKind::Native,
        "wasm" => ModuleKind::Wasm,
        _ => return None,
    };
    let stem = file.file_stem()?.to_str()?;
    let name = match kind {
        ModuleKind::Native => stem.strip_prefix("lib").unwrap_or(stem),
        ModuleKind::Wasm => stem,
    };
    Some((name.to_ascii_lowercase().replace('_', "-"), kind))
}
