use axum::http::HeaderValue;

use super::*;

fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn names() -> Names {
    Names {
        hosts: vec!["agents.example".to_owned(), "other.example:81".to_owned()],
        origins: vec!["https://page.example".to_owned()],
    }
}

#[test]
fn only_names_of_the_server_are_answered() {
    let check = |hosts: &[&str], is_own: bool| {
        let uri = Uri::from_static("/status/x");
        let found = names().check(&uri, &headers("host", hosts)).is_ok();
        assert_eq!(found, is_own, "{hosts:?}");
    };
    for own in [
        "localhost",
        "LOCALHOST:8080",
        "127.0.0.1",
        "127.0.0.1:1",
        "[::1]",
        "[::1]:8080",
        "agents.example",
        "Agents.Example:99",
        "other.example:81",
    ] {
        check(&[own], true);
    }
    for foreign in [
        "",
        "evil.example",
        "localhost.evil.example",
        "localhost.",
        "127.0.0.2",
        "0.0.0.0",
        "::1",
        "other.example",
        "other.example:82",
        "localhost@evil.example",
        "evil.example@localhost",
        "localhost:x",
        "localhost/x",
        "[::2]",
    ] {
        check(&[foreign], false);
    }
    check(&[], false);
    check(&["localhost", "localhost"], false);
    check(&["localhost", "evil.example"], false);
}

#[test]
fn an_address_in_the_request_line_must_be_a_name_of_the_server_too() {
    let local = headers("host", &["localhost"]);
    for (uri, expect) in [
        ("http://localhost/x", Ok(())),
        ("http://evil.example/x", Err(Foreign::Host)),
    ] {
        assert_eq!(
            names().check(&Uri::from_static(uri), &local),
            expect,
            "{uri}"
        );
    }
}

#[test]
fn only_pages_of_this_machine_and_those_that_are_allowed_may_ask() {
    let check = |origins: &[&str], expect: Result<(), Foreign>| {
        let mut head = headers("origin", origins);
        head.insert(HOST, HeaderValue::from_static("localhost"));
        let found = names().check(&Uri::from_static("/"), &head);
        assert_eq!(found, expect, "{origins:?}");
    };
    for own in [
        "http://localhost:3000",
        "https://127.0.0.1",
        "http://[::1]:1",
        "https://page.example",
        "https://page.example:443",
        "https://agents.example:444",
        "http://other.example:81",
    ] {
        check(&[own], Ok(()));
    }
    for foreign in [
        "null",
        "",
        "https://evil.example",
        "http://page.example",
        "https://page.example:444",
        "http://other.example",
        "file://localhost",
        "http://localhost.evil.example",
        "http://localhost@evil.example",
        "localhost",
    ] {
        check(&[foreign], Err(Foreign::Origin));
    }
    check(
        &["http://localhost", "https://evil.example"],
        Err(Foreign::Origin),
    );
}
