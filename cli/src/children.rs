//! Child processes: adopts and ends what MCP servers leave behind, so that nothing outlives the
//! program.
//!
//! An MCP server may start processes that leave its process group (`setsid`), so that ending the
//! group misses them. On Linux this program becomes their parent when the server ends, finds them
//! by that, and ends them.
//!
//! A program that is killed (`kill -9`) ends nothing itself. On Linux the library has asked the
//! kernel to end the servers then. What they started themselves ends when it reads the end of its
//! input.

/// Makes this process the parent of processes below it that lose theirs.
#[cfg(target_os = "linux")]
pub(crate) fn adopt() {
    // Kernels before 3.4 and some sandboxes refuse. Then such processes stay, as on other systems.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).ok();
}

/// Ends all children, and those that are adopted when they end.
#[cfg(target_os = "linux")]
pub(crate) fn end() {
    use rustix::process::{Signal, WaitOptions, kill_process, waitpid};

    /// How many times to look for children: one that is ended hands its own to this process. 100
    /// rounds of 2 ms are long enough, and bound the end of the program.
    const MAX_ROUNDS: usize = 100;

    for _ in 0..MAX_ROUNDS {
        let children = children();
        if children.is_empty() {
            return;
        }
        for child in children {
            kill_process(child, Signal::KILL).ok();
            // Without this, an ended child stays in the list as a zombie.
            waitpid(Some(child), WaitOptions::NOHANG).ok();
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// Finds the processes whose parent is this one.
#[cfg(target_os = "linux")]
fn children() -> Vec<rustix::process::Pid> {
    let own = std::process::id().to_string();
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .flatten()
        .filter_map(|process| {
            let id = process.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(process.path().join("stat")).ok()?;
            // The name is in parentheses and may itself contain `)` and blanks. The state and the parent follow the last `)`.
            let (_, rest) = stat.rsplit_once(')')?;
            let parent = rest.split_ascii_whitespace().nth(1)?;
            (parent == own)
                .then(|| rustix::process::Pid::from_raw(id))
                .flatten()
        })
        .collect()
}

#[cfg(not(target_os = "linux"))]
pub(crate) const fn adopt() {}

#[cfg(not(target_os = "linux"))]
pub(crate) const fn end() {}
