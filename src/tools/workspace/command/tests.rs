//! The pure parts of commands.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use super::control_group::{ControlGroup, own_group};
use super::group::parse;
use super::output::Output;

#[test]
fn stat_line_with_any_program_name_is_read() {
    let parsed = |line: &str| {
        let process = parse(7, line, 4096)?;
        Some((
            process.group,
            process.is_alive,
            process.n_threads,
            process.n_bytes,
        ))
    };
    let rest = "12 34 34 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 3 0 123 4096 5 18446744073709551615";
    for name in ["sh", "a b", ") R 1 2", "(x)"] {
        let line = format!("7 ({name}) S {rest}\n");
        assert_eq!(parsed(&line), Some((34, true, 3, 5 * 4096)), "{name}");
    }
    assert_eq!(
        parsed(&format!("7 (sh) Z {rest}")),
        Some((34, false, 3, 5 * 4096))
    );
    for broken in ["", "7 (sh", "7 (sh) S 1", "7 (sh) S x y z"] {
        assert_eq!(parsed(broken), None, "{broken}");
    }
}

#[test]
fn output_keeps_its_beginning_and_its_end() {
    let check = |pieces: &[&str], max_bytes, expected: &str| {
        let mut output = Output::new(max_bytes);
        for piece in pieces {
            output.push(piece.as_bytes());
        }
        assert_eq!(output.text(), expected, "{pieces:?}");
    };
    check(&[], 8, "");
    check(&["line"], 8, "line");
    check(&["line\n"], 8, "line\n");
    check(&["12345678"], 8, "12345678");
    check(&["123", "456", "78"], 8, "12345678");
    check(&["123456789"], 8, "1234\n[1 bytes left out]\n6789");
    check(
        &["1234", "5", "6", "789", "0ab"],
        8,
        "1234\n[4 bytes left out]\n90ab",
    );
    // A character that stands on both sides is whole if nothing is left out.
    check(&["123\u{e9}678"], 8, "123\u{e9}678");
}

#[test]
fn control_group_of_this_process_is_found_in_both_versions() {
    let found = |own: &str, mounts: &str| own_group(own, mounts);
    let path = PathBuf::from;
    let first = "36 31 0:33 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
38 31 0:35 / /sys/fs/cgroup/pids rw,relatime shared:9 - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
    assert_eq!(
        found("9:cpu:/a\n8:pids:/user/x\n0::/\n", first),
        Some((
            path("/sys/fs/cgroup/pids"),
            path("/sys/fs/cgroup/pids/user/x")
        ))
    );
    let second = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    assert_eq!(
        found("0::/user.slice/s.scope\n", second),
        Some((
            path("/sys/fs/cgroup"),
            path("/sys/fs/cgroup/user.slice/s.scope")
        ))
    );
    // A container sees the part of the hierarchy that is mounted there.
    let part = "29 23 0:26 /docker/c1 /sys/fs/cgroup ro - cgroup2 cgroup ro\n";
    assert_eq!(
        found("0::/docker/c1/job\n", part),
        Some((path("/sys/fs/cgroup"), path("/sys/fs/cgroup/job")))
    );
    for (own, mounts) in [
        ("0::/other\n", part),
        ("0::/\n", ""),
        ("", second),
        ("x", "y - "),
    ] {
        assert_eq!(found(own, mounts), None, "{own:?}");
    }
}

#[test]
fn control_group_bounds_the_processes_of_root_and_is_removed() {
    let Some(group) = ControlGroup::new(2) else {
        let pids = File::options()
            .write(true)
            .open("/sys/fs/cgroup/pids/cgroup.procs");
        assert!(pids.is_err(), "a group could have been made");
        return;
    };
    let entry = group.entry();
    // The shell and what it starts first are two.
    let script = r#"echo 0 > "$0"; sleep 86420 & trap "kill $!" EXIT; (true); echo third"#;
    let output = Command::new("sh").args(["-c", script]).arg(&entry).output();
    let output = output.unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
    assert!(!output.status.success());
    drop(group);
    assert!(!entry.exists());
}
