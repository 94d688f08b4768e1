//! MCP servers that repeat what they were trusted with: in what they list, answer, refuse and write to their log.
#![cfg(unix)]

use openai_agents::testing::{FakeServer, Reply};
use serde_json::json;

use super::{LEVELS, files, forms, leak};
use crate::support::{Directory, KEY, on, streamed_call, streamed_text};

/// A server on this machine: a script that repeats a text, which is its secret in some form.
fn script(form: &str) -> String {
    let hello = json!({
        "protocolVersion": "2025-11-25", "capabilities": {"tools": {}, "prompts": {}, "resources": {}},
        "serverInfo": {"name": form, "version": form, "title": form}, "instructions": form,
    });
    let schema = json!({"type": "object", "description": form, "properties": {"a": {"type": "string", "description": form}}});
    let tools = json!({"tools": [
        {"name": "look", "title": form, "description": form, "inputSchema": schema, "_meta": {form: form}},
        {"name": form, "description": form, "inputSchema": 7},
    ]});
    let result = json!({
        "content": [{"type": "text", "text": form}, {"type": "resource_link", "uri": format!("file:///{form}"), "name": form}],
        "structuredContent": {form: form}, "_meta": {form: form},
    });
    let note = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "error", "logger": form, "data": form}});
    format!(
        r#"
say() {{ printf '%s\n' "$1"; }}
echo '{form}' >&2
say '{form}'
while read -r request; do
    id=${{request#*\"id\":}}; id=${{id%%[,\}}]*}}
    case $request in
        *'"initialize"'*) say '{{"jsonrpc":"2.0","id":'"$id"',"result":{hello}}}' ;;
        *'"tools/list"'*) say '{note}'; say '{{"jsonrpc":"2.0","id":'"$id"',"result":{tools}}}' ;;
        *'"tools/call"'*) say '{{"jsonrpc":"2.0","id":'"$id"',"result":{result}}}' ;;
        *'"id":'*) say '{{"jsonrpc":"2.0","id":'"$id"',"error":{{"code":-32601,"message":{message},"data":{message}}}}}' ;;
    esac
done
"#,
        message = json!(form),
    )
}

const CONFIG: &str = "mcp_servers:
  leaky: { command: sh, args: [leaky.sh], env: { LEAKY_TOKEN: KEY } }
agents:
  - { name: Leaky, mcp_servers: [leaky] }
";

/// Runs commands on a configuration, and gives all that can be read of them.
fn told(
    directory: &Directory,
    server: &FakeServer,
    commands: &[&[&str]],
    level: &str,
) -> Vec<(String, String)> {
    let mut told = Vec::new();
    for arguments in commands {
        let mut command = on(server, directory, arguments);
        let output = command
            .env("RUST_LOG", level)
            .env("OPENAI_API_KEY", "sk-other-9876543210")
            .output()
            .unwrap();
        for (what, bytes) in [("stdout", output.stdout), ("stderr", output.stderr)] {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            told.push((format!("{what} of {arguments:?}"), text));
        }
    }
    files(&directory.path("."), &mut told);
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn mcp_server_that_repeats_its_secret_is_shown_without_it() {
    let mut leaks = Vec::new();
    for (idx, (name, form)) in forms().into_iter().enumerate() {
        let directory = Directory::new("echo-mcp");
        directory.write("config.yaml", CONFIG.replace("KEY", KEY));
        directory.write("leaky.sh", script(&form));
        let replies = [
            streamed_call("", "look", "{}"),
            streamed_text("Hi", "."),
            streamed_call("", "look", "{}"),
            streamed_text("Hi", "."),
        ];
        let server = FakeServer::start(replies).await.unwrap();
        let commands: [&[&str]; 6] = [
            &[
                "run",
                "--agent",
                "Leaky",
                "--session",
                "s",
                "--record",
                "r.jsonl",
                "go",
            ],
            &["run", "--agent", "Leaky", "--json", "go"],
            &["tools"],
            &["tools", "--json"],
            &["agents", "--json"],
            &["check"],
        ];
        let level = LEVELS[idx % LEVELS.len()];
        let mut told = told(&directory, &server, &commands, level);
        // What the model is told of it too; `check` asks once more.
        let requests = server.requests();
        assert_eq!(requests.len(), 5, "{told:?}");
        for request in requests {
            told.push((
                "a request".to_owned(),
                String::from_utf8_lossy(&request.body).into_owned(),
            ));
        }
        for (what, text) in told {
            let is_input = what.ends_with("config.yaml") || what.ends_with("leaky.sh");
            if let Some(part) = leak(&text, &form).filter(|_| !is_input) {
                leaks.push(format!("{name} at {level}, {what}: {part}"));
            }
        }
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}

/// Replies of a server over HTTP that refuses, and repeats the token in its challenge and its words.
fn refusals(form: &str) -> Vec<Reply> {
    let challenge = format!(
        "Bearer realm=\"{form}\", error=\"invalid_token\", error_description=\"{form}\", scope=\"{form}\", \
         resource_metadata=\"http://127.0.0.1:1/{form}\""
    );
    let body = json!({"jsonrpc": "2.0", "id": 0, "error": {"code": -32000, "message": form, "data": form}});
    vec![
        Reply::status(401, form).header("www-authenticate", challenge.clone()),
        Reply::status(403, form).header("www-authenticate", challenge),
        Reply::status(400, body.to_string()),
        Reply::status(429, form).header("retry-after", form),
        Reply::new(200)
            .header("content-type", format!("text/{form}"))
            .bytes(form.to_owned()),
        Reply::json(&body),
        Reply::new(200)
            .header("content-type", "application/json")
            .bytes(form.to_owned()),
        Reply::new(200)
            .header("content-type", "application/json")
            .header("mcp-session-id", form)
            .bytes("{}"),
        Reply::sse([form]),
        Reply::new(302).header("location", format!("/{form}?{form}")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn mcp_server_over_http_that_refuses_by_repeating_the_token_is_shown_without_it() {
    let mut leaks = Vec::new();
    for (form_idx, (name, form)) in forms().into_iter().enumerate() {
        for (idx, reply) in refusals(&form).into_iter().enumerate() {
            let level = LEVELS[(form_idx + idx) % LEVELS.len()];
            // Those of the key as it is at all levels.
            let levels = if form_idx == 0 { &LEVELS[..] } else { &[level] };
            for level in levels {
                let directory = Directory::new("echo-mcp-http");
                let model = FakeServer::start(Vec::<Reply>::new()).await.unwrap();
                let remote = FakeServer::start((0..12).map(|_| reply.clone()))
                    .await
                    .unwrap();
                let config = format!(
                    "mcp_servers:\n  remote: {{ url: '{}/mcp', bearer_token: {KEY} }}\nagents: [{{ name: Remote, mcp_servers: [remote] }}]\n",
                    remote.url()
                );
                directory.write("config.yaml", config);
                let commands: [&[&str]; 3] = [
                    &["run", "--agent", "Remote", "--json", "go"],
                    &["tools"],
                    &["check"],
                ];
                for (what, text) in told(&directory, &model, &commands, level) {
                    if let Some(part) =
                        leak(&text, &form).filter(|_| !what.ends_with("config.yaml"))
                    {
                        leaks.push(format!("{name}, {idx} at {level}, {what}: {part}"));
                    }
                }
                assert!(!remote.requests().is_empty());
            }
        }
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}
