//! The origin of a value: which file and line, variable or flag.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Says where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// No source set it; the built-in default holds.
    Default,
    /// The library itself: an agent or tool that always exists.
    BuiltIn,
    /// The configuration file.
    File {
        /// The file, as it was named.
        path: Arc<Path>,
        /// The line, from 1; 0 if it is not known.
        line: u64,
    },
    /// A variable in `.env`.
    Dotenv {
        /// The file.
        path: Arc<Path>,
        /// The line, from 1.
        line: u64,
        /// The variable.
        variable: Arc<str>,
    },
    /// A variable of the process environment.
    Env {
        /// The variable.
        variable: Arc<str>,
    },
    /// A flag of the command line.
    Flag {
        /// The flag, such as `--model`.
        name: &'static str,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::BuiltIn => f.write_str("built in"),
            Self::File { path, line: 0 } => write!(f, "{}", path.display()),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Dotenv {
                path,
                line,
                variable,
            } => write!(f, "{variable} in {}:{line}", path.display()),
            Self::Env { variable } => f.write_str(variable),
            Self::Flag { name } => f.write_str(name),
        }
    }
}

/// Describes one value of the configuration for people: never a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting {
    /// The path of the key, such as `limits.max_turns` or `agents[0].name`.
    pub key: String,
    /// The value as it may be shown.
    ///
    /// A secret or a long text is only counted.
    pub value: String,
    /// Where the value came from.
    pub origin: Origin,
}
