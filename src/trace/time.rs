//! Times in RFC 3339, in UTC with microseconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Writes a time, such as `2026-11-22T14:36:21.081199Z`.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let mut text = Vec::with_capacity("2026-11-22T14:36:21.081199Z".len());
    push_rfc3339(&mut text, time);
    String::from_utf8(text).unwrap_or_default()
}

/// Writes a time behind others.
pub(super) fn push_rfc3339(text: &mut Vec<u8>, time: SystemTime) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (year, month, day) = date(since.as_secs() / 86_400);
    let second = since.as_secs() % 86_400;
    // Digit by digit: `format!` takes many times the instructions, and there are two times in each span that is stored.
    let mut digits = *b"-00-00T00:00:00.000000Z";
    for (number, begin, end) in [
        (month, 1, 3),
        (day, 4, 6),
        (second / 3600, 7, 9),
        (second / 60 % 60, 10, 12),
        (second % 60, 13, 15),
        (since.subsec_micros().into(), 16, 22),
    ] {
        let mut rest = number;
        for digit in digits.get_mut(begin..end).into_iter().flatten().rev() {
            *digit += (rest % 10) as u8;
            rest /= 10;
        }
    }
    push_digits(text, year, 4);
    text.extend_from_slice(&digits);
}

/// Writes a number with at least so many digits.
pub(super) fn push_digits(text: &mut Vec<u8>, number: u64, n_digits: usize) {
    let mut digits = [b'0'; 20];
    let (mut rest, mut n_known) = (number, 0);
    for digit in digits.iter_mut().rev() {
        if rest == 0 && n_known >= n_digits {
            break;
        }
        *digit += (rest % 10) as u8;
        (rest, n_known) = (rest / 10, n_known + 1);
    }
    let begin = digits.len() - n_known;
    text.extend_from_slice(digits.get(begin..).unwrap_or_default());
}

/// Microseconds since 1970.
#[cfg(feature = "sqlite")]
pub(crate) fn micros(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// The time `micros` microseconds after 1970.
#[cfg(any(feature = "redis", feature = "sqlite"))]
pub(crate) fn of_micros(micros: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(micros.try_into().unwrap_or_default())
}

/// Year, month and day, `days` days after 1970-01-01, in the Gregorian calendar (Hinnant's
/// `civil_from_days`).
const fn date(days: u64) -> (u64, u64, u64) {
    // Days are counted from 1 March of year 0, so that the leap day is the last day of a year.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = era * 400 + year_of_era + (month <= 2) as u64;
    (year, month, day)
}

/// Reads what [`rfc3339`] writes.
pub(crate) fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    let text = text.strip_suffix('Z')?;
    let (day, time) = text.split_once('T')?;
    let mut day = day.splitn(3, '-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (day.next()??, day.next()??, day.next()??);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut time = time.splitn(3, ':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let fraction: String = fraction.chars().chain("000000".chars()).take(6).collect();
    if !(1970..10_000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let days = days_before(year, month)? + day - 1;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
    Some(UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(fraction.parse().ok()?))
}

/// How many days lie between 1970-01-01 and the first of a month; the inverse of `date`.
fn days_before(year: u64, month: u64) -> Option<u64> {
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (shifted_year / 400, shifted_year % 400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5;
    let days =
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    days.checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_written_with_all_its_digits_and_read_back() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400_000_007, "2000-02-29T00:00:00.000007Z"),
            (1_795_358_181_081_199, "2026-11-22T14:36:21.081199Z"),
        ] {
            let time = UNIX_EPOCH + Duration::from_micros(micros);
            assert_eq!(rfc3339(time), text);
            assert_eq!(parse_rfc3339(text), Some(time));
        }
    }
}
