//! Describes a module of a plugin: code that is loaded into the program, as a library or in a
//! sandbox.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// The default limit on the time of a call.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The default memory: enough for work on texts, and little enough for several modules at once.
const MAX_MEMORY_MIB: u64 = 64;
/// The default limit on computation: a few seconds of a processor.
const MAX_FUEL: u64 = 2_000_000_000;

/// Describes a module of a plugin. None of its code was run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginModule {
    /// The name.
    pub name: String,
    /// How it is run.
    pub kind: ModuleKind,
    /// The file, links resolved.
    pub file: PathBuf,
    /// The SHA-256 of the file when its plugin was loaded, in hex.
    ///
    /// No other content is run.
    pub sha256: String,
    /// The tools that `extension.json` lists; `None` for a file without a folder.
    pub tools: Option<Vec<String>>,
    /// The longest time of a call; 60 s by default.
    pub timeout: Duration,
    /// The memory in MiB, for [`ModuleKind::Wasm`] only; 64 by default.
    pub max_memory_mib: u64,
    /// The most computation in a call, in units of the interpreter.
    ///
    /// It is for [`ModuleKind::Wasm`] only; 2 billion by default.
    pub max_fuel: u64,
}

/// Says how a module is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ModuleKind {
    /// A shared library, with all rights of the program.
    Native,
    /// A WebAssembly module in a sandbox: it can only compute, within limits.
    Wasm,
}

impl PluginModule {
    pub(super) fn new(name: String, kind: ModuleKind, file: PathBuf, sha256: String) -> Self {
        Self {
            name,
            kind,
            file,
            sha256,
            tools: None,
            timeout: TIMEOUT,
            max_memory_mib: MAX_MEMORY_MIB,
            max_fuel: MAX_FUEL,
        }
    }
}

impl ModuleKind {
    /// Returns the word of `extension.json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Wasm => "wasm",
        }
    }
}
