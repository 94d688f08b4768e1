//! Writes files atomically: the content is on the disk before the file gets its name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Writes a new file that only its owner can read. It must not exist yet.
///
/// If that fails, for example on a full disk, the name is free as before.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = Part::write(path, &[bytes], 0o600)?;
    // A hard link, unlike a rename, does not replace a file that appeared meanwhile. The few file systems without links report an error.
    fs::hard_link(&part.0, path)?;
    drop(part);
    sync_folder(path)
}

/// Writes a file, in place of a regular file of this name.
///
/// A pipe or a device, such as `/dev/stderr`, is written to. The content comes in pieces, because
/// joining them would take the memory twice.
pub(crate) fn replace<B: AsRef<[u8]>>(path: &Path, pieces: &[B]) -> io::Result<()> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let part = Part::write(path, pieces, 0o666)?;
            fs::rename(&part.0, path)?;
            return sync_folder(path);
        }
        Err(error) => return Err(error),
    };
    if !metadata.is_file() {
        return write_all(&OpenOptions::new().write(true).open(path)?, pieces);
    }
    // Through a symbolic link, its target is replaced and the link stays.
    let path = fs::canonicalize(path)?;
    let part = Part::write(&path, pieces, 0o666)?;
    fs::set_permissions(&part.0, metadata.permissions())?;
    fs::rename(&part.0, &path)?;
    sync_folder(&path)
}

/// Writes pieces one after another.
pub(crate) fn write_all<B: AsRef<[u8]>>(mut file: &File, pieces: &[B]) -> io::Result<()> {
    let mut pieces = pieces.iter();
    pieces.try_for_each(|piece| file.write_all(piece.as_ref()))
}

/// A temporary file beside the final one. Dropping it removes the file, unless it was renamed.
struct Part(PathBuf);

impl Part {
    fn write<B: AsRef<[u8]>>(path: &Path, pieces: &[B], mode: u32) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.part", std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        #[cfg(not(unix))]
        let _mode = mode;
        let part = path.with_file_name(hidden);
        let file = options.open(&part)?;
        let part = Self(part);
        write_all(&file, pieces)?;
        // Before the rename: after a crash the name would otherwise stand for an empty file.
        file.sync_all()?;
        Ok(part)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Fails if the file was renamed, which is fine.
        fs::remove_file(&self.0).ok();
    }
}

/// Flushes the name of the file to the disk as well, on systems where a folder can be opened.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    match File::open(folder.unwrap_or(Path::new("."))) {
        Ok(folder) if cfg!(unix) => folder.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that is empty before the test and gone after it.
    struct EmptyFolder(PathBuf);

    impl EmptyFolder {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("whole-file-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let mut names: Vec<_> = entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    impl Drop for EmptyFolder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn new_file_does_not_replace_another() {
        let folder = EmptyFolder::new("create");
        let path = folder.0.join("a");
        create(&path, b"one").unwrap();
        let error = create(&path, b"two").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(folder.names(), ["a"]);
    }

    #[test]
    fn replaced_file_is_the_new_one() {
        let folder = EmptyFolder::new("replace");
        let path = folder.0.join("a");
        replace(&path, &["on", "e"]).unwrap();
        replace(&path, &["two"]).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(folder.names(), ["a"]);
    }

    #[cfg(unix)]
    #[test]
    fn replaced_link_leads_where_it_led() {
        let folder = EmptyFolder::new("link");
        let (path, link) = (folder.0.join("a"), folder.0.join("b"));
        fs::write(&path, "one").unwrap();
        std::os::unix::fs::symlink("a", &link).unwrap();
        replace(&link, &["two"]).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        replace(Path::new("/dev/null"), &["gone"]).unwrap();
    }
}
