//! A module of a plugin: code that is loaded into the program, by itself or in a sandbox.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// How long a call may take if nothing is said.
const TIMEOUT: Duration = Duration::from_secs(60);
/// As much as a program that works on texts needs, and little enough for several at once.
const MAX_MEMORY_MIB: u64 = 64;
/// A few seconds of a processor.
const MAX_FUEL: u64 = 2_000_000_000;

/// A module of a plugin as it is described; none of its code was run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginModule {
    /// The name.
    pub name: String,
    /// How it is run.
    pub kind: ModuleKind,
    /// The file, links resolved.
    pub file: PathBuf,
    /// The SHA-256 that the file had when its plugin was loaded, in hex; no other content is run.
    pub sha256: String,
    /// The tools that it says it has; unknown for a file without a folder.
    pub tools: Option<Vec<String>>,
    /// How long a call may take.
    pub timeout: Duration,
    /// How much memory it has, in MiB; only of [`ModuleKind::Wasm`].
    pub max_memory_mib: u64,
    /// How much it may compute in a call, in units of the interpreter; only of [`ModuleKind::Wasm`].
    pub max_fuel: u64,
}

/// How a module is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ModuleKind {
    /// A shared library: it can do what the program can.
    Native,
    /// A WebAssembly module: it can compute, in bounds, and nothing else.
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
    /// Gives the word of `extension.json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Wasm => "wasm",
        }
    }
}
