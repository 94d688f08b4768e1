//! `openai-agents plugins`, and what a trusted plugin brings to a run.

#[path = "../../../tests/fixtures/plugins/module.rs"]
mod by_hand;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use openai_agents::testing::FakeServer;
use serde_json::json;

use crate::serve::{ServedProgram, command};
use crate::support::{Directory, check_output, lines, on, streamed_call, streamed_text};

const MANIFEST: &str = r#"{"$schema": "https://agent-plugins.org/schemas/1.0.0/plugin.schema.json", "name": "tools", "description": "Tells where it is."}"#;
const SERVERS: &str = r#"{"$schema": "https://agent-plugins.org/schemas/1.0.0/mcp.schema.json",
    "mcpServers": {"here": {"type": "stdio", "command": "./server"}}}"#;
const SERVER: &str = r#"#!/bin/sh
while read -r request; do
    case $request in
        *'"method":"server/discover"'*) answer='"error":{"code":-32601,"message":"unknown"}' ;;
        *'"method":"initialize"'*) answer='"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}' ;;
        *'"method":"tools/list"'*) answer='"result":{"tools":[{"name":"where","inputSchema":{"type":"object"}}]}' ;;
        *'"method":"tools/call"'*) answer='"result":{"content":[{"type":"text","text":"here"}]}' ;;
        *) continue ;;
    esac
    id=${request#*\"id\":}
    id=${id%%[,\}]*}
    printf '{"jsonrpc":"2.0","id":%s,%s}\n' "$id" "$answer"
done
"#;

fn directory(name: &str) -> Directory {
    let directory = Directory::new(name).file("config.yaml", "plugins_path: plugins\n");
    fs::create_dir_all(directory.path("plugins/tools/skills/notes")).unwrap();
    directory.write("plugins/tools/plugin.json", MANIFEST);
    directory.write("plugins/tools/mcp.json", SERVERS);
    directory.write("plugins/tools/server", SERVER);
    directory.write(
        "plugins/tools/skills/notes/SKILL.md",
        "---\nname: notes\ndescription: Writes notes.\n---\nBe brief.\n",
    );
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(directory.path("plugins/tools/server"), mode).unwrap();
    directory
}

fn plugins(directory: &Directory, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = directory
        .program()
        .arg("plugins")
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn plugins_are_listed_trusted_and_checked() {
    let directory = directory("plugins-trust");
    let rest = "(./plugins/tools)\n  Tells where it is.\n  skills: notes\n  MCP servers: here\n";
    assert_eq!(
        plugins(&directory, &["list"]),
        (Some(0), format!("tools: not trusted {rest}"), String::new())
    );
    let (code, text, _) = plugins(&directory, &["check", "tools"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(!text.contains("ready"), "nothing is started: {text}");
    let (code, text, _) = plugins(&directory, &["trust", "tools"]);
    assert_eq!(code, Some(0));
    assert!(text.starts_with("tools is trusted with sha256 "), "{text}");
    assert_eq!(
        plugins(&directory, &["list"]).1,
        format!("tools: trusted {rest}")
    );
    let (code, text, error) = plugins(&directory, &["check", "tools"]);
    assert_eq!(code, Some(0), "{text}{error}");
    assert!(
        text.ends_with("\n  tools/here: ready: mcp_tools_here__where\n"),
        "{text}"
    );
    directory.write("plugins/tools/new", "");
    assert_eq!(
        plugins(&directory, &["list"]).1,
        format!("tools: changed since it was trusted {rest}")
    );
    assert_eq!(
        plugins(&directory, &["untrust", "tools"]).1,
        "tools is not trusted any more\n"
    );
    assert_eq!(
        plugins(&directory, &["list"]).1,
        format!("tools: not trusted {rest}")
    );
    let unknown = "error: there is no plugin `other`; there are: tools\n";
    assert_eq!(
        plugins(&directory, &["check", "other"]),
        (Some(2), String::new(), unknown.to_owned())
    );
}

#[test]
fn plugins_list_says_what_is_broken() {
    let directory = directory("plugins-broken");
    directory.write("plugins/tools/plugin.json", "{}");
    let output = directory
        .program()
        .args(["plugins", "list", "--json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let lines = lines(&output);
    assert_eq!(lines[0]["state"], "broken");
    assert_eq!(
        lines[0]["error"],
        "plugin.json is wrong: `$schema` must be a text: the identifier of the schema"
    );
    assert_eq!(lines[1]["error"]["kind"], "plugin");
}

#[tokio::test(flavor = "multi_thread")]
async fn run_has_what_a_named_plugin_brings() {
    let directory = directory("plugins-run");
    let server = FakeServer::start([
        streamed_call("", "mcp_tools_here__where", "{}"),
        streamed_text("It is ", "here."),
    ])
    .await
    .unwrap();
    let folder = directory.path("plugins/tools");
    let run = ["run", "--plugin", folder.to_str().unwrap(), "hi"];
    let output = on(&server, &directory, &run).output().unwrap();
    check_output(
        &output,
        0,
        "It is here.\n",
        "-> mcp_tools_here__where {}\n<- here\n",
    );
    let told = server.requests()[0].json().unwrap()["messages"][0]["content"].clone();
    assert!(
        told.as_str().unwrap().ends_with("\n- notes: Writes notes."),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn run_has_nothing_of_a_plugin_that_is_not_trusted() {
    let directory = directory("plugins-untrusted");
    let server = FakeServer::start([streamed_text("Do", "ne.")])
        .await
        .unwrap();
    let output = on(&server, &directory, &["run", "hi"]).output().unwrap();
    check_output(&output, 0, "Done.\n", "");
    let request = server.requests()[0].json().unwrap().to_string();
    assert!(!request.contains("mcp_tools_here__where"), "{request}");
    assert!(!request.contains("Writes notes."), "{request}");
}

#[tokio::test(flavor = "multi_thread")]
async fn run_calls_the_tools_of_a_module() {
    let directory = directory("plugins-module");
    let config = "plugins_path: plugins\nagents: [{ name: Counter, tools: [words/echo-m] }]\n";
    directory.write("config.yaml", config);
    let folder = "plugins/words/io.github.openai-agents-rs";
    fs::create_dir_all(directory.path(folder)).unwrap();
    directory.write(
        "plugins/words/plugin.json",
        MANIFEST.replace("\"tools\"", "\"words\""),
    );
    let module = json!({"name": "echo-m", "kind": "wasm", "abi": 1, "file": "m.wasm", "tools": by_hand::NAMES});
    let extension = json!({"version": 1, "modules": [module]});
    directory.write(&format!("{folder}/extension.json"), extension.to_string());
    let bytes = by_hand::wasm_module(" ", " ");
    fs::write(directory.path(&format!("{folder}/m.wasm")), bytes).unwrap();
    let (code, text, _) = plugins(&directory, &["trust", "words"]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text, error) = plugins(&directory, &["check", "words"]);
    assert_eq!(code, Some(0), "{text}{error}");
    let names = by_hand::NAMES.join(", ");
    assert!(
        text.ends_with(&format!("\n  words/echo-m: ready: {names}\n")),
        "{text}"
    );
    let server = FakeServer::start([
        streamed_call("", "echo", "{}"),
        streamed_text("It is ", "{}."),
    ])
    .await
    .unwrap();
    let run = ["run", "--agent", "Counter", "hi"];
    let output = on(&server, &directory, &run).output().unwrap();
    check_output(&output, 0, "It is {}.\n", "-> echo {}\n<- {}\n");
}

#[test]
fn plugins_new_writes_a_plugin_of_each_kind_that_is_found() {
    let directory = Directory::new("plugins-new")
        .file("config.yaml", "no such key: 1\n")
        .file("empty.yaml", "");
    for (kind, folder, brings) in [
        ("mcp", "a.mcp", "  MCP servers: tools\n"),
        ("skill", "a.skill", "  skills: a-skill\n"),
        ("native", "a.native/plugin", ""),
        ("wasm", "a.wasm/plugin", ""),
    ] {
        let name = format!("a.{kind}");
        // The configuration, which is broken here, is not looked at.
        let (code, text, error) = plugins(&directory, &["new", &name, "--kind", kind]);
        assert_eq!((code, error.as_str()), (Some(0), ""), "{kind}");
        assert!(
            text.contains(&format!("--plugin ./{folder} \"What is ")),
            "{text}"
        );
        let output = directory
            .program()
            .args([
                "--config",
                "empty.yaml",
                "plugins",
                "list",
                "--plugin",
                folder,
            ])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let head = format!("{name}: trusted ({folder})\n");
        assert!(text.starts_with(&head), "{text}");
        assert!(text.contains(brings), "{text}");
        // What is not built yet is told.
        let is_built = !["native", "wasm"].contains(&kind);
        let told = "  the module `tools` cannot be used: its `file` is not a path in the plugin: ";
        assert_eq!(text.contains(told), !is_built, "{text}");
    }
}

#[test]
fn plugins_new_that_cannot_be_made_writes_nothing() {
    let directory = Directory::new("plugins-new-wrong");
    fs::create_dir(directory.path("there")).unwrap();
    let there = "error: there exists already; nothing was written\n";
    assert_eq!(
        plugins(&directory, &["new", "there", "--kind", "mcp"]),
        (Some(2), String::new(), there.to_owned())
    );
    for name in ["../out", "Upper", "a--b", "", "a/b"] {
        let (code, text, error) = plugins(&directory, &["new", name, "--kind", "skill"]);
        assert_eq!((code, text.as_str()), (Some(2), ""), "{name}");
        let said = format!("error: `{name}` cannot be the name of a plugin: it must be 1 to 64 of");
        assert!(error.starts_with(&said), "{error}");
    }
    let (code, _, error) = plugins(&directory, &["new", "a", "--kind", "lisp"]);
    assert_eq!(code, Some(2));
    let kinds = "[possible values: mcp, native, wasm, skill]";
    assert!(error.contains(kinds), "{error}");
    assert_eq!(fs::read_dir(directory.path("there")).unwrap().count(), 0);
    assert!(!directory.path("a").exists());
}

const DEFINITIONS: &str = "
prompts:
  tone: Answer in one sentence.
guardrails:
  input:
    - { name: no-keys, deny: [PRIVATE KEY] }
agents:
  - name: Writer
    instructions: prompt:tone
    handoffs: [Editor]
    guardrails: { input: [no-keys] }
  - name: Editor
    instructions: file:editor.md
    handoff_description: Edits texts.
    tools: [calculator]
";

const OWN_AGENT: &str = "plugins_path: plugins
agents:
  - name: Mine
    instructions: prompt:team/tone
    guardrails: { input: [team/no-keys] }
    handoffs: [team/Editor]
";

/// The plugin `team`, whose definitions are these.
fn with_definitions(name: &str, definitions: &str) -> Directory {
    let directory = Directory::new(name).file("config.yaml", OWN_AGENT);
    let folder = "plugins/team/io.github.openai-agents-rs";
    fs::create_dir_all(directory.path(folder)).unwrap();
    let manifest = MANIFEST.replace("\"tools\"", "\"team\"");
    directory.write("plugins/team/plugin.json", manifest);
    let extension = json!({"version": 1, "definitions": "team.yaml"});
    directory.write(&format!("{folder}/extension.json"), extension.to_string());
    directory.write(&format!("{folder}/team.yaml"), definitions);
    directory.write(&format!("{folder}/editor.md"), "Be strict.\n");
    directory
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_of_a_trusted_plugin_are_used_by_name() {
    let directory = with_definitions("plugins-definitions", DEFINITIONS);
    let server = FakeServer::start([streamed_text("Do", "ne."), streamed_text("Do", "ne.")])
        .await
        .unwrap();
    let run = |agent: &str, text: &str| {
        on(&server, &directory, &["run", "--agent", agent, text])
            .output()
            .unwrap()
    };
    // What it would bring is shown, and nothing of it is there.
    let brings =
        "  agents: team/Writer, team/Editor\n  guardrails: team/no-keys\n  prompts: team/tone\n";
    let (code, text, _) = plugins(&directory, &["list"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.ends_with(brings), "{text}");
    let missing = "error: agent `Mine` (./config.yaml:3) names the input guardrail `team/no-keys`, which no trusted plugin has\n";
    check_output(&run("Mine", "hi"), 2, "", missing);
    assert_eq!(run("team/Writer", "hi").status.code(), Some(2));
    assert_eq!(plugins(&directory, &["trust", "team"]).0, Some(0));
    check_output(&run("team/Writer", "hi"), 0, "Done.\n", "");
    check_output(&run("team/Editor", "hi"), 0, "Done.\n", "");
    let requests = server.requests();
    let told = |n: usize| requests[n].json().unwrap()["messages"][0]["content"].clone();
    assert_eq!(
        (told(0), told(1)),
        (json!("Answer in one sentence."), json!("Be strict.\n"))
    );
    let tools = requests[0].json().unwrap()["tools"].clone();
    assert_eq!(tools[0]["function"]["name"], "transfer_to_team_editor");
    for agent in ["Mine", "team/Writer"] {
        let output = run(agent, "my private key");
        assert_eq!(output.status.code(), Some(3), "{output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_that_are_wrong_are_told_and_stop_nothing_else() {
    for (n, (definitions, problem)) in [
        ("agents: [", "PATH:1: this is not valid YAML"),
        ("agents: 1", "`agents` (PATH:1) must be a list of agents"),
        ("agent: []", "unknown setting `agent` (PATH:1); did you mean `agents`?"),
        (
            "agents: [{name: A, tools: [calculater]}]",
            "agent `team/A` (PATH:1) names the tool `calculater`, which does not exist; did you mean `calculator`?",
        ),
        (
            "agents: [{name: A, instructions: 'file:../plugin.json'}]",
            "`agents[0].instructions` (PATH:1) names FOLDER/../plugin.json, which cannot be read: entity not found",
        ),
        (
            "agents: [{name: A, instructions: 'prompt:none'}]",
            "agent `team/A` (PATH:1) names the prompt `none`, which no trusted plugin has",
        ),
        ("prompts: {a: 1}", "`prompts.a` (PATH:1) must be a map from names to texts"),
    ]
    .into_iter()
    .enumerate()
    {
        let directory = with_definitions(&format!("plugins-definitions-{n}"), definitions);
        directory.write("config.yaml", "plugins_path: plugins\n");
        assert_eq!(plugins(&directory, &["trust", "team"]).0, Some(0));
        let (_, text, _) = plugins(&directory, &["list"]);
        let folder = directory.path("plugins/team/io.github.openai-agents-rs");
        let folder = folder.canonicalize().unwrap().display().to_string();
        let problem = problem
            .replace("PATH", &format!("{folder}/team.yaml"))
            .replace("FOLDER", &folder);
        let expected = format!("  the definitions cannot be used: {problem}\n");
        assert!(text.ends_with(&expected), "{definitions}: {text}");
        let server = FakeServer::start([streamed_text("Do", "ne.")])
            .await
            .unwrap();
        let output = on(&server, &directory, &["run", "hi"]).output().unwrap();
        check_output(&output, 0, "Done.\n", "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tool_that_two_plugins_have_is_the_first_ones_for_assistant() {
    let directory =
        Directory::new("plugins-tool-twice").file("config.yaml", "plugins_path: plugins\n");
    let bytes = by_hand::wasm_module(" ", " ");
    for name in ["first", "second"] {
        let folder = format!("plugins/{name}/io.github.openai-agents-rs");
        fs::create_dir_all(directory.path(&folder)).unwrap();
        let manifest = MANIFEST.replace("\"tools\"", &format!("\"{name}\""));
        directory.write(&format!("plugins/{name}/plugin.json"), manifest);
        let module = json!({"name": "m", "kind": "wasm", "abi": 1, "file": "m.wasm", "tools": by_hand::NAMES});
        let extension = json!({"version": 1, "modules": [module]});
        directory.write(&format!("{folder}/extension.json"), extension.to_string());
        directory.write(&format!("{folder}/m.wasm"), &bytes);
        assert_eq!(plugins(&directory, &["trust", name]).0, Some(0));
    }
    let (_, text, _) = plugins(&directory, &["list"]);
    let told = "  modules: m\n  the module `m` has the tool `echo`, which first/m has too; only agents that name the module have it\n";
    assert!(text.ends_with(told), "{text}");
    let answers = || [streamed_call("", "echo", "{}"), streamed_text("Do", "ne.")];
    let server = FakeServer::start(answers()).await.unwrap();
    let output = on(&server, &directory, &["run", "hi"]).output().unwrap();
    check_output(&output, 0, "Done.\n", "-> echo {}\n<- {}\n");
    directory.write(
        "config.yaml",
        "plugins_path: plugins\nagents: [{ name: A, tools: [second/m] }]\n",
    );
    let server = FakeServer::start(answers()).await.unwrap();
    let output = on(&server, &directory, &["run", "--agent", "A", "hi"])
        .output()
        .unwrap();
    check_output(&output, 0, "Done.\n", "-> echo {}\n<- {}\n");
}

/// What tools a file has that is a plugin by itself is known when it is loaded.
#[tokio::test(flavor = "multi_thread")]
async fn tool_that_two_bare_modules_have_is_the_first_ones_and_both_files_are_named() {
    let made = Directory::new("plugins-bare-made");
    let library = made.path("by_hand.so");
    by_hand::compile_native_module(&library);
    let library = fs::read(&library).unwrap();
    for (kind, bytes) in [("so", library), ("wasm", by_hand::wasm_module(" ", " "))] {
        check_two_bare_modules(kind, &bytes).await;
    }
}

async fn check_two_bare_modules(kind: &str, bytes: &[u8]) {
    let directory = Directory::new(&format!("plugins-bare-twice-{kind}"))
        .file("config.yaml", "plugins_path: plugins\n");
    fs::create_dir_all(directory.path("plugins")).unwrap();
    for name in ["first", "second"] {
        directory.write(&format!("plugins/{name}.{kind}"), bytes);
        assert_eq!(plugins(&directory, &["trust", name]).0, Some(0));
    }
    let answers = || [streamed_call("", "echo", "{}"), streamed_text("Do", "ne.")];
    let server = FakeServer::start(answers()).await.unwrap();
    let output = on(&server, &directory, &["run", "hi"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Done.\n");
    let stderr = String::from_utf8(output.stderr).unwrap();
    let [first, second] = ["first", "second"].map(|name| {
        let file = directory.path(&format!("plugins/{name}.{kind}"));
        file.canonicalize().unwrap().display().to_string()
    });
    let told = format!(
        "{second} has the tool `echo`, which {first} has as well; the agent keeps that one"
    );
    assert!(stderr.contains(&told), "{stderr}");
    // Alone each is as good as the other.
    directory.write(
        "config.yaml",
        "plugins_path: plugins\nagents: [{ name: A, tools: [second/second] }]\n",
    );
    let server = FakeServer::start(answers()).await.unwrap();
    let output = on(&server, &directory, &["run", "--agent", "A", "hi"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Done.\n");
    // The library by hand describes itself twice, of which a line says so before.
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.ends_with("-> echo {}\n<- {}\n"), "{stderr}");
    assert!(!stderr.contains("has the tool"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_brings_what_was_trusted_and_takes_what_was_not() {
    let directory = with_definitions("plugins-reload", DEFINITIONS);
    directory.write("config.yaml", "plugins_path: plugins\n");
    let server = FakeServer::start([streamed_text("Do", "ne.")])
        .await
        .unwrap();
    let served = ServedProgram::start(command(&server, &directory));
    let is_served = || {
        served
            .ask("GET", "/v1/models", &[], "")
            .1
            .contains("team/Writer")
    };
    let reload = || {
        let arguments = ["reload", "--bind", &served.address];
        let output = on(&server, &directory, &arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    };
    assert!(!is_served());
    assert_eq!(plugins(&directory, &["trust", "team"]).0, Some(0));
    assert!(!is_served());
    reload();
    assert!(is_served());
    // Its files changed: nobody has trusted that.
    directory.write("plugins/team/new", "");
    reload();
    assert!(!is_served());
}
