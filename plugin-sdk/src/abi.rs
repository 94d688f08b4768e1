//! The C ABI between the host and a shared library, version 1.
//!
//! A library exports one static, [`PluginTable`], under the name [`SYMBOL`]. The host can read it without running code of the
//! library. All texts are UTF-8, and structured ones are JSON. Bytes never change their owner: a function that receives
//! [`Bytes`] copies them before it returns.
//!
//! The host calls `describe` once, then `call` from any thread and several at once, then `shutdown` once. It never unloads the
//! library. A call ends by one call of its [`Complete`], from any thread, before or after `call` returns. A second or late one
//! is ignored. No entry may unwind.

use std::ffi::c_void;

/// The name of the static that a library exports.
pub const SYMBOL: &str = "OPENAI_AGENTS_PLUGIN";
/// The version of this ABI. A library for another version is refused.
pub const ABI_VERSION: u32 = 1;
/// The first bytes of a table.
///
/// By them a static of another program is not taken for a table.
pub const MAGIC: [u8; 8] = *b"OAPLUGIN";

/// The call has an output, as JSON.
pub const STATUS_OUTPUT: u32 = 0;
/// The call failed; the bytes are the reason, for the model.
pub const STATUS_FAILED: u32 = 1;
/// The call panicked; the bytes are the message of the panic.
pub const STATUS_PANICKED: u32 = 2;

/// Bytes of the caller, valid until the called function returns.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
#[expect(clippy::exhaustive_structs, reason = "the layout is the ABI")]
pub struct Bytes {
    /// The first byte; not null if there is any.
    pub pointer: *const u8,
    /// The number of bytes.
    pub length: usize,
}

/// Receives the description: the target of `describe`, a status, the bytes.
pub type Receive = unsafe extern "C" fn(target: *mut c_void, status: u32, bytes: Bytes);

/// Ends a call: its number, a status, the bytes.
pub type Complete = unsafe extern "C" fn(call_id: u64, status: u32, bytes: Bytes);

/// Describes the tools, as JSON: `{"tools": [{"name", "description", "parameters"}]}`.
pub type Describe = unsafe extern "C" fn(target: *mut c_void, receive: Receive);

/// Calls a tool.
///
/// It is given the tool's name, its arguments as a JSON object, the number of the call, and the function that ends the call.
pub type Call =
    unsafe extern "C" fn(name: Bytes, arguments: Bytes, call_id: u64, complete: Complete);

/// Ends the plugin; calls may still be running.
pub type Shutdown = unsafe extern "C" fn();

/// The table that a library exports.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
#[expect(clippy::exhaustive_structs, reason = "the layout is the ABI")]
pub struct PluginTable {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`ABI_VERSION`].
    pub abi_version: u32,
    /// The size of the table in bytes.
    pub size: u32,
    /// Describes the tools. None of the three functions may be null.
    pub describe: Option<Describe>,
    /// Calls a tool.
    pub call: Option<Call>,
    /// Ends the plugin.
    pub shutdown: Option<Shutdown>,
}

impl PluginTable {
    /// Makes the table of this version.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a table has 40 bytes, and `try_from` is not const"
    )]
    pub const fn new(describe: Describe, call: Call, shutdown: Shutdown) -> Self {
        Self {
            magic: MAGIC,
            abi_version: ABI_VERSION,
            size: size_of::<Self>() as u32,
            describe: Some(describe),
            call: Some(call),
            shutdown: Some(shutdown),
        }
    }
}

impl Bytes {
    /// Makes a view of bytes.
    pub const fn of(bytes: &[u8]) -> Self {
        Self {
            pointer: bytes.as_ptr(),
            length: bytes.len(),
        }
    }

    /// Returns the bytes; `None` if the pointer is null and the length is not 0.
    ///
    /// # Safety
    ///
    /// The pointer is null, or `length` bytes can be read there while the result is used.
    #[expect(unsafe_code, reason = "this is the ABI")]
    pub const unsafe fn get<'a>(self) -> Option<&'a [u8]> {
        if self.length == 0 {
            return Some(&[]);
        }
        if self.pointer.is_null() {
            return None;
        }
        // SAFETY: not null, and whoever calls this promises that so many bytes can be read.
        Some(unsafe { std::slice::from_raw_parts(self.pointer, self.length) })
    }
}

#[doc(hidden)]
pub mod entry {
    //! The three functions of the table, as the macro exports them.

    #![expect(unsafe_code, reason = "this is the ABI")]

    use std::ffi::c_void;

    use super::{Bytes, Complete, Receive, STATUS_FAILED, STATUS_OUTPUT, STATUS_PANICKED};
    use crate::{Outcome, Plugin};

    fn parts(outcome: &Outcome) -> (u32, &str) {
        match outcome {
            Outcome::Output(text) => (STATUS_OUTPUT, text),
            Outcome::Failed(text) => (STATUS_FAILED, text),
            Outcome::Panicked(text) => (STATUS_PANICKED, text),
        }
    }

    /// # Safety
    ///
    /// As the ABI says: `receive` may be called with `target`.
    pub unsafe fn describe(plugin: &Plugin, target: *mut c_void, receive: Receive) {
        let outcome = plugin.describe();
        let (status, text) = parts(&outcome);
        // SAFETY: the host passes a target that its function takes.
        unsafe { receive(target, status, Bytes::of(text.as_bytes())) };
    }

    /// # Safety
    ///
    /// As the ABI says: the bytes can be read, and `complete` may be called.
    pub unsafe fn call(
        plugin: &Plugin,
        (name, arguments): (Bytes, Bytes),
        call_id: u64,
        complete: Complete,
    ) {
        // SAFETY: the host passes bytes that can be read until this returns.
        let (name, arguments) = unsafe { (name.get(), arguments.get()) };
        let outcome = match (name, arguments) {
            (Some(name), Some(arguments)) => plugin.call(name, arguments),
            _ => Outcome::Failed("the host passed null".to_owned()),
        };
        let (status, text) = parts(&outcome);
        // SAFETY: the host's function takes each number and copies the bytes.
        unsafe { complete(call_id, status, Bytes::of(text.as_bytes())) };
    }

    pub fn shutdown(plugin: &Plugin) {
        // The host is ending, so that nobody receives the outcome.
        drop(plugin.shutdown());
    }
}

/// Exports the table of a shared library.
#[doc(hidden)]
#[cfg(not(target_arch = "wasm32"))]
#[macro_export]
macro_rules! export_table {
    ($plugin:ident) => {
        unsafe extern "C" fn describe(
            target: *mut ::core::ffi::c_void,
            receive: $crate::abi::Receive,
        ) {
            // SAFETY: passed on as they came.
            unsafe { $crate::abi::entry::describe(&$plugin, target, receive) }
        }
        unsafe extern "C" fn call(
            name: $crate::abi::Bytes,
            arguments: $crate::abi::Bytes,
            call_id: u64,
            complete: $crate::abi::Complete,
        ) {
            // SAFETY: passed on as they came.
            unsafe { $crate::abi::entry::call(&$plugin, (name, arguments), call_id, complete) }
        }
        unsafe extern "C" fn shutdown() {
            $crate::abi::entry::shutdown(&$plugin);
        }
        // SAFETY: the name is that of this ABI, and a library that defines it twice does not link.
        #[unsafe(no_mangle)]
        pub static OPENAI_AGENTS_PLUGIN: $crate::abi::PluginTable =
            $crate::abi::PluginTable::new(describe, call, shutdown);
    };
}
