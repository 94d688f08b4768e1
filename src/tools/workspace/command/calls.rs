//! The system calls that a command may not make (seccomp): what Landlock has no word for, and what would pass a limit.

use std::collections::BTreeMap;
use std::env::consts::ARCH;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};

use super::options::CommandOptions;

/// Calls that no command of a workspace needs, and what each would get around.
const REFUSED: &[i64] = &[
    // Leaving the process group, by which everything is ended.
    libc::SYS_setsid,
    libc::SYS_setpgid,
    // Doing other calls where seccomp does not see them.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // Opening files without a path, and hearing of those that others open.
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    // Memory that no process's size shows, or that stays when all processes have ended.
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
    libc::SYS_shmget,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_mq_open,
    // Other namespaces: their root may do what the user may not, and each is another way into the kernel.
    libc::SYS_unshare,
    libc::SYS_setns,
    // A scheduling class before which the thread that watches the command would have to wait.
    libc::SYS_sched_setattr,
    // Keys of the user, and the insides of the kernel, which root could change.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
];

/// The bit that makes a call of x86-64 one of the x32 interface, which does the same under another number.
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;

/// The weakest priority that `setpriority` knows; the kernel reads negative ones, which are stronger, as larger numbers.
const MAX_NICENESS: u32 = 19;

/// Makes the filter that a command and all that it starts run under.
pub(super) fn filter(options: &CommandOptions) -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for call in REFUSED {
        refuse(&mut rules, *call, Vec::new());
    }
    refuse(&mut rules, libc::SYS_socket, refused_sockets(options)?);
    // Limits and priorities of other processes, this program among them.
    let of_another = vec![SeccompRule::new(vec![is_not(0, 0)?])?];
    refuse(&mut rules, libc::SYS_prlimit64, of_another);
    let of_another = SeccompRule::new(vec![is_not(1, 0)?])?;
    let stronger = SeccompRule::new(vec![condition(2, SeccompCmpOp::Gt, MAX_NICENESS)?])?;
    let priorities = vec![of_another, stronger];
    refuse(&mut rules, libc::SYS_setpriority, priorities);
    let classes = [libc::SCHED_OTHER, libc::SCHED_BATCH, libc::SCHED_IDLE];
    let is_stronger = classes.map(|class| is_not(1, class));
    let is_stronger = is_stronger.into_iter().collect::<Result<Vec<_>, _>>()?;
    let classes = vec![SeccompRule::new(is_stronger)?];
    refuse(&mut rules, libc::SYS_sched_setscheduler, classes);
    let refusal = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refusal, ARCH.try_into()?)?;
    filter.try_into()
}

/// Without the network all; with it all but these, because by a socket of the file system a command could ask another program, such
/// as Docker, to act.
fn refused_sockets(options: &CommandOptions) -> Result<Vec<SeccompRule>, BackendError> {
    if !options.network {
        return Ok(Vec::new());
    }
    let families = [libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    let is_other = families.map(|family| is_not(0, family));
    let is_other = is_other.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(vec![SeccompRule::new(is_other)?])
}

/// Holds where an argument is another than this.
fn is_not(argument: u8, value: i32) -> Result<SeccompCondition, BackendError> {
    condition(argument, SeccompCmpOp::Ne, value.unsigned_abs())
}

fn condition(
    argument: u8,
    operator: SeccompCmpOp,
    value: u32,
) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value.into())
}

/// Refuses a call; always, or where one of the rules holds.
fn refuse(rules: &mut BTreeMap<i64, Vec<SeccompRule>>, call: i64, when: Vec<SeccompRule>) {
    #[cfg(target_arch = "x86_64")]
    rules.insert(call | X32, when.clone());
    rules.insert(call, when);
}
