//! The kernel's own account (strace) of what the tools of a workspace open and change: nothing outside of the root.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use openai_agents::tools::workspace::CommandOptions;
use serde_json::{Value, json};

use super::{GuardedRoot, SECRET, call};

/// Names that stand in the account where the calls begin and end. Nothing has them.
const BEGIN: &str = "/the-calls-begin";
const END: &str = "/the-calls-end";

/// What opens, makes, changes, moves or removes something that has a name; `?` because not every kernel, processor and strace has them all.
const WATCHED: &str = "trace=?open,?openat,?openat2,?creat,?truncate,?unlink,?unlinkat,?rename,?renameat,?renameat2,?link,?linkat,\
    ?symlink,?symlinkat,?mkdir,?mkdirat,?rmdir,?mknod,?mknodat,?chmod,?fchmodat,?fchmodat2,?chown,?lchown,?fchownat,?utimensat,?stat,\
    ?statx,?newfstatat";

/// Every tool with a path that leads to a file, and a command.
fn calls(path: &str) -> Vec<(&'static str, Value)> {
    let update =
        format!("*** Begin Patch\n*** Update File: {path}\n@@\n-{SECRET}\n+x\n*** End Patch");
    let add = format!("*** Begin Patch\n*** Add File: {path}.new\n+x\n*** End Patch");
    let delete = format!("*** Begin Patch\n*** Delete File: {path}\n*** End Patch");
    vec![
        (
            "read_file",
            json!({"path": path, "first_line": null, "n_lines": null}),
        ),
        ("list_files", json!({"path": path, "pattern": null})),
        ("list_files", json!({"path": path, "pattern": "**"})),
        (
            "search_files",
            json!({"pattern": ".", "path": path, "files": null, "ignore_case": null}),
        ),
        ("write_file", json!({"path": path, "content": "x"})),
        (
            "write_file",
            json!({"path": format!("{path}/new"), "content": "x"}),
        ),
        (
            "edit_file",
            json!({"path": path, "old_text": SECRET, "new_text": "x", "replace_all": null}),
        ),
        ("apply_patch", json!({"patch": update})),
        ("apply_patch", json!({"patch": add})),
        ("apply_patch", json!({"patch": delete})),
    ]
}

#[tokio::test]
async fn calls_that_try_to_leave_the_root_change_nothing_outside() {
    let place = GuardedRoot::new().with("inside", "text\n");
    symlink("../outside", place.inside("folder")).unwrap();
    symlink("../outside/secret", place.inside("link")).unwrap();
    symlink("/proc/self/root", place.inside("magic")).unwrap();
    let absolute = place.outside("secret").display().to_string();
    let paths = [
        "../outside/secret".to_owned(),
        "../outside".to_owned(),
        "inside/../../outside/secret".to_owned(),
        "folder/secret".to_owned(),
        "folder".to_owned(),
        "link".to_owned(),
        format!("magic{absolute}"),
        absolute,
    ];
    let command = place.workspace.run_command(CommandOptions::default());
    assert!(fs::metadata(BEGIN).is_err());
    let inside = json!({"path": "inside", "first_line": null, "n_lines": null});
    place.call("read_file", inside).await.unwrap();
    for path in &paths {
        for (tool, arguments) in calls(path) {
            drop(place.call(tool, arguments).await);
        }
        let script =
            format!("cat {path}; echo x > {path}; ls {path}; rm -rf {path}; mv inside {path}/");
        let arguments = json!({"command": ["sh", "-c", script], "folder": null});
        call(&command, &arguments).await.unwrap();
    }
    assert!(fs::metadata(END).is_err());
    place.assert_untouched();
}

/// The test above, watched.
#[test]
fn strace_sees_nothing_opened_or_changed_outside_of_the_root() {
    let folder = crate::folder::Folder::new();
    let account = folder.path("account");
    let watched = "workspace::traced::calls_that_try_to_leave_the_root_change_nothing_outside";
    let output = Command::new("strace")
        .args(["-f", "-y", "-s", "4096", "-e", WATCHED, "-o"])
        .arg(&account)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", watched])
        .output()
        .expect("strace is needed (Debian: apt-get install strace)");
    assert!(output.status.success(), "{output:?}");
    let account = fs::read_to_string(&account).unwrap();
    let account = account.split_once(BEGIN).unwrap().1;
    let account = account.split_once(END).unwrap().0;
    let calls = whole_calls(account);
    let lines: Vec<&String> = calls.iter().filter(|line| is_success(line)).collect();
    // Something was seen at all, with the names of what was opened.
    assert!(
        lines.iter().any(|line| line.contains("/root/inside")),
        "{}",
        lines.len()
    );
    let outside: Vec<&&String> = lines
        .iter()
        .filter(|line| line.contains("outside") && !is_look(line))
        .collect();
    assert_eq!(outside, Vec::<&&String>::new());
}

/// The calls, each on one line: strace writes one in two parts if another process makes one in between.
fn whole_calls(account: &str) -> Vec<String> {
    let mut begun: HashMap<&str, &str> = HashMap::new();
    let mut whole = Vec::new();
    for line in account.lines() {
        let (process, call) = line.split_once(' ').unwrap();
        if let Some(beginning) = call.strip_suffix("<unfinished ...>") {
            begun.insert(process, beginning);
        } else if let Some((_, end)) = call.split_once(" resumed>") {
            // Of what began before the calls, only the end is here.
            let beginning = begun.remove(process).unwrap_or_default();
            whole.push(format!("{process} {beginning}{end}"));
        } else {
            whole.push(line.to_owned());
        }
    }
    whole
}

/// Whether a call did what it was to do.
fn is_success(line: &str) -> bool {
    line.rsplit_once(" = ")
        .is_some_and(|(_, result)| !result.starts_with("-1 ") && !result.starts_with('?'))
}

/// A look at a name, which a command may have from anywhere and which gives no bytes.
fn is_look(line: &str) -> bool {
    let call = line
        .split_once(' ')
        .map_or(line, |(_, call)| call.trim_start());
    ["stat(", "statx(", "newfstatat("]
        .iter()
        .any(|name| call.starts_with(name))
        || call.contains("O_PATH")
}
