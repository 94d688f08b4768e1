//! Native modules: shared libraries, checked byte by byte before any of their code runs.

mod image;
mod library;
mod calls;
mod threads;

pub(super) use library::Library;
