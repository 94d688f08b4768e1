//! A control group for a command of root, for whom the kernel does not look at `RLIMIT_NPROC`.
//!
//! It is made where there is a hierarchy with the controller `pids` that this program may write, of version 1 or 2. In most containers
//! there is none; then the processes are only counted, in `group`.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::geteuid;

/// How often the removal is tried: the kernel needs a moment to forget the last process.
const MAX_REMOVALS: usize = 50;

/// A group of version 1 or 2, which is removed when this is dropped.
#[derive(Debug)]
pub(super) struct ControlGroup(PathBuf);

impl ControlGroup {
    /// Makes a group that may have so many threads; nothing if this is not root, or there is no place for one.
    pub(super) fn new(max_threads: u64) -> Option<Self> {
        if !geteuid().is_root() {
            return None;
        }
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let (top, own) = own_group(&own, &mounts)?;
        // In version 2 a group that has processes has no controller for those below it; the first one above that has none does.
        let mut above = own.ancestors().take_while(|group| group.starts_with(&top));
        above.find_map(|group| Self::below(group, max_threads))
    }

    fn below(group: &Path, max_threads: u64) -> Option<Self> {
        static N_MADE: AtomicU64 = AtomicU64::new(0);
        // Whoever moves a process needs this of the group that is above both places.
        let entry = OpenOptions::new()
            .write(true)
            .open(group.join("cgroup.procs"));
        entry.ok()?;
        let n = N_MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("openai-agents-{}-{n}", std::process::id());
        let path = group.join(name);
        fs::create_dir(&path).ok()?;
        let made = Self(path);
        // Below a threaded group it can be one that takes no processes.
        let kind = fs::read_to_string(made.0.join("cgroup.type"));
        if kind.is_ok_and(|kind| kind.trim() != "domain") {
            return None;
        }
        fs::write(made.0.join("pids.max"), max_threads.to_string()).ok()?;
        Some(made)
    }

    /// The file by which a process comes into the group: it writes `0` there.
    pub(super) fn entry(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        for _ in 0..MAX_REMOVALS {
            match fs::remove_dir(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                    thread::sleep(Duration::from_millis(1));
                }
                // A group that cannot be removed is empty and does nothing.
                Ok(()) | Err(_) => return,
            }
        }
    }
}

/// The top of the hierarchy with the controller `pids`, and the group of this process in it, both as folders.
///
/// Reads the files of `cgroups(7)` and `proc_pid_mountinfo(5)`.
pub(super) fn own_group(own: &str, mounts: &str) -> Option<(PathBuf, PathBuf)> {
    let groups = || {
        own.lines()
            .filter_map(|line| line.split_once(':')?.1.split_once(':'))
    };
    let is_pids = |options: &str| options.split(',').any(|option| option == "pids");
    let first = groups().find(|(controllers, _)| is_pids(controllers));
    let (kind, group) = match first {
        Some((_, group)) => ("cgroup", group),
        None => (
            "cgroup2",
            groups().find(|(controllers, _)| controllers.is_empty())?.1,
        ),
    };
    let (root, top) = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        let (found, options) = (after.next()?, after.nth(1)?);
        let is_it = found == kind && (kind == "cgroup2" || is_pids(options));
        let mut before = before.split(' ').skip(3);
        is_it.then_some((before.next()?, before.next()?))
    })?;
    // Only what is below the mounted group can be seen.
    let below = Path::new(group).strip_prefix(root).ok()?;
    Some((PathBuf::from(top), Path::new(top).join(below)))
}
