//! Reads the section `sessions`: where conversations are kept.

use std::fmt;
use std::path::PathBuf;

use super::agents::relative_to_origin;
use super::fields::{Fields, Keys};
use super::{ConfigError, Origin};
use crate::Secret;

/// The default store, below the data folder of the user.
const DEFAULT_PATH: &str = "openai_agents/sessions.db";

const SESSIONS: Keys = Keys {
    known: &["url", "encryption_key"],
    unsupported: &[],
};

/// Says where sessions are kept, and with which key they are encrypted.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SessionsConfig {
    /// The store of the sessions.
    ///
    /// It is `None` if nothing sets it and there is no home directory, which the default is below.
    pub store: Option<SessionStore>,
    /// The key that items are encrypted with, at least 32 bytes.
    ///
    /// Without one they are not encrypted.
    pub encryption_key: Option<Secret>,
}

/// Names a store of sessions.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SessionStore {
    /// A SQLite file (`sqlite:PATH`).
    Sqlite {
        /// The file, or `:memory:`.
        path: PathBuf,
        /// Whether this is the default, whose folder is created if it does not exist.
        is_default: bool,
    },
    /// A Postgres database.
    Postgres {
        /// The URL, which may hold a password.
        url: Secret,
    },
    /// A Redis database.
    Redis {
        /// The URL, which may hold a password.
        url: Secret,
    },
}

/// The folders that a leading `~/` and the defaults refer to.
pub(super) struct Folders<'a> {
    pub(super) home: Option<&'a PathBuf>,
    /// `XDG_DATA_HOME`, with where it is set.
    pub(super) data: Option<(PathBuf, Origin)>,
}

pub(super) fn sessions(
    parent: &mut Fields<'_>,
    folders: &Folders<'_>,
) -> Result<SessionsConfig, ConfigError> {
    let node = parent.take("sessions").unwrap_or_else(Fields::nothing);
    let path = parent.path_of("sessions");
    let mut fields = Fields::new(&path, node, SESSIONS, parent.settings())?;
    Ok(SessionsConfig {
        store: store(&mut fields, folders)?,
        encryption_key: encryption_key(&mut fields)?,
    })
}

fn store(
    fields: &mut Fields<'_>,
    folders: &Folders<'_>,
) -> Result<Option<SessionStore>, ConfigError> {
    const KEY: &str = "url";
    const EXPECTED: &str = "sqlite:PATH, postgres://HOST/DATABASE, redis://HOST or rediss://HOST";
    let Some((url, origin)) = fields.text_and_origin(KEY)? else {
        return Ok(default_store(fields, folders));
    };
    let has_host = |scheme: &str| {
        let rest = url.strip_prefix(scheme);
        rest.is_some_and(|rest| !rest.is_empty())
    };
    let store = if let Some(path) = url.strip_prefix("sqlite:") {
        // `sqlite://name` would have a host, which a file does not. `sqlite:///path` is an absolute path.
        if path.is_empty() || (path.starts_with("//") && !path.starts_with("///")) {
            return Err(fields.invalid(KEY, EXPECTED, origin));
        }
        SessionStore::Sqlite {
            path: sqlite_path(fields, path, &origin, folders)?,
            is_default: false,
        }
    } else if has_host("postgres://") || has_host("postgresql://") {
        SessionStore::Postgres {
            url: Secret::new(url.as_str()),
        }
    } else if has_host("redis://") || has_host("rediss://") {
        SessionStore::Redis {
            url: Secret::new(url.as_str()),
        }
    } else {
        return Err(fields.invalid(KEY, EXPECTED, origin));
    };
    fields.settings().keep_secret(|secrets| secrets.url(&url));
    fields.list(KEY, shown(&url), &origin);
    Ok(Some(store))
}

fn sqlite_path(
    fields: &Fields<'_>,
    path: &str,
    origin: &Origin,
    folders: &Folders<'_>,
) -> Result<PathBuf, ConfigError> {
    match (path, path.strip_prefix("~/"), folders.home) {
        (":memory:", _, _) => Ok(PathBuf::from(path)),
        (_, None, _) => Ok(relative_to_origin(origin, path)),
        (_, Some(rest), Some(home)) => Ok(home.join(rest)),
        (_, Some(_), None) => Err(ConfigError::NoHome {
            key: fields.path_of("url"),
            origin: origin.clone(),
        }),
    }
}

fn default_store(fields: &mut Fields<'_>, folders: &Folders<'_>) -> Option<SessionStore> {
    // By the XDG specification, a path that is not absolute is to be ignored.
    let of_system = folders.data.as_ref().filter(|(path, _)| path.is_absolute());
    let (path, shown, origin) = match (of_system, folders.home) {
        (Some((folder, origin)), _) => {
            let path = folder.join(DEFAULT_PATH);
            let shown = format!("sqlite:{}", path.display());
            (Some(path), shown, origin.clone())
        }
        (None, home) => (
            home.map(|home| home.join(".local/share").join(DEFAULT_PATH)),
            format!("sqlite:~/.local/share/{DEFAULT_PATH}"),
            Origin::Default,
        ),
    };
    fields.list("url", shown, &origin);
    Some(SessionStore::Sqlite {
        path: path?,
        is_default: true,
    })
}

fn encryption_key(fields: &mut Fields<'_>) -> Result<Option<Secret>, ConfigError> {
    const KEY: &str = "encryption_key";
    let origin = fields.origin_of(KEY);
    let key = fields.secret(KEY)?;
    // `SessionKey` has the same limit. Checked here so that the error names the line of the key.
    if key.as_ref().is_some_and(|key| key.expose().len() < 32) {
        return Err(fields.invalid(KEY, "at least 32 bytes long", origin));
    }
    Ok(key)
}

/// Returns a URL without its password and its query, either of which may be secret.
fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let until = |text: &str, ends: &[char]| text.split(ends).next().unwrap_or("").to_owned();
    match rest.rsplit_once('@') {
        // The last `@` may be in a path or query, or in a password that was not escaped. Nothing behind the user is
        // shown then: it may be part of the password.
        Some((user, _)) if user.contains(['/', '?']) => {
            format!("{scheme}://{}", until(user, &[':', '/', '?']))
        }
        Some((user, host)) => {
            let user = until(user, &[':']);
            format!("{scheme}://{user}@{}", until(host, &['?']))
        }
        None => format!("{scheme}://{}", until(rest, &['?'])),
    }
}

impl fmt::Display for SessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path, .. } => write!(f, "sqlite:{}", path.display()),
            Self::Postgres { url } | Self::Redis { url } => f.write_str(&shown(url.expose())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn a_password_is_never_shown() {
        for (url, expected) in [
            ("redis://host:6379/0", "redis://host:6379/0"),
            ("redis://:pass@host", "redis://@host"),
            ("rediss://:pass@host", "rediss://@host"),
            ("postgres://me:pass@host/db", "postgres://me@host/db"),
            ("postgres://me:p@ss@host/db", "postgres://me@host/db"),
            ("postgres://me:pa?ss@host/db", "postgres://me"),
            ("postgres://host/db?password=pass", "postgres://host/db"),
            ("postgres://host/db?password=p@ss", "postgres://host"),
        ] {
            assert_eq!(shown(url), expected, "{url}");
        }
    }
}
