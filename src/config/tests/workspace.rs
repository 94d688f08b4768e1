//! The section `workspace`.

use super::{Config, check, check_error, load, yaml};

fn tools(config: &Config) -> Vec<String> {
    let tools = config.tools();
    tools.specs().map(|spec| spec.name.to_string()).collect()
}

/// The folder of this crate, which is there wherever the tests run.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn workspace_tools_exist_only_with_a_root() {
    let without = load(yaml(""));
    assert!(without.workspace().is_none());
    assert!(!tools(&without).contains(&"read_file".to_owned()));
    let with = load(yaml(&format!("workspace: {{ root: {ROOT} }}")));
    for name in [
        "read_file",
        "list_files",
        "search_files",
        "write_file",
        "edit_file",
        "apply_patch",
        #[cfg(target_os = "linux")]
        "run_command",
    ] {
        assert!(tools(&with).contains(&name.to_owned()), "{name}");
        assert!(with.has_workspace_tool(name));
        assert!(
            with.served_tools().get(name).is_none(),
            "{name} is served by itself"
        );
    }
    assert!(!with.has_workspace_tool("calculator"));
}

#[test]
fn workspace_tools_wait_unless_the_file_says_otherwise() {
    let waits = |approval: &str, tool: &str| {
        let config = load(yaml(&format!(
            "workspace: {{ root: {ROOT}, {approval} }}\nagents: [{{ name: A, tools: [{tool}] }}]"
        )));
        config.check().unwrap();
        config.can_wait(config.agent_config("A").unwrap())
    };
    assert!(!waits("", "read_file"));
    assert!(waits("", "write_file"));
    assert!(waits("approval: always", "read_file"));
    assert!(!waits("approval: never", "apply_patch"));
    assert!(!waits("approval: { edit_file: never }", "edit_file"));
    assert!(waits("approval: { edit_file: never }", "write_file"));
    assert!(waits("approval: { list_files: always }", "list_files"));
}

#[test]
fn workspace_settings_that_are_wrong_say_where() {
    check(
        yaml(&format!("workspace: {{ root: {ROOT} }}")),
        "workspace.root",
        &format!("{ROOT} (./config.yaml:1)"),
    );
    check(
        yaml(&format!(
            "workspace: {{ root: {ROOT}, approval: {{ edit_file: never }} }}"
        )),
        "workspace.approval",
        "edit_file: never (./config.yaml:1)",
    );
    check_error(
        yaml("workspace: {}"),
        "`workspace.root` (./config.yaml:1) must be set, to the folder that tools act below",
    );
    check_error(
        yaml("workspace: { root: /nowhere/at/all }"),
        "`workspace.root` (./config.yaml:1) cannot be used",
    );
    check_error(
        yaml("workspace: { roots: . }"),
        "unknown setting `workspace.roots` (./config.yaml:1); did you mean `workspace.root`?",
    );
    check_error(
        yaml(&format!(
            "workspace: {{ root: {ROOT}, approval: {{ calculator: never }} }}"
        )),
        "`workspace.approval.calculator` (./config.yaml:1) must be `always`, `never`, or a map from names of tools of the workspace to `always` or `never`",
    );
}

#[cfg(target_os = "linux")]
#[test]
fn commands_of_a_workspace_ask_and_have_settings_of_their_own() {
    let with = |commands: &str| yaml(&format!("workspace: {{ root: {ROOT}, {commands} }}"));
    let agent = "\nagents: [{ name: A, tools: [run_command] }]";
    let config = load(yaml(&format!("workspace: {{ root: {ROOT} }}{agent}")));
    assert!(config.can_wait(config.agent_config("A").unwrap()));
    for (setting, value) in [
        ("timeout_secs", "7"),
        ("max_output_bytes", "1000"),
        ("max_memory_bytes", "1000000"),
        ("max_processes", "8"),
        ("max_file_bytes", "4096"),
        ("network", "true"),
        ("confinement", "files"),
        ("inherit_env", "[A, B]"),
    ] {
        let shown = value.trim_matches(['[', ']']);
        check(
            with(&format!("commands: {{ {setting}: {value} }}")),
            &format!("workspace.commands.{setting}"),
            &format!("{shown} (./config.yaml:1)"),
        );
    }
    check_error(
        with("commands: { confinement: some }"),
        "`workspace.commands.confinement` (./config.yaml:1) must be `full`, `files` or `none`",
    );
    check_error(
        with("commands: { confined: true }"),
        "unknown setting `workspace.commands.confined` (./config.yaml:1)",
    );
    check_error(
        with("commands: { max_processes: 0 }"),
        "`workspace.commands.max_processes` (./config.yaml:1) must be a whole number of at least 1",
    );
}

#[test]
fn workspace_root_that_is_missing_is_named_as_it_was_written() {
    let error = yaml("workspace: { root: ./no/where }").load().unwrap_err();
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(
        cause.to_string(),
        "the root of the workspace, ./no/where, cannot be opened"
    );
}
