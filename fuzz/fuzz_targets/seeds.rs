//! What fuzzing begins with: what other programs sent, from the fixtures, and what this one writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use openai_agents::__private::fuzz::MCP_METHODS;
use openai_agents::journal::{FileJournal, RunBeginning};
use openai_agents::testing::realtime::{RealtimeScript, ScriptLine, UserAction};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::tools::ToolOptions;
use openai_agents::{Agent, FunctionTool, Item, Runner};
use serde_json::{Value, json};

/// Gives the seeds of a target; `root` is the folder of the repository, `scratch` one to write in.
pub(crate) fn seeds(target: &str, root: &Path, scratch: &Path) -> Vec<Vec<u8>> {
    let fixtures = root.join("tests/fixtures");
    match target {
        "sse" => in_pieces(&captures(&fixtures, &[""], "sse")),
        "chat" => in_pieces(&wire(&fixtures, "chat")),
        "responses" => in_pieces(&wire(&fixtures, "responses")),
        "harmony" => in_pieces(&harmony(&fixtures)),
        "run_state" => states(),
        "recording" => recordings(scratch),
        "mcp_server" => messages(),
        "mcp_client" => answers(),
        "config" => configurations(root),
        "realtime" => conversations(&fixtures.join("realtime")),
        other => panic!("there is no target `{other}`"),
    }
}

/// Gives the inputs that fuzzing found and that are kept: each behind its length, in one file for a target.
pub(crate) fn kept(target: &str, root: &Path) -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    let packed = fs::read(root.join("fuzz/corpus").join(target)).unwrap_or_default();
    let mut rest = &*packed;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (length, after) = rest.split_at(end);
        let length = std::str::from_utf8(length)
            .ok()
            .and_then(|text| text.parse().ok());
        let (input, after) = after[1..].split_at(length.expect("a length"));
        inputs.push(input.to_vec());
        rest = &after[1..];
    }
    inputs
}

/// Makes the files of a folder the inputs that are kept.
#[cfg_attr(test, expect(dead_code, reason = "the fuzzer calls it"))]
pub(crate) fn pack(target: &str, root: &Path, folder: &Path) {
    let mut packed = Vec::new();
    for path in files(folder) {
        let input = fs::read(path).expect("an input");
        packed.extend_from_slice(format!("{}\n", input.len()).as_bytes());
        packed.extend_from_slice(&input);
        packed.push(b'\n');
    }
    let corpus = root.join("fuzz/corpus");
    fs::create_dir_all(&corpus).expect("the folder can be made");
    fs::write(corpus.join(target), packed).expect("it can be written");
}

/// Whole, and in small pieces.
fn in_pieces(streams: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let sizes = [255, 7];
    let cut = streams.iter().enumerate().map(|(n, stream)| {
        let mut seed = vec![sizes[n % sizes.len()]];
        seed.extend_from_slice(stream);
        seed
    });
    cut.collect()
}

/// Recorded answers whose names begin so.
fn captures(fixtures: &Path, begins: &[&str], extension: &str) -> Vec<Vec<u8>> {
    let files = files(&fixtures.join("captures")).into_iter();
    let meant = files.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_answer = name.ends_with(&format!(".{extension}")) && !name.contains(".request.");
        is_answer && begins.iter().any(|begin| name.starts_with(begin))
    });
    meant
        .map(|path| fs::read(path).expect("a fixture"))
        .collect()
}

fn wire(fixtures: &Path, endpoint: &str) -> Vec<Vec<u8>> {
    let mut seeds = captures(fixtures, &[endpoint], "sse");
    seeds.extend(captures(fixtures, &[endpoint], "json"));
    for case in lines(&fixtures.join("wire-quirks/cases.jsonl")) {
        if case["endpoint"] != endpoint {
            continue;
        }
        for reply in case["script"].as_array().into_iter().flatten() {
            let steps = reply["steps"].as_array().into_iter().flatten();
            let text: String = steps.filter_map(Value::as_str).collect();
            seeds.push(text.into_bytes());
        }
    }
    seeds
}

/// The texts as a server of the completions API streams them.
fn harmony(fixtures: &Path) -> Vec<Vec<u8>> {
    let cases = lines(&fixtures.join("harmony/parse.jsonl"));
    let streams = cases.iter().map(|case| {
        let text = case["text"].as_str().unwrap_or_default();
        let middle = text.char_indices().nth(text.chars().count() / 2);
        let (begin, end) = text.split_at(middle.map_or(0, |(at, _)| at));
        let chunk = |text: &str, finish: Value| {
            let choice = json!({"index": 0, "text": text, "finish_reason": finish});
            format!("data: {}\n\n", json!({"id": "c", "choices": [choice]}))
        };
        let stream = chunk(begin, Value::Null) + &chunk(end, json!("stop")) + "data: [DONE]\n\n";
        stream.into_bytes()
    });
    streams.collect()
}

fn states() -> Vec<Vec<u8>> {
    let tool = look().needs_approval();
    let agent = Agent::builder("A").tool(tool).build().expect("it is one");
    let calls = [("look", json!({"x": 1})), ("look", json!({}))];
    let model = ScriptedModel::new([ScriptedTurn::tool_calls(calls)]);
    let run = async { Runner::new(model).run(&agent, "go").await };
    let error = block_on(run).expect_err("the calls wait");
    let state = error.into_state().expect("the calls wait");
    vec![state.to_json().expect("it is one").into_bytes()]
}

fn recordings(scratch: &Path) -> Vec<Vec<u8>> {
    let file = scratch.join("seed.jsonl");
    fs::remove_file(&file).ok();
    let agent = Agent::builder("A").tool(look()).build().expect("it is one");
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("look", json!({})),
        ScriptedTurn::text("done"),
    ]);
    let beginning = RunBeginning::new("A", [Item::user("go")]).settings(json!({ "model": "m" }));
    block_on(async {
        let journal = FileJournal::create(&file, &beginning)
            .await
            .expect("it can be written");
        let runner = Runner::new(model);
        runner
            .run(&agent, "go")
            .journal(Arc::new(journal))
            .await
            .expect("it answers");
    });
    let recording = fs::read(&file).expect("it was written");
    fs::remove_file(&file).ok();
    vec![recording]
}

fn look() -> FunctionTool {
    let schema = json!({"type": "object", "properties": {"x": {"type": "integer"}}});
    let options = ToolOptions::default().strict(false);
    let tool = FunctionTool::dynamic("look", "Looks.", schema, options, |_, _| async {
        Ok::<_, String>("wet")
    });
    tool.expect("it is one")
}

fn messages() -> Vec<Vec<u8>> {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "fuzz", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let handshake = json!({
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "fuzz", "version": "1"},
    });
    let calls = [
        ("tools/list", json!({})),
        (
            "tools/call",
            json!({"name": "echo", "arguments": {"text": "hi"}}),
        ),
        (
            "tools/call",
            json!({"name": "ask_guide", "arguments": {"input": "hi", "session": "s"}}),
        ),
        ("resources/list", json!({})),
        ("resources/read", json!({"uri": "session://s"})),
        ("resources/templates/list", json!({})),
        ("prompts/list", json!({})),
        ("prompts/get", json!({"name": "Guide"})),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "Guide"}, "argument": {"name": "a", "value": ""}}),
        ),
        ("ping", json!({})),
    ];
    let message = |n: usize, method: &str, params: &Value| {
        json!({"jsonrpc": "2.0", "id": n, "method": method, "params": params}).to_string()
    };
    let mut seeds = vec![("\u{1}", message(0, "initialize", &handshake))];
    for (n, (method, mut params)) in calls.into_iter().enumerate() {
        params["_meta"] = meta.clone();
        seeds.push(("\u{2}", message(n, method, &params)));
    }
    let cancelled =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    seeds.push(("\u{2}", cancelled.to_string()));
    let seeds = seeds.into_iter();
    seeds
        .map(|(first, message)| format!("{first}{message}").into_bytes())
        .collect()
}

/// An answer to each method that a client asks by, and what servers send on their own.
fn answers() -> Vec<Vec<u8>> {
    let results = json!({
        "initialize": {
            "protocolVersion": "2025-06-18", "capabilities": {"tools": {"listChanged": true}},
            "serverInfo": {"name": "s", "version": "1", "icons": [{"src": "data:,"}]}, "instructions": "Ask."
        },
        "tools/list": {
            "tools": [
                {
                    "name": "look", "title": "Look", "inputSchema": {"type": "object"}, "outputSchema": {"type": "object"},
                    "annotations": {"readOnlyHint": true}, "execution": {"taskSupport": "optional"}, "_meta": {"a": 1}
                },
                {"name": "go", "description": "Goes.", "inputSchema": {"type": "object"}}
            ],
            "nextCursor": "2"
        },
        "tools/call": {
            "content": [
                {"type": "text", "text": "Seen.", "annotations": {"audience": ["user"], "priority": 0.5}},
                {"type": "image", "data": "AA==", "mimeType": "image/png"},
                {"type": "resource_link", "uri": "file:///a", "name": "a"},
                {"type": "resource", "resource": {"uri": "file:///a", "text": "A"}}
            ],
            "structuredContent": {"seen": true}, "isError": false
        },
        "resources/list": {"resources": [{"uri": "file:///a", "name": "a", "annotations": {"priority": 1}}]},
        "resources/templates/list": {"resourceTemplates": [{"uriTemplate": "file:///{x}", "name": "a"}]},
        "resources/read": {"contents": [{"uri": "file:///a", "blob": "AA=="}], "ttlMs": 5},
        "prompts/list": {"prompts": [{"name": "ask", "arguments": [{"name": "who"}]}]},
        "prompts/get": {"messages": [{"role": "user", "content": {"type": "text", "text": "Hi"}}]},
        "completion/complete": {"completion": {"values": ["a"], "total": 1, "hasMore": false}},
    });
    let mut seeds = Vec::new();
    for (first, method) in (0u8..).zip(MCP_METHODS) {
        let mut seed = vec![first];
        let answer = json!({"jsonrpc": "2.0", "id": 7, "result": results[method]});
        seed.extend_from_slice(answer.to_string().as_bytes());
        seeds.push(seed);
    }
    let questions = [
        r#"{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{"a":{"type":"string","enum":["x"]}}}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{"messages":[{"role":"user","content":{"type":"text","text":"Hi"}}],"maxTokens":5}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":0.5,"message":"on"}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":{"a":"\ud800"}}}"#,
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"no","data":[1]}}"#,
        r#"[{"jsonrpc":"2.0","id":7,"result":{"content":[],"content":[1],"isError":true}},{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}]"#,
    ];
    let questions = questions
        .iter()
        .map(|question| [b"\x02", question.as_bytes()].concat());
    seeds.extend(questions);
    seeds
}

/// The examples of the documentation, whole and section by section.
fn configurations(root: &Path) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(root.join("docs/configuration.md")).expect("the page");
    let mut seeds = Vec::new();
    for block in text.split("```yaml\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        seeds.push(block.as_bytes().to_vec());
        let sections = block
            .split("\n\n")
            .map(|section| section.as_bytes().to_vec());
        seeds.extend(sections);
    }
    seeds.push(b"model: ${MODEL}\n\0MODEL=m\nOPENAI_AGENTS__LIMITS__MAX_TURNS=3\n".to_vec());
    seeds
}

/// The scripts of conversations, and what a real server sent.
fn conversations(folder: &Path) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for path in files(folder) {
        let text = fs::read_to_string(&path).expect("a fixture");
        let seed = match path.extension().and_then(|extension| extension.to_str()) {
            Some("script") => as_lines(&RealtimeScript::parse(&text).expect("a script")),
            Some("jsonl") => text,
            _ => continue,
        };
        let seed: Vec<String> = seed.lines().map(shorter).collect();
        seeds.push(seed.join("\n").into_bytes());
    }
    seeds
}

/// What happens in a script, without what is expected.
fn as_lines(script: &RealtimeScript) -> String {
    let mut now = Duration::ZERO;
    let mut lines = Vec::new();
    for (_, line) in &script.lines {
        lines.push(match line {
            ScriptLine::Server(event) => event.to_string(),
            ScriptLine::At(time) => {
                let passed = time.saturating_sub(now).as_millis();
                now = *time;
                format!("+{passed}")
            }
            ScriptLine::Played(item, position) => format!("played {item} {}", position.as_millis()),
            ScriptLine::User(UserAction::Text(text), _) => format!("text {text}"),
            ScriptLine::User(UserAction::Audio(audio), _) => format!("audio {}", audio.len()),
            ScriptLine::User(UserAction::Commit, _) => "commit".to_owned(),
            ScriptLine::User(UserAction::Interrupt, _) => "interrupt".to_owned(),
            ScriptLine::User(UserAction::Approve(_), _) => "approve".to_owned(),
            ScriptLine::User(UserAction::Reject(..), _) => "reject".to_owned(),
            ScriptLine::Tool(..) | ScriptLine::Opened => "oldest".to_owned(),
            ScriptLine::Close(code, _) => format!("close {code}"),
            ScriptLine::Drop => "close 1006".to_owned(),
            _ => continue,
        });
    }
    lines.join("\n")
}

/// Without most of its audio, so that an input stays small.
fn shorter(line: &str) -> String {
    let Ok(mut event) = serde_json::from_str::<Value>(line) else {
        return line.to_owned();
    };
    if let Some(Value::String(delta)) = event.get_mut("delta") {
        // 64 characters of base64 are 48 bytes, a millisecond of PCM.
        delta.truncate(640);
    }
    event.to_string()
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("a fixture");
    let values = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    values.collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.expect("there is one").block_on(future)
}
