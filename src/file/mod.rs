//! Reads files that a person or a configuration names: regular files, up to a stated size.
//!
//! A device such as `/dev/zero` has no end, and a named pipe makes its reader wait for a writer. Both are refused before a byte is
//! read. Everything that opens a file by a name from outside goes through [`read`] or [`read_text`].

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::path::Path;

#[cfg(test)]
mod tests;

/// Reads a regular file, and no more than `max_bytes` of it.
///
/// A symbolic link is followed. The call may block on the disk, and never on a pipe or a terminal.
///
/// ```
/// let error = openai_agents::file::read("/".as_ref(), 1024).unwrap_err();
/// assert_eq!(error.to_string(), "it is a folder, and only a regular file is read here");
/// ```
///
/// # Errors
///
/// [`io::Error`]: [`InvalidInput`](io::ErrorKind::InvalidInput) if it is no regular file, [`FileTooLarge`](io::ErrorKind::FileTooLarge)
/// if it is larger, and those of the operating system. The messages do not repeat the path.
pub fn read(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    // Opening a device can already have an effect, so it is looked at before.
    refuse_irregular(&path.metadata()?)?;
    let file = open(path)?;
    // And again: between the two calls another file can have taken its place.
    let metadata = file.metadata()?;
    refuse_irregular(&metadata)?;
    if metadata.len() > max_bytes {
        return Err(too_large(max_bytes));
    }
    read_up_to(file, max_bytes)
}

/// Reads a regular file of UTF-8 text, and no more than `max_bytes` of it.
///
/// # Errors
///
/// As [`read`], and [`InvalidData`](io::ErrorKind::InvalidData) if it is not UTF-8.
pub fn read_text(path: &Path, max_bytes: u64) -> io::Result<String> {
    into_text(read(path, max_bytes)?)
}

/// Reads to the end of anything that can be read, such as standard input.
///
/// It fails beyond `max_bytes`.
///
/// It waits as long as the source makes it wait.
///
/// # Errors
///
/// [`FileTooLarge`](io::ErrorKind::FileTooLarge) beyond the bound, and those of the source.
pub fn read_up_to(source: impl io::Read, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source
        .take(max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(too_large(max_bytes));
    }
    Ok(bytes)
}

/// Takes bytes that must be UTF-8 as text.
///
/// # Errors
///
/// [`InvalidData`](io::ErrorKind::InvalidData) with the place of the first byte that is not.
pub fn into_text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let message = format!("it is not UTF-8 text: byte {at} is not part of a character");
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

/// Opens for reading; a pipe that took the place of a file is opened too, instead of being waited for.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    options.open(path)
}

fn refuse_irregular(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let message = format!(
        "it is {}, and only a regular file is read here",
        describe(metadata.file_type())
    );
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

fn describe(file_type: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        if file_type.is_fifo() {
            return "a pipe";
        }
        if file_type.is_char_device() || file_type.is_block_device() {
            return "a device";
        }
        if file_type.is_socket() {
            return "a socket";
        }
    }
    if file_type.is_dir() {
        return "a folder";
    }
    "no regular file"
}

fn too_large(max_bytes: u64) -> io::Error {
    let message = format!("it is larger than {}", size(max_bytes));
    io::Error::new(io::ErrorKind::FileTooLarge, message)
}

/// Writes a bound as people say it: `64 MiB`, `10 KiB`, `17 bytes`.
fn size(n_bytes: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = KIB * KIB;
    match n_bytes {
        n_bytes if n_bytes >= MIB && n_bytes.is_multiple_of(MIB) => {
            format!("{} MiB", n_bytes / MIB)
        }
        n_bytes if n_bytes >= KIB && n_bytes.is_multiple_of(KIB) => {
            format!("{} KiB", n_bytes / KIB)
        }
        n_bytes => format!("{n_bytes} bytes"),
    }
}
