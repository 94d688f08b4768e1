//! What becomes of MCP servers that do not do what they should, played by shell scripts.
#![cfg(unix)]

use std::path::Path;
use std::sync::Arc;

use openai_agents::mcp::{McpClient, McpClients, McpError, McpProtocol, McpState, Stdio};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::tools::{ToolFailure, ToolOptions, ToolSource};
use openai_agents::{Agent, ErrorKind, Runner};
use serde_json::json;

use crate::mcp_script::{SHORT, call, connected, connected_within, script, server, shell, tools};

#[tokio::test]
async fn a_program_that_is_not_there_is_an_error_and_a_state() {
    let server = server(Stdio::new("/does/not/exist"));
    assert!(matches!(server.state(), McpState::Closed));
    let error = server.connect().await.unwrap_err();
    assert!(matches!(error, McpError::Spawn { .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Mcp);
    assert!(matches!(server.state(), McpState::Failed { .. }));
    let error = server.tools().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.source_name()),
        (ErrorKind::Mcp, "script")
    );
}

#[tokio::test]
async fn a_server_that_dies_at_once_is_quoted() {
    let error = server(shell("echo 'no licence' >&2; exit 3"))
        .connect()
        .await;
    let error = error.unwrap_err().to_string();
    assert_eq!(
        error,
        "MCP server `script` did not start: it ended with exit status 3 before it had answered; it wrote: no licence"
    );
}

#[tokio::test]
async fn a_server_that_writes_something_else_is_an_error() {
    let server = server(shell("echo 'Welcome!'; read line"));
    let error = server.connect().await.unwrap_err();
    assert!(matches!(error, McpError::Connect { .. }), "{error:?}");
}

/// Waits until a process is gone.
#[cfg(target_os = "linux")]
async fn gone(pid: &str) {
    let is_there = |pid: &str| {
        let status = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
        // One that nobody has waited for yet is as good as gone.
        status.is_ok_and(|status| !status.contains(") Z "))
    };
    while is_there(pid) {
        tokio::task::yield_now().await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_that_hangs_at_its_start_times_out_and_ends_with_its_children() {
    let builder = McpClient::builder("script", shell("sleep 1000 & echo $! >&2; wait"));
    let server = builder.connect_timeout(SHORT).build().unwrap();
    let error = server.connect().await.unwrap_err();
    let McpError::ConnectTimeout {
        stderr: Some(pid),
        after,
        ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(after, SHORT);
    gone(&pid).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_that_floods_is_ended() {
    let builder = McpClient::builder(
        "script",
        shell("echo $$ >&2; exec yes '{\"jsonrpc\":\"2.0\",\"method\":\"x\"}'"),
    );
    let server = builder.connect_timeout(SHORT).build().unwrap();
    let error = server.connect().await.unwrap_err();
    let (McpError::ConnectTimeout {
        stderr: Some(pid), ..
    }
    | McpError::Connect {
        stderr: Some(pid), ..
    }) = error
    else {
        panic!("{error:?}");
    };
    gone(&pid).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_closed_server_ends_with_its_children() {
    let server = connected(script(
        "sleep 1000 & reply '\"error\":{\"code\":1,\"message\":\"'$!'\"}'",
    ))
    .await;
    let McpError::Refused { message: pid, .. } = call(&server).await else {
        panic!("the script refuses every call");
    };
    server.close().await;
    gone(&pid).await;
    assert!(matches!(server.state(), McpState::Closed));
    assert!(matches!(call(&server).await, McpError::NotConnected { .. }));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_ends_when_the_last_of_its_tools_is_dropped() {
    let answer = r#"case $request in
        *tools/list*) reply '"result":{"tools":[{"name":"pid","inputSchema":{"type":"object"}}]}' ;;
        *) reply '"error":{"code":1,"message":"'$$'"}' ;;
    esac"#;
    let server = connected(script(answer)).await;
    let tools = server.function_tools().await.unwrap();
    let McpError::Refused { message: pid, .. } = call(&server).await else {
        panic!("the script refuses every call");
    };
    drop(server);
    assert!(Path::new("/proc").join(&pid).exists());
    drop(tools);
    gone(&pid).await;
}

#[tokio::test]
async fn a_server_that_dies_in_a_call_fails_the_call_and_is_failed() {
    let server = connected(script("echo 'out of memory' >&2; exit 1")).await;
    let error = call(&server).await;
    assert_eq!(
        error.to_string(),
        "MCP server `script` ended with exit status 1; it wrote: out of memory"
    );
    assert!(matches!(server.state(), McpState::Failed { .. }));
    // It is not started again by itself, but it can be.
    assert!(matches!(call(&server).await, McpError::NotConnected { .. }));
    server.connect().await.unwrap();
    assert!(matches!(server.state(), McpState::Ready));
}

#[tokio::test]
async fn a_call_without_an_answer_times_out_and_the_server_stays() {
    let server = connected_within(script(""), SHORT).await;
    let error = call(&server).await;
    let McpError::Timeout { method, after, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!((method, after), ("tools/call", SHORT));
    assert!(matches!(server.state(), McpState::Ready));
}

#[tokio::test]
async fn mcp_stderr_is_kept_without_secrets() {
    let stdio = script(r#"reply '"error":{"code":7,"message":"bad key '"$KEY"'"}'"#);
    let server = connected(stdio.env("KEY", "sk-12345678")).await;
    let error = call(&server).await;
    let McpError::Refused { code, message, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!((code, &*message), (7, "bad key [redacted]"));
}

#[tokio::test]
async fn the_last_words_of_a_server_hold_no_secret() {
    let long = "x".repeat(3000);
    let stdio = shell(&format!("echo \"{long} $KEY $FOLDER\" >&2; exit 1"))
        .env("KEY", "sk-12345678")
        .env("FOLDER", "/srv/documents");
    let error = server(stdio).connect().await.unwrap_err();
    let McpError::Connect {
        stderr: Some(stderr),
        ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(stderr.trim_start_matches('x'), " [redacted] /srv/documents");
}

#[tokio::test]
async fn mcp_server_that_cannot_start_names_the_command() {
    for (stdio, expected) in [
        (
            Stdio::new("no-such-program-anywhere"),
            "MCP server `script`: `no-such-program-anywhere` cannot be started: it is not in PATH",
        ),
        (
            Stdio::new("sh").current_dir("/no/such/directory"),
            "MCP server `script`: `sh` cannot be started: there is no directory `/no/such/directory`",
        ),
    ] {
        let error = server(stdio).connect().await.unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn a_server_that_was_killed_says_so_and_what_helps() {
    let server = connected(script("kill -9 $$")).await;
    assert_eq!(
        call(&server).await.to_string(),
        "MCP server `script` ended by signal 9"
    );
    assert_eq!(
        call(&server).await.to_string(),
        "MCP server `script` is not connected: MCP server `script` ended by signal 9; \
         it is not started again by itself, but when it is connected anew, by a reload of the program that serves"
    );
}

#[tokio::test]
async fn a_list_without_end_is_an_error() {
    let server = connected(script(
        r#"reply '"result":{"tools":[],"nextCursor":"'$id'"}'"#,
    ))
    .await;
    let error = server.function_tools().await.unwrap_err();
    assert!(matches!(error, McpError::ListTooLong { .. }), "{error:?}");

    let server = connected(script(r#"reply '"result":{"tools":[],"nextCursor":"a"}'"#)).await;
    let error = server.function_tools().await.unwrap_err();
    assert!(matches!(error, McpError::Unexpected { .. }), "{error:?}");
}

#[tokio::test]
async fn tools_are_filtered_named_and_told_apart() {
    let names = |tools: &[openai_agents::FunctionTool]| -> Vec<String> {
        tools.iter().map(|tool| tool.name().to_string()).collect()
    };
    let build = |name: &str, listed: &[&str]| {
        McpClient::builder(name, script(&tools(listed))).protocol(McpProtocol::Handshake)
    };
    let plain = build("one", &["read", "write", "delete"])
        .allow_tools(["read", "delete"])
        .block_tools(["delete"])
        .build()
        .unwrap();
    let long = "x".repeat(70);
    let prefixed = build("my server", &["read", "a.b", "a/b", &long])
        .prefix_tools()
        .build()
        .unwrap();
    let servers = McpClients::new([plain.clone(), prefixed]).unwrap();
    servers.connect().await.unwrap();
    let tools = servers.function_tools().await.unwrap();
    let found = names(&tools);
    assert_eq!(found[..2], ["read", "mcp_my_server__read"]);
    // Two names that would be one, and one that is too long, end in a hash.
    assert!(
        found[2].starts_with("mcp_my_server__a_b_") && found[2] != found[3],
        "{found:?}"
    );
    assert_eq!(found[4].len(), 64);
    assert!(Arc::ptr_eq(
        &tools,
        &servers.function_tools().await.unwrap()
    ));

    let clashing = build("two", &["read"]).build().unwrap();
    let servers = McpClients::new([plain, clashing]).unwrap();
    servers.connect().await.unwrap();
    let error = servers.function_tools().await.unwrap_err().to_string();
    assert_eq!(
        error,
        "the MCP servers `one` and `two` both have a tool `read`"
    );
}

/// Lists a tool `look`, whose calls fail.
fn failing() -> Stdio {
    let listed = tools(&["look"]);
    let failed = json!({"content": [{"type": "text", "text": "no such page"}], "isError": true});
    script(&format!(
        r#"case $request in
            *tools/list*) {listed} ;;
            *) reply '"result":{failed}' ;;
        esac"#
    ))
}

#[tokio::test]
async fn the_model_is_told_the_words_of_a_tool_that_failed() {
    let server = connected(failing()).await;
    let tools = server.function_tools().await.unwrap();
    let agent = Agent::builder("Reader")
        .tool(tools[0].clone())
        .build()
        .unwrap();
    let turns = [
        ScriptedTurn::tool_call("look", json!({})),
        ScriptedTurn::text("Sorry."),
    ];
    let result = Runner::new(ScriptedModel::new(turns))
        .run(&agent, "Look.")
        .await
        .unwrap();
    let told = serde_json::to_string(&result.to_input_list()).unwrap();
    assert!(told.contains("tool `look` failed: no such page"), "{told}");
}

#[tokio::test]
async fn a_tool_that_failed_ends_the_run_if_that_is_asked_for() {
    let options = ToolOptions::default().failure(ToolFailure::Raise);
    let builder = McpClient::builder("script", failing()).protocol(McpProtocol::Handshake);
    let server = builder.tool_options(options).build().unwrap();
    server.connect().await.unwrap();
    let tools = server.function_tools().await.unwrap();
    let agent = Agent::builder("Reader")
        .tool(tools[0].clone())
        .build()
        .unwrap();
    let turns = [ScriptedTurn::tool_call("look", json!({}))];
    let error = Runner::new(ScriptedModel::new(turns))
        .run(&agent, "Look.")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ToolFailed);
}
