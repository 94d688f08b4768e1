//! Tells which process writes a trace, so that a trace whose process died is recognised.
//!
//! A process that is killed cannot record the end of its runs, and nobody else may do it while the
//! process may still be alive. So a trace stores a name of its process that no later process can
//! have, and a reader checks whether that process exists. Without `/proc` no name is stored, and a
//! trace counts as running until its end is written.

use std::sync::OnceLock;

/// A process: its machine's boot id, its pid namespace, its pid there, and its start time.
struct Process<'a> {
    boot: &'a str,
    namespace: &'a str,
    id: &'a str,
    start: &'a str,
}

impl<'a> Process<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(' ');
        Some(Self {
            boot: parts.next()?,
            namespace: parts.next()?,
            id: parts.next()?,
            start: parts.next()?,
        })
    }
}

/// The name of this process.
pub(super) fn this_process() -> Option<&'static str> {
    static THIS: OnceLock<Option<String>> = OnceLock::new();
    let make = || {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
        let id = std::process::id();
        let start = start_of(&id.to_string())?;
        Some(format!(
            "{} {} {id} {start}",
            boot.trim(),
            namespace.to_str()?
        ))
    };
    THIS.get_or_init(make).as_deref()
}

/// Whether a process is known to be gone.
pub(super) fn has_ended(process: &str) -> bool {
    let this = this_process().and_then(Process::parse);
    let (Some(this), Some(writer)) = (this, Process::parse(process)) else {
        return false;
    };
    // SQLite files are used by one machine only, so another boot id means that it was restarted. A
    // process in another pid namespace, such as a container's, may be alive although it is not seen here.
    writer.boot != this.boot
        || (writer.namespace == this.namespace
            && start_of(writer.id).is_none_or(|start| start != writer.start))
}

/// When a process started, in ticks since boot; `None` if it is gone or a zombie.
fn start_of(id: &str) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The second field is the program's name in parentheses, and may contain parentheses itself.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    // proc_pid_stat(5): the third field is the state, the 22nd the start.
    let is_there = !matches!(fields.next()?, "Z" | "X");
    let start = fields.nth(18)?;
    is_there.then(|| start.to_owned())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::{has_ended, this_process};

    #[test]
    fn process_that_is_there_has_not_ended() {
        assert!(!has_ended(this_process().unwrap()));
    }

    #[test]
    fn process_of_another_start_boot_or_id_has_ended() {
        let this: Vec<&str> = this_process().unwrap().split(' ').collect();
        let [boot, namespace, id, start] = this[..] else {
            panic!("{this:?}");
        };
        // Linux gives no process this id.
        let never = u32::MAX;
        assert!(has_ended(&format!("{boot} {namespace} {id} 1")));
        assert!(has_ended(&format!("{boot} {namespace} {never} {start}")));
        assert!(has_ended(&format!("other {namespace} {id} {start}")));
        assert!(!has_ended(&format!("{boot} pid:[1] {never} {start}")));
        assert!(!has_ended("what nobody wrote"));
    }
}
