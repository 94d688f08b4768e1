use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{into_text, read, read_text, read_up_to};

/// A folder of this test alone, removed with it.
struct TestFolder(PathBuf);

impl TestFolder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("file-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn refused(path: &Path, max_bytes: u64) -> (ErrorKind, String) {
    let error = read(path, max_bytes).unwrap_err();
    (error.kind(), error.to_string())
}

#[test]
fn a_regular_file_up_to_the_bound_is_read() {
    let folder = TestFolder::new("bound");
    let path = folder.join("a");
    fs::write(&path, "12345").unwrap();
    assert_eq!(read(&path, 5).unwrap(), b"12345");
    assert_eq!(read_text(&path, 5).unwrap(), "12345");
    let too_large = (
        ErrorKind::FileTooLarge,
        "it is larger than 4 bytes".to_owned(),
    );
    assert_eq!(refused(&path, 4), too_large);
    assert_eq!(refused(&folder.join("absent"), 4).0, ErrorKind::NotFound);
}

#[test]
fn bytes_that_are_not_utf8_name_their_place() {
    let error = into_text(b"ab\xffc".to_vec()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(
        error.to_string(),
        "it is not UTF-8 text: byte 2 is not part of a character"
    );
}

#[test]
fn an_endless_source_is_left_at_the_bound() {
    let error = read_up_to(std::io::repeat(b'x'), 2 * 1024 * 1024).unwrap_err();
    assert_eq!(error.to_string(), "it is larger than 2 MiB");
    let error = read_up_to(std::io::repeat(b'x'), 3 * 1024).unwrap_err();
    assert_eq!(error.to_string(), "it is larger than 3 KiB");
}

#[cfg(unix)]
#[test]
fn device_or_pipe_is_refused_unread() {
    let folder = TestFolder::new("irregular");
    let pipe = folder.join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let link = folder.join("link");
    std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
    let socket = folder.join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for (path, what) in [
        (pipe.as_path(), "a pipe"),
        (link.as_path(), "a device"),
        (Path::new("/dev/zero"), "a device"),
        (socket.as_path(), "a socket"),
        (folder.0.as_path(), "a folder"),
    ] {
        let expected = format!("it is {what}, and only a regular file is read here");
        assert_eq!(refused(path, 1024), (ErrorKind::InvalidInput, expected));
    }
}

/// A pipe can take the place of a file after it was looked at; opening it must not wait for a writer.
#[cfg(unix)]
#[test]
fn opening_a_pipe_does_not_wait() {
    let folder = TestFolder::new("pipe");
    let pipe = folder.join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    assert!(!super::open(&pipe).unwrap().metadata().unwrap().is_file());
}
