//! Modules of code in our own folder of a plugin, and modules that are a plugin by themselves.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;

use openai_agents::plugin::{ModuleTools, PluginSearch, Plugins, TrustState};
use openai_agents::tools::ToolError;
use openai_agents::{FunctionTool, RunContext, ToolContext};
use serde_json::{Value, json};

use super::native::{Library, library};
use super::{Package, issues, words};

pub(super) const FOLDER: &str = "io.github.openai-agents-rs";

/// A plugin with one module, whose file is `file`, with these fields of its description beside the required ones.
pub(super) fn package(kind: &str, file: &str, bytes: &[u8], fields: &Value) -> Package {
    let mut module = json!({"name": "m", "kind": kind, "abi": 1, "file": file});
    for (name, value) in fields.as_object().unwrap() {
        module[name] = value.clone();
    }
    let package = described(&json!({"version": 1, "modules": [module]}));
    fs::write(package.path(&format!("{FOLDER}/{file}")), bytes).unwrap();
    package
}

fn described(extension: &Value) -> Package {
    Package::new("").file(&format!("{FOLDER}/extension.json"), &extension.to_string())
}

pub(super) fn module(plugins: &Plugins) -> ModuleTools {
    let plugin = plugins.found()[0].plugin.as_ref().unwrap();
    assert_eq!(issues(&plugins.found()[0]), Vec::<String>::new());
    plugin.module_tools().remove(0)
}

/// Why a module is not loaded; its file as its name alone.
pub(super) async fn refusal(module: &ModuleTools, folder: &Path) -> String {
    let error = module.state().await.unwrap_err();
    let folder = folder.canonicalize().unwrap().display().to_string();
    words(&*error).replace(&format!("{folder}/"), "")
}

pub(super) async fn tools(module: &ModuleTools) -> BTreeMap<String, FunctionTool> {
    let tools: Arc<[FunctionTool]> = module.state().await.unwrap();
    tools
        .iter()
        .map(|tool| (tool.name().to_string(), tool.clone()))
        .collect()
}

pub(super) async fn call(tool: &FunctionTool, arguments: &Value) -> Result<String, String> {
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

#[test]
fn extension_that_is_wrong_is_told_and_the_rest_is_used() {
    let check = |extension: Value, expected: &str| {
        let package = described(&extension).skill("a");
        fs::write(package.path(&format!("{FOLDER}/there.so")), "text").unwrap();
        symlink("/bin/sh", package.path(&format!("{FOLDER}/out.so"))).unwrap();
        let plugins = package.named();
        assert_eq!(issues(&plugins.found()[0]), [expected.to_owned()]);
        let plugin = plugins.found()[0].plugin.as_ref().unwrap();
        assert_eq!(plugin.skills().len(), 1);
    };
    let one = |fields: Value| {
        let mut module =
            json!({"name": "m", "kind": "native", "abi": 1, "file": "there.so", "tools": []});
        for (name, value) in fields.as_object().unwrap() {
            module[name] = value.clone();
        }
        json!({"version": 1, "modules": [module]})
    };
    check(
        json!({"version": 2}),
        "extension.json cannot be used: it has version 2; only 1 is supported",
    );
    check(
        json!({"version": 1, "other": 1}),
        "extension.json cannot be used: unknown field `other`, expected one of `version`, `modules`, `definitions` at line 1 column 20",
    );
    for (fields, problem) in [
        (json!({"abi": 2}), "it is for ABI 2; only 1 is supported"),
        (
            json!({"name": "M!"}),
            "its `name` must be 1 to 64 of a-z, 0-9, - and _",
        ),
        (
            json!({"file": "absent.so"}),
            "its `file` is not a path in the plugin: `io.github.openai-agents-rs/absent.so` cannot be read",
        ),
        (
            json!({"file": "../../../etc/passwd"}),
            "its `file` is not a path in the plugin: `io.github.openai-agents-rs/../../../etc/passwd` leads out of the workspace",
        ),
        (
            json!({"file": "out.so"}),
            "its `file` is not a path in the plugin: `io.github.openai-agents-rs/out.so` leads out of the workspace",
        ),
        (json!({"file": "."}), "`.` is not a file"),
        (
            json!({"file": {"other-platform": "there.so"}}),
            &format!(
                "its `file` has no entry for {}-{}",
                std::env::consts::OS,
                std::env::consts::ARCH
            ),
        ),
        (
            json!({"sha256": "0"}),
            "`there.so` has the sha256 982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1, but extension.json says 0",
        ),
        (
            json!({"kind": "lisp"}),
            "unknown variant `lisp`, expected `native` or `wasm`",
        ),
    ] {
        let name = fields["name"].as_str().unwrap_or("m");
        let expected = format!("the module `{name}` cannot be used: {problem}");
        check(one(fields), &expected);
    }
    let module = json!({"name": "m", "kind": "native", "abi": 1, "file": "there.so", "tools": []});
    check(
        json!({"version": 1, "modules": [module, module]}),
        "the module `m` cannot be used: another module has its name",
    );
}

#[tokio::test]
async fn module_that_changes_after_the_check_is_not_run() {
    let library = library();
    let package = package(
        "native",
        "m.so",
        &library.bytes,
        &json!({"tools": super::native::NAMES}),
    );
    let marker = package.outside("marker");
    let module = module(&package.named());
    // The right length, the right symbols: only the hash can tell.
    let other = library.with_marker(&marker);
    fs::write(package.path(&format!("{FOLDER}/m.so")), other).unwrap();
    let folder = package.path(FOLDER);
    assert_eq!(
        refusal(&module, &folder).await,
        "m.so has changed since the plugin was loaded; nothing of it was run"
    );
    assert!(!marker.exists());
}

#[tokio::test]
async fn module_with_other_tools_than_it_says_is_refused() {
    let library = library();
    let package = package("native", "m.so", &library.bytes, &json!({"tools": ["add"]}));
    let module = module(&package.named());
    let said = refusal(&module, &package.path(FOLDER)).await;
    assert!(
        said.starts_with("m.so has the tools [\"after_late\", "),
        "{said}"
    );
    assert!(
        said.ends_with("but extension.json lists [\"add\"]"),
        "{said}"
    );
}

/// Plugins that are a file, in the folder of plugins.
struct Files {
    package: Package,
}

impl Files {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let package = Package::new("");
        fs::remove_dir_all(package.path("")).unwrap();
        fs::write(package.outside("plugins").join(name), bytes).unwrap();
        Self { package }
    }

    fn found(&self) -> Plugins {
        let (data, path) = (
            self.package.outside("data"),
            self.package.outside("plugins"),
        );
        let trust = self.package.trust();
        PluginSearch::new(&data, &trust).path(&path).find().unwrap()
    }
}

#[tokio::test]
async fn file_in_the_folder_of_plugins_is_one_under_the_same_trust() {
    let Library { bytes } = library();
    let files = Files::new("libBy_Hand.so", bytes);
    let plugins = files.found();
    let found = &plugins.found()[0];
    let plugin = found.plugin.as_ref().unwrap();
    assert_eq!(
        (plugin.name(), found.trust),
        ("by-hand", TrustState::Untrusted)
    );
    assert_eq!(plugins.enabled().count(), 0);
    files.package.trust().trust(plugin).unwrap();
    let plugins = files.found();
    let plugin = plugins.enabled().next().unwrap();
    let module = plugin.module_tools().remove(0);
    let echo = tools(&module).await.remove("echo").unwrap();
    let arguments = json!({"text": "x"});
    assert_eq!(
        call(&echo, &arguments).await,
        Ok(r#"{"text":"x"}"#.to_owned())
    );
    let path = files.package.outside("plugins/libBy_Hand.so");
    fs::write(&path, [&bytes[..], b" "].concat()).unwrap();
    assert_eq!(files.found().found()[0].trust, TrustState::Changed);
}

#[test]
fn file_that_others_can_change_or_that_is_a_link_is_refused() {
    let files = Files::new("m.so", b"x");
    let folder = files.package.outside("plugins");
    let file = folder.join("m.so");
    let refused = |files: &Files| {
        let plugins = files.found();
        words(plugins.found()[0].plugin.as_ref().unwrap_err())
    };
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(refused(&files), "m.so can be changed by everyone");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let said = format!("{} can be changed by everyone", folder.display());
    assert_eq!(refused(&files), said);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    fs::remove_file(&file).unwrap();
    symlink("/bin/sh", &file).unwrap();
    let said = format!("{} is not a regular file", file.display());
    assert_eq!(refused(&files), said);
    fs::remove_file(&file).unwrap();
    fs::write(folder.join("a b.so"), "x").unwrap();
    assert_eq!(
        refused(&files),
        "the name of the file cannot be the name of a plugin; it must be 1 to 64 of a-z, 0-9, - and _"
    );
}
