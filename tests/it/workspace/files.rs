//! What the tools for files do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::GuardedRoot;

async fn check(place: &GuardedRoot, tool: &str, arguments: Value, expected: Result<&str, &str>) {
    let answer = place.call(tool, arguments.clone()).await;
    let answer = answer.as_deref().map_err(String::as_str);
    assert_eq!(answer, expected, "{tool} {arguments}");
}

#[test]
fn tools_all_have_valid_names_and_strict_schemas() {
    let place = GuardedRoot::new();
    let tools = &place.tools;
    let names: Vec<&str> = tools.specs().map(|spec| spec.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "read_file",
            "list_files",
            "search_files",
            "write_file",
            "edit_file",
            "apply_patch"
        ]
    );
    assert!(tools.specs().all(|spec| spec.strict));
}

/// So many lines, each its own number.
fn numbers(n: usize) -> String {
    (1..=n)
        .flat_map(|n| [n.to_string(), "\n".to_owned()])
        .collect()
}

#[tokio::test]
async fn read_file_gives_text_or_the_lines_asked_for() {
    let place = GuardedRoot::new()
        .with("a/b.txt", "one\ntwo\nthree")
        .with("empty", "")
        .with("binary", b"a\xff");
    let read = |path: &str, first: Value, n: Value| json!({"path": path, "first_line": first, "n_lines": n});
    let all = |path: &str| read(path, Value::Null, Value::Null);
    check(&place, "read_file", all("a/b.txt"), Ok("one\ntwo\nthree")).await;
    check(
        &place,
        "read_file",
        all("./a/../a/b.txt"),
        Ok("one\ntwo\nthree"),
    )
    .await;
    let absolute = place.workspace.root().join("a/b.txt");
    check(
        &place,
        "read_file",
        all(absolute.to_str().unwrap()),
        Ok("one\ntwo\nthree"),
    )
    .await;
    check(
        &place,
        "read_file",
        read("a/b.txt", json!(2), json!(1)),
        Ok("two\n[lines 2 to 2 of 3]"),
    )
    .await;
    check(
        &place,
        "read_file",
        read("a/b.txt", json!(2), Value::Null),
        Ok("two\nthree\n[lines 2 to 3 of 3]"),
    )
    .await;
    check(
        &place,
        "read_file",
        read("a/b.txt", json!(4), Value::Null),
        Err("`a/b.txt` has 3 lines; line 4 is not among them"),
    )
    .await;
    check(&place, "read_file", all("empty"), Ok("[the file is empty]")).await;
    check(
        &place,
        "read_file",
        all("binary"),
        Err("`binary` is not UTF-8 text: byte 1 is not part of a character"),
    )
    .await;
}

#[tokio::test]
async fn read_file_beyond_its_bounds_says_so() {
    let long = "x".repeat(300 * 1024);
    let many = numbers(2500);
    let place = GuardedRoot::new()
        .with("a/b", "x")
        .with("long", &long)
        .with("many", &many);
    let all = |path: &str| json!({"path": path, "first_line": null, "n_lines": null});
    let cut = format!(
        "{}\n[lines 1 to 1 of 1, the last one cut]",
        "x".repeat(256 * 1024)
    );
    check(&place, "read_file", all("long"), Ok(&cut)).await;
    let first = numbers(2000);
    check(
        &place,
        "read_file",
        all("many"),
        Ok(&(first + "[lines 1 to 2000 of 2500]")),
    )
    .await;
    check(
        &place,
        "read_file",
        all("gone"),
        Err("`gone` cannot be read: No such file or directory (os error 2)"),
    )
    .await;
    check(
        &place,
        "read_file",
        all("a"),
        Err("`a` is a folder, and a regular file is needed"),
    )
    .await;
    check(
        &place,
        "read_file",
        all("a\0b"),
        Err("`a\0b` cannot be used: it contains a NUL character"),
    )
    .await;
}

#[tokio::test]
async fn list_files_gives_one_folder_or_what_fits_a_pattern() {
    let place = GuardedRoot::new()
        .with(".gitignore", "target\n*.log\n!kept.log\n")
        .with("src/main.rs", "")
        .with("src/deep/mod.rs", "")
        .with("target/out.rs", "")
        .with("a.log", "")
        .with("kept.log", "")
        .with(".git/x.rs", "");
    std::os::unix::fs::symlink("src", place.inside("link")).unwrap();
    let list = |path: Value, pattern: Value| json!({"path": path, "pattern": pattern});
    let all = ".git/\n.gitignore\na.log\nkept.log\nlink@\nsrc/\ntarget/";
    check(
        &place,
        "list_files",
        list(Value::Null, Value::Null),
        Ok(all),
    )
    .await;
    check(
        &place,
        "list_files",
        list(json!("src"), Value::Null),
        Ok("src/deep/\nsrc/main.rs"),
    )
    .await;
    check(
        &place,
        "list_files",
        list(Value::Null, json!("*.rs")),
        Ok("src/deep/mod.rs\nsrc/main.rs"),
    )
    .await;
    check(
        &place,
        "list_files",
        list(json!("src"), json!("/*.rs")),
        Ok("src/main.rs"),
    )
    .await;
    check(
        &place,
        "list_files",
        list(Value::Null, json!("src/**/mod.rs")),
        Ok("src/deep/mod.rs"),
    )
    .await;
    check(
        &place,
        "list_files",
        list(Value::Null, json!("*.log")),
        Ok("kept.log"),
    )
    .await;
    check(
        &place,
        "list_files",
        list(Value::Null, json!("*.py")),
        Ok("[no files]"),
    )
    .await;
    check(
        &place,
        "list_files",
        list(json!("a.log"), Value::Null),
        Err("`a.log` is a file, and a folder is needed"),
    )
    .await;
}

#[tokio::test]
async fn list_files_beyond_its_bound_says_so() {
    let place = GuardedRoot::new();
    for n in 0..1001 {
        fs::write(place.inside(&format!("{n:04}")), "").unwrap();
    }
    for pattern in [Value::Null, json!("*")] {
        let listed = place
            .call("list_files", json!({"path": null, "pattern": pattern}))
            .await
            .unwrap();
        let lines: Vec<&str> = listed.lines().collect();
        assert_eq!(lines.len(), 1001);
        assert_eq!(
            lines[1000],
            "[there are more; name a folder below or a narrower pattern]"
        );
    }
}

#[tokio::test]
async fn search_files_gives_lines_of_text_files_that_are_not_ignored() {
    let place = GuardedRoot::new()
        .with("src/.gitignore", "generated.rs")
        .with("src/main.rs", "fn main() {}\nfn Test() {}\n")
        .with("src/generated.rs", "fn main() {}")
        .with("notes.txt", "the function main\r\n")
        .with("picture", b"\0fn main".as_slice());
    let search = |pattern: &str, path: Value, files: Value, ignore_case: Value| json!({"pattern": pattern, "path": path, "files": files, "ignore_case": ignore_case});
    let null = Value::Null;
    check(
        &place,
        "search_files",
        search("main", null.clone(), null.clone(), null.clone()),
        Ok("notes.txt:1: the function main\nsrc/main.rs:1: fn main() {}"),
    )
    .await;
    check(
        &place,
        "search_files",
        search(r"fn \w+", json!("src"), json!("*.rs"), null.clone()),
        Ok("src/main.rs:1: fn main() {}\nsrc/main.rs:2: fn Test() {}"),
    )
    .await;
    check(
        &place,
        "search_files",
        search("TEST", json!("src/main.rs"), null.clone(), json!(true)),
        Ok("src/main.rs:2: fn Test() {}"),
    )
    .await;
    check(
        &place,
        "search_files",
        search("absent", null.clone(), null.clone(), null.clone()),
        Ok("[nothing found]"),
    )
    .await;
    let wrong = place
        .call(
            "search_files",
            search("(", null.clone(), null.clone(), null),
        )
        .await
        .unwrap_err();
    assert!(
        wrong.starts_with("the pattern `(` cannot be used: "),
        "{wrong}"
    );
}

#[tokio::test]
async fn write_file_makes_folders_and_keeps_the_mode() {
    let place = GuardedRoot::new().with("script.sh", "old");
    fs::set_permissions(
        place.inside("script.sh"),
        fs::Permissions::from_mode(0o4750),
    )
    .unwrap();
    let write = |path: &str, content: &str| json!({"path": path, "content": content});
    check(
        &place,
        "write_file",
        write("new/deep/a.txt", "text"),
        Ok("wrote 4 bytes to new/deep/a.txt (new file)"),
    )
    .await;
    check(
        &place,
        "write_file",
        write("script.sh", "new text"),
        Ok("wrote 8 bytes to script.sh (replaced)"),
    )
    .await;
    assert_eq!(
        fs::read_to_string(place.inside("new/deep/a.txt")).unwrap(),
        "text"
    );
    assert_eq!(
        fs::read_to_string(place.inside("script.sh")).unwrap(),
        "new text"
    );
    let mode = place
        .inside("script.sh")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(
        mode & 0o7777,
        0o750,
        "the bit that changes who runs it is gone"
    );
    check(
        &place,
        "write_file",
        write("new", "x"),
        Err("`new` is a folder, and a regular file is needed"),
    )
    .await;
    check(
        &place,
        "write_file",
        write("new/", "x"),
        Err("`new/` cannot be used: it names no file"),
    )
    .await;
    check(
        &place,
        "write_file",
        write("new/..", "x"),
        Err("`new/..` cannot be used: it names no file"),
    )
    .await;
    let left: Vec<_> = fs::read_dir(place.inside("new/deep")).unwrap().collect();
    assert_eq!(left.len(), 1, "no temporary file is left: {left:?}");
}

#[tokio::test]
async fn edit_file_replaces_what_is_there_once() {
    let place = GuardedRoot::new()
        .with("a.txt", "one\ntwo\ntwo\n")
        .with("dos.txt", "one\r\ntwo\r\n");
    let edit = |path: &str, old: &str, new: &str, all: Value| json!({"path": path, "old_text": old, "new_text": new, "replace_all": all});
    let null = Value::Null;
    check(
        &place,
        "edit_file",
        edit("a.txt", "one\ntwo", "1\n2", null.clone()),
        Ok("replaced once in a.txt"),
    )
    .await;
    assert_eq!(
        fs::read_to_string(place.inside("a.txt")).unwrap(),
        "1\n2\ntwo\n"
    );
    check(&place, "edit_file", edit("a.txt", "\n", "", null.clone()), Err("`old_text` is 3 times in `a.txt`; add lines around it until it is there once, or set `replace_all`")).await;
    check(
        &place,
        "edit_file",
        edit("a.txt", "\n", ";", json!(true)),
        Ok("replaced everywhere in a.txt"),
    )
    .await;
    assert_eq!(
        fs::read_to_string(place.inside("a.txt")).unwrap(),
        "1;2;two;"
    );
    check(
        &place,
        "edit_file",
        edit("dos.txt", "one\ntwo", "1\n2", null.clone()),
        Ok("replaced once in dos.txt"),
    )
    .await;
    assert_eq!(
        fs::read_to_string(place.inside("dos.txt")).unwrap(),
        "1\r\n2\r\n"
    );
    check(&place, "edit_file", edit("a.txt", "three", "", null.clone()), Err("`old_text` is not in `a.txt`; it must be there letter by letter, with the same spaces and line ends")).await;
    check(
        &place,
        "edit_file",
        edit("a.txt", "", "x", null.clone()),
        Err("`old_text` is empty; write_file makes a new file"),
    )
    .await;
    check(
        &place,
        "edit_file",
        edit("a.txt", "1", "1", null),
        Err("`old_text` and `new_text` are the same"),
    )
    .await;
}
