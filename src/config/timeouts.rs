//! Reads the section `timeouts`: how long to wait for the server of a model.

use std::time::Duration;

use super::ConfigError;
use super::fields::{Fields, Keys};
use super::origin::Origin;
use super::tree::{TreeNode, Value};
use crate::http::{HttpClientBuilder, Timeouts};

const TIMEOUTS: Keys = Keys {
    known: &[
        "connect_secs",
        "first_event_secs",
        "idle_secs",
        "total_secs",
    ],
    unsupported: &[],
};

/// Says how long to wait for the server of a model; `None` waits without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeoutsConfig {
    /// For a connection, including name lookup, proxy and TLS; 5 s by default.
    pub connect: Option<Duration>,
    /// The time until the first event of a stream, or the head of another answer.
    ///
    /// It begins with the connection. 600 s by default, which a large prompt on a slow machine can take.
    pub first_event: Option<Duration>,
    /// Between two events of a stream; 300 s by default.
    pub idle: Option<Duration>,
    /// For a whole answer; without end by default.
    pub total: Option<Duration>,
}

impl TimeoutsConfig {
    /// Sets the time-outs on a client.
    pub(super) fn on(self, client: HttpClientBuilder) -> HttpClientBuilder {
        client
            .connect_timeout(self.connect)
            .first_event_timeout(self.first_event)
            .idle_timeout(self.idle)
            .total_timeout(self.total)
    }
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        let Timeouts {
            connect,
            first_event,
            idle,
            total,
        } = Timeouts::default();
        Self {
            connect,
            first_event,
            idle,
            total,
        }
    }
}

pub(super) fn timeouts(parent: &mut Fields<'_>) -> Result<TimeoutsConfig, ConfigError> {
    let node = parent.take("timeouts").unwrap_or_else(Fields::nothing);
    let path = parent.path_of("timeouts");
    let mut fields = Fields::new(&path, node, TIMEOUTS, parent.settings())?;
    let default = TimeoutsConfig::default();
    Ok(TimeoutsConfig {
        connect: seconds(&mut fields, "connect_secs", default.connect)?,
        first_event: seconds(&mut fields, "first_event_secs", default.first_event)?,
        idle: seconds(&mut fields, "idle_secs", default.idle)?,
        total: seconds(&mut fields, "total_secs", default.total)?,
    })
}

/// Reads a number of seconds, or `none` for no time-out.
fn seconds(
    fields: &mut Fields<'_>,
    key: &str,
    default: Option<Duration>,
) -> Result<Option<Duration>, ConfigError> {
    const EXPECTED: &str = "a number of seconds above 0, or none";
    let (limit, origin) = match fields.take(key) {
        None => (default, Origin::Default),
        Some(TreeNode {
            value: Value::Text(text),
            origin,
        }) if text == "none" => (None, origin),
        Some(TreeNode { value, origin }) => match limit(&value) {
            Some(limit) => (Some(limit), origin),
            None => return Err(fields.invalid(key, EXPECTED, origin)),
        },
    };
    let shown = limit.map_or_else(
        || "none".to_owned(),
        |limit| limit.as_secs_f64().to_string(),
    );
    fields.list(key, shown, &origin);
    Ok(limit)
}

fn limit(value: &Value) -> Option<Duration> {
    let seconds = match value {
        // A flag of the command line sets text.
        Value::Text(text) => text.parse().ok()?,
        Value::Whole(seconds) => f64::from(u32::try_from(*seconds).ok()?),
        Value::Number(seconds) => *seconds,
        Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => return None,
    };
    let limit = Duration::try_from_secs_f64(seconds).ok()?;
    // 0 would end every request at once. Whoever means no time-out writes `none`.
    (!limit.is_zero()).then_some(limit)
}
