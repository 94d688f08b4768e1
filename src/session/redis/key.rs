//! The Redis keys of a session; two sessions never share one.

use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use crate::session::SessionId;

/// The three keys of one session.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) items: Arc<str>,
    pub(super) version: Arc<str>,
    pub(super) times: Arc<str>,
}

impl Keys {
    /// Makes the keys. Whatever means something in a key is escaped, so no id can reach the keys of
    /// another. The braces are a hash tag: they keep the three keys on one node of a cluster, which
    /// a script with several keys requires.
    pub(super) fn new(namespace: &str, id: &SessionId) -> Self {
        let key = |of| Arc::from(key_of(namespace, &escape(id.as_str()), of));
        Self {
            items: key("items"),
            version: key("version"),
            times: key("times"),
        }
    }

    /// The `MATCH` pattern of all version keys in a namespace. An escaped text contains none of a
    /// pattern's special characters.
    pub(super) fn versions(namespace: &str) -> String {
        key_of(namespace, "*", "version")
    }

    /// Returns the session whose version key this is; `None` for a key that this library does not
    /// make.
    pub(super) fn session_of(namespace: &str, version: &str) -> Option<SessionId> {
        let around = key_of(namespace, "*", "version");
        let (before, behind) = around.split_once('*')?;
        let escaped = version.strip_prefix(before)?.strip_suffix(behind)?;
        let id = SessionId::new(unescape(escaped)?).ok()?;
        // `%62` and `b` unescape to the same id, but only the second is a key of ours.
        (escape(id.as_str()) == escaped).then_some(id)
    }
}

fn key_of(namespace: &str, escaped_id: &str, of: &str) -> String {
    let namespace = escape(namespace);
    format!("{namespace}:session:{{{escaped_id}}}:{of}")
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

fn unescape(escaped: &str) -> Option<String> {
    let mut parts = escaped.split('%');
    let mut text = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        text.push(u8::from_str_radix(code, 16).ok()?);
        text.extend(rest.as_bytes());
    }
    String::from_utf8(text).ok()
}

/// Makes a number that sets the versions of a session apart from those it had before it was
/// cleared. It need not be secret.
pub(super) fn nonce() -> String {
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_sessions_share_a_key() {
        let check = |namespace: &str, id: &str, expect: &str| {
            let keys = Keys::new(namespace, &SessionId::new(id).unwrap());
            assert_eq!(&*keys.items, expect);
        };
        check(
            "openai-agents",
            "user_1.a",
            "openai-agents:session:{user_1.a}:items",
        );
        check("a", "b:c{%}é", "a:session:{b%3Ac%7B%25%7D%C3%A9}:items");
        let texts = [
            "a",
            "a:b",
            "b:c",
            "c",
            ":",
            "%3A",
            "a:session:{b}",
            "a}:items",
            "A",
            "{",
            "}",
        ];
        let mut seen = HashSet::new();
        for namespace in texts.iter().chain(&[""]) {
            for id in texts {
                let keys = Keys::new(namespace, &SessionId::new(id).unwrap());
                assert!(seen.insert(keys.items), "{namespace} {id}");
                let id = SessionId::new(id).unwrap();
                let found = Keys::session_of(namespace, &keys.version);
                assert_eq!(found, Some(id), "{namespace}");
                assert!(seen.insert(keys.version), "{namespace}");
                assert!(seen.insert(keys.times), "{namespace}");
            }
        }
    }

    #[test]
    fn key_that_is_not_made_here_is_of_no_session() {
        for key in [
            "a:session:{b}:items",
            "a:session:{%}:version",
            "a:session:{%zz}:version",
            "a:session:{%FF}:version",
            "a:session:{%62}:version",
            "a:session:{}:version",
            "b:session:{b}:version",
            "a:session:{:version",
        ] {
            assert_eq!(Keys::session_of("a", key), None, "{key}");
        }
    }

    #[test]
    fn no_nonce_comes_again() {
        let nonces: HashSet<_> = (0..1000).map(|_| nonce()).collect();
        assert_eq!(nonces.len(), 1000);
    }
}
