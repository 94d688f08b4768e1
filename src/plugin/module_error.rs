//! The errors of a module, while it is loaded and when it is called.

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
    #[error("{} has changed since the plugin was loaded; nothing of it was run", file.display())]
    Changed {
        /// The file.
        file: PathBuf,
    },
    /// The file is not a module; nothing of it was run.
    #[error("{} is not a plugin: {problem}", file.display())]
    Refused {
        /// The file.
        file: PathBuf,
        /// Why not.
        problem: String,
    },
    /// The module is for another version of the ABI; nothing of it was run.
    #[error("{} is for ABI {found}; only {supported} is supported", file.display())]
    Abi {
        /// The file.
        file: PathBuf,
        /// The version that it is for.
        found: u32,
        /// The version that is supported.
        supported: u32,
    },
    /// The module does not describe its tools in the form of the ABI.
    #[error("{} does not describe its tools: {problem}", file.display())]
    Description {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The module has other tools than `extension.json` lists.
    #[error("{} has the tools {found:?}, but extension.json lists {said:?}", file.display())]
    OtherTools {
        /// The file.
        file: PathBuf,
        /// The tools that it has.
        found: Vec<String>,
        /// The tools that it should have.
        said: Vec<String>,
    },
    /// A tool of the module has the name of a tool of the agent.
    ///
    /// The agent already has the other tool. The module is not used in that agent.
    #[error("{} has the tool `{tool}`, which {owner} has as well; the agent keeps that one", file.display())]
    SameTool {
        /// The file.
        file: PathBuf,
        /// The tool.
        tool: String,
        /// The owner of the other tool: the file of another module, or the agent itself.
        owner: String,
    },
    /// The module took too long to load.
    #[error("{} was not loaded within {seconds} seconds", file.display())]
    Timeout {
        /// The file.
        file: PathBuf,
        /// The limit in seconds.
        seconds: u64,
    },
}

/// Says why a call of a module failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleCallError {
    /// The tool returned an error.
    #[error("{0}")]
    Failed(String),
    /// The tool's code panicked.
    #[error("the tool panicked: {0}")]
    Panicked(String),
    /// The module returned something that the ABI does not allow.
    #[error("the plugin broke the ABI: {0}")]
    Contract(String),
    /// The call reached its limit of computation or memory, or trapped.
    #[error("the plugin was stopped: {0}")]
    Stopped(String),
    /// All threads are busy with calls that have not ended.
    #[error(
        "all {n_threads} threads of the plugin are busy, {n_given_up} of them with calls that were abandoned"
    )]
    Busy {
        /// The number of threads.
        n_threads: usize,
        /// How many of them run an abandoned call.
        n_given_up: usize,
    },
}
