//! Tools that act on the files below one folder, the root of a workspace, and on nothing else.
//!
//! Each tool is off unless an agent is given it. The paths that a model writes are opened by the kernel below the root (`openat2` with
//! `RESOLVE_BENEATH` on Linux, component by component elsewhere), so a link, a `..` or a folder that is exchanged in the middle of a
//! call leads nowhere else. A file with a second hard link is not read, because its other name may be outside.
//!
//! ```
//! use openai_agents::Agent;
//! use openai_agents::tools::workspace::Workspace;
//!
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let workspace = Workspace::open("/srv/project")?;
//! let agent = Agent::builder("Editor")
//!     .tool(workspace.read_file())
//!     .tool(workspace.search_files())
//!     .tool(workspace.edit_file()) // waits for approval
//!     .build()?;
//! # Ok(())
//! # }
//! ```

mod path;
mod root;
mod walk;
mod read;
mod list;
mod search;
mod write;
mod edit;
mod diff;
mod patch;
#[cfg(target_os = "linux")]
mod command;
mod error;

#[cfg(feature = "plugins")]
use std::ffi::OsString;
#[cfg(feature = "plugins")]
use std::io;
#[cfg(feature = "skills")]
use std::ops::ControlFlow;
use std::path::Path;
#[cfg(feature = "skills")]
use std::path::PathBuf;
use std::sync::Arc;

#[cfg(target_os = "linux")]
pub use command::{CommandOptions, Confinement};
pub use diff::{DiffMode, PatchError, apply_diff};
pub use error::WorkspaceError;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use self::root::Root;
use super::constant::always_valid;
use super::{
    FunctionTool, IntoToolOutput, ToolContext, ToolFailure, ToolOptions, ToolRegistry, blocking,
};
use crate::item::BuiltInTool;

/// A folder that tools act below; clones share it.
///
/// The folder is opened once. If another folder takes its name later, the tools go on with the one that was opened.
#[derive(Debug, Clone)]
pub struct Workspace {
    root: Arc<Root>,
}

impl Workspace {
    /// Opens the root.
    ///
    /// # Errors
    ///
    /// [`WorkspaceError::Root`] if it is not there, is no folder, or cannot be opened.
    pub fn open(root: impl AsRef<Path>) -> Result<Self, WorkspaceError> {
        Ok(Self {
            root: Arc::new(Root::open(root.as_ref())?),
        })
    }

    /// Returns the path of the root, links resolved.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Returns every tool for files: `read_file`, `list_files`, `search_files`, `write_file`, `edit_file`, `apply_patch`.
    ///
    /// On Linux there is `run_command` besides, which has options.
    pub fn tools(&self) -> ToolRegistry {
        let mut tools = ToolRegistry::new();
        for tool in [
            self.read_file(),
            self.list_files(),
            self.search_files(),
            self.write_file(),
            self.edit_file(),
            self.apply_patch(),
        ] {
            always_valid(tools.register(tool).map(|_| ()));
        }
        tools
    }

    /// Returns the tool `read_file`, which reads a text file, whole or some of its lines.
    pub fn read_file(&self) -> FunctionTool {
        self.tool(
            "read_file",
            read::DESCRIPTION,
            options().idempotent(),
            read::read_file,
        )
    }

    /// Returns the tool `list_files`, which lists a folder or the files of a pattern.
    ///
    /// With a pattern it lists all files whose path fits it.
    pub fn list_files(&self) -> FunctionTool {
        self.tool(
            "list_files",
            list::DESCRIPTION,
            options().idempotent(),
            list::list_files,
        )
    }

    /// Returns the tool `search_files`, which looks for a regular expression in all files.
    ///
    /// It gives the lines in which it is found.
    pub fn search_files(&self) -> FunctionTool {
        self.tool(
            "search_files",
            search::DESCRIPTION,
            options().idempotent(),
            search::search_files,
        )
    }

    /// Returns the tool `write_file`, which makes a file or replaces all it holds.
    ///
    /// Each call waits for approval.
    ///
    /// [`needs_approval_if`](FunctionTool::needs_approval_if) with a condition that never holds takes the approval away.
    pub fn write_file(&self) -> FunctionTool {
        self.tool(
            "write_file",
            write::DESCRIPTION,
            options(),
            write::write_file,
        )
        .needs_approval()
    }

    /// Returns the tool `edit_file`, which replaces a text in a file.
    ///
    /// Each call waits for approval.
    pub fn edit_file(&self) -> FunctionTool {
        self.tool("edit_file", edit::DESCRIPTION, options(), edit::edit_file)
            .needs_approval()
    }

    /// Returns the tool `apply_patch`, which changes files by a patch in the V4A format.
    ///
    /// It makes, changes, moves and removes files. Each call waits for approval.
    ///
    /// An agent with [`HostedTool::apply_patch`](super::HostedTool::apply_patch) besides offers it as the tool of that name of the
    /// Responses API, whose calls it then answers.
    pub fn apply_patch(&self) -> FunctionTool {
        let operation = self.tool(
            "apply_patch",
            patch::DESCRIPTION,
            options().strict(false),
            patch::apply_operation,
        );
        self.tool(
            "apply_patch",
            patch::DESCRIPTION,
            options(),
            patch::apply_patch,
        )
        .answers(BuiltInTool::ApplyPatch, &operation)
        .needs_approval()
    }

    /// Returns the tool `run_command`, which runs a program with arguments and no shell.
    ///
    /// Each call waits for approval.
    ///
    /// Unless the options say otherwise, the kernel keeps the command and all that it starts within the workspace (Landlock and seccomp,
    /// Linux 6.12): they read and write files below the root and in a folder of their own, which is their home and gone afterwards, and
    /// read those of the system; they cannot leave their process group, use the network, or signal other processes. Whatever the options
    /// say, all of them are ended when the program ends, when a limit is reached, and when the call is given up. The last line of the
    /// output says how it ended.
    ///
    /// An agent with [`HostedTool::shell`](super::HostedTool::shell) in the environment `local`, or with
    /// [`HostedTool::local_shell`](super::HostedTool::local_shell), offers it as that tool of the Responses API, whose calls it then answers.
    #[cfg(target_os = "linux")]
    pub fn run_command(&self, options: CommandOptions) -> FunctionTool {
        let options = Arc::new(options);
        // The actions of the Responses API leave out what is not set.
        let lenient = || self::options().strict(false);
        let shell = self.command_tool(&options, lenient(), command::shell);
        let local_shell = self.command_tool(&options, lenient(), command::local_shell);
        self.command_tool(&options, self::options(), command::run_command)
            .answers(BuiltInTool::Shell, &shell)
            .answers(BuiltInTool::LocalShell, &local_shell)
            .needs_approval()
    }

    /// Reads a text file, as `read_file` does without a line.
    #[cfg(feature = "skills")]
    pub(crate) fn read_beginning(&self, path: &str) -> Result<String, WorkspaceError> {
        read::read_file(&self.root, &read::ReadArguments::of(path))
    }

    /// Reads a text file whole.
    #[cfg(feature = "skills")]
    pub(crate) fn read_text(&self, path: &str) -> Result<String, WorkspaceError> {
        let path = self.root.parse(path)?;
        self.root.read_text(&path, read::MAX_FILE_BYTES)
    }

    /// Lists the files below a folder in the order of their paths, relative to it, at most so many.
    #[cfg(feature = "skills")]
    pub(crate) fn files(&self, folder: &str, max: usize) -> Result<Vec<PathBuf>, WorkspaceError> {
        let folder = self.root.parse(folder)?;
        let beginning = walk::plain(folder.as_path());
        let mut files = Vec::new();
        walk::walk(&self.root, &folder, &mut |entry| {
            if entry.file_type.is_file() {
                let path = entry.path.strip_prefix(&beginning).unwrap_or(&entry.path);
                files.push(path.to_owned());
            }
            if files.len() < max {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        Ok(files)
    }

    /// Whether a path is a file; what is not there is none.
    #[cfg(feature = "plugins")]
    pub(crate) fn is_file(&self, path: &str) -> Result<bool, WorkspaceError> {
        let path = self.root.parse(path)?;
        match self.root.metadata(&path) {
            Ok(found) => Ok(found.is_file()),
            Err(WorkspaceError::Io { source, .. })
                if matches!(
                    source.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Lists the folders in a folder, links to folders among them.
    #[cfg(feature = "plugins")]
    pub(crate) fn folders_in(&self, folder: &str) -> Result<Vec<OsString>, WorkspaceError> {
        let path = self.root.parse(folder)?;
        let folder = self.root.folder(&path)?;
        let names = walk::sorted(&folder).map_err(|error| root::refused(&path, "listed", error))?;
        let folders = names
            .into_iter()
            .filter(|(_, file_type)| file_type.is_dir() || file_type.is_symlink());
        Ok(folders.map(|(name, _)| name).collect())
    }

    /// Returns the absolute path that a path of the workspace leads to.
    #[cfg(feature = "plugins")]
    pub(crate) fn resolve(&self, path: &str) -> Result<PathBuf, WorkspaceError> {
        let path = self.root.parse(path)?;
        self.root.resolve(&path)
    }

    /// The same; of one that is not there, the path that it would have.
    #[cfg(feature = "plugins")]
    pub(crate) fn resolve_or_absent(&self, path: &str) -> Result<PathBuf, WorkspaceError> {
        let parsed = self.root.parse(path)?;
        match self.root.resolve(&parsed) {
            Err(WorkspaceError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(self.root().join(walk::plain(parsed.as_path())))
            }
            resolved => resolved,
        }
    }

    /// Makes a form of the tool that runs commands.
    #[cfg(target_os = "linux")]
    fn command_tool<Args, F, R>(
        &self,
        options: &Arc<CommandOptions>,
        tool_options: ToolOptions,
        run: F,
    ) -> FunctionTool
    where
        Args: DeserializeOwned + JsonSchema + Send + 'static,
        F: Fn(Arc<Root>, Arc<CommandOptions>, Args) -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, WorkspaceError>> + Send + 'static,
    {
        let (root, options) = (Arc::clone(&self.root), Arc::clone(options));
        always_valid(FunctionTool::with_options(
            "run_command",
            command::DESCRIPTION,
            // The output is cut by the options; what is left out of it is counted, and not an error.
            tool_options.max_output_bytes(usize::MAX),
            move |_: ToolContext, arguments| {
                run(Arc::clone(&root), Arc::clone(&options), arguments)
            },
        ))
    }

    /// Makes a tool of a function that blocks.
    fn tool<Args, O>(
        &self,
        name: &'static str,
        description: &'static str,
        options: ToolOptions,
        function: fn(&Root, &Args) -> Result<O, WorkspaceError>,
    ) -> FunctionTool
    where
        Args: DeserializeOwned + JsonSchema + Send + 'static,
        O: IntoToolOutput + Send + 'static,
    {
        let root = Arc::clone(&self.root);
        always_valid(FunctionTool::with_options(
            name,
            description,
            options,
            move |_: ToolContext, arguments: Args| {
                let root = Arc::clone(&root);
                blocking(move || function(&root, &arguments))
            },
        ))
    }
}

/// The errors say what the model can do about them.
fn options() -> ToolOptions {
    ToolOptions::default().failure(ToolFailure::TellModelDetail)
}
