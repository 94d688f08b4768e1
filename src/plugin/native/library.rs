//! Opens a library from bytes that were checked, and calls it.

#![expect(
    unsafe_code,
    reason = "code of a library that is trusted is called through C"
)]

use std::io;
use std::sync::Arc;

use libloading::os::unix::{RTLD_LOCAL, RTLD_NOW};
use openai_agents_plugin::abi::{
    ABI_VERSION, Bytes, Call, Describe, MAGIC, PluginTable, SYMBOL, Shutdown,
};

use super::calls::{PendingCall, complete, receive};
use super::image::{self, ImageError};
use super::threads::{MAX_THREADS, Threads};
use crate::plugin::module_tools::Reply;
use crate::plugin::{ModuleCallError, ModuleError, PluginModule};

/// A loaded library. It is never unloaded, because its threads and destructors may run at any time.
pub(in crate::plugin) struct Library {
    entries: EntryPoints,
    threads: Threads,
}

#[derive(Clone, Copy)]
struct EntryPoints {
    describe: Describe,
    call: Call,
    shutdown: Shutdown,
}

impl Library {
    /// Checks the bytes and opens them. The bytes that are run are those that were checked.
    pub(in crate::plugin) fn load(
        module: &PluginModule,
        bytes: &[u8],
    ) -> Result<Self, ModuleError> {
        let refuse = |problem: String| ModuleError::Refused {
            file: module.file.clone(),
            problem,
        };
        image::check(bytes).map_err(|error| match error {
            ImageError::NoPlugin(problem) => refuse(problem),
            ImageError::Abi(found) => ModuleError::Abi {
                file: module.file.clone(),
                found,
                supported: ABI_VERSION,
            },
        })?;
        let table = sealed::open(bytes).map_err(refuse)?;
        let entries = entries(&table).ok_or_else(|| {
            let problem = "an entry of its table is null, or the table is not the one in the file";
            refuse(problem.to_owned())
        })?;
        Ok(Self {
            entries,
            threads: Threads::new(&module.name),
        })
    }

    /// Asks for the description and blocks until it is there. The caller limits the time.
    pub(in crate::plugin) fn describe(&self) -> Reply {
        let mut pending = PendingCall::new();
        let target = std::ptr::without_provenance_mut(usize::try_from(pending.id).unwrap_or(0));
        // SAFETY: the entry is of a table of this ABI, and `receive` takes any target as a number.
        unsafe { (self.entries.describe)(target, receive) };
        pending.reply.try_recv().unwrap_or_else(|_| {
            let problem = "it returned without a description";
            Err(ModuleCallError::Contract(problem.to_owned()))
        })
    }

    /// Calls a tool. If the future is dropped while the library still runs, its thread is
    /// abandoned.
    pub(in crate::plugin) async fn call(&self, tool: Arc<str>, arguments: String) -> Reply {
        let mut pending = PendingCall::new();
        let (id, call) = (pending.id, self.entries.call);
        let begun = self.threads.run(move || {
            let (tool, arguments) = (Bytes::of(tool.as_bytes()), Bytes::of(arguments.as_bytes()));
            // SAFETY: the entry is of a table of this ABI; the bytes live until it returns, and `complete` takes any number once.
            unsafe { call(tool, arguments, id, complete) };
        });
        let Some(begun) = begun else {
            return Err(ModuleCallError::Busy {
                n_threads: MAX_THREADS,
                n_given_up: self.n_given_up(),
            });
        };
        let reply = (&mut pending.reply).await;
        // The thread may still be returning, which does not count as abandoned.
        begun.forget();
        reply.unwrap_or_else(|_| {
            let problem = "the call ended without an answer";
            Err(ModuleCallError::Contract(problem.to_owned()))
        })
    }

    pub(in crate::plugin) fn n_given_up(&self) -> usize {
        self.threads.n_given_up()
    }
}

impl Drop for Library {
    /// Calls `shutdown` without waiting, because it may take any time.
    fn drop(&mut self) {
        let shutdown = self.entries.shutdown;
        let begun = self.threads.run(move || {
            // SAFETY: the entry is of a table of this ABI, and this is the only call of it.
            unsafe { shutdown() };
        });
        if let Some(begun) = begun {
            begun.forget();
        }
    }
}

/// Reads the table again, from memory: code that ran while the library was opened may have changed
/// it.
fn entries(table: &PluginTable) -> Option<EntryPoints> {
    let is_same = table.magic == MAGIC
        && table.abi_version == ABI_VERSION
        && table.size as usize == size_of::<PluginTable>();
    match (table.describe, table.call, table.shutdown) {
        (Some(describe), Some(call), Some(shutdown)) if is_same => Some(EntryPoints {
            describe,
            call,
            shutdown,
        }),
        _ => None,
    }
}

mod sealed {
    //! Opens a copy of the bytes that nobody can change.

    use super::{PluginTable, RTLD_LOCAL, RTLD_NOW, SYMBOL, io};

    /// Opens the bytes and copies the table. The library is never closed: with thread-locals it
    /// would not be unmapped anyway.
    pub(super) fn open(bytes: &[u8]) -> Result<PluginTable, String> {
        let copy = copy(bytes).map_err(|error| format!("it cannot be copied: {error}"))?;
        // SAFETY: the bytes were checked to be a library that is trusted; what its set-up code does is the trust that was given.
        let library =
            unsafe { libloading::os::unix::Library::open(Some(&copy.path), RTLD_NOW | RTLD_LOCAL) };
        let library = library.map_err(|error| {
            let words = error.to_string();
            format!("the system's linker refuses it: {words}")
        })?;
        let library = std::mem::ManuallyDrop::new(library);
        copy.keep();
        // SAFETY: the image has the symbol with the head of a table, whose layout the version stands for.
        let symbol = unsafe { library.get::<*const PluginTable>(SYMBOL) };
        let table = symbol.map_err(|error| error.to_string())?;
        // SAFETY: the address is that of a static of the library, which stays mapped.
        Ok(unsafe { **table })
    }

    #[cfg(target_os = "linux")]
    struct Copy {
        path: String,
        file: std::fs::File,
    }

    #[cfg(target_os = "linux")]
    fn copy(bytes: &[u8]) -> io::Result<Copy> {
        use std::io::Write as _;
        use std::os::fd::AsRawFd as _;

        use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut file = std::fs::File::from(memfd_create("plugin", flags)?);
        file.write_all(bytes)?;
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        fcntl_add_seals(&file, seals)?;
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        Ok(Copy { path, file })
    }

    #[cfg(target_os = "linux")]
    impl Copy {
        /// Keeps the descriptor open. The linker knows libraries by path, and the path has the
        /// number of the descriptor: if it were used again, another library would be taken for this
        /// one.
        fn keep(self) {
            std::mem::forget(self.file);
        }
    }

    #[cfg(not(target_os = "linux"))]
    struct Copy {
        path: std::path::PathBuf,
        folder: std::path::PathBuf,
    }

    #[cfg(not(target_os = "linux"))]
    fn copy(bytes: &[u8]) -> io::Result<Copy> {
        use std::fmt::Write as _;
        use std::os::unix::fs::DirBuilderExt as _;

        let mut random = [0_u8; 16];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let mut name = String::from("openai-agents-plugin-");
        for byte in random {
            // Writing to a `String` cannot fail.
            write!(name, "{byte:02x}").ok();
        }
        let folder = std::env::temp_dir().join(name);
        std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
        let path = folder.join("plugin");
        std::fs::write(&path, bytes)?;
        Ok(Copy { path, folder })
    }

    #[cfg(not(target_os = "linux"))]
    impl Drop for Copy {
        fn drop(&mut self) {
            // The mapping stays when the file is removed.
            std::fs::remove_dir_all(&self.folder).ok();
        }
    }

    #[cfg(not(target_os = "linux"))]
    impl Copy {
        fn keep(self) {
            drop(self);
        }
    }
}
