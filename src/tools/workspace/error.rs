//! What can go wrong in a workspace, in words that help a model to go on.

use std::io;
use std::path::PathBuf;

use super::PatchError;
use crate::future::BoxError;

/// Says why a tool of a workspace did not do what it was asked for.
///
/// Paths are those that the model wrote, relative to the root.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkspaceError {
    /// The root cannot be opened.
    #[error("the root of the workspace, {}, cannot be opened", path.display())]
    Root {
        /// The root.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A text is no path of the workspace.
    #[error("`{path}` cannot be used: {problem}")]
    BadPath {
        /// The path.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A path leads out of the root, by `..` or by a link.
    #[error("`{path}` leads out of the workspace")]
    Escape {
        /// The path.
        path: String,
    },
    /// The path names something else than what is needed.
    #[error("`{path}` is {found}, and {needed} is needed")]
    WrongKind {
        /// The path.
        path: String,
        /// What it is, such as `a folder`.
        found: &'static str,
        /// What is needed, such as `a regular file`.
        needed: &'static str,
    },
    /// A file has several names, of which some may be outside of the root.
    #[error(
        "`{path}` has {n_links} hard links, and one may be outside of the workspace; copy the file to use it"
    )]
    HardLinks {
        /// The path.
        path: String,
        /// How many names the file has.
        n_links: u64,
    },
    /// Another file took the place of the one that was opened.
    #[error("`{path}` changed while it was opened; try again")]
    Exchanged {
        /// The path.
        path: String,
    },
    /// There is a file already.
    #[error("`{path}` is there already")]
    Exists {
        /// The path.
        path: String,
    },
    /// A file is larger than what is read here.
    #[error("`{path}` is larger than {max_bytes} bytes")]
    TooLarge {
        /// The path.
        path: String,
        /// The bound.
        max_bytes: u64,
    },
    /// A file is no text.
    #[error("`{path}` is not UTF-8 text: byte {byte} is not part of a character")]
    NotText {
        /// The path.
        path: String,
        /// The first byte that is wrong, from 0.
        byte: usize,
    },
    /// The operating system refuses.
    #[error("`{path}` cannot be {action}")]
    Io {
        /// The path.
        path: String,
        /// What was tried: `read`, `written`, `listed`.
        action: &'static str,
        /// The refusal.
        #[source]
        source: io::Error,
    },
    /// A pattern cannot be used.
    #[error("the pattern `{pattern}` cannot be used")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
    /// Lines that are not in the file were asked for.
    #[error("`{path}` has {n_lines} lines; line {asked} is not among them")]
    NoSuchLine {
        /// The path.
        path: String,
        /// The first line that was asked for.
        asked: u64,
        /// How many lines the file has.
        n_lines: usize,
    },
    /// The text that is to be replaced is not there.
    #[error(
        "`old_text` is not in `{path}`; it must be there letter by letter, with the same spaces and line ends"
    )]
    TextNotFound {
        /// The path.
        path: String,
    },
    /// The text that is to be replaced is there more than once.
    #[error(
        "`old_text` is {n_times} times in `{path}`; add lines around it until it is there once, or set `replace_all`"
    )]
    TextNotUnique {
        /// The path.
        path: String,
        /// How often it is there.
        n_times: usize,
    },
    /// A patch cannot be read, or does not fit the file that it changes.
    #[error("{}", match path { Some(path) => format!("the patch does not fit `{path}`"), None => "the patch cannot be read".to_owned() })]
    Patch {
        /// The file that the patch changes, if it came to one.
        path: Option<String>,
        /// What is wrong.
        #[source]
        source: PatchError,
    },
    /// A patch was carried out in part.
    ///
    /// The files changed meanwhile or cannot be written.
    #[error("the patch stopped in the middle; before that, {done}")]
    PatchUnfinished {
        /// What was done.
        done: String,
        /// What went wrong then.
        #[source]
        source: Box<Self>,
    },
    /// A command names no program.
    #[error("`command` names no program; it is a list of the program and its arguments")]
    NoProgram,
    /// A command is to be run as another user.
    #[error("commands are run as the user of this program; leave `user` out")]
    OtherUser,
    /// A program cannot be started.
    #[error("`{program}` cannot be started")]
    NotStarted {
        /// The program.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The thread that starts a command panicked.
    #[error("the command was not started, because of a panic")]
    StarterPanicked,
    /// The kernel cannot keep a command within the workspace; nothing was run.
    #[error(
        "this machine cannot keep commands within the workspace, so none is run (`full` confinement needs Linux 6.12 with Landlock and \
         seccomp, `files` Linux 6.2)"
    )]
    NotConfined {
        /// Why not.
        #[source]
        source: BoxError,
    },
    /// A folder that commands may read cannot be opened.
    #[error("{}, which commands may read, cannot be opened", path.display())]
    UnreadableFolder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: BoxError,
    },
    /// A command cannot have a folder for its temporary files.
    #[error("no folder for temporary files can be made")]
    TemporaryFolder {
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// An edit would change nothing.
    #[error("{problem}")]
    NoChange {
        /// Why not.
        problem: &'static str,
    },
}
