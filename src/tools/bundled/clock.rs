//! The date and time in a time zone.

use std::fmt;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;
use serde::Serialize;

/// Tells the present date and time in an IANA time zone.
///
/// The time zone is UTC if none is named.
///
/// The time zones are those bundled with the program, so the answer does not depend on the machine.
///
/// # Errors
///
/// Returns a [`ClockError`] if there is no such time zone or the system clock is out of range.
pub fn now_in(time_zone: Option<&str>) -> Result<LocalTime, ClockError> {
    time_at(SystemTime::now(), time_zone)
}

/// Tells the date and time of an instant in an IANA time zone.
///
/// The time zone is UTC if none is named.
///
/// ```
/// use std::time::SystemTime;
/// use openai_agents::tools::bundled::clock::time_at;
///
/// let time = time_at(SystemTime::UNIX_EPOCH, Some("Asia/Tokyo"))?;
/// assert_eq!(time.to_string(), "Thursday 1970-01-01T09:00:00+09:00 [Asia/Tokyo]");
/// # Ok::<(), openai_agents::tools::bundled::clock::ClockError>(())
/// ```
///
/// # Errors
///
/// Returns a [`ClockError`] if there is no such time zone or the instant is before the year -9999 or after 9999.
pub fn time_at(instant: SystemTime, time_zone: Option<&str>) -> Result<LocalTime, ClockError> {
    let timestamp = Timestamp::try_from(instant).map_err(|_| ClockError::OutOfRange)?;
    let name = time_zone.unwrap_or("UTC");
    let zone = TimeZoneDatabase::bundled()
        .get(name)
        .map_err(|_| ClockError::UnknownTimeZone {
            name: name.to_owned(),
        })?;
    let time = timestamp.to_zoned(zone);
    Ok(LocalTime {
        date_time: time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        weekday: time.strftime("%A").to_string(),
        time_zone: time.time_zone().iana_name().unwrap_or(name).to_owned(),
    })
}

/// A date and time, as a wall clock in a time zone shows it.
///
/// `Display` prints all of it, such as `Thursday 1970-01-01T09:00:00+09:00 [Asia/Tokyo]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LocalTime {
    /// The date, time and offset from UTC, as RFC 3339 writes them, to the second.
    pub date_time: String,
    /// The day of the week, in English.
    pub weekday: String,
    /// The IANA name of the time zone.
    pub time_zone: String,
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            date_time,
            weekday,
            time_zone,
        } = self;
        write!(f, "{weekday} {date_time} [{time_zone}]")
    }
}

/// Says why the time could not be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClockError {
    /// There is no time zone of this name.
    #[error("unknown time zone `{name}`; use an IANA name such as Europe/Paris")]
    UnknownTimeZone {
        /// The name that was given.
        name: String,
    },
    /// The instant has no date between the years -9999 and 9999.
    #[error("the clock is out of range")]
    OutOfRange,
}

#[cfg(test)]
mod tests;
