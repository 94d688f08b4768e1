//! Computes one hash of everything in the folder of a plugin, so that trust ends when anything
//! changes.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::PluginError;

/// The most files. A plugin with its dependencies has a few thousand; more is a wrong folder.
const MAX_FILES: usize = 100_000;
const MAX_BYTES: u64 = 2 * 1024 * 1024 * 1024;
const MAX_DEPTH: usize = 64;

/// The content of a folder when it was hashed.
#[derive(Debug)]
pub(super) struct Content {
    /// The SHA-256 of everything, in hex.
    pub(super) hash: String,
    /// The SHA-256 of each file, by its path relative to the folder.
    files: HashMap<PathBuf, [u8; 32]>,
}

impl Content {
    /// The content of a file that is a plugin by itself.
    pub(super) fn of_file(hash: String) -> Self {
        let files = HashMap::new();
        Self { hash, files }
    }

    /// Returns the SHA-256 of a file in hex. The path must not contain links.
    pub(super) fn sha256_of(&self, relative: &Path) -> Option<String> {
        self.files.get(relative).map(|hash| hex(hash))
    }

    /// Returns the text and Markdown files below a folder.
    pub(super) fn texts_in<'a>(&'a self, folder: &'a Path) -> impl Iterator<Item = &'a PathBuf> {
        let is_text = |path: &Path| {
            let extension = path.extension();
            extension.is_some_and(|extension| extension == "md" || extension == "txt")
        };
        let paths = self.files.keys();
        paths.filter(move |path| path.starts_with(folder) && is_text(path))
    }

    /// Says whether a text is the content of the file.
    pub(super) fn is_text_of(&self, relative: &Path, text: &str) -> bool {
        self.files
            .get(relative)
            .is_some_and(|hash| Sha256::digest(text.as_bytes())[..] == hash[..])
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a `String` cannot fail.
        write!(hex, "{byte:02x}").ok();
    }
    hex
}

/// Returns the SHA-256 of a file as it is now, in hex.
pub(super) fn sha256_now(file: &Path) -> io::Result<String> {
    let mut summing = Summing::new(file);
    summing.file(file).map(|hash| hex(&hash))
}

/// Hashes a file that is a plugin by itself. It and its folder must not be writable for others, as
/// for a folder.
pub(super) fn hash_file(file: &Path) -> Result<String, PluginError> {
    let folder = file.parent().unwrap_or(file);
    let mut summing = Summing::new(folder);
    for path in [folder, file] {
        let metadata = path
            .symlink_metadata()
            .map_err(|source| summing.unreadable(path, source))?;
        // The mode of a link says nothing about its target, so that a link is refused.
        if path == file && !metadata.is_file() {
            return Err(PluginError::Exposed {
                path: file.to_owned(),
                problem: "is not a regular file",
            });
        }
        summing.refuse_exposed(path, &metadata)?;
    }
    let hash = summing.file(file);
    let hash = hash.map_err(|source| summing.unreadable(file, source))?;
    Ok(hex(&hash))
}

/// Hashes every file, link and folder below a folder: its path, whether it can be run, and its
/// content.
///
/// A file that others can change or own is refused: it could be replaced after it was trusted.
pub(super) fn sum_up(root: &Path) -> Result<Content, PluginError> {
    let mut summing = Summing::new(root);
    let metadata = root
        .symlink_metadata()
        .map_err(|source| summing.unreadable(root, source))?;
    summing.refuse_exposed(root, &metadata)?;
    summing.folder(root, MAX_DEPTH)?;
    Ok(Content {
        hash: hex(&summing.hash.finalize()),
        files: summing.files,
    })
}

struct Summing<'a> {
    root: &'a Path,
    hash: Sha256,
    files: HashMap<PathBuf, [u8; 32]>,
    n_files: usize,
    n_bytes: u64,
    user: u32,
}

impl<'a> Summing<'a> {
    fn new(root: &'a Path) -> Self {
        Self {
            root,
            hash: Sha256::new(),
            files: HashMap::new(),
            n_files: 0,
            n_bytes: 0,
            user: rustix::process::geteuid().as_raw(),
        }
    }

    fn folder(&mut self, folder: &Path, depth: usize) -> Result<(), PluginError> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(PluginError::Content {
                problem: "folders are nested too deeply",
            });
        };
        let unreadable = |source| self.unreadable(folder, source);
        let entries = folder.read_dir().map_err(unreadable)?;
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<_>>()
            .map_err(unreadable)?;
        // Folders are listed in any order, and the hash must be the same on every machine.
        paths.sort();
        for path in paths {
            self.entry(&path, depth)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, depth: usize) -> Result<(), PluginError> {
        self.n_files += 1;
        if self.n_files > MAX_FILES {
            return Err(PluginError::Content {
                problem: "there are more than 100000 files",
            });
        }
        let metadata = path
            .symlink_metadata()
            .map_err(|source| self.unreadable(path, source))?;
        let relative = path.strip_prefix(self.root).unwrap_or(path);
        if metadata.is_symlink() {
            let target = fs::read_link(path).map_err(|source| self.unreadable(path, source))?;
            self.add(
                b'l',
                &[
                    relative.as_os_str().as_bytes(),
                    target.as_os_str().as_bytes(),
                ],
            );
            return Ok(());
        }
        self.refuse_exposed(path, &metadata)?;
        if metadata.is_dir() {
            self.add(b'd', &[relative.as_os_str().as_bytes()]);
            return self.folder(path, depth);
        }
        if !metadata.is_file() {
            return Err(PluginError::Exposed {
                path: relative.to_owned(),
                problem: "is neither a file nor a folder nor a link",
            });
        }
        let kind = if metadata.mode() & 0o111 == 0 {
            b'f'
        } else {
            b'x'
        };
        let of_file = self
            .file(path)
            .map_err(|source| self.unreadable(path, source))?;
        self.add(kind, &[relative.as_os_str().as_bytes(), &of_file]);
        self.files.insert(relative.to_owned(), of_file);
        if self.n_bytes > MAX_BYTES {
            return Err(PluginError::Content {
                problem: "there are more than 2 GiB",
            });
        }
        Ok(())
    }

    /// Adds an entry. Each part is preceded by its length, so that two different contents cannot
    /// give the same bytes.
    fn add(&mut self, kind: u8, parts: &[&[u8]]) {
        self.hash.update([kind]);
        for part in parts {
            self.hash.update((part.len() as u64).to_be_bytes());
            self.hash.update(part);
        }
    }

    fn file(&mut self, path: &Path) -> io::Result<[u8; 32]> {
        let mut file = File::open(path)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let n = file.read(&mut buffer)?;
            self.n_bytes += n as u64;
            // A file that keeps growing is refused anyway, so that the rest need not be read.
            if n == 0 || self.n_bytes > MAX_BYTES {
                return Ok(hash.finalize().into());
            }
            hash.update(buffer.get(..n).unwrap_or_default());
        }
    }

    fn refuse_exposed(&self, path: &Path, metadata: &Metadata) -> Result<(), PluginError> {
        let Some(problem) = exposure(metadata.mode(), metadata.uid(), self.user) else {
            return Ok(());
        };
        let relative = path.strip_prefix(self.root).unwrap_or(path);
        let is_root = relative.as_os_str().is_empty();
        Err(PluginError::Exposed {
            path: if is_root { path } else { relative }.to_owned(),
            problem,
        })
    }

    fn unreadable(&self, path: &Path, source: io::Error) -> PluginError {
        PluginError::File {
            path: path.strip_prefix(self.root).unwrap_or(path).to_owned(),
            source,
        }
    }
}

/// Says who else can change a file. Root can anyway. Members of its group are trusted, as the user
/// has given them the file.
const fn exposure(mode: u32, owner: u32, user: u32) -> Option<&'static str> {
    const ROOT: u32 = 0;
    if mode & 0o002 != 0 {
        Some("can be changed by everyone")
    } else if owner != user && owner != ROOT {
        Some("belongs to someone else")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::exposure;

    #[test]
    fn exposure_by_mode_and_owner() {
        let check = |mode: u32, owner: u32, user: u32, expected: Option<&str>| {
            assert_eq!(exposure(mode, owner, user), expected, "{mode:o} {owner}");
        };
        check(0o644, 1000, 1000, None);
        check(0o664, 1000, 1000, None);
        check(0o755, 0, 1000, None);
        check(0o755, 0, 0, None);
        check(0o646, 1000, 1000, Some("can be changed by everyone"));
        check(0o777, 0, 1000, Some("can be changed by everyone"));
        check(0o600, 1001, 1000, Some("belongs to someone else"));
        check(0o600, 1000, 0, Some("belongs to someone else"));
    }
}
