//! The processes of a command: counted, measured and ended together.
//!
//! A confined command cannot leave its process group, so that one signal reaches all of it. Limits of the kernel alone would not do:
//! `RLIMIT_NPROC` counts all threads of the user and does not hold for root, `RLIMIT_AS` holds for each process and not for their sum, and
//! a control group can be made in some places only (`control_group`).

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, geteuid, kill_process_group, waitid};

/// How long the kernel may take to end what was killed, such as a process that writes to a slow disk.
const END_GRACE: Duration = Duration::from_secs(2);

/// A process group that may have to be ended from another thread.
#[derive(Debug, Default)]
pub(super) struct Group {
    state: Mutex<GroupState>,
}

#[derive(Debug, Default, Clone, Copy)]
enum GroupState {
    #[default]
    NotStarted,
    /// The group is named after the command, which leads it. The number stays taken as long as the command is not waited for.
    Running(Pid),
    Ended,
}

/// What the processes of a group use.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupUsage {
    pub(super) n_processes: usize,
    pub(super) n_bytes: u64,
}

impl Group {
    /// Takes the command that leads the group; says whether the call still wants it.
    pub(super) fn begin(&self, command: &Child) -> bool {
        let mut state = self.state();
        // `cancel` may have come while the command was being started. Then the group is taken all
        // the same, so that it can be ended.
        let is_wanted = matches!(*state, GroupState::NotStarted);
        // The kernel gives no number that is out of its own range.
        if let Some(group) = i32::try_from(command.id()).ok().and_then(Pid::from_raw) {
            *state = GroupState::Running(group);
        }
        is_wanted
    }

    pub(super) fn has_command_ended(&self) -> bool {
        let GroupState::Running(command) = *self.state() else {
            return true;
        };
        // `NOWAIT` leaves the command to be waited for. Until then its number stays taken, and a
        // signal cannot hit a stranger.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(command), options), Ok(None))
    }

    /// Adds up what the group uses; it does not look further than is needed to know that there are too many.
    pub(super) fn usage(&self, max_processes: usize) -> GroupUsage {
        match *self.state() {
            GroupState::Running(group) => usage(group, max_processes),
            GroupState::NotStarted | GroupState::Ended => GroupUsage::default(),
        }
    }

    /// Ends everything, waits until it has ended, and says how many there were beside the command itself.
    pub(super) fn end(&self) -> usize {
        let GroupState::Running(group) = *self.state() else {
            return 0;
        };
        let n_left = members(group)
            .filter(|process| process.id != group.as_raw_pid())
            .count();
        let beginning = Instant::now();
        loop {
            // A process that is being made when the signal comes is not made, so one signal would do; a second does no harm.
            kill_process_group(group, Signal::KILL).ok();
            let n_alive = members(group).count();
            if n_alive == 0 || beginning.elapsed() > END_GRACE {
                return n_left;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends what is left, and forgets the group; called before the command is waited for, when its number can be anyone's.
    pub(super) fn forget(&self) {
        let mut state = self.state();
        if let GroupState::Running(group) = *state {
            kill_process_group(group, Signal::KILL).ok();
        }
        *state = GroupState::Ended;
    }

    /// Ends everything now; what has not begun will not.
    pub(super) fn cancel(&self) {
        let mut state = self.state();
        match *state {
            GroupState::Running(group) => {
                kill_process_group(group, Signal::KILL).ok();
            }
            GroupState::NotStarted | GroupState::Ended => *state = GroupState::Ended,
        }
    }

    fn state(&self) -> MutexGuard<'_, GroupState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn members(group: Pid) -> impl Iterator<Item = ProcessStat> {
    let group = group.as_raw_pid();
    processes().filter(move |process| process.is_alive && process.group == group)
}

fn usage(group: Pid, max_processes: usize) -> GroupUsage {
    let mut usage = GroupUsage::default();
    for process in members(group) {
        usage.n_processes += 1;
        usage.n_bytes += process.n_bytes;
        if usage.n_processes > max_processes {
            break;
        }
    }
    usage
}

/// How many threads the user of this process has on this machine.
pub(super) fn n_threads_of_user() -> u64 {
    let user = geteuid().as_raw();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.metadata().is_ok_and(|found| found.uid() == user))
        .filter_map(|entry| {
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            Some(parse(0, &stat, 0)?.n_threads)
        })
        .sum()
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProcessStat {
    pub(super) id: i32,
    pub(super) group: i32,
    /// Whether it has not ended and only waits to be waited for.
    pub(super) is_alive: bool,
    pub(super) n_threads: u64,
    pub(super) n_bytes: u64,
}

/// All processes that there are; those that end meanwhile are left out.
fn processes() -> impl Iterator<Item = ProcessStat> {
    let page = rustix::param::page_size() as u64;
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(move |entry| {
        let id: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        parse(id, &stat, page)
    })
}

/// Reads a line of `proc_pid_stat(5)`; the name of the program, in parentheses, may hold anything.
pub(super) fn parse(id: i32, stat: &str, page: u64) -> Option<ProcessStat> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    // The third field of the page is the first here.
    let state = *fields.first()?;
    let group = fields.get(2)?.parse().ok()?;
    let n_threads = fields.get(17)?.parse().ok()?;
    let n_pages: u64 = fields.get(21)?.parse().ok()?;
    Some(ProcessStat {
        id,
        group,
        is_alive: !matches!(state, "Z" | "X" | "x"),
        n_threads,
        n_bytes: n_pages.saturating_mul(page),
    })
}
