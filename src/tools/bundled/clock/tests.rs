use std::time::Duration;

use super::*;

fn check(unix_seconds: u64, time_zone: Option<&str>, expected: &str) {
    let instant = SystemTime::UNIX_EPOCH + Duration::from_secs(unix_seconds);
    let answer = match time_at(instant, time_zone) {
        Ok(time) => time.to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(answer, expected);
}

#[test]
fn times() {
    check(0, None, "Thursday 1970-01-01T00:00:00+00:00 [UTC]");
    check(
        1_709_210_096,
        Some("UTC"),
        "Thursday 2024-02-29T12:34:56+00:00 [UTC]",
    );
    // A quarter of an hour.
    check(
        1_709_210_096,
        Some("Asia/Kathmandu"),
        "Thursday 2024-02-29T18:19:56+05:45 [Asia/Kathmandu]",
    );
    // A second before summer time, and at it.
    check(
        1_741_503_599,
        Some("America/New_York"),
        "Sunday 2025-03-09T01:59:59-05:00 [America/New_York]",
    );
    check(
        1_741_503_600,
        Some("America/New_York"),
        "Sunday 2025-03-09T03:00:00-04:00 [America/New_York]",
    );
    check(
        0,
        Some("europe/paris"),
        "Thursday 1970-01-01T01:00:00+01:00 [Europe/Paris]",
    );
}

#[test]
fn errors() {
    for name in ["Mars/Olympus", "", "CEST+1", "../etc/passwd"] {
        check(
            0,
            Some(name),
            &format!("unknown time zone `{name}`; use an IANA name such as Europe/Paris"),
        );
    }
    check(1 << 62, None, "the clock is out of range");
}

#[test]
fn now_has_a_time_zone() {
    assert_eq!(now_in(Some("Asia/Tokyo")).unwrap().time_zone, "Asia/Tokyo");
}
