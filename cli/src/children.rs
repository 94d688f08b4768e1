//! Child processes: adopts and ends what MCP servers leave behind, so that nothing outlives the program.
//!
//! A server that an MCP entry starts may start others that leave its process group (`setsid`). On Linux they become children of this
//! program when their parent ends, so that they can be found and ended with it.
//!
//! A program that is killed (`kill -9`) ends nothing. Its servers then end by the kernel (the library asks for that when it starts them, on
//! Linux); what they started themselves ends when it reads the end of its input.

/// Takes over, from now on, the processes below this one that lose their parent.
#[cfg(target_os = "linux")]
pub(crate) fn adopt() {
    // Where the kernel refuses, what was left behind stays behind, as on other systems.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).ok();
}

/// Ends the children that there are, and those that come up when they end.
#[cfg(target_os = "linux")]
pub(crate) fn end() {
    use rustix::process::{Signal, WaitOptions, kill_process, waitpid};

    /// How many generations are ended, each a few milliseconds.
    const MAX_ROUNDS: usize = 100;

    for _ in 0..MAX_ROUNDS {
        let children = children();
        if children.is_empty() {
            return;
        }
        for child in children {
            kill_process(child, Signal::KILL).ok();
            waitpid(Some(child), WaitOptions::NOHANG).ok();
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// Finds the processes whose parent this one is.
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
            // The name stands in parentheses and may hold anything; the state and the parent come behind it.
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
