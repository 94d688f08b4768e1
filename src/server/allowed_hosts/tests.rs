use super::*;

fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn allowed() -> AllowedHosts {
    AllowedHosts {
        hosts: vec!["agents.example".to_owned(), "other.example:81".to_owned()],
        origins: vec!["https://page.example".to_owned()],
    }
}

#[test]
fn only_names_of_the_server_are_answered() {
    let check = |hosts: &[&str], is_own: bool| {
        let uri = Uri::from_static("/status/x");
        let found = allowed().check(&uri, &headers("host", hosts)).is_ok();
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
fn hosts_of_containers_are_names_for_programs_only() {
    for name in CONTAINER_HOSTS {
        let host = format!("{name}:8080");
        let mut head = headers("host", &[&host]);
        let uri = Uri::from_static("/");
        assert_eq!(allowed().check(&uri, &head), Ok(Caller::Own), "{name}");
        let origin = format!("http://{host}");
        head.insert(ORIGIN, HeaderValue::from_str(&origin).unwrap());
        assert_eq!(
            allowed().check(&uri, &head),
            Err(OriginError::Origin { origin }),
            "{name}"
        );
    }
}

#[test]
fn an_address_in_the_request_line_must_be_a_name_of_the_server_too() {
    let local = headers("host", &["localhost"]);
    let host = "evil.example".to_owned();
    for (uri, expect) in [
        ("http://localhost/x", Ok(Caller::Own)),
        ("http://evil.example/x", Err(OriginError::Host { host })),
    ] {
        assert_eq!(
            allowed().check(&Uri::from_static(uri), &local),
            expect,
            "{uri}"
        );
    }
}

#[track_caller]
fn check_pages(
    host: &'static str,
    origins: &[&str],
    expect: impl FnOnce(&HeaderMap) -> Option<Caller>,
) {
    let mut head = headers("origin", origins);
    head.insert(HOST, HeaderValue::from_static(host));
    let found = allowed().check(&Uri::from_static("/"), &head).ok();
    assert_eq!(found, expect(&head), "{host} {origins:?}");
}

#[test]
fn pages_of_the_very_address_may_ask() {
    for (host, origin) in [
        ("localhost:8080", "http://localhost:8080"),
        ("LOCALHOST:8080", "http://localhost:8080"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("localhost", "http://localhost"),
        ("localhost:80", "http://localhost"),
        // A proxy in front of it speaks TLS.
        ("agents.example", "https://agents.example"),
        ("agents.example:444", "https://agents.example:444"),
        ("other.example:81", "http://other.example:81"),
    ] {
        check_pages(host, &[origin], |_| Some(Caller::Own));
    }
}

#[test]
fn pages_of_listed_origins_may_ask_and_are_told_so() {
    for origin in [
        "https://page.example",
        "https://page.example:443",
        "HTTPS://Page.example",
    ] {
        check_pages("localhost:8080", &[origin], |head| {
            Some(Caller::Listed(head[ORIGIN].clone()))
        });
    }
}

#[test]
fn other_pages_of_this_machine_are_foreign_too() {
    for origin in [
        "http://localhost:9999",
        "http://localhost",
        "https://localhost",
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
        "http://sub.localhost:8080",
        "null",
        "",
        "https://evil.example",
        "http://page.example",
        "https://page.example:444",
        "https://page.example/",
        "https://agents.example",
        "file://localhost:8080",
        "http://localhost.evil.example:8080",
        "http://localhost:8080@evil.example",
        "http://localhost:8080/",
        "localhost:8080",
    ] {
        check_pages("localhost:8080", &[origin], |_| None);
    }
    check_pages(
        "localhost:8080",
        &["http://localhost:8080", "https://evil.example"],
        |_| None,
    );
}

#[test]
fn a_refusal_names_what_was_sent_and_the_setting() {
    let mut head = headers("host", &["evil.example"]);
    let told = |head: &HeaderMap| {
        allowed()
            .check(&Uri::from_static("/"), head)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        told(&head),
        "the Host `evil.example` is not a name of this server; `server.allowed_hosts` of the configuration (`allow_host` of the \
         library) lists further names"
    );
    head.insert(HOST, HeaderValue::from_static("localhost"));
    head.insert(ORIGIN, HeaderValue::from_static("http://localhost:9999"));
    assert_eq!(
        told(&head),
        "pages of the Origin `http://localhost:9999` may not use this server; `server.allowed_origins` of the configuration \
         (`allow_origin` of the library) lists those that may"
    );
}

#[test]
fn an_origin_that_no_browser_sends_is_found() {
    for (origin, is_wrong) in [
        ("https://page.example", false),
        ("http://localhost:3000", false),
        ("*", true),
        ("page.example", true),
        ("https://page.example/", true),
        ("https://page.example/path", true),
        ("https://*.example", true),
    ] {
        let names = AllowedHosts {
            origins: vec![origin.to_owned()],
            ..AllowedHosts::default()
        };
        assert_eq!(names.wrong_origin(), is_wrong.then_some(origin));
    }
}
