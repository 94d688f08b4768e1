//! Placeholders: text in, text out (specification, 9.2).

use super::servers::expand;

#[test]
fn placeholders_are_replaced_once_and_everywhere() {
    let check =
        |text: &str, expected: &str| assert_eq!(expand(text, "/r", "/d"), expected, "{text}");
    check("", "");
    check("plain", "plain");
    check("${PLUGIN_ROOT}", "/r");
    check(
        "${PLUGIN_ROOT}/a:${PLUGIN_DATA}/b:${PLUGIN_ROOT}",
        "/r/a:/d/b:/r",
    );
    check("$${PLUGIN_ROOT}", "$/r");
    check("${PLUGIN_${PLUGIN_ROOT}", "${PLUGIN_/r");
    for literal in [
        "${PLUGIN_ROOT",
        "${PLUGIN_ROOTS}",
        "${plugin_root}",
        "$PLUGIN_ROOT",
        "${HOME}",
        "${PLUGIN_",
        "\u{e9}${",
    ] {
        check(literal, literal);
    }
    // What was put in is not looked at again.
    assert_eq!(
        expand(
            "${PLUGIN_ROOT}-${PLUGIN_DATA}",
            "${PLUGIN_DATA}",
            "${PLUGIN_ROOT}"
        ),
        "${PLUGIN_DATA}-${PLUGIN_ROOT}"
    );
}
