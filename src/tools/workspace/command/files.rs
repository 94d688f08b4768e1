//! The files that a command may reach (Landlock). It holds for the calling thread and for all that it starts, and cannot be taken back.

use std::os::fd::AsFd as _;
use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, Scope, make_bitflags,
    path_beneath_rules,
};

use super::options::{CommandOptions, Confinement};
use crate::tools::workspace::WorkspaceError;
use crate::tools::workspace::root::Root;

/// The oldest Landlock that keeps a file outside from being cut (Linux 6.2).
const FILES_ONLY: ABI = ABI::V3;
/// The first that also keeps signals inside (Linux 6.12), and the newest whose rules are known here.
const WITH_SIGNALS: ABI = ABI::V6;

/// What programs are, need and ask about the machine. Of `/etc` single files: it also has secrets, which root can read.
///
/// Not `/proc`: it shows the variables of other processes. Landlock should take away the right to see those of processes outside, and on a
/// kernel of 6.18 it was seen not to.
const READABLE: [&str; 32] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/opt",
    "/nix/store",
    "/gnu/store",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/fonts",
    "/etc/gitconfig",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/inputrc",
    "/etc/java",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/magic",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl",
];

const DEVICES: [&str; 5] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];

/// Restricts the calling thread to the root, a folder for temporary files, and what the options let it read.
pub(super) fn restrict(
    root: &Root,
    temporary: &Path,
    options: &CommandOptions,
) -> Result<(), WorkspaceError> {
    let mut readable = Vec::new();
    for folder in &options.readable {
        let opened = PathFd::new(folder).map_err(|error| WorkspaceError::UnreadableFolder {
            path: folder.clone(),
            source: Box::new(error),
        })?;
        readable.push(opened);
    }
    let needed = match options.confinement {
        Confinement::Full => WITH_SIGNALS,
        Confinement::Files => FILES_ONLY,
        Confinement::Off => return Ok(()),
    };
    restrict_to(root, temporary, (readable, needed)).map_err(|error| WorkspaceError::NotConfined {
        source: Box::new(error),
    })
}

fn restrict_to(
    root: &Root,
    temporary: &Path,
    (readable, needed): (Vec<PathFd>, ABI),
) -> Result<(), RulesetError> {
    // A device that root makes would be another way to the disk.
    let inside =
        AccessFs::from_all(WITH_SIGNALS) & !make_bitflags!(AccessFs::{MakeBlock | MakeChar});
    let read = AccessFs::from_read(WITH_SIGNALS);
    let device = make_bitflags!(AccessFs::{ReadFile | WriteFile});
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(needed))?;
    if needed == WITH_SIGNALS {
        rules = rules.scope(Scope::from_all(WITH_SIGNALS))?;
    }
    // Of a newer kernel what it has besides, in what holds and in what is let through.
    rules
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(WITH_SIGNALS))?
        .scope(Scope::from_all(WITH_SIGNALS))?
        .create()?
        .add_rule(PathBeneath::new(root.dir().as_fd(), inside))?
        .add_rules(path_beneath_rules([temporary], inside))?
        .add_rules(path_beneath_rules(READABLE, read))?
        .add_rules(
            readable
                .into_iter()
                .map(|folder| Ok::<_, RulesetError>(PathBeneath::new(folder, read))),
        )?
        .add_rules(path_beneath_rules(DEVICES, device))?
        .restrict_self()?;
    Ok(())
}
