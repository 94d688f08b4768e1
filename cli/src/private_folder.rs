//! Creates folders that only their owner can read.

use std::fs::DirBuilder;
use std::io;
use std::path::Path;

/// Creates a folder and those above it, if they do not exist.
pub(crate) fn create(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
