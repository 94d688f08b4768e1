//! Plugins of all kinds as `plugins new` writes them: built, trusted, and used in a run; and what the SDK makes for WebAssembly.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use openai_agents::plugin::{EXTENSION_FOLDER, PluginManifest, PluginSearch, PluginTrust};
use openai_agents::tools::ToolError;
use openai_agents::{FunctionTool, RunContext, ToolContext};
use serde_json::{Value, json};

use crate::variable;

const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A folder in which one plugin is written, built and kept.
struct Workshop(PathBuf);

impl Workshop {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        if path.exists() {
            fs::remove_dir_all(&path).unwrap();
        }
        fs::create_dir_all(path.join("plugins")).unwrap();
        Self(path)
    }

    fn program(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_openai-agents"));
        command
            .current_dir(&self.0)
            .env_clear()
            .env("HOME", &self.0)
            .env("PATH", env::var_os("PATH").unwrap())
            .args(arguments);
        for name in ["OPENAI_BASE_URL", "OPENAI_MODEL", "OPENAI_API_KEY"] {
            command.env(name, variable(name));
        }
        stdout(&command.output().unwrap())
    }

    /// Writes a plugin of a kind and builds it as its author would, but with the SDK of this working tree and what was downloaded already.
    fn new_plugin(&self, kind: &str) -> PathBuf {
        self.program(&["plugins", "new", "sums", "--kind", kind]);
        let folder = self.0.join("sums");
        let build = folder.join("build");
        if !build.exists() {
            return folder;
        }
        // With its versions in the lock file cargo takes the SDK from here without looking at the repository.
        let lock = fs::read_to_string(repository().join("Cargo.lock")).unwrap();
        let package = "\n[[package]]\nname = \"plugin-sums\"\nversion = \"0.1.0\"\ndependencies = [\n \"openai-agents-kit-plugin\",\n]\n";
        fs::write(folder.join("Cargo.lock"), lock + package).unwrap();
        let sdk = repository().join("plugin-sdk");
        let patch = format!(
            "patch.{REPOSITORY:?}.openai-agents-kit-plugin.path={:?}",
            sdk.to_str().unwrap()
        );
        let built = Command::new(build)
            .args(["--quiet", "--offline", "--config", &patch])
            // It is the same code, sooner.
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
            .output()
            .unwrap();
        stdout(&built);
        folder.join("plugin")
    }
}

#[track_caller]
fn stdout(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Written, built, put into `plugins_path`, trusted, checked, and called in a run of the real model.
fn check_tools(kind: &str, agent: &str, tool: &str) {
    let workshop = Workshop::new(&format!("plugins-{kind}"));
    let config = format!("plugins_path: plugins\nagents: [{{ name: Adder, {agent} }}]\n");
    fs::write(workshop.0.join("config.yaml"), config).unwrap();
    let plugin = workshop.new_plugin(kind);
    fs::rename(plugin, workshop.0.join("plugins/sums")).unwrap();
    let trusted = workshop.program(&["plugins", "trust", "sums"]);
    assert!(
        trusted.starts_with("sums is trusted with sha256 "),
        "{trusted}"
    );
    let checked = workshop.program(&["plugins", "check", "sums"]);
    assert!(
        checked.ends_with(&format!("\n  sums/tools: ready: {tool}\n")),
        "{checked}"
    );
    let said = workshop.program(&[
        "run",
        "--json",
        "--agent",
        "Adder",
        "What is the sum of 100 and 250?",
    ]);
    let lines: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of_type = |name: &str| {
        let mut lines = lines.iter();
        lines.find(|line| line["type"] == name).unwrap()
    };
    assert_eq!(of_type("tool_called")["name"], tool, "{said}");
    assert_eq!(of_type("tool_output")["output"], "350", "{said}");
    let answer = of_type("result")["final_output"].as_str().unwrap();
    assert!(answer.contains("350"), "{answer}");
}

#[test]
fn new_mcp_plugin_is_used_in_a_run() {
    check_tools("mcp", "mcp_servers: [sums/tools]", "mcp_sums_tools__add");
}

#[test]
fn new_native_plugin_is_built_and_used_in_a_run() {
    check_tools("native", "tools: [sums/tools]", "add");
}

#[test]
fn new_wasm_plugin_is_built_and_used_in_a_run() {
    check_tools("wasm", "tools: [sums/tools]", "add");
}

/// This model cannot be made to read a skill; that it has the tool for it, and answers, can be seen.
#[test]
fn new_skill_plugin_is_offered_in_a_run() {
    let workshop = Workshop::new("plugins-skill");
    let plugin = workshop.new_plugin("skill");
    let plugin = plugin.to_str().unwrap();
    let shown = workshop.program(&["skills", "show", "sums/sums", "--plugin", plugin]);
    assert!(shown.contains("# Release notes\n"), "{shown}");
    let checked = workshop.program(&["plugins", "check", "sums", "--plugin", plugin]);
    assert!(checked.contains("\n  skills: sums\n"), "{checked}");
    let said = workshop.program(&["run", "--plugin", plugin, "Hello!"]);
    assert!(!said.trim().is_empty());
}

async fn call(tool: &FunctionTool, arguments: &Value) -> Result<String, String> {
    let name = tool.name().clone();
    let cx = ToolContext::new(
        RunContext::default(),
        "A",
        name,
        "call_1",
        arguments.to_string(),
    );
    match tool.invoke(cx).await.into_output() {
        Ok(output) => Ok(output.to_json().as_str().unwrap().to_owned()),
        Err(ToolError::Failed { source, .. }) => Err(source.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// The tools of an example of the SDK as WebAssembly.
async fn wasm_example(name: &str, tools: &[&str]) -> Vec<FunctionTool> {
    let built = Command::new(env::var_os("CARGO").unwrap())
        .args(["build", "--quiet", "--locked", "--release"])
        .args(["--package", "openai-agents-kit-plugin", "--example", name])
        .args(["--target", "wasm32-unknown-unknown"])
        .current_dir(repository())
        .output()
        .unwrap();
    stdout(&built);
    // This test lies in `TARGET/PROFILE/deps`.
    let mut target: PathBuf = env::current_exe().unwrap();
    assert!(target.pop() && target.pop() && target.pop());
    let built = target.join(format!(
        "wasm32-unknown-unknown/release/examples/{name}.wasm"
    ));
    let workshop = Workshop::new(&format!("plugins-{name}"));
    let plugin = workshop.0.join("plugins/examples");
    let folder = plugin.join(EXTENSION_FOLDER);
    fs::create_dir_all(&folder).unwrap();
    fs::copy(built, folder.join("m.wasm")).unwrap();
    let manifest = json!({"$schema": PluginManifest::SCHEMA, "name": "examples"});
    fs::write(plugin.join("plugin.json"), manifest.to_string()).unwrap();
    // An endless loop is to end soon in a build for tests too.
    let module = json!({"name": "m", "kind": "wasm", "abi": 1, "file": "m.wasm", "tools": tools, "max_fuel": 50_000_000});
    let extension = json!({"version": 1, "modules": [module]});
    fs::write(folder.join("extension.json"), extension.to_string()).unwrap();
    let (data, trust) = (workshop.0.join("data"), workshop.0.join("trust.json"));
    let trust = PluginTrust::read(trust).unwrap();
    let plugins = PluginSearch::new(&data, &trust)
        .named(&[plugin])
        .find()
        .unwrap();
    let plugin = plugins.enabled().next().unwrap();
    plugin.module_tools()[0].state().await.unwrap().to_vec()
}

#[tokio::test]
async fn wasm_module_of_the_sdk_is_called() {
    let tools = wasm_example("text_tools", &["count", "frequent_words", "nth_word"]).await;
    for (position, arguments, expected) in [
        (0, json!({"text": "a b\nc", "unit": "lines"}), Ok("2")),
        (
            1,
            json!({"text": "b a b", "limit": 1}),
            Ok(r#"[{"word":"b","count":2}]"#),
        ),
        (
            2,
            json!({"text": "a b", "position": 3}),
            Err("there is no word 3"),
        ),
        (2, json!({"text": "\u{e9} b", "position": 1}), Ok("\u{e9}")),
    ] {
        let said = call(&tools[position], &arguments).await;
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(said, expected, "{arguments}");
    }
}

#[tokio::test]
async fn wasm_module_of_the_sdk_that_misbehaves_fails_the_call_alone() {
    let names = [
        "echo",
        "fails",
        "panics",
        "panics_twice",
        "panics_before",
        "panics_after",
        "panics_late",
        "loops",
        "takes_memory",
    ];
    let tools = wasm_example("faults", &names).await;
    let tool = |name: &str| {
        let mut tools = tools.iter();
        tools.find(|tool| tool.name().as_str() == name).unwrap()
    };
    let stopped = |problem: &str| Err(format!("the plugin was stopped: {problem}"));
    let trapped = || stopped("it panicked, or ran out of memory");
    let nothing = json!({});
    for (name, arguments, expected) in [
        ("echo", &json!({"text": "x"}), Ok("x".to_owned())),
        ("fails", &nothing, Err("it is Sunday".to_owned())),
        ("panics", &nothing, trapped()),
        ("panics_twice", &nothing, trapped()),
        ("panics_before", &json!({"argument": "y"}), trapped()),
        ("panics_after", &nothing, trapped()),
        ("panics_late", &nothing, trapped()),
        (
            "loops",
            &nothing,
            stopped("it reached the limit `max_fuel`"),
        ),
        ("takes_memory", &json!({"mib": 1}), Ok("1048576".to_owned())),
        ("takes_memory", &json!({"mib": 100}), trapped()),
        ("echo", &json!({"text": "y"}), Ok("y".to_owned())),
    ] {
        assert_eq!(call(tool(name), arguments).await, expected, "{name}");
    }
}
