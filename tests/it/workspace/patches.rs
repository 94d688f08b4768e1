//! The tool `apply_patch`: whole patches on real files.

use std::fs;

use serde_json::json;

use super::GuardedRoot;

async fn patch(place: &GuardedRoot, body: &str) -> Result<String, String> {
    let patch = format!("*** Begin Patch\n{body}*** End Patch\n");
    place.call("apply_patch", json!({"patch": patch})).await
}

#[tokio::test]
async fn apply_patch_adds_updates_moves_and_deletes() {
    let place = GuardedRoot::new()
        .with("a.py", "def f():\n    return 1\n\ndef g():\n    return 1\n")
        .with("old.txt", "x\n")
        .with("from.txt", "a\r\nb\r\n");
    let done = patch(
        &place,
        "*** Update File: a.py\n@@ def g():\n-    return 1\n+    return 2\n\
         *** Add File: new/deep.txt\n+one\n+two\n\
         *** Delete File: old.txt\n\
         *** Update File: from.txt\n*** Move to: to.txt\n@@\n a\n-b\n+c\n",
    )
    .await;
    let expected = "updated a.py\nadded new/deep.txt\ndeleted old.txt\nmoved from.txt to to.txt";
    assert_eq!(done, Ok(expected.to_owned()));
    let read = |name| fs::read_to_string(place.inside(name)).unwrap();
    assert_eq!(
        read("a.py"),
        "def f():\n    return 1\n\ndef g():\n    return 2\n"
    );
    assert_eq!(read("new/deep.txt"), "one\ntwo\n");
    assert_eq!(read("to.txt"), "a\r\nc\r\n");
    assert!(!place.inside("old.txt").exists());
    assert!(!place.inside("from.txt").exists());
}

#[tokio::test]
async fn apply_patch_with_one_part_that_does_not_fit_changes_nothing() {
    let place = GuardedRoot::new().with("a.txt", "a\n").with("b.txt", "b\n");
    let begin = "*** Update File: a.txt\n@@\n-a\n+x\n";
    for (body, reason) in [
        (
            "*** Update File: b.txt\n@@\n-absent\n+x\n",
            "the patch does not fit `b.txt`: these lines are not in the file after line 0, in this order:\nabsent",
        ),
        ("*** Add File: b.txt\n+x\n", "`b.txt` is there already"),
        (
            "*** Add File: c.txt\nx\n",
            "the patch does not fit `c.txt`: line \"x\" is not part of a patch: every line of a new file begins with `+`",
        ),
        (
            "*** Delete File: gone\n",
            "`gone` cannot be read: No such file or directory (os error 2)",
        ),
        (
            "*** Update File: ./a.txt\n@@\n-a\n+y\n",
            "the patch cannot be read: `./a.txt` is in the patch twice; put all hunks of a file under one header",
        ),
        (
            "*** Update File: b.txt\n*** Move to: a.txt\n@@\n-b\n+y\n",
            "the patch cannot be read: `a.txt` is in the patch twice; put all hunks of a file under one header",
        ),
        (
            "*** Move to: x\n",
            "the patch does not fit `a.txt`: line \"*** Move to: x\" is not part of a patch: no header of a patch is written so",
        ),
    ] {
        assert_eq!(
            patch(&place, &format!("{begin}{body}")).await,
            Err(reason.to_owned()),
            "{body}"
        );
        assert_eq!(fs::read_to_string(place.inside("a.txt")).unwrap(), "a\n");
        assert_eq!(fs::read_to_string(place.inside("b.txt")).unwrap(), "b\n");
        assert!(!place.inside("c.txt").exists());
    }
}

#[tokio::test]
async fn apply_patch_without_its_frame_says_what_is_missing() {
    let place = GuardedRoot::new();
    for (text, reason) in [
        (
            "",
            "line \"\" is not part of a patch: a patch begins with `*** Begin Patch`",
        ),
        (
            "--- a\n+++ b\n",
            "line \"--- a\" is not part of a patch: a patch begins with `*** Begin Patch`",
        ),
        ("*** Begin Patch\n*** End Patch", "it names no file"),
        (
            "*** Begin Patch\n*** Add File: a\n+x",
            "line \"\" is not part of a patch: a patch ends with `*** End Patch`",
        ),
        (
            "*** Begin Patch\nhello\n*** End Patch",
            "line \"hello\" is not part of a patch: here stands `*** Add File: `, `*** Update File: `, `*** Delete File: ` or `*** End Patch`",
        ),
    ] {
        let expected = format!("the patch cannot be read: {reason}");
        assert_eq!(
            place.call("apply_patch", json!({"patch": text})).await,
            Err(expected),
            "{text}"
        );
    }
}
