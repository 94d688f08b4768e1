//! The keys of a session, which cannot be those of another.

use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use crate::session::SessionId;

/// The keys that one session has in Redis.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) items: Arc<str>,
    pub(super) version: Arc<str>,
}

impl Keys {
    /// Everything that has a meaning in a key is escaped. The braces keep both keys on one node of a cluster.
    pub(super) fn new(namespace: &str, id: &SessionId) -> Self {
        let (namespace, id) = (escape(namespace), escape(id.as_str()));
        Self {
            items: Arc::from(format!("{namespace}:session:{{{id}}}:items")),
            version: Arc::from(format!("{namespace}:session:{{{id}}}:version")),
        }
    }
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

/// Tells the versions of a session that was cleared from those that it has afterwards; guessing it gains nothing.
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
                assert!(seen.insert(keys.version), "{namespace} {id}");
            }
        }
    }

    #[test]
    fn no_nonce_comes_again() {
        let nonces: HashSet<_> = (0..1000).map(|_| nonce()).collect();
        assert_eq!(nonces.len(), 1000);
    }
}
