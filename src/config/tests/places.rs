//! Where sessions are kept, where the program serves, and within which bounds.

use std::time::Duration;

use super::{check, check_error, load, yaml};
use crate::config::{Loader, ServerLimits, SessionStore};

#[test]
fn sessions_are_in_the_data_folder_unless_told_otherwise() {
    let home = || Loader::new().home("/home/a");
    for (loader, expected) in [
        (
            home(),
            "sqlite:/home/a/.local/share/openai_agents/sessions.db",
        ),
        (
            home().variable("XDG_DATA_HOME", "/data"),
            "sqlite:/data/openai_agents/sessions.db",
        ),
        (
            home().variable("XDG_DATA_HOME", "data"),
            "sqlite:/home/a/.local/share/openai_agents/sessions.db",
        ),
        (yaml("sessions: {url: 'sqlite:s.db'}"), "sqlite:./s.db"),
        (
            yaml("sessions: {url: 'sqlite:~/s.db'}").home("/home/a"),
            "sqlite:/home/a/s.db",
        ),
        (yaml("sessions: {url: 'sqlite:///s.db'}"), "sqlite:///s.db"),
        (
            yaml("sessions: {url: 'sqlite::memory:'}"),
            "sqlite::memory:",
        ),
        (
            yaml("sessions: {url: 'redis://:secret@h/0'}"),
            "redis://@h/0",
        ),
        (
            yaml("sessions: {url: 'postgresql://me:secret@h/d'}"),
            "postgresql://me@h/d",
        ),
    ] {
        let config = load(loader);
        let store = config.sessions().store.as_ref().map(ToString::to_string);
        assert_eq!(store.as_deref(), Some(expected));
        assert!(!format!("{config:?}").contains("secret"));
    }
    assert!(load(Loader::new()).sessions().store.is_none());
    let is_default = |loader| match load(loader).sessions().store {
        Some(SessionStore::Sqlite { is_default, .. }) => is_default,
        _ => false,
    };
    assert!(is_default(home()) && !is_default(yaml("sessions: {url: 'sqlite:s.db'}")));
    let variable =
        Loader::new().variable("OPENAI_AGENTS__SESSIONS__ENCRYPTION_KEY", "1".repeat(32));
    check(
        variable,
        "sessions.encryption_key",
        "(set, 32 characters) (OPENAI_AGENTS__SESSIONS__ENCRYPTION_KEY)",
    );
}

#[test]
fn wrong_places_are_errors_that_do_not_show_them() {
    let url = "`sessions.url` (./config.yaml:1) must be sqlite:PATH, postgres://HOST/DATABASE, redis://HOST or rediss://HOST";
    for text in [
        "mysql://secret",
        "sqlite:",
        "sqlite://secret/s.db",
        "postgres://",
        "secret",
    ] {
        check_error(yaml(&format!("sessions: {{url: '{text}'}}")), url);
    }
    check_error(
        yaml("sessions: {url: 'sqlite:~/s.db'}"),
        "`sessions.url` (./config.yaml:1) needs the home directory, and HOME is not set",
    );
    check_error(
        yaml("sessions: {encryption_key: secret}"),
        "`sessions.encryption_key` (./config.yaml:1) must be at least 32 bytes long",
    );
}

#[test]
fn another_address_than_the_loopback_needs_a_token() {
    const LOOPBACK: &str =
        "an address of this machine's loopback, unless `server.token` says who may connect";
    const NAMED: &str =
        "one address, unless `server.allowed_hosts` names what the machine is reached by";
    let bind = |loader| load(loader).server().bind.to_string();
    assert_eq!(bind(Loader::new()), "127.0.0.1:8080");
    assert_eq!(bind(yaml("server: {bind: '[::1]:1'}")), "[::1]:1");
    let flag = yaml("server: {bind: '127.0.0.1:1'}").flag("--bind", "server.bind", "127.0.0.1:2");
    assert_eq!(bind(flag), "127.0.0.1:2");
    let token = "token: secret-of-16-bytes";
    assert_eq!(
        bind(yaml(&format!("server: {{bind: '10.0.0.1:1', {token}}}"))),
        "10.0.0.1:1"
    );
    assert_eq!(
        bind(yaml(&format!(
            "server: {{bind: '0.0.0.0:1', {token}, allowed_hosts: [a.example]}}"
        ))),
        "0.0.0.0:1",
    );
    for (text, key, expected) in [
        (
            "bind: localhost:1".to_owned(),
            "bind",
            "an address with a port, such as 127.0.0.1:8080 or [::1]:8080",
        ),
        ("bind: '10.0.0.1:1'".to_owned(), "bind", LOOPBACK),
        (
            "bind: '0.0.0.0:1', allowed_hosts: [a]".to_owned(),
            "bind",
            LOOPBACK,
        ),
        (format!("bind: '0.0.0.0:1', {token}"), "bind", NAMED),
        (
            "token: secret".to_owned(),
            "token",
            "at least 16 bytes long",
        ),
    ] {
        let expected = format!("`server.{key}` (./config.yaml:1) must be {expected}");
        check_error(yaml(&format!("server: {{{text}}}")), &expected);
    }
}

#[test]
fn server_limits_are_read_from_file_and_environment() {
    let limits = load(
        yaml(
            "server: {max_body_bytes: 1000, body_timeout_secs: 5, max_kept: 7, max_kept_secs: 60}",
        )
        .variable("OPENAI_AGENTS__SERVER__MAX_BODY_BYTES", "2000")
        .variable("OPENAI_AGENTS__SERVER__MAX_KEPT_BYTES", "3000"),
    )
    .server()
    .limits;
    assert_eq!(
        limits,
        ServerLimits {
            max_body_bytes: Some(2000),
            body_timeout: Some(Duration::from_secs(5)),
            max_kept: Some(7),
            max_kept_bytes: Some(3000),
            max_kept_age: Some(Duration::from_secs(60)),
            ..ServerLimits::default()
        }
    );
    check_error(
        yaml("server: {max_body_bytes: 0}"),
        "`server.max_body_bytes` (./config.yaml:1) must be a whole number of at least 1",
    );
}

#[test]
fn an_allowed_origin_is_one_that_browsers_send() {
    let origins = |text: &str| load(yaml(text)).server().allowed_origins.clone();
    assert_eq!(
        origins("server: {allowed_origins: ['https://a.example', 'http://localhost:3000']}"),
        ["https://a.example", "http://localhost:3000"]
    );
    for wrong in [
        "*",
        "a.example",
        "https://a.example/",
        "https://*.example",
        "null",
    ] {
        check_error(
            yaml(&format!("server: {{allowed_origins: ['{wrong}']}}")),
            "`server.allowed_origins` (./config.yaml:1) must be a list of origins such as https://example.com, with nothing behind \
             host and port",
        );
    }
}
