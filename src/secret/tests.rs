use proptest::prelude::*;
use serde_json::json;

use super::encoding::{decode_base64, decode_percent};
use super::stream::StreamRedactor;
use super::{Redactor, Secret};

const KEY: &str = "sk-Proj_1234/abc+DEF";

fn redactor() -> Redactor {
    Redactor::of(&Secret::new(KEY))
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(redactor().redact(text), expected, "{text}");
}

/// The key, each byte of it written by `write`.
fn each_byte(write: impl Fn(u8) -> String) -> String {
    KEY.bytes().map(write).collect()
}

fn base64(bytes: &[u8], is_url_safe: bool) -> String {
    let alphabet = if is_url_safe {
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    } else {
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    };
    let alphabet: Vec<char> = alphabet.chars().collect();
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .fold(0, |group, &byte| group << 8 | u32::from(byte))
            << (8 * (3 - chunk.len()));
        for n in 0..=chunk.len() {
            text.push(alphabet[(group >> (18 - 6 * n)) as usize & 63]);
        }
    }
    text
}

/// The beginning and the end of a form of the key must both be gone; single characters at the ends of base64 may be left.
#[track_caller]
fn gone(form: &str, n_left: usize) {
    let text = format!("<{form}>");
    let redacted = redactor().redact(&text).into_owned();
    assert!(redacted.contains("[redacted]"), "{text}");
    assert!(
        redacted.len() <= "<[redacted]>".len() + n_left,
        "{redacted}"
    );
}

#[test]
fn the_key_itself_is_redacted_in_any_case() {
    check("", "");
    check("a key", "a key");
    check(KEY, "[redacted]");
    check("a sk-proj_1234/ABC+def b", "a [redacted] b");
    check(
        "SK-PROJ_1234/ABC+DEF,sk-Proj_1234/abc+DEF",
        "[redacted],[redacted]",
    );
    check("sk-Proj_1234/abc+DE", "sk-Proj_1234/abc+DE");
    check("sk-sk-Proj_1234/abc+DEF", "sk-[redacted]");
}

#[test]
fn escaped_forms_are_redacted() {
    check("?k=sk-Proj_1234%2Fabc%2BDEF&x", "?k=[redacted]&x");
    check("?k=sk-Proj_1234%2fabc%2bDEF&x", "?k=[redacted]&x");
    check("%73k-Proj_1234%252Fabc%2BDEF", "[redacted]");
    check(r"sk-Proj_1234\/abc+DEF", "[redacted]");
    check(
        r#"{"a":"\u0073k-Proj_1234\/abc\u002bDEF"}"#,
        r#"{"a":"[redacted]"}"#,
    );
    check(r"\\u0073k-Proj_1234\\\/abc+DEF", "[redacted]");
    check(r"\x73\x6b-Proj_1234/abc+DEF", "[redacted]");
    check("&#115;k-Proj_1234&#x2F;abc&#43;DEF", "[redacted]");
    let all: String = each_byte(|byte| format!("%{byte:02x}"));
    gone(&all, 0);
    gone(&all.to_uppercase(), 0);
    gone(&each_byte(|byte| format!("\\u{byte:04x}")), 0);
}

#[test]
fn hex_and_base64_are_redacted() {
    let hex: String = each_byte(|byte| format!("{byte:02x}"));
    gone(&hex, 0);
    gone(&hex.to_uppercase(), 0);
    for (before, after) in [
        ("", ""),
        ("u", "x"),
        ("u:", "xy"),
        ("abc", "z"),
        ("Bearer ", ""),
    ] {
        let plain = [before, KEY, after].concat();
        for is_url_safe in [false, true] {
            let form = base64(plain.as_bytes(), is_url_safe);
            // What stands before and after, and a character at each end that depends on it.
            let n_left = 4 + (before.len() + after.len()) * 2;
            gone(&form, n_left);
            gone(&form.to_lowercase(), n_left);
            gone(&form.replace('/', "\\/").replace('+', "%2B"), n_left);
        }
    }
}

#[test]
fn secret_that_could_be_a_word_is_not_redacted() {
    for word in [
        "EMPTY",
        "ollama",
        "none",
        "12345",
        "1234567",
        "a-1",
        "production",
        " ",
        "",
    ] {
        let redactor = Redactor::of(&Secret::new(word));
        let text = format!("the {word} of it");
        assert_eq!(redactor.redact(&text), text, "{word}");
    }
    for secret in ["sk-123", "12345678", "abcdefghijklmnop"] {
        let redactor = Redactor::of(&Secret::new(secret));
        assert_eq!(
            redactor.redact(&format!("the {secret} of it")),
            "the [redacted] of it"
        );
    }
}

#[test]
fn an_excerpt_that_was_cut_inside_the_key_is_redacted() {
    check("a sk-Proj_... (900 bytes)", "a [redacted]... (900 bytes)");
    check("a sk-... (900 bytes)", "a sk-... (900 bytes)");
    check(
        "a sk-Proj_... (900 bytes) sk-Proj_",
        "a [redacted]... (900 bytes) sk-Proj_",
    );
    assert_eq!(redactor().redact_cut("a sk-Proj_1"), "a [redacted]");
    assert_eq!(
        redactor().redact_cut(&format!("{KEY} {KEY}")),
        "[redacted] [redacted]"
    );
}

#[test]
fn json_stays_json() {
    let value = json!({ KEY: [1, KEY, { "a": format!("x{KEY}") }], "n": 12_345_678 });
    let redactor = Redactor::builder()
        .secret(&Secret::new(KEY))
        .secret(&Secret::new("12345678"))
        .build();
    let redacted =
        json!({ "[redacted]": [1, "[redacted]", { "a": "x[redacted]" }], "n": "[redacted]" });
    assert_eq!(
        redactor.redact_json(&value.to_string()),
        redacted.to_string()
    );
    assert_eq!(redactor.redact_json(r#"{ "a" : 1 }"#), r#"{ "a" : 1 }"#);
    assert_eq!(redactor.redact_json(&format!("{{{KEY}")), "{[redacted]");
}

#[test]
fn headers_variables_and_urls_give_their_secrets() {
    let builder = Redactor::builder;
    for (redactor, text, expected) in [
        (
            builder().header(&"Bearer tok-123".into()),
            "tok-123",
            "[redacted]",
        ),
        (builder().header(&"My App".into()), "My App", "My App"),
        (
            builder().header(&"https://app.example".into()),
            "https://app.example",
            "https://app.example",
        ),
        (
            builder().header(&"Basic dXNlcjpwYXNzLTEyMw==".into()),
            "pass-123",
            "[redacted]",
        ),
        (
            builder().variable("TOKEN_FOLDER", &"/srv/documents".into()),
            "/srv/documents/a",
            "/srv/documents/a",
        ),
        (
            builder().variable("STORE", &"pg://u:pass-123@h/db".into()),
            "pass-123 pg://h/db",
            "[redacted] pg://h/db",
        ),
        (
            builder().variable("API_KEY", &"tok-123".into()),
            "tok-123",
            "[redacted]",
        ),
        (
            builder().variable("TZ", &"Europe/Berlin".into()),
            "Europe/Berlin",
            "Europe/Berlin",
        ),
        (
            builder().variable("X", &"0123456789abcdef".into()),
            "0123456789abcdef",
            "[redacted]",
        ),
        (
            builder().url("http://u:p%2Dass-1@h/"),
            "p-ass-1 p%2Dass-1",
            "[redacted] [redacted]",
        ),
        (builder().url("http://token-1@h/"), "token-1", "[redacted]"),
        (
            builder().url("h?api-version=2024-10-21&key=abc-12"),
            "2024-10-21 abc-12",
            "2024-10-21 [redacted]",
        ),
        (
            builder().url("h?x=0123456789abcdef"),
            "0123456789abcdef",
            "[redacted]",
        ),
    ] {
        assert_eq!(redactor.build().redact(text), expected, "{text}");
    }
}

#[test]
fn redactors_are_joined_and_show_nothing() {
    let both = Redactor::builder()
        .all_of(&redactor())
        .secret(&"tok-123".into())
        .build();
    assert_eq!(
        both.redact(&format!("{KEY} tok-123")),
        "[redacted] [redacted]"
    );
    assert_eq!(format!("{both:?}"), "Redactor(2)");
}

fn streamed(pieces: &[&str]) -> Vec<String> {
    let mut stream = StreamRedactor::new(redactor());
    let mut shown: Vec<String> = pieces
        .iter()
        .map(|piece| stream.push((*piece).to_owned()))
        .collect();
    shown.push(stream.finish());
    shown
}

#[test]
fn a_stream_holds_back_only_what_may_be_a_secret() {
    assert_eq!(streamed(&["Hel", "lo", "s"]), ["Hel", "lo", "s", ""]);
    assert_eq!(streamed(&["a s", "k-", "ip"]), ["a s", "k-", "ip", ""]);
    assert_eq!(streamed(&["a sk-P", "ete"]), ["a ", "sk-Pete", ""]);
    assert_eq!(
        streamed(&["sk-Pro", "j_1234/abc+DE"]),
        ["", "", "sk-Proj_1234/abc+DE"]
    );
    assert_eq!(
        streamed(&["sk-Pro", "j_1234/abc+DEF", "!"]),
        ["", "[redacted]", "!", ""]
    );
    assert_eq!(
        streamed(&["sk-", "Proj_1234%2", "Fabc+DEF!"]),
        ["sk-", "", "[redacted]!", ""]
    );
    assert_eq!(streamed(&["50%", " of"]), ["50%", " of", ""]);
}

proptest! {
    /// Most of a text is passed over without a look, which must not be the key.
    #[test]
    fn key_in_a_text_of_its_own_letters_is_redacted(
        before in "[sk_Projabc1234/+-]{0,40}",
        after in "[sk_Projabc1234/+-]{0,40}",
        is_upper: bool,
    ) {
        let key = if is_upper { KEY.to_ascii_uppercase() } else { KEY.to_owned() };
        let text = [before.as_str(), &key, &after].concat();
        prop_assert!(redactor().is_in(&text));
        prop_assert!(redactor().redact(&text).contains("[redacted]"));
    }

    #[test]
    fn a_key_in_any_pieces_is_redacted(
        before in "[a-z%\\\\&sk-]{0,12}",
        after in "[ -~]{0,12}",
        cuts in proptest::collection::vec(1_usize..9, 0..20),
        is_escaped: bool,
    ) {
        let key = if is_escaped { each_byte(|byte| format!("%{byte:02X}")) } else { KEY.to_owned() };
        let text = [before.as_str(), &key, &after].concat();
        let mut rest = text.as_str();
        let mut stream = StreamRedactor::new(redactor());
        let mut shown = String::new();
        for cut in cuts {
            let (piece, behind) = rest.split_at(cut.min(rest.len()));
            shown += &stream.push(piece.to_owned());
            rest = behind;
        }
        shown += &stream.push(rest.to_owned());
        shown += &stream.finish();
        prop_assert!(shown.contains("[redacted]"), "{}", shown);
        prop_assert!(!shown.contains(&key[3..]), "{}", shown);
    }

    #[test]
    fn a_text_without_secrets_passes_unchanged(
        pieces in proptest::collection::vec("([a-z%\\\\&;#0-9 é-]|sk-Proj_|%73|\\\\u00){0,6}", 0..12),
    ) {
        let text = pieces.concat();
        let mut stream = StreamRedactor::new(redactor());
        let mut shown: String = pieces.into_iter().map(|piece| stream.push(piece)).collect();
        shown += &stream.finish();
        prop_assert_eq!(&shown, &text);
        prop_assert_eq!(redactor().redact(&text), text.as_str());
    }

    /// What only asks whether there is one says the same as what looks where it is.
    #[test]
    fn key_behind_any_escapes_is_in_the_text(
        pieces in proptest::collection::vec(
            "(s?k-Proj_1234/abc\\+DEF|%73|%2573|\\\\u0073|\\\\\\\\u0073|&#115;|&amp;#115;|[a-z%\\\\&;#0-9 -])",
            0..8,
        ),
    ) {
        let text = pieces.concat();
        let scan = redactor().scan(&text);
        let is_found = scan.is_some_and(|scan| !scan.found.is_empty());
        prop_assert_eq!(redactor().is_in(&text), is_found, "{}", text);
    }

    #[test]
    fn base64_is_decoded(bytes in proptest::collection::vec(any::<u8>(), 0..20), is_url_safe: bool) {
        prop_assert_eq!(decode_base64(&base64(&bytes, is_url_safe)), Some(bytes));
    }
}

#[test]
fn percent_signs_are_decoded() {
    assert_eq!(decode_percent("a%2Fb%2fc%zz%4"), "a/b/c%zz%4");
}
