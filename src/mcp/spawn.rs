//! Starts the processes of servers in such a way that the kernel ends them with this one, however it ends.
//!
//! A program that is killed (`kill -9`) cannot end anything, and a server that does not read its input does not notice. Linux sends a
//! signal to the children of a thread that ends (`PR_SET_PDEATHSIG`), if each has asked for it between fork and exec. It goes by the
//! thread that forked, not by the process: threads of a runtime come and go, so all servers are started by one that stays.

use std::io;

use tokio::process::{Child, Command};

/// Starts a process that ends with this one.
#[cfg(target_os = "linux")]
pub(super) fn spawn(mut command: Command) -> io::Result<Child> {
    die_with_parent(&mut command);
    let runtime = tokio::runtime::Handle::current();
    let (answer, answered) = std::sync::mpsc::sync_channel(1);
    let job: SpawnJob = Box::new(move || {
        let _runtime = runtime.enter();
        // Nobody waits any more if the thread that asked was unwound; the child is killed when it is dropped.
        answer.send(command.spawn()).ok();
    });
    let is_gone = || io::Error::other("the thread that starts servers is gone");
    starter()?.send(job).map_err(|_| is_gone())?;
    answered.recv().map_err(|_| is_gone())?
}

/// Elsewhere there is no such signal: a server that is left alone ends when it reads the end of its input.
#[cfg(not(target_os = "linux"))]
pub(super) fn spawn(mut command: Command) -> io::Result<Child> {
    command.spawn()
}

#[cfg(target_os = "linux")]
type SpawnJob = Box<dyn FnOnce() + Send>;

/// Returns the way to the thread that starts servers, which ends with the process.
#[cfg(target_os = "linux")]
fn starter() -> io::Result<std::sync::mpsc::Sender<SpawnJob>> {
    use std::sync::mpsc::{Sender, channel};
    use std::sync::{Mutex, PoisonError};

    static STARTER: Mutex<Option<Sender<SpawnJob>>> = Mutex::new(None);

    let mut starter = STARTER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(starter) = &*starter {
        return Ok(starter.clone());
    }
    let (sender, jobs) = channel::<SpawnJob>();
    std::thread::Builder::new()
        .name("mcp-starter".to_owned())
        .spawn(move || jobs.into_iter().for_each(|job| job()))?;
    Ok(starter.insert(sender).clone())
}

#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "only the child itself can ask for the signal, between fork and exec"
)]
fn die_with_parent(command: &mut Command) {
    use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

    let parent = getpid();
    let ask = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // A parent that was killed before that sends nothing.
        if getppid() == Some(parent) {
            Ok(())
        } else {
            Err(io::Error::from(io::ErrorKind::BrokenPipe))
        }
    };
    // SAFETY: what runs between fork and exec may call only what is safe in a handler of signals. Both calls are one system call each;
    // nothing is allocated and no lock is taken, and an error without a message is a number.
    unsafe { command.pre_exec(ask) };
}
