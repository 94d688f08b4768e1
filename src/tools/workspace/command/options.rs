//! What a command may use.

use std::path::PathBuf;
use std::time::Duration;

/// Sets what a command may use and reach.
///
/// ```
/// use std::time::Duration;
/// use openai_agents::tools::workspace::CommandOptions;
///
/// let options = CommandOptions::default().timeout(Duration::from_secs(600)).readable("/home/me/.cargo");
/// assert!(!options.network);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandOptions {
    /// How long it may take; 120 seconds by default.
    pub timeout: Duration,
    /// How much of its output is given; 64 KiB by default.
    ///
    /// Its beginning and its end are given. The rest is read and counted.
    pub max_output_bytes: usize,
    /// The resident memory of all its processes in sum; 2 GiB by default.
    pub max_memory_bytes: u64,
    /// How many processes it may have at once; 64 by default.
    pub max_processes: usize,
    /// How large a file that it writes may become; 4 GiB by default.
    pub max_file_bytes: u64,
    /// Whether it may use the network; `false` by default.
    pub network: bool,
    /// How far the kernel keeps it within the workspace; fully by default.
    pub confinement: Confinement,
    /// Folders outside of the workspace from which it may read and run programs.
    ///
    /// They come beside those of the system.
    pub readable: Vec<PathBuf>,
    /// Variables of this process that it sees, beside `PATH`, `LANG`, `LC_ALL` and `TZ`.
    pub inherited: Vec<String>,
}

/// Says how far the kernel keeps commands within the workspace.
///
/// What it cannot hold is an error, and never held less.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Confinement {
    /// Files, the network and signals, by Landlock and seccomp; it needs Linux 6.12.
    #[default]
    Full,
    /// Files and the network; it needs Linux 6.2.
    ///
    /// A command can send signals to other processes of the user.
    Files,
    /// Nothing: a command can do all that this process can.
    Off,
}

impl CommandOptions {
    /// Sets how long a command may take.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how much of the output is given.
    #[must_use]
    pub const fn max_output_bytes(mut self, max_output_bytes: usize) -> Self {
        self.max_output_bytes = max_output_bytes;
        self
    }

    /// Limits the memory of all processes of a command in sum.
    #[must_use]
    pub const fn max_memory_bytes(mut self, max_memory_bytes: u64) -> Self {
        self.max_memory_bytes = max_memory_bytes;
        self
    }

    /// Limits how many processes a command may have at once.
    #[must_use]
    pub const fn max_processes(mut self, max_processes: usize) -> Self {
        self.max_processes = max_processes;
        self
    }

    /// Limits how large a file that a command writes may become.
    #[must_use]
    pub const fn max_file_bytes(mut self, max_file_bytes: u64) -> Self {
        self.max_file_bytes = max_file_bytes;
        self
    }

    /// Lets commands use the network.
    #[must_use]
    pub const fn network(mut self) -> Self {
        self.network = true;
        self
    }

    /// Sets how far the kernel keeps commands within the workspace.
    #[must_use]
    pub const fn confinement(mut self, confinement: Confinement) -> Self {
        self.confinement = confinement;
        self
    }

    /// Lets commands read, and run programs of, a folder outside of the workspace.
    #[must_use]
    pub fn readable(mut self, folder: impl Into<PathBuf>) -> Self {
        self.readable.push(folder.into());
        self
    }

    /// Lets commands see a variable of this process.
    #[must_use]
    pub fn inherit(mut self, name: impl Into<String>) -> Self {
        self.inherited.push(name.into());
        self
    }
}

impl Default for CommandOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(120),
            max_output_bytes: 64 * 1024,
            max_memory_bytes: 2 * 1024 * 1024 * 1024,
            max_processes: 64,
            max_file_bytes: 4 * 1024 * 1024 * 1024,
            network: false,
            confinement: Confinement::default(),
            readable: Vec::new(),
            inherited: Vec::new(),
        }
    }
}
