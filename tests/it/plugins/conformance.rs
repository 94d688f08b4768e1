//! The cases of the format's conformance suite (`agentplugins/agent-plugins-conformance`: `core`, `recovery`, `invalid-mcp`), by their names
//! there, on fixtures of our own.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex};

use openai_agents::http::HttpClient;
use openai_agents::plugin::{Plugin, PluginTools};
use openai_agents::tools::ToolSource as _;
use openai_agents::{RunContext, ToolContext};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{Package, SCHEMA, SERVERS_SCHEMA, issues};

/// A server whose one tool tells what its process was given, with a `|` behind each value.
const PROBE: &str = r#"#!/bin/sh
given="$PWD|$PLUGIN_ROOT|$PLUGIN_DATA|$VALUE|$EXPANSION|$LITERAL|"
for argument in "$@"; do given="$given$argument|"; done
echo once >> "$PLUGIN_DATA/written"
while read -r request; do
    case $request in
        *'"method":"server/discover"'*) answer='"error":{"code":-32601,"message":"unknown"}' ;;
        *'"method":"initialize"'*) answer='"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}' ;;
        *'"method":"tools/list"'*) answer='"result":{"tools":[{"name":"probe","inputSchema":{"type":"object"}}]}' ;;
        *'"method":"tools/call"'*) answer='"result":{"content":[{"type":"text","text":"'"$given"'"}]}' ;;
        *) continue ;;
    esac
    id=${request#*\"id\":}
    id=${id%%[,\}]*}
    printf '{"jsonrpc":"2.0","id":%s,%s}\n' "$id" "$answer"
done
"#;

fn sources(plugin: &Plugin) -> Vec<PluginTools> {
    let client = HttpClient::builder().build().unwrap();
    plugin.tool_sources(&client).unwrap()
}

/// What the tool of a server tells, if there is one.
async fn probe(source: &PluginTools) -> Option<Vec<String>> {
    let tools = source.tools().await.unwrap();
    let tool = tools.first()?;
    let name = tool.name().clone();
    let cx = ToolContext::new(RunContext::default(), "A", name, "call_1", "{}");
    let output = tool.invoke(cx).await.into_output().unwrap().to_json();
    source.close().await;
    let text = output.as_str().unwrap();
    let text = text.strip_suffix('|').unwrap_or(text);
    Some(text.split('|').map(str::to_owned).collect())
}

/// `mcp.stdio.*`, `filesystem.data.*`: what a process is given, in all four working directories.
#[tokio::test]
async fn core_processes_are_given_what_their_plugin_says() {
    let package = Package::new("").program("bin/probe token.sh", PROBE).servers(
        r#"{
            "default": {
                "type": "stdio", "command": "./bin/probe token.sh",
                "args": ["two words", "", "${PLUGIN_ROOT}", "${PLUGIN_DATA}", "${UNKNOWN}", "$VALUE", "${PLUGIN_ROOT_SUFFIX}"],
                "env": {
                    "VALUE": "two words", "EXPANSION": "${PLUGIN_ROOT}:${PLUGIN_DATA}:${PLUGIN_ROOT}",
                    "LITERAL": "${UNKNOWN}:$VALUE:${PLUGIN_ROOT_SUFFIX}"
                }
            },
            "relative": {"type": "stdio", "command": "./bin/probe token.sh", "cwd": "./bin"},
            "root": {"type": "stdio", "command": "./bin/probe token.sh", "cwd": "${PLUGIN_ROOT}/bin"},
            "data": {"type": "stdio", "command": "./bin/probe token.sh", "cwd": "${PLUGIN_DATA}"}
        }"#,
    );
    let plugins = package.named();
    assert_eq!(issues(&plugins.found()[0]), [""; 0]);
    let (root, data) = (package.root(), package.data());
    let (root, data) = (root.to_str().unwrap(), data.to_str().unwrap());
    let expansion = format!("{root}:{data}:{root}");
    let bin = format!("{root}/bin");
    let sources = sources(plugins.enabled().next().unwrap());
    for (source, expected) in sources.iter().zip([
        vec![
            root,
            root,
            data,
            "two words",
            &expansion,
            "${UNKNOWN}:$VALUE:${PLUGIN_ROOT_SUFFIX}",
            "two words",
            "",
            root,
            data,
            "${UNKNOWN}",
            "$VALUE",
            "${PLUGIN_ROOT_SUFFIX}",
        ],
        vec![&bin, root, data, "", "", ""],
        vec![&bin, root, data, "", "", ""],
        vec![data, root, data, "", "", ""],
    ]) {
        let told = probe(source).await.unwrap();
        assert_eq!(told, expected, "{}", source.name());
    }
    // One folder of data for all of them, and absolute.
    assert!(package.data().is_absolute());
    let written = fs::read_to_string(package.data().join("written")).unwrap();
    assert_eq!(written, "once\n".repeat(4));
}

/// `filesystem.data.distinct-across-plugins`, and 9.1: an update leaves the data.
#[tokio::test]
async fn core_data_is_each_plugins_own_and_outlives_an_update() {
    let package = Package::new("")
        .program("probe", PROBE)
        .servers(r#"{"s": {"type": "stdio", "command": "./probe"}}"#);
    let other = package.outside("plugins/q");
    fs::create_dir_all(&other).unwrap();
    for name in ["probe", "mcp.json"] {
        fs::copy(package.path(name), other.join(name)).unwrap();
    }
    let manifest = json!({"$schema": SCHEMA, "name": "q"});
    fs::write(other.join("plugin.json"), manifest.to_string()).unwrap();
    let mut trust = package.trust();
    for found in package.discovered().found() {
        trust.trust(found.plugin.as_ref().unwrap()).unwrap();
    }
    let mut folders = BTreeSet::new();
    for plugin in package.discovered().enabled() {
        folders.insert(probe(&sources(plugin)[0]).await.unwrap()[2].clone());
    }
    assert_eq!(folders.len(), 2, "{folders:?}");
    // Another version of the plugin in the same place.
    let package = package.file("new", "");
    let plugins = package.named();
    assert_eq!(plugins.enabled().count(), 1);
    probe(&sources(plugins.enabled().next().unwrap())[0]).await;
    let written = fs::read_to_string(package.data().join("written")).unwrap();
    assert_eq!(written, "once\nonce\n");
}

/// A server over HTTP that keeps the heads of its requests, and answers all with this or plays MCP.
async fn serve(answer: Option<String>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (head, body) = request(&mut stream).await;
            kept.lock().unwrap().push(head);
            let answer = answer.clone().unwrap_or_else(|| reply(&body));
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (address, heads)
}

async fn request(stream: &mut tokio::net::TcpStream) -> (String, String) {
    let mut bytes = Vec::new();
    loop {
        stream.read_buf(&mut bytes).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let head = head.to_owned();
        let mut lines = head.lines();
        let length = lines.find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return (head, body.to_owned());
        }
    }
}

fn reply(request: &str) -> String {
    let request: Value = serde_json::from_str(request).unwrap_or_default();
    let body = match request["method"].as_str() {
        Some("initialize") => {
            json!({"result": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}})
        }
        Some("tools/list") => {
            json!({"result": {"tools": [{"name": "probe", "inputSchema": {"type": "object"}}]}})
        }
        Some("tools/call") => json!({"result": {"content": [{"type": "text", "text": "here"}]}}),
        Some("server/discover") => json!({"error": {"code": -32601, "message": "unknown"}}),
        _ => {
            return "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                .to_owned();
        }
    };
    let mut body = body;
    body["jsonrpc"] = "2.0".into();
    body["id"] = request["id"].clone();
    let body = body.to_string();
    let n_bytes = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {n_bytes}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// `mcp.streamable-http.*`: the address and the headers as they are written; those of MCP win; none goes to another origin.
#[tokio::test]
async fn core_servers_over_http_are_asked_as_their_plugin_says() {
    let (address, heads) = serve(None).await;
    let (elsewhere, strange_heads) = serve(None).await;
    let redirect = format!(
        "HTTP/1.1 307 Elsewhere\r\nlocation: http://{elsewhere}/mcp\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    let (redirecting, _) = serve(Some(redirect)).await;
    let headers = r#"{"AcCePt": "text/plain", "X-Fixture": "${PLUGIN_ROOT}|two words"}"#;
    let package = Package::new("").servers(&format!(
        r#"{{
            "http": {{"type": "streamable-http", "url": "http://{address}/conformance/mcp?value=$VALUE", "headers": {headers}}},
            "redirect": {{"type": "streamable-http", "url": "http://{redirecting}/mcp", "headers": {headers}}}
        }}"#
    ));
    let plugins = package.named();
    assert_eq!(issues(&plugins.found()[0]), [""; 0]);
    let sources = sources(plugins.enabled().next().unwrap());
    assert_eq!(probe(&sources[0]).await, Some(vec!["here".to_owned()]));
    assert_eq!(probe(&sources[1]).await, None);
    assert_eq!(*strange_heads.lock().unwrap(), [""; 0]);
    let heads = heads.lock().unwrap();
    for head in heads.iter().filter(|head| head.starts_with("POST")) {
        let mut lines = head.lines();
        let first = lines.next().unwrap();
        assert_eq!(first, "POST /conformance/mcp?value=$VALUE HTTP/1.1");
        let lines: Vec<String> = lines.map(str::to_lowercase).collect();
        let fixture = "x-fixture: ${plugin_root}|two words".to_owned();
        assert!(lines.contains(&fixture), "{head}");
        let accept: Vec<_> = lines
            .iter()
            .filter(|line| line.starts_with("accept:"))
            .collect();
        let [accept] = accept[..] else {
            panic!("{head}");
        };
        assert!(accept.contains("text/event-stream"), "{head}");
        assert!(!accept.contains("text/plain"), "{head}");
    }
    assert!(heads.iter().any(|head| head.starts_with("POST")));
}

/// `recovery`: all that can be wrong in one plugin, and what is right of it is used.
#[tokio::test]
async fn recovery_leaves_what_is_valid() {
    let package = Package::new(r#", "conformanceUnknown": true, "extensions": [1]"#)
        .program("probe", PROBE)
        .skill("valid")
        .file("skills/invalid/SKILL.md", "---\nname: other\n---\n")
        .servers(
            r#"{
                "invalid": {"type": "stdio"},
                "valid": {"type": "stdio", "command": "./probe"},
                "cwd-escape": {"type": "stdio", "command": "./probe", "cwd": "./.."},
                "cwd-data-escape": {"type": "stdio", "command": "./probe", "cwd": "${PLUGIN_DATA}/.."},
                "cwd-symlink-escape": {"type": "stdio", "command": "./probe", "cwd": "./link"},
                "command-symlink-escape": {"type": "stdio", "command": "./program"},
                "unknown-field": {"type": "stdio", "command": "./probe", "conformanceUnknown": true},
                "env-plugin-root": {"type": "stdio", "command": "./probe", "env": {"PLUGIN_ROOT": "x"}},
                "env-plugin-data": {"type": "stdio", "command": "./probe", "env": {"PLUGIN_DATA": "x"}},
                "http-fragment": {"type": "streamable-http", "url": "http://127.0.0.1:1/x#fragment"},
                "http-duplicate-headers": {"type": "streamable-http", "url": "http://127.0.0.1:1/x", "headers": {"X-A": "1", "x-a": "2"}}
            }"#,
        );
    fs::create_dir(package.outside("away")).unwrap();
    std::os::unix::fs::symlink(package.outside("away"), package.path("link")).unwrap();
    std::os::unix::fs::symlink("/bin/sh", package.path("program")).unwrap();
    let plugins = package.named();
    // Two of the manifest, one skill, nine servers.
    let issues = issues(&plugins.found()[0]);
    assert_eq!(issues.len(), 13, "{issues:#?}");
    let plugin = plugins.enabled().next().unwrap();
    let skills = plugin.skills().iter();
    let skills: Vec<&str> = skills.map(openai_agents::skills::Skill::name).collect();
    assert_eq!(skills, ["valid"]);
    let [source] = &sources(plugin)[..] else {
        panic!("{:?}", plugin.servers());
    };
    assert_eq!(source.name(), "p/valid");
    assert!(probe(source).await.is_some());
}

/// `invalid-mcp`: a document that is no JSON takes no skill with it.
#[test]
fn invalid_mcp_document_leaves_the_skills() {
    let document = format!(r#"{{"$schema": "{SERVERS_SCHEMA}", "mcpServers":}}"#);
    let package = Package::new("").skill("valid").file("mcp.json", &document);
    let plugins = package.named();
    assert_eq!(
        issues(&plugins.found()[0]),
        ["mcp.json cannot be used: line 1 is not JSON"]
    );
    let plugin = plugins.enabled().next().unwrap();
    assert_eq!(plugin.skills().len(), 1);
    assert_eq!(plugin.servers().len(), 0);
}

/// Layouts that are published, with what other clients want in them: the names are theirs, the contents ours.
#[test]
fn published_layouts_are_loaded() {
    let skill = |name: &str| format!("---\nname: {name}\ndescription: d\n---\n");
    // github/awesome-copilot, `diagram-viewer`: two other clients' namespaces, and folders that are theirs.
    let package = Package::new(
        r#", "version": "1.0.2", "author": {"name": "n", "url": "u"}, "keywords": ["a"],
        "extensions": {"com.github.copilot": {"logo": "assets/preview.png"}, "com.github.awesome-copilot": {"extensions": ["./extensions/p"]}}"#,
    )
    .file("assets/preview.png", "\u{89}PNG")
    .file("extensions/p/index.mjs", "");
    check_layout(&package, &[], &[]);
    // AmatoAI/skillsplane: one server over HTTP, skills with references, and the licence beside them.
    let package = Package::new(r#", "homepage": "h", "repository": "r", "license": "Apache-2.0""#)
        .file("LICENSE", "")
        .file("skills/find-skills/SKILL.md", &skill("find-skills"))
        .file("skills/find-skills/references/api.md", "")
        .servers(r#"{"p": {"type": "streamable-http", "url": "https://mcp.example/api/mcp"}}"#);
    check_layout(&package, &["find-skills"], &["p"]);
    // Packages that are Codex and Claude plugins too: a manifest and servers of each client, which are none of ours.
    let package = Package::new("")
        .file(".codex-plugin/plugin.json", r#"{"name": "Other Name"}"#)
        .file(".claude-plugin/plugin.json", r#"{"name": "p"}"#)
        .file(
            ".mcp.json",
            r#"{"mcpServers": {"hidden": {"command": "sh"}}}"#,
        )
        .file("commands/go.md", "Go.")
        .file("hooks/hooks.json", r#"{"hooks": {}}"#)
        .file("skills/sprites/SKILL.md", &skill("sprites"))
        .servers(r#"{"sprites": {"type": "streamable-http", "url": "https://mcp.example/mcp"}}"#);
    check_layout(&package, &["sprites"], &["sprites"]);
}

#[track_caller]
fn check_layout(package: &Package, skills: &[&str], servers: &[&str]) {
    let plugins = package.named();
    assert_eq!(issues(&plugins.found()[0]), [""; 0]);
    let plugin = plugins.enabled().next().unwrap();
    let names = plugin.skills().iter();
    let names: Vec<&str> = names.map(openai_agents::skills::Skill::name).collect();
    assert_eq!(names, skills);
    let names = plugin.servers().iter();
    let names: Vec<&str> = names.map(|server| server.name.as_str()).collect();
    assert_eq!(names, servers);
}
