//! Starts a command: in a session, within limits and under a filter of its own, on a thread that Landlock restricts.
//!
//! What a thread may do is what its children may do, so that Landlock needs no code between `fork` and `exec`. The rest does: limits
//! belong to a process and not to a thread, and the filter must come after the session, which it keeps the command in.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use cap_std::fs::Dir;
use rustix::process::{
    Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit, setsid,
};
use seccompiler::{BpfProgram, apply_filter};

use super::control_group::ControlGroup;
use super::options::{CommandOptions, Confinement};
use super::output::Writers;
use super::{CommandRequest, calls, files, group};
use crate::tools::workspace::WorkspaceError;
use crate::tools::workspace::root::Root;

/// Variables of this process that a command sees without being told.
const INHERITED: [&str; 4] = ["PATH", "LANG", "LC_ALL", "TZ"];
/// How much a command gives way to this program, which has to see in time what it does.
const NICENESS: i32 = 10;
/// How many threads each process may have on average: the kernel's limit counts threads, and the one of the options processes.
const THREADS_PER_PROCESS: u64 = 8;

/// Where a command runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct CommandFolders<'a> {
    pub(super) root: &'a Root,
    pub(super) folder: &'a Dir,
    pub(super) temporary: &'a Path,
    /// If one could be made.
    pub(super) control_group: Option<&'a ControlGroup>,
}

/// Starts a command. The kernel ends it with the calling thread, which therefore has to stay until it has ended.
pub(super) fn spawn(
    place: &CommandFolders<'_>,
    options: &CommandOptions,
    (request, writers): (&CommandRequest, Writers),
) -> Result<Child, WorkspaceError> {
    let words = request.words.split_first();
    let Some((program, arguments)) = words.filter(|(first, _)| !first.is_empty()) else {
        return Err(WorkspaceError::NoProgram);
    };
    let not_started = |source| not_started(request, source);
    let Writers { output, errors } = writers;
    let mut command = Command::new(program);
    command
        .args(arguments)
        // First nothing, then what is named: our environment holds keys.
        .env_clear()
        .envs(inherited(options))
        .envs(request.variables.iter().map(|(name, value)| (name, value)))
        .env("HOME", place.temporary)
        .env("TMPDIR", place.temporary)
        // The folder that was opened, whatever has its name now.
        .current_dir(format!(
            "/proc/self/fd/{}",
            place.folder.as_fd().as_raw_fd()
        ))
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors);
    let filter = match options.confinement {
        Confinement::Off => None,
        Confinement::Full | Confinement::Files => {
            let filter = calls::filter(options).map_err(|error| WorkspaceError::NotConfined {
                source: Box::new(error),
            })?;
            Some(filter)
        }
    };
    let entry = place.control_group.map(|group| {
        let entry = File::options().write(true).open(group.entry());
        entry.map_err(not_started)
    });
    prepare(&mut command, limits(options), entry.transpose()?, filter);
    // Without it a crowd of processes would keep this program from counting them.
    rustix::process::nice(NICENESS).map_err(|error| not_started(error.into()))?;
    // From here on this thread itself can reach only these files. All that it still does is to
    // start the command.
    files::restrict(place.root, place.temporary, options)?;
    // The writers of this process are dropped with the command, or the pipes would never end.
    command.spawn().map_err(not_started)
}

pub(super) fn not_started(request: &CommandRequest, source: io::Error) -> WorkspaceError {
    WorkspaceError::NotStarted {
        program: request.words.first().cloned().unwrap_or_default(),
        source,
    }
}

fn inherited(options: &CommandOptions) -> impl Iterator<Item = (&str, std::ffi::OsString)> {
    let names = options.inherited.iter().map(String::as_str);
    INHERITED
        .into_iter()
        .chain(names)
        .filter_map(|name| Some((name, std::env::var_os(name)?)))
}

/// The limits that the kernel knows; time, memory and processes in sum are watched in `group`.
fn limits(options: &CommandOptions) -> [(Resource, Rlimit); 3] {
    // The kernel counts all threads of the user, and for root it does not look at this limit. It stops what forks faster than is watched.
    let max_threads = max_threads(options).saturating_add(group::n_threads_of_user());
    [
        limit(Resource::Fsize, options.max_file_bytes),
        limit(Resource::Core, 0),
        limit(Resource::Nproc, max_threads),
    ]
}

/// How many threads the kernel lets a command have, in all its processes.
pub(super) fn max_threads(options: &CommandOptions) -> u64 {
    let max_processes = u64::try_from(options.max_processes).unwrap_or(u64::MAX);
    max_processes.saturating_mul(THREADS_PER_PROCESS)
}

/// A limit, or the one that already holds if that is lower, since it may only be lowered.
fn limit(resource: Resource, value: u64) -> (Resource, Rlimit) {
    let value = getrlimit(resource)
        .maximum
        .map_or(value, |there| there.min(value));
    let limit = Rlimit {
        current: Some(value),
        maximum: Some(value),
    };
    (resource, limit)
}

#[expect(
    unsafe_code,
    reason = "session, limits and filter are set by the process itself, between fork and exec"
)]
fn prepare(
    command: &mut Command,
    limits: [(Resource, Rlimit); 3],
    entry: Option<File>,
    filter: Option<BpfProgram>,
) {
    // Between fork and exec, in this order: the session first, because the filter forbids to leave
    // it.
    let prepare = move || {
        // Its process group can be ended as a whole, and it has no terminal.
        setsid()?;
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if let Some(entry) = &entry {
            rustix::io::write(entry, b"0")?;
        }
        for (resource, limit) in &limits {
            setrlimit(*resource, *limit)?;
        }
        // What other code of this process has open without a mark to close it would be a way out.
        // SAFETY: the call takes three numbers and marks descriptors; no memory is involved.
        let marked = unsafe {
            libc::syscall(
                libc::SYS_close_range,
                3_u32,
                u32::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            )
        };
        if marked != 0 {
            return Err(io::Error::last_os_error());
        }
        match filter.as_deref().map(apply_filter) {
            Some(Err(_)) => Err(io::Error::last_os_error()),
            Some(Ok(())) | None => Ok(()),
        }
    };
    // SAFETY: what runs between fork and exec may call only what is safe in a handler of signals. Each call is one or two system calls;
    // nothing is allocated and no lock is taken: limits and filter were made before, and an error without a message is a number.
    unsafe { command.pre_exec(prepare) };
}
