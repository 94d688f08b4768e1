//! Reads the section `trace`: where runs are recorded.

use std::path::PathBuf;
#[cfg(feature = "sqlite")]
use std::time::Duration;

use super::agents::relative_to_origin;
use super::fields::{Fields, Keys};
use super::sessions::Folders;
use super::{ConfigError, Origin};
use crate::Secret;
#[cfg(feature = "sqlite")]
use crate::trace::TraceRetention;

/// The default file of the local store, below the data folder of the user.
const DEFAULT_PATH: &str = "openai_agents/traces.db";

const TRACE: Keys = Keys {
    known: &[
        "store",
        "max_age_days",
        "max_bytes",
        "otlp_url",
        "openai_url",
        "openai_key",
        "content",
    ],
    unsupported: &[],
};

/// Says where runs are recorded; nowhere by default.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TraceConfig {
    /// The file of the local store, if there is one.
    pub store: Option<PathBuf>,
    /// What is deleted from the local store; nothing by default.
    #[cfg(feature = "sqlite")]
    pub retention: TraceRetention,
    /// The file that `store: default` means; `None` without a home directory.
    pub default_store: Option<PathBuf>,
    /// The collector for OTLP over HTTP, such as `http://127.0.0.1:4318`.
    pub otlp_url: Option<String>,
    /// The address for traces in the format of OpenAI.
    pub openai_url: Option<String>,
    /// The key for that address.
    pub openai_key: Option<Secret>,
    /// Whether prompts, answers, arguments and outputs are recorded too; `true` by default.
    pub records_content: bool,
}

pub(super) fn trace(
    parent: &mut Fields<'_>,
    folders: &Folders<'_>,
) -> Result<TraceConfig, ConfigError> {
    let node = parent.take("trace").unwrap_or_else(Fields::nothing);
    let mut fields = Fields::new("trace", node, TRACE, parent.settings())?;
    let default_store = default_path(folders);
    let max_age_days = fields.count("max_age_days")?;
    let max_bytes = fields.count("max_bytes")?;
    #[cfg(not(feature = "sqlite"))]
    let _without_a_store = (max_age_days, max_bytes);
    Ok(TraceConfig {
        #[cfg(feature = "sqlite")]
        retention: retention(max_age_days, max_bytes),
        store: store(&mut fields, folders, default_store.as_ref())?,
        default_store,
        otlp_url: url(&mut fields, "otlp_url")?,
        openai_url: url(&mut fields, "openai_url")?,
        openai_key: fields.secret("openai_key")?,
        records_content: fields.switch("content")?.unwrap_or(true),
    })
}

#[cfg(feature = "sqlite")]
fn retention(max_age_days: Option<u64>, max_bytes: Option<u64>) -> TraceRetention {
    const DAY: u64 = 24 * 60 * 60;
    let mut retention = TraceRetention::default();
    // More days than seconds can count are no bound.
    let max_age = max_age_days.and_then(|days| days.checked_mul(DAY));
    retention.max_age = max_age.map(Duration::from_secs);
    retention.max_bytes = max_bytes;
    retention
}

fn default_path(folders: &Folders<'_>) -> Option<PathBuf> {
    // By the XDG specification, a path that is not absolute is to be ignored.
    let of_system = folders.data.as_ref().filter(|(path, _)| path.is_absolute());
    let of_system = of_system.map(|(path, _)| path.join(DEFAULT_PATH));
    of_system.or_else(|| Some(folders.home?.join(".local/share").join(DEFAULT_PATH)))
}

fn store(
    fields: &mut Fields<'_>,
    folders: &Folders<'_>,
    default: Option<&PathBuf>,
) -> Result<Option<PathBuf>, ConfigError> {
    const KEY: &str = "store";
    let Some((path, origin)) = fields.text_and_origin(KEY)? else {
        return Ok(None);
    };
    let no_home = |origin: &Origin| ConfigError::NoHome {
        key: "trace.store".to_owned(),
        origin: origin.clone(),
    };
    let store = match (path.as_str(), path.strip_prefix("~/")) {
        ("default", _) => default.cloned().ok_or_else(|| no_home(&origin))?,
        (":memory:", _) => {
            // A trace in memory is gone with the process, before any other command could show it.
            return Err(fields.invalid(KEY, "a file, or `default`", origin));
        }
        (_, Some(rest)) => {
            let home = folders.home.ok_or_else(|| no_home(&origin))?;
            home.join(rest)
        }
        (path, None) => relative_to_origin(&origin, path),
    };
    fields.list(KEY, path, &origin);
    Ok(Some(store))
}

fn url(fields: &mut Fields<'_>, key: &str) -> Result<Option<String>, ConfigError> {
    let Some((url, origin)) = fields.text_and_origin(key)? else {
        return Ok(None);
    };
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(fields.invalid(key, "an http or https URL", origin));
    }
    fields.settings().keep_secret(|secrets| secrets.url(&url));
    fields.list(key, url.clone(), &origin);
    Ok(Some(url))
}
