//! The root: every file of a workspace is opened, made and exchanged here.
//!
//! `cap-std` has the kernel resolve each path below an open folder. The alternative, `openat2` by hand, needs a second way for kernels
//! and containers without it, which is the part that is hard to get right.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
#[cfg(target_os = "linux")]
use std::os::fd::{AsFd, AsRawFd as _};
#[cfg(target_os = "linux")]
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{
    Dir, File, FileType, FileTypeExt as _, Metadata, MetadataExt as _, OpenOptions,
    OpenOptionsExt as _, Permissions, PermissionsExt as _,
};

use super::WorkspaceError;
use super::path::WorkspacePath;

/// What a new file may have, before the process's mask.
const NEW_FILE_MODE: u32 = 0o666;

/// The open root.
#[derive(Debug)]
pub(super) struct Root {
    dir: Dir,
    path: PathBuf,
}

/// What to do about a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnExisting {
    Replace,
    Refuse,
}

/// What became of a file that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteOutcome {
    Made,
    Replaced,
}

impl Root {
    pub(super) fn open(path: &Path) -> Result<Self, WorkspaceError> {
        let refuse = |source| WorkspaceError::Root {
            path: path.to_owned(),
            source,
        };
        let resolved = path.canonicalize().map_err(refuse)?;
        Ok(Self {
            dir: Dir::open_ambient_dir(&resolved, ambient_authority()).map_err(refuse)?,
            path: resolved,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    #[cfg(target_os = "linux")]
    pub(super) const fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Reads a path that a model wrote.
    pub(super) fn parse(&self, written: &str) -> Result<WorkspacePath, WorkspaceError> {
        WorkspacePath::parse(written, &self.path)
    }

    /// Returns the absolute path that a path leads to.
    #[cfg(feature = "plugins")]
    pub(super) fn resolve(&self, path: &WorkspacePath) -> Result<PathBuf, WorkspaceError> {
        let resolved = self.dir.canonicalize(path.as_path());
        let resolved = resolved.map_err(|error| refused(path, "read", error))?;
        Ok(self.path.join(super::walk::plain(&resolved)))
    }

    /// Opens a folder.
    pub(super) fn folder(&self, path: &WorkspacePath) -> Result<Dir, WorkspaceError> {
        match self.dir.open_dir(path.as_path()) {
            Ok(dir) => Ok(dir),
            Err(error) => Err(match self.dir.metadata(path.as_path()) {
                Ok(found) if !found.is_dir() => WorkspaceError::WrongKind {
                    path: path.to_string(),
                    found: describe(found.file_type()),
                    needed: "a folder",
                },
                _ => refused(path, "opened", error),
            }),
        }
    }

    pub(super) fn metadata(&self, path: &WorkspacePath) -> Result<Metadata, WorkspaceError> {
        self.dir
            .metadata(path.as_path())
            .map_err(|error| refused(path, "read", error))
    }

    /// Opens a regular file of one name for reading.
    pub(super) fn file(&self, path: &WorkspacePath) -> Result<File, WorkspaceError> {
        // Opening a device can already have an effect, so it is looked at before.
        refuse_irregular(path, &self.metadata(path)?)?;
        let mut options = OpenOptions::new();
        // A pipe that took the place of the file is opened too, instead of being waited for.
        options
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
        let file = self
            .dir
            .open_with(path.as_path(), &options)
            .map_err(|error| refused(path, "read", error))?;
        let opened = file
            .metadata()
            .map_err(|error| refused(path, "read", error))?;
        // Once more, for the file that was really opened: the path may lead to another one by now.
        refuse_irregular(path, &opened)?;
        self.refuse_other_names(path, &file)?;
        Ok(file)
    }

    /// Refuses an open file that has, or may have, a name outside of the root.
    ///
    /// The number of its names alone proves nothing: the one inside may have been removed after it was opened, so that the one that is
    /// left is outside. So the name is shown to have been there when the names were counted. Two things were tried before and a test that
    /// exchanges the file as fast as it can came through both: to look at the path again, and to ask the kernel what the open file is
    /// called. A file system takes a name off the count before the kernel forgets the name, and a thread can be made to wait in between.
    ///
    /// Both happen while the folder is locked, and to list a folder waits for that lock. So what was being removed when the names were
    /// counted is forgotten after the listing, and a name that is still there then was the one that was counted.
    fn refuse_other_names(&self, path: &WorkspacePath, file: &File) -> Result<(), WorkspaceError> {
        let unreadable = |error| refused(path, "read", error);
        let counted = file.metadata().map_err(unreadable)?;
        refuse_second_name(path, &counted)?;
        let exchanged = || WorkspaceError::Exchanged {
            path: path.to_string(),
        };
        // In this order, as the comment above says: count the names, find the place, wait for the
        // folder's lock, look at the name, and count again.
        let place = self.place_of(path, file)?.ok_or_else(exchanged)?;
        let (Some(folder), Some(name)) = (place.parent(), place.file_name()) else {
            return Err(exchanged());
        };
        let folder = self.dir.open_dir(non_empty(folder)).map_err(unreadable)?;
        // Only for the lock that a listing waits for; what it lists does not matter.
        drop(folder.entries().map_err(unreadable)?.next());
        let named = match folder.symlink_metadata(name) {
            Ok(named) => named,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(exchanged()),
            Err(error) => return Err(unreadable(error)),
        };
        let opened = file.metadata().map_err(unreadable)?;
        refuse_second_name(path, &opened)?;
        // The time of change moves with each name that is made or removed, so that one that came and went in between is seen too.
        let is_same =
            identity(&named) == identity(&counted) && identity(&opened) == identity(&counted);
        if is_same && self.place_of(path, file)?.as_ref() == Some(&place) {
            Ok(())
        } else {
            Err(exchanged())
        }
    }

    /// Where an open file stands now, relative to the root; nothing if it was removed or is not below the root.
    #[cfg(target_os = "linux")]
    fn place_of(
        &self,
        path: &WorkspacePath,
        file: &File,
    ) -> Result<Option<PathBuf>, WorkspaceError> {
        let unreadable = |error| refused(path, "read", error);
        let name = name_of(file).map_err(unreadable)?;
        let root = name_of(&self.dir).map_err(unreadable)?;
        if name.as_os_str().as_bytes().ends_with(b" (deleted)") {
            return Ok(None);
        }
        Ok(name.strip_prefix(root).ok().map(Path::to_owned))
    }

    /// Where the kernel does not tell the name of an open file, it is where its path leads.
    #[cfg(not(target_os = "linux"))]
    fn place_of(
        &self,
        path: &WorkspacePath,
        _file: &File,
    ) -> Result<Option<PathBuf>, WorkspaceError> {
        match self.dir.canonicalize(path.as_path()) {
            Ok(place) => Ok(Some(place)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(refused(path, "read", error)),
        }
    }

    /// Reads a regular file of one name, and no more than `max_bytes` of it.
    pub(super) fn read(
        &self,
        path: &WorkspacePath,
        max_bytes: u64,
    ) -> Result<Vec<u8>, WorkspaceError> {
        let file = self.file(path)?;
        let mut bytes = Vec::new();
        file.take(max_bytes + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| refused(path, "read", error))?;
        if bytes.len() as u64 > max_bytes {
            return Err(WorkspaceError::TooLarge {
                path: path.to_string(),
                max_bytes,
            });
        }
        Ok(bytes)
    }

    pub(super) fn read_text(
        &self,
        path: &WorkspacePath,
        max_bytes: u64,
    ) -> Result<String, WorkspaceError> {
        String::from_utf8(self.read(path, max_bytes)?).map_err(|error| WorkspaceError::NotText {
            path: path.to_string(),
            byte: error.utf8_error().valid_up_to(),
        })
    }

    /// Writes a file whole, or leaves what was there as it was; folders above it are made.
    ///
    /// A file that is there is exchanged and never written into, so that another name of it, which may be outside, keeps its bytes.
    pub(super) fn write(
        &self,
        path: &WorkspacePath,
        bytes: &[u8],
        existing: OnExisting,
    ) -> Result<WriteOutcome, WorkspaceError> {
        let refuse = |error| refused(path, "written", error);
        let (parent, name) = path.parent_and_name()?;
        let parent = self.make_folder(parent).map_err(refuse)?;
        let before = replaced(path, &parent, name)?;
        if before.is_some() && existing == OnExisting::Refuse {
            return Err(WorkspaceError::Exists {
                path: path.to_string(),
            });
        }
        // Fill a file beside it, then put it in place in one step. Whoever reads meanwhile sees the
        // old content or the new, never a part.
        let temporary = temporary_name(name).map_err(refuse)?;
        let written = fill(&parent, &temporary, bytes, before.as_ref())
            .and_then(|()| put_in_place(&parent, &temporary, name, existing));
        if let Err(error) = written {
            // What is left of it is not there, or not ours to judge.
            parent.remove_file(&temporary).ok();
            return Err(match error.kind() {
                io::ErrorKind::AlreadyExists => WorkspaceError::Exists {
                    path: path.to_string(),
                },
                _ => refuse(error),
            });
        }
        Ok(match before {
            Some(_) => WriteOutcome::Replaced,
            None => WriteOutcome::Made,
        })
    }
}

impl Root {
    /// Removes a regular file; a link is refused, so that nobody removes one and means what it leads to.
    pub(super) fn remove(&self, path: &WorkspacePath) -> Result<(), WorkspaceError> {
        let refuse = |error| refused(path, "removed", error);
        let (parent, name) = path.parent_and_name()?;
        let parent = self.dir.open_dir(parent).map_err(refuse)?;
        let found = parent.symlink_metadata(name).map_err(refuse)?;
        refuse_irregular(path, &found)?;
        parent.remove_file(name).map_err(refuse)
    }

    /// Whether anything has this name, be it a link that leads nowhere.
    pub(super) fn is_taken(&self, path: &WorkspacePath) -> Result<bool, WorkspaceError> {
        match self.dir.symlink_metadata(path.as_path()) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(refused(path, "written", error)),
        }
    }
}

impl Root {
    /// Opens a folder, which is made with those above it if it is not there.
    fn make_folder(&self, folder: &Path) -> io::Result<Dir> {
        match self.dir.open_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.dir.create_dir_all(folder)?;
                self.dir.open_dir(folder)
            }
            opened => opened,
        }
    }
}

/// The path by which the kernel knows an open file or folder now.
#[cfg(target_os = "linux")]
fn name_of(open: &impl AsFd) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", open.as_fd().as_raw_fd()))
}

/// What tells one file from another, and one state of its names from another.
fn identity(found: &Metadata) -> (u64, u64, u64, i64, i64) {
    (
        found.dev(),
        found.ino(),
        found.nlink(),
        found.ctime(),
        found.ctime_nsec(),
    )
}

fn refuse_second_name(path: &WorkspacePath, found: &Metadata) -> Result<(), WorkspaceError> {
    if found.nlink() > 1 {
        return Err(WorkspaceError::HardLinks {
            path: path.to_string(),
            n_links: found.nlink(),
        });
    }
    Ok(())
}

/// `openat` takes no empty path for the folder itself.
fn non_empty(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    }
}

/// What stands where a file will be written: nothing, or a regular file.
///
/// A link is refused and not followed: what is written would replace it, which nobody means who names it.
fn replaced(
    path: &WorkspacePath,
    parent: &Dir,
    name: &OsStr,
) -> Result<Option<Metadata>, WorkspaceError> {
    match parent.symlink_metadata(name) {
        Ok(found) => {
            refuse_irregular(path, &found)?;
            Ok(Some(found))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(refused(path, "written", error)),
    }
}

fn fill(parent: &Dir, name: &str, bytes: &[u8], before: Option<&Metadata>) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(NEW_FILE_MODE);
    let mut file = parent.open_with(name, &options)?;
    if let Some(before) = before {
        // The bits that change who a program runs as are not handed on to other content.
        file.set_permissions(Permissions::from_mode(before.mode() & 0o777))?;
    }
    file.write_all(bytes)?;
    // Before the rename, or a power cut could leave the new name with nothing in it.
    file.sync_data()
}

fn put_in_place(
    parent: &Dir,
    temporary: &str,
    name: &OsStr,
    existing: OnExisting,
) -> io::Result<()> {
    match existing {
        OnExisting::Replace => parent.rename(temporary, parent, name),
        // Of all operations only this one fails if another process was quicker.
        OnExisting::Refuse => {
            parent.hard_link(temporary, parent, name)?;
            parent.remove_file(temporary)
        }
    }
}

/// A name that is not taken, in the same folder, since a file is renamed at once only there.
fn temporary_name(name: &OsStr) -> io::Result<String> {
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    // The whole name may be as long as a name can be.
    let mut temporary = String::from(".");
    temporary.extend(name.to_string_lossy().chars().take(32));
    temporary.push('.');
    for byte in random {
        // Writing to a string does not fail.
        write!(temporary, "{byte:02x}").ok();
    }
    temporary.push_str(".tmp");
    Ok(temporary)
}

fn refuse_irregular(path: &WorkspacePath, found: &Metadata) -> Result<(), WorkspaceError> {
    if found.is_file() {
        return Ok(());
    }
    Err(WorkspaceError::WrongKind {
        path: path.to_string(),
        found: describe(found.file_type()),
        needed: "a regular file",
    })
}

pub(super) fn describe(file_type: FileType) -> &'static str {
    match file_type {
        kind if kind.is_file() => "a file",
        kind if kind.is_dir() => "a folder",
        kind if kind.is_symlink() => "a symbolic link",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

/// Says why the kernel or `cap-std` refused a path.
pub(super) fn refused(
    path: &WorkspacePath,
    action: &'static str,
    error: io::Error,
) -> WorkspaceError {
    // cap-std's own refusal has no number of the operating system; the kernel's, EXDEV, it translates to that one.
    let is_escape =
        error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none();
    if is_escape {
        return WorkspaceError::Escape {
            path: path.to_string(),
        };
    }
    WorkspaceError::Io {
        path: path.to_string(),
        action,
        source: error,
    }
}
