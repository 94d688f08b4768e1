//! The sections `fetch_url`, `sqlite_query` and `openapi`.

use super::{Config, check, check_error, load, yaml};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

fn pets(settings: &str) -> String {
    let document = format!("{FIXTURES}/openapi/pets.yaml");
    format!("{{ document: {document}, server: \"https://pets.example/v1\", {settings} }}")
}

fn tools(config: &Config) -> Vec<String> {
    let names = config.tools();
    let names = names.specs().map(|spec| spec.name.to_string());
    let is_bundled = |name: &String| ["calculator", "current_time"].contains(&name.as_str());
    names.filter(|name| !is_bundled(name)).collect()
}

#[test]
fn outside_tools_exist_only_where_their_section_is() {
    assert_eq!(tools(&load(yaml(""))), Vec::<String>::new());
    let config = load(yaml(&format!(
        "fetch_url: {{}}\nsqlite_query: {{ path: {FIXTURES}/README.md }}\nopenapi: {{ pets: {} }}",
        pets("prefix: shop_, only: [listPets, addPet]")
    )));
    let expected = ["fetch_url", "sqlite_query", "shop_listPets", "shop_addPet"];
    assert_eq!(tools(&config), expected);
    for name in expected {
        let served = config.served_tools();
        assert!(served.get(name).is_none(), "{name} is served by itself");
    }
}

#[test]
fn outside_tools_that_change_something_wait_unless_the_file_says_otherwise() {
    let waits = |settings: &str, tool: &str| {
        let config = load(yaml(&format!(
            "fetch_url: {{}}\nopenapi: {{ pets: {} }}\nagents: [{{ name: A, tools: [{tool}] }}]",
            pets(settings)
        )));
        config.check().unwrap();
        config.can_wait(config.agent_config("A").unwrap())
    };
    assert!(!waits("", "fetch_url"));
    assert!(!waits("", "listPets"));
    assert!(waits("", "addPet"));
    assert!(waits("approval: always", "listPets"));
    assert!(!waits("approval: never", "addPet"));
}

#[test]
fn outside_tools_settings_that_are_wrong_say_where() {
    check(
        yaml("fetch_url: { only_hosts: [docs.rs] }"),
        "fetch_url.only_hosts",
        "docs.rs (./config.yaml:1)",
    );
    check_error(
        yaml("fetch_url: { hosts: [docs.rs] }"),
        "unknown setting `fetch_url.hosts` (./config.yaml:1)",
    );
    check_error(
        yaml("sqlite_query: {}"),
        "`sqlite_query.path` (./config.yaml:1) must be set, to the database that is read",
    );
    check_error(
        yaml("sqlite_query: { path: /nowhere/at/all }"),
        "`sqlite_query.path` (./config.yaml:1) must be a file that is there",
    );
    check_error(
        yaml("openapi: { pets: { document: /nowhere/at/all } }"),
        "`openapi.pets.document` (./config.yaml:1) cannot be used",
    );
    check_error(
        yaml(&format!(
            "openapi: {{ pets: {} }}",
            pets("approval: sometimes")
        )),
        "`openapi.pets.approval` (./config.yaml:1) must be `always` or `never`",
    );
}

#[test]
fn openapi_tool_whose_name_is_taken_is_refused_by_name() {
    let twice = format!("openapi:\n  one: {}\n  two: {}", pets(""), pets(""));
    let error = yaml(&twice).load().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`openapi.two` (./config.yaml:3) cannot be used"
    );
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(
        cause.to_string(),
        "another tool has the name `listPets`; set `prefix`"
    );
    let apart = format!(
        "openapi:\n  one: {}\n  two: {}",
        pets(""),
        pets("prefix: b_")
    );
    load(yaml(&apart));
}
