//! What can be wrong with a module, before and while it is called.

use std::io;
use std::path::PathBuf;

/// Says why a module of a plugin cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// The file cannot be read.
    #[error("{} cannot be read", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file is not the one that was trusted.
    #[error("{} has changed since it was checked; nothing of it was run", file.display())]
    Changed {
        /// The file.
        file: PathBuf,
    },
    /// The file is no module; nothing of it was run.
    #[error("{} is no plugin: {problem}", file.display())]
    Refused {
        /// The file.
        file: PathBuf,
        /// Why not.
        problem: String,
    },
    /// The module is for another version of the ABI; nothing of it was run.
    #[error("{} is for ABI {found}, and {supported} is supported", file.display())]
    Abi {
        /// The file.
        file: PathBuf,
        /// The version that it is for.
        found: u32,
        /// The version that is supported.
        supported: u32,
    },
    /// The module does not describe its tools as the ABI has it.
    #[error("{} does not describe its tools: {problem}", file.display())]
    Description {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The module has other tools than `extension.json` says.
    #[error("{} has the tools {found:?}, and extension.json says {said:?}", file.display())]
    OtherTools {
        /// The file.
        file: PathBuf,
        /// The tools that it has.
        found: Vec<String>,
        /// The tools that it should have.
        said: Vec<String>,
    },
    /// The module has a tool of a name that the agent has already; it is not used in that agent.
    #[error("{} has the tool `{tool}`, and so has {owner}, whose tool the agent keeps", file.display())]
    SameTool {
        /// The file.
        file: PathBuf,
        /// The tool.
        tool: String,
        /// Who has the other: the file of another module, or the agent itself.
        owner: String,
    },
    /// The module takes too long to load.
    #[error("{} was not loaded within {seconds} seconds", file.display())]
    Timeout {
        /// The file.
        file: PathBuf,
        /// The time that it had.
        seconds: u64,
    },
}

/// Says why a call of a module gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleCallError {
    /// The tool says why.
    #[error("{0}")]
    Failed(String),
    /// The tool's code panicked.
    #[error("the tool panicked: {0}")]
    Panicked(String),
    /// What came back is not what the ABI allows.
    #[error("the plugin broke its contract: {0}")]
    Contract(String),
    /// The call used up what it may compute or the memory that it has, or did what no code may.
    #[error("the plugin was stopped: {0}")]
    Stopped(String),
    /// All threads are taken by calls that have not ended.
    #[error(
        "all {n_threads} threads of the plugin are busy, {n_given_up} of them with calls that nobody waits for any more"
    )]
    Busy {
        /// How many there are.
        n_threads: usize,
        /// How many are given up.
        n_given_up: usize,
    },
}
