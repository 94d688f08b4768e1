//! `openai-agents plugins new`: a plugin of each kind to begin with.

use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use openai_agents::plugin::{EXTENSION_FOLDER, PluginManifest};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::output::{Lines, is_read};

const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

#[derive(Debug, Args)]
pub(super) struct New {
    /// The name of the plugin, and of the folder that is made: a-z, 0-9, - and .
    name: String,
    /// What the plugin brings.
    #[arg(long, value_enum)]
    kind: PluginKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PluginKind {
    /// Tools of an MCP server: a process of its own, in any language; here Python
    Mcp,
    /// Tools in a shared library, in Rust: quick, and with all rights of the program
    Native,
    /// Tools in a WebAssembly module, in Rust: in a sandbox
    Wasm,
    /// Instructions that a model reads when a task needs them
    Skill,
}

/// A file of the plugin.
struct Template {
    path: String,
    text: String,
    mode: u32,
}

impl Template {
    fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
            mode: 0o644,
        }
    }

    fn json(path: impl Into<String>, value: &Value) -> Self {
        Self::new(path, format!("{value:#}\n"))
    }
}

/// Writes the plugin. Needs no configuration, so that a broken one does not matter.
pub(super) fn run(arguments: &New) -> Result<Exit> {
    let New { name, kind } = arguments;
    if !PluginManifest::is_name(name) {
        bail!(
            "`{name}` cannot be the name of a plugin: it must be 1 to 64 of a-z, 0-9, - and ., with a letter or digit at both ends, and neither -- nor .."
        );
    }
    let folder = Path::new(name);
    let made = new_folder(folder);
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("{} exists already; nothing was written", folder.display())
        }
        made => made.with_context(|| format!("{} cannot be created", folder.display()))?,
    }
    for template in kind.templates(name) {
        let path = folder.join(&template.path);
        write(&path, &template).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    let mut out = Lines::stdout();
    is_read(
        kind.next_steps(name)
            .iter()
            .try_for_each(|line| out.text(line)),
    )?;
    Ok(Exit::Done)
}

/// Creates a folder that only its owner can write to, whatever the umask is: a plugin that others
/// can write to is refused.
fn new_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o755).create(path)
}

fn write(path: &Path, template: &Template) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(parent)?;
    }
    let mut options = File::options();
    options.write(true).create_new(true).mode(template.mode);
    options.open(path)?.write_all(template.text.as_bytes())
}

impl PluginKind {
    fn templates(self, name: &str) -> Vec<Template> {
        match self {
            Self::Mcp => mcp(name),
            Self::Skill => skill(name),
            Self::Native => code(
                name,
                "native",
                &json!({
                    "linux-x86_64": "libtools.so",
                    "linux-aarch64": "libtools.so",
                    "macos-aarch64": "libtools.dylib",
                    "macos-x86_64": "libtools.dylib",
                }),
                include_str!("build-native.sh"),
            ),
            Self::Wasm => code(
                name,
                "wasm",
                &json!("tools.wasm"),
                include_str!("build-wasm.sh"),
            ),
        }
    }

    /// Returns the next steps as commands for a shell.
    fn next_steps(self, name: &str) -> Vec<String> {
        let (folder, mut lines) = match self {
            Self::Mcp | Self::Skill => (format!("./{name}"), Vec::new()),
            Self::Native | Self::Wasm => (
                format!("./{name}/plugin"),
                vec![format!("build:  ./{name}/build")],
            ),
        };
        if self == Self::Wasm {
            lines.insert(
                0,
                "once:   rustup target add wasm32-unknown-unknown".to_owned(),
            );
            // The program is built without it unless asked; see Cargo.toml.
            if !cfg!(feature = "plugins-wasm") {
                let install = "once:   cargo install --path cli --features full";
                lines.insert(0, install.to_owned());
            }
        }
        let question = match self {
            Self::Skill => "What is new? We fixed the login.",
            Self::Mcp | Self::Native | Self::Wasm => "What is the sum of 100 and 250?",
        };
        lines.push(format!(
            "check:  openai-agents plugins check {name} --plugin {folder}"
        ));
        lines.push(format!(
            "try:    openai-agents run --plugin {folder} \"{question}\""
        ));
        lines.push(format!(
            "keep:   copy {folder} into plugins_path, then: openai-agents plugins trust {name}"
        ));
        lines
    }
}

fn manifest(path: &str, name: &str, description: &str) -> Template {
    let manifest = json!({
        "$schema": PluginManifest::SCHEMA,
        "name": name,
        "version": "0.1.0",
        "description": description,
    });
    Template::json(path, &manifest)
}

fn mcp(name: &str) -> Vec<Template> {
    let servers = json!({
        "$schema": PluginManifest::SERVERS_SCHEMA,
        "mcpServers": {
            "tools": { "type": "stdio", "command": "python3", "args": ["${PLUGIN_ROOT}/server.py"] },
        },
    });
    vec![
        manifest("plugin.json", name, "Adds numbers."),
        Template::json("mcp.json", &servers),
        Template::new("server.py", include_str!("server.py").replace("NAME", name)),
    ]
}

fn skill(name: &str) -> Vec<Template> {
    // The name of a skill allows no full stops and no two hyphens in a row, and that of a plugin does.
    let parts = name.split(['.', '-']).filter(|part| !part.is_empty());
    let skill = parts.collect::<Vec<&str>>().join("-");
    vec![
        manifest("plugin.json", name, "Writes release notes."),
        Template::new(
            format!("skills/{skill}/SKILL.md"),
            include_str!("SKILL.md").replace("NAME", &skill),
        ),
        Template::new(
            format!("skills/{skill}/references/style.md"),
            include_str!("style.md"),
        ),
    ]
}

/// Writes the source beside the plugin, not into it: what cargo builds would change the folder, and
/// so end the trust.
fn code(name: &str, kind: &str, file: &Value, build: &str) -> Vec<Template> {
    let extension = json!({
        "version": 1,
        "modules": [{ "name": "tools", "kind": kind, "abi": 1, "file": file, "tools": ["add"] }],
    });
    // Cargo allows no full stops in the name of a package.
    let cargo = include_str!("Cargo.toml.txt").replace("NAME", &name.replace('.', "-"));
    vec![
        Template::new("Cargo.toml", cargo.replace("REPOSITORY", REPOSITORY)),
        Template::new(".gitignore", "/target\n"),
        Template::new("src/lib.rs", include_str!("lib.rs.txt")),
        Template {
            mode: 0o755,
            ..Template::new("build", build.replace("FOLDER", EXTENSION_FOLDER))
        },
        manifest("plugin/plugin.json", name, "Adds numbers."),
        Template::json(
            format!("plugin/{EXTENSION_FOLDER}/extension.json"),
            &extension,
        ),
    ]
}
