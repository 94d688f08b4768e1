//! The pure parts of commands.

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
