//! Checks the bearer token of a request.

use std::hint::black_box;

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};

use crate::secret::Secret;

/// Whether the request has the token, in the header `Authorization: Bearer` and nowhere else.
pub(super) fn is_brought(token: &Secret, headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    // Of two headers, a proxy in front may have checked the other one.
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    value
        .as_bytes()
        .split_at_checked(7)
        .is_some_and(|(scheme, given)| {
            scheme.eq_ignore_ascii_case(b"bearer ") && is_same(given, token.expose().as_bytes())
        })
}

/// Whether a WebSocket is asked for with the token among its protocols, as OpenAI's clients in browsers send their keys.
pub(super) fn is_in_protocols(token: &Secret, headers: &HeaderMap) -> bool {
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let mut protocols = offered.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    protocols.any(|protocol| {
        let given = protocol
            .trim_ascii()
            .strip_prefix(b"openai-insecure-api-key.");
        given.is_some_and(|given| is_same(given, token.expose().as_bytes()))
    })
}

/// Compares in a time that depends on the lengths only.
fn is_same(given: &[u8], token: &[u8]) -> bool {
    let differs = |differs, (a, b): (&u8, &u8)| black_box(differs | (a ^ b));
    given.len() == token.len() && given.iter().zip(token).fold(0, differs) == 0
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn token_may_be_a_protocol_of_a_websocket() {
        for (value, is_right) in [
            ("realtime, openai-insecure-api-key.token-123", true),
            ("openai-insecure-api-key.token-123,realtime", true),
            ("realtime, openai-insecure-api-key.token-12", false),
            ("token-123", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(value));
            let found = is_in_protocols(&Secret::new("token-123"), &headers);
            assert_eq!(found, is_right, "{value}");
        }
    }

    #[track_caller]
    fn check(values: &[&str], is_right: bool) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        let found = is_brought(&Secret::new("token-123"), &headers);
        assert_eq!(found, is_right, "{values:?}");
    }

    #[test]
    fn the_token_is_a_bearer_token_in_its_header() {
        check(&["Bearer token-123"], true);
        check(&["bearer token-123"], true);
        for wrong in [
            "",
            "token-123",
            "Bearer",
            "Bearer ",
            "Bearer token-12",
            "Bearer token-1234",
            "Bearer token-124",
            "Bearer  token-123",
            "Basic token-123",
        ] {
            check(&[wrong], false);
        }
        check(&[], false);
        check(&["Bearer token-123", "Bearer token-123"], false);
    }
}
