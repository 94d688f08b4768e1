//! The calls that a library has not ended, by their numbers. A number is used once, so that a second or late end finds nothing.

#![expect(unsafe_code, reason = "libraries call these functions through C")]

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use openai_agents_plugin::abi::Bytes;
use tokio::sync::oneshot;

use crate::plugin::ModuleCallError;
use crate::plugin::module_tools::Reply;

/// The largest reply. A longer length is taken for an error, and nothing is read.
const MAX_REPLY_BYTES: usize = 64 * 1024 * 1024;

type WaitingCalls = HashMap<u64, oneshot::Sender<Reply>>;

static WAITING: LazyLock<Mutex<WaitingCalls>> = LazyLock::new(Mutex::default);
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A call that is waited for. Once it is dropped, its end is ignored.
pub(super) struct PendingCall {
    pub(super) id: u64,
    pub(super) reply: oneshot::Receiver<Reply>,
}

impl PendingCall {
    pub(super) fn new() -> Self {
        let (sender, reply) = oneshot::channel();
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        waiting().insert(id, sender);
        Self { id, reply }
    }
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        waiting().remove(&self.id);
    }
}

fn waiting() -> MutexGuard<'static, WaitingCalls> {
    // Nothing here can panic with the map half changed.
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends a call, on any thread of the library.
pub(super) unsafe extern "C" fn complete(call_id: u64, status: u32, bytes: Bytes) {
    let sender = waiting().remove(&call_id);
    let Some(sender) = sender else {
        tracing::warn!(target: "openai_agents::plugin", call_id, "a plugin ended a call a second time, or one that was abandoned");
        return;
    };
    // SAFETY: the ABI has the library pass bytes that can be read until this returns.
    let reply = unsafe { text(bytes) }.map(|text| (status, text));
    // The receiver is gone if the call was abandoned meanwhile.
    drop(sender.send(reply));
}

/// Receives a description. The target is the number of the call, and not an address.
pub(super) unsafe extern "C" fn receive(target: *mut c_void, status: u32, bytes: Bytes) {
    // SAFETY: as in `complete`.
    unsafe { complete(target.addr() as u64, status, bytes) };
}

unsafe fn text(bytes: Bytes) -> Result<String, ModuleCallError> {
    let contract = |problem: &str| Err(ModuleCallError::Contract(problem.to_owned()));
    if bytes.length > MAX_REPLY_BYTES {
        return contract("its answer has a length of more than 64 MiB");
    }
    // SAFETY: as in `complete`; the length is in bounds.
    let Some(bytes) = (unsafe { bytes.get() }) else {
        return contract("its answer is null");
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => contract("its answer is not UTF-8"),
    }
}
