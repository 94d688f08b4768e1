//! The ABI between the host and a WebAssembly module, version 1.
//!
//! It passes the same JSON as [`abi`](crate::abi), through the memory of the module. The host calls [`allocate`] for space and
//! writes there. An answer is one number: the address in its upper half, the length in the lower. The first byte of an answer is
//! its status. The next call frees the space of the arguments and of the last answer.

use std::cell::RefCell;

use crate::abi::{STATUS_FAILED, STATUS_OUTPUT, STATUS_PANICKED};
use crate::{Outcome, Plugin};

thread_local! {
    /// Space that the host may write to. Thread-local, since a module has one thread.
    static ROOMS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static ANSWER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Allocates space for the host to write to.
pub fn allocate(length: u32) -> u32 {
    let mut room = vec![0_u8; length as usize];
    let address = room.as_mut_ptr() as u32;
    ROOMS.with_borrow_mut(|rooms| rooms.push(room));
    address
}

/// Returns the description.
pub fn describe(plugin: &Plugin) -> u64 {
    answer(&plugin.describe())
}

/// Calls a tool with the name and arguments that the host wrote last.
pub fn call(plugin: &Plugin) -> u64 {
    let mut rooms = ROOMS.take().into_iter();
    match (rooms.next(), rooms.next()) {
        (Some(name), Some(arguments)) => answer(&plugin.call(&name, &arguments)),
        _ => answer(&Outcome::Failed("the host wrote nothing".to_owned())),
    }
}

fn answer(outcome: &Outcome) -> u64 {
    let (status, text) = match outcome {
        Outcome::Output(text) => (STATUS_OUTPUT, text),
        Outcome::Failed(text) => (STATUS_FAILED, text),
        Outcome::Panicked(text) => (STATUS_PANICKED, text),
    };
    // Every status fits into one byte.
    let [status, ..] = status.to_le_bytes();
    let mut bytes = vec![status];
    bytes.extend_from_slice(text.as_bytes());
    let place = (u64::from(bytes.as_ptr() as u32) << 32) | bytes.len() as u64;
    ANSWER.replace(bytes);
    place
}

/// Exports the functions of a WebAssembly module.
#[doc(hidden)]
#[macro_export]
macro_rules! export_table {
    ($plugin:ident) => {
        #[unsafe(no_mangle)]
        extern "C" fn openai_agents_abi_version() -> u32 {
            $crate::abi::ABI_VERSION
        }
        #[unsafe(no_mangle)]
        extern "C" fn openai_agents_allocate(length: u32) -> u32 {
            $crate::wasm::allocate(length)
        }
        #[unsafe(no_mangle)]
        extern "C" fn openai_agents_describe() -> u64 {
            $crate::wasm::describe(&$plugin)
        }
        #[unsafe(no_mangle)]
        extern "C" fn openai_agents_call() -> u64 {
            $crate::wasm::call(&$plugin)
        }
    };
}
