//! No byte outside of the root is read or written: by no path, no link, no name and no race.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::{GuardedRoot, SECRET};

/// How often a link is exchanged between the check and the use of a path.
const N_TRIES: usize = 10_000;

/// Every tool with a path that leads to a file.
fn calls(path: &str) -> [(&'static str, Value); 6] {
    let update =
        format!("*** Begin Patch\n*** Update File: {path}\n@@\n-{SECRET}\n+x\n*** End Patch");
    let delete = format!("*** Begin Patch\n*** Delete File: {path}\n*** End Patch");
    [
        (
            "read_file",
            json!({"path": path, "first_line": null, "n_lines": null}),
        ),
        (
            "search_files",
            json!({"pattern": ".", "path": path, "files": null, "ignore_case": null}),
        ),
        ("write_file", json!({"path": path, "content": "x"})),
        (
            "edit_file",
            json!({"path": path, "old_text": SECRET, "new_text": "x", "replace_all": null}),
        ),
        ("apply_patch", json!({"patch": update})),
        ("apply_patch", json!({"patch": delete})),
    ]
}

async fn assert_refused(place: &GuardedRoot, path: &str, reason: &str) {
    for (tool, arguments) in calls(path) {
        let refused = place.call(tool, arguments).await.unwrap_err();
        assert_eq!(refused, reason, "{tool}");
        place.assert_untouched();
    }
}

#[tokio::test]
async fn paths_that_lead_out_are_refused_by_every_tool() {
    let place = GuardedRoot::new().with("a/file", "x");
    for path in [
        "../outside/secret",
        "a/../../outside/secret",
        "./.././outside/secret",
    ] {
        assert_refused(
            &place,
            path,
            &format!("`{path}` leads out of the workspace"),
        )
        .await;
    }
    let absolute = place.outside("secret");
    for path in [
        absolute.to_str().unwrap(),
        "/etc/passwd",
        "/proc/self/environ",
        "//etc/passwd",
    ] {
        let reason = "it is absolute; paths are relative to the root of the workspace";
        assert_refused(&place, path, &format!("`{path}` cannot be used: {reason}")).await;
    }
    // The root as a prefix of another folder's name, and with a way out behind it.
    let root = place.workspace.root().to_str().unwrap().to_owned();
    let beside = format!("{root}-not/secret");
    let reason = "it is absolute; paths are relative to the root of the workspace";
    assert_refused(
        &place,
        &beside,
        &format!("`{beside}` cannot be used: {reason}"),
    )
    .await;
    let behind = format!("{root}/../outside/secret");
    assert_refused(
        &place,
        &behind,
        &format!("`{behind}` leads out of the workspace"),
    )
    .await;
}

#[tokio::test]
async fn links_that_lead_out_are_refused_by_every_tool() {
    let place = GuardedRoot::new();
    symlink(place.outside("."), place.inside("folder")).unwrap();
    symlink("../outside", place.inside("relative")).unwrap();
    symlink("/proc/self/root", place.inside("magic")).unwrap();
    for path in ["folder/secret", "relative/secret"] {
        assert_refused(
            &place,
            path,
            &format!("`{path}` leads out of the workspace"),
        )
        .await;
    }
    let path = format!("magic{}", place.outside("secret").to_str().unwrap());
    assert_refused(
        &place,
        &path,
        &format!("`{path}` leads out of the workspace"),
    )
    .await;
    let listing = json!({"path": "folder", "pattern": null});
    let refused = place.call("list_files", listing).await.unwrap_err();
    assert_eq!(refused, "`folder` leads out of the workspace");
}

#[tokio::test]
async fn a_link_to_a_file_outside_is_neither_followed_nor_replaced() {
    let place = GuardedRoot::new();
    symlink("../outside/secret", place.inside("link")).unwrap();
    for (tool, arguments) in calls("link") {
        let refused = place.call(tool, arguments).await.unwrap_err();
        let expected = [
            "`link` leads out of the workspace",
            "`link` is a symbolic link, and a regular file is needed",
        ];
        assert!(expected.contains(&refused.as_str()), "{tool}: {refused}");
        place.assert_untouched();
    }
    assert!(place.inside("link").is_symlink());
}

#[tokio::test]
async fn links_within_the_root_are_read_and_not_written_through() {
    let place = GuardedRoot::new().with("real/file", "text");
    symlink("real", place.inside("link")).unwrap();
    symlink("real/file", place.inside("file")).unwrap();
    let read = |path: &str| json!({"path": path, "first_line": null, "n_lines": null});
    assert_eq!(
        place.call("read_file", read("link/file")).await,
        Ok("text".to_owned())
    );
    assert_eq!(
        place.call("read_file", read("file")).await,
        Ok("text".to_owned())
    );
    let write = json!({"path": "link/file", "content": "new"});
    place.call("write_file", write).await.unwrap();
    assert_eq!(
        fs::read_to_string(place.inside("real/file")).unwrap(),
        "new"
    );
    let write = json!({"path": "file", "content": "newer"});
    assert_eq!(
        place.call("write_file", write).await,
        Err("`file` is a symbolic link, and a regular file is needed".to_owned())
    );
}

#[tokio::test]
async fn a_hard_link_to_a_file_outside_is_not_read_and_its_bytes_stay() {
    let place = GuardedRoot::new();
    fs::hard_link(place.outside("secret"), place.inside("hard")).unwrap();
    let reason =
        "`hard` has 2 hard links, and one may be outside of the workspace; copy the file to use it";
    for (tool, arguments) in calls("hard") {
        if tool == "write_file" {
            continue;
        }
        assert_eq!(
            place.call(tool, arguments).await,
            Err(reason.to_owned()),
            "{tool}"
        );
        place.assert_untouched();
    }
    let searched = json!({"pattern": ".", "path": null, "files": null, "ignore_case": null});
    assert_eq!(
        place.call("search_files", searched).await,
        Ok("[nothing found]".to_owned())
    );
    place
        .call("write_file", json!({"path": "hard", "content": "x"}))
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(place.inside("hard")).unwrap(), "x");
    place.assert_untouched();
}

#[tokio::test]
async fn pipes_sockets_and_devices_are_refused_without_waiting() {
    let place = GuardedRoot::new();
    let made = std::process::Command::new("mkfifo")
        .arg(place.inside("pipe"))
        .status()
        .unwrap();
    assert!(made.success());
    let _socket = std::os::unix::net::UnixListener::bind(place.inside("socket")).unwrap();
    for (name, kind) in [("pipe", "a pipe"), ("socket", "a socket")] {
        let reason = format!("`{name}` is {kind}, and a regular file is needed");
        for (tool, arguments) in calls(name) {
            if tool == "search_files" {
                // Not a file, so it is taken for a folder.
                let reason = format!("`{name}` is {kind}, and a folder is needed");
                assert_eq!(place.call(tool, arguments).await, Err(reason));
                continue;
            }
            assert_eq!(
                place.call(tool, arguments).await,
                Err(reason.clone()),
                "{tool}"
            );
        }
    }
    let all = json!({"pattern": ".", "path": null, "files": null, "ignore_case": null});
    assert_eq!(
        place.call("search_files", all).await,
        Ok("[nothing found]".to_owned())
    );
}

/// Exchanges what a name means as fast as it can until it is told to stop.
fn race(exchange: impl Fn() + Send + 'static) -> impl FnOnce() {
    let stop = std::sync::Arc::new(AtomicBool::new(false));
    let seen = std::sync::Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        while !seen.load(Ordering::Relaxed) {
            exchange();
        }
    });
    move || {
        stop.store(true, Ordering::Relaxed);
        thread.join().unwrap();
    }
}

/// Puts a link in the place of a name at once, as `ln -sfn` does.
fn relink(target: &Path, name: &Path) {
    let temporary = name.with_extension("exchanged");
    symlink(target, &temporary).unwrap();
    fs::rename(&temporary, name).unwrap();
}

#[tokio::test]
async fn a_folder_exchanged_for_a_link_never_leads_out() {
    let place = GuardedRoot::new().with("one/secret", "inside");
    let (name, one, out) = (place.inside("way"), place.inside("one"), place.outside("."));
    relink(&one, &name);
    let stop = race(move || {
        relink(Path::new("one"), &name);
        relink(&out, &name);
    });
    let mut n_inside = 0;
    for n in 0..N_TRIES {
        let read = json!({"path": "way/secret", "first_line": null, "n_lines": null});
        match place.call("read_file", read).await {
            Ok(text) => {
                assert_ne!(text, SECRET);
                n_inside += 1;
            }
            Err(reason) => assert!(!reason.contains(SECRET)),
        }
        if n % 10 == 0 {
            // Whatever it comes to, what is outside stays as it is.
            let write = json!({"path": "way/written", "content": "x"});
            place.call("write_file", write).await.ok();
            let listing = json!({"path": "way", "pattern": "*"});
            let listed = place.call("list_files", listing).await.unwrap_or_default();
            assert!(!listed.contains("outside"), "{listed}");
        }
    }
    stop();
    place.assert_untouched();
    assert!(n_inside > 0, "the race was run on one side only");
}

#[tokio::test]
async fn a_file_exchanged_for_a_link_or_a_second_name_is_never_read() {
    let place = GuardedRoot::new().with("file", "inside");
    let (name, outside) = (place.inside("file"), place.outside("secret"));
    let stop = race(move || {
        let temporary = name.with_extension("exchanged");
        fs::hard_link(&outside, &temporary).unwrap();
        fs::rename(&temporary, &name).unwrap();
        relink(&outside, &name);
        fs::write(&temporary, "inside").unwrap();
        fs::rename(&temporary, &name).unwrap();
    });
    let mut n_inside = 0;
    for n in 0..N_TRIES {
        let read = json!({"path": "file", "first_line": null, "n_lines": null});
        if let Ok(text) = place.call("read_file", read).await {
            assert_eq!(text, "inside");
            n_inside += 1;
        }
        if n % 10 != 0 {
            continue;
        }
        let search = json!({"pattern": ".", "path": null, "files": null, "ignore_case": null});
        let found = place.call("search_files", search).await.unwrap_or_default();
        assert!(!found.contains(SECRET), "{found}");
    }
    stop();
    place.assert_untouched();
    assert!(n_inside > 0, "the race was run on one side only");
}
