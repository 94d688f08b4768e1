//! MCP servers of the configuration; the server here is the program itself.

use std::process::{Command, Stdio};

use openai_agents::testing::{FakeServer, Reply};
use serde_json::json;

use crate::serve::ServedProgram;
use crate::support::{
    Directory, check_output, chunk, lines, on, streamed_call, streamed_text, whole_call, whole_text,
};

const SUM: &str = r#"{"expression":"100 + 250"}"#;

/// An agent with the tools of a server, which has its own environment and no configuration.
fn config(of_server: &str) -> String {
    let program = env!("CARGO_BIN_EXE_openai-agents");
    format!(
        "mcp_servers:
  sums:
    command: {program}
    args: [serve, --stdio]
    env: {{ OPENAI_BASE_URL: 'http://127.0.0.1:1/v1', OPENAI_MODEL: m, OPENAI_AGENTS_CONFIG: none.yaml }}
    allow_tools: [calculator]
{of_server}
agents:
  - {{ name: Sum, mcp_servers: [sums] }}
  - {{ name: Careful, mcp_servers: [sums], needs_approval: always }}
"
    )
}

fn directory(name: &str, of_server: &str) -> Directory {
    Directory::new(name)
        .file("config.yaml", &config(of_server))
        .file("none.yaml", "log_level: warn")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_calls_the_tools_of_a_server() {
    let directory = directory("mcp-call", "");
    let server = FakeServer::start([
        streamed_call("", "calculator", SUM),
        streamed_text("It is ", "350."),
    ])
    .await
    .unwrap();
    let output = on(
        &server,
        &directory,
        &["run", "--agent", "Sum", "100 + 250?"],
    )
    .output()
    .unwrap();
    check_output(
        &output,
        0,
        "It is 350.\n",
        "-> calculator {\"expression\":\"100 + 250\"}\n<- 350\n",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_wait_where_the_server_or_the_agent_wants_approval() {
    for (name, agent, of_server) in [
        (
            "mcp-approval",
            "Sum",
            "    approval: { calculator: always }",
        ),
        ("mcp-careful", "Careful", ""),
    ] {
        let directory = directory(name, of_server);
        let server = FakeServer::start([
            streamed_call("", "calculator", SUM),
            streamed_text("It is ", "350."),
        ])
        .await
        .unwrap();
        let run = [
            "run",
            "--agent",
            agent,
            "--save-state",
            "s.json",
            "100 + 250?",
        ];
        assert_eq!(
            on(&server, &directory, &run)
                .output()
                .unwrap()
                .status
                .code(),
            Some(5)
        );
        let go_on = ["run", "--resume", "s.json", "--approve-all"];
        check_output(
            &on(&server, &directory, &go_on).output().unwrap(),
            0,
            "It is 350.\n",
            "<- 350\n",
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_start_is_named() {
    let of_server = "  gone: { command: ./not-there, env: { KEY: secret } }";
    let directory = directory("mcp-gone", of_server).file(
        "config.yaml",
        &config(of_server).replace(
            "name: Sum, mcp_servers: [sums]",
            "name: Sum, mcp_servers: [sums, gone]",
        ),
    );
    let server = FakeServer::start(Vec::<Reply>::new()).await.unwrap();
    let output = on(
        &server,
        &directory,
        &["run", "--agent", "Sum", "--json", "hi"],
    )
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error = lines(&output).pop().unwrap()["error"].clone();
    assert_eq!(error["kind"], "mcp");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .starts_with("MCP server `gone`: "),
        "{error}"
    );
    assert!(server.requests().is_empty());
    let output = on(&server, &directory, &["tools", "--json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let servers = lines(&output)
        .into_iter()
        .filter(|line| line["type"] == "mcp_server");
    let servers: Vec<_> = servers
        .map(|line| (line["name"].clone(), line["ok"].clone()))
        .collect();
    assert_eq!(
        servers,
        [(json!("sums"), json!(true)), (json!("gone"), json!(false))]
    );
    // An agent without the server does not need it.
    server.push(streamed_text("h", "i"));
    let output = on(&server, &directory, &["run", "hi"]).output().unwrap();
    check_output(&output, 0, "hi\n", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_listed_with_their_tools() {
    let directory = directory("mcp-list", "");
    let output = directory.program().arg("tools").output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let expected = "MCP server sums: ready, 1 tool
calculator(expression) (MCP server sums)
  Calculates an arithmetic expression, such as 4 * 5
  agents: Sum, Careful
";
    assert!(stdout.ends_with(expected), "{stdout}");
    let server = FakeServer::start([Reply::json(&json!({"data": [{"id": "m"}]}))])
        .await
        .unwrap();
    let output = on(&server, &directory, &["check"]).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        stdout.ends_with("mcp server: sums: ready, 1 tool\n"),
        "{stdout}"
    );
    assert_eq!(output.status.code(), Some(0));
}

/// A server that would stay: it does not read its input.
#[tokio::test(flavor = "multi_thread")]
#[cfg(unix)]
async fn the_server_ends_with_the_program_in_every_way() {
    let program = env!("CARGO_BIN_EXE_openai-agents");
    // The second leaves the process group of the server.
    let script = format!(
        "sleep 1000 & a=$!; setsid sleep 1000 & echo $$$$ $a $! > pids; {program} serve --stdio; wait"
    );
    let directory = Directory::new("mcp-interrupt").file("none.yaml", "log_level: warn").file(
        "config.yaml",
        &format!(
            "mcp_servers:
  sums:
    command: sh
    args: [-c, '{script}']
    env: {{ OPENAI_BASE_URL: 'http://127.0.0.1:1/v1', OPENAI_MODEL: m, OPENAI_AGENTS_CONFIG: none.yaml }}
agents: [{{ name: Sum, mcp_servers: [sums] }}]
"
        ),
    );
    for (signal, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129), ("-0", 0)] {
        let begun = match code {
            // It ends by itself.
            0 => streamed_text("Hel", "lo"),
            _ => Reply::sse([chunk(&json!({"content": "Hel"}), None)]).hang(),
        };
        let server = FakeServer::start([begun]).await.unwrap();
        let mut command = on(&server, &directory, &["run", "--agent", "Sum", "hi"]);
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        server.received(1).await;
        let pids = std::fs::read_to_string(format!(
            "{}/mcp-interrupt/pids",
            env!("CARGO_TARGET_TMPDIR")
        ))
        .unwrap();
        Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status()
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        for pid in pids.split_whitespace() {
            // Killed is not yet gone; a dead one may wait for the system's first process to collect it.
            let is_there = || {
                let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
                stat.is_ok_and(|stat| !stat.contains(") Z "))
            };
            while is_there() {
                std::thread::yield_now();
            }
        }
    }
}

/// The processes that a process started and that are not over.
#[cfg(target_os = "linux")]
fn children(id: u32) -> Vec<String> {
    let mut found = String::new();
    for task in std::fs::read_dir(format!("/proc/{id}/task")).unwrap() {
        found +=
            &std::fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default();
    }
    found.split_whitespace().map(str::to_owned).collect()
}

#[cfg(target_os = "linux")]
fn is_there(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// Kills a process, and waits until its parent can be told by what it ended: its pipes are closed a moment before.
#[cfg(target_os = "linux")]
fn kill(pid: &str) {
    Command::new("kill").args(["-KILL", pid]).status().unwrap();
    let n_threads = || std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    while is_there(pid) || n_threads() > 1 {
        std::thread::yield_now();
    }
}

/// A program that is killed cleans up nothing; the kernel ends a server that does not even read its input.
#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn mcp_server_that_reads_nothing_ends_when_the_program_is_killed() {
    let hello = json!({
        "protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
        "serverInfo": {"name": "deaf", "version": "1"},
    });
    // It shakes hands, and then looks at nothing any more.
    let script = format!(
        r#"reply() {{ printf '{{"jsonrpc":"2.0","id":%s,%s}}\n' "$id" "$1"; }}
while read request; do
    id=${{request#*\"id\":}}; id=${{id%%[,\}}]*}}
    case $request in
        *server/discover*) reply '"error":{{"code":-32601,"message":"unknown"}}' ;;
        *'"initialize"'*) reply '"result":{hello}' ;;
        *initialized*) exec sleep 1000 ;;
    esac
done"#
    );
    let directory = Directory::new("mcp-killed-deaf")
        .file("deaf.sh", &script)
        .file(
            "config.yaml",
            "mcp_servers: { deaf: { command: sh, args: [deaf.sh] } }
agents: [{ name: Sum, mcp_servers: [deaf] }]
",
        );
    let server = FakeServer::start([]).await.unwrap();
    let arguments = ["serve", "--bind", "127.0.0.1:0"];
    let mut served = ServedProgram::start(on(&server, &directory, &arguments));
    let servers = children(served.child.id());
    assert_eq!(servers.len(), 1, "{servers:?}");
    served.child.kill().unwrap();
    served.child.wait().unwrap();
    while is_there(&servers[0]) {
        std::thread::yield_now();
    }
}

/// A server that does what the protocol says ends with its input.
#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn mcp_server_that_reads_its_input_ends_when_the_program_is_killed() {
    let directory = directory("mcp-killed-program", "");
    let begun = Reply::sse([chunk(&json!({"content": "Hel"}), None)]).hang();
    let server = FakeServer::start([begun]).await.unwrap();
    let mut command = on(&server, &directory, &["run", "--agent", "Sum", "hi"]);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    server.received(1).await;
    let servers = children(child.id());
    assert!(!servers.is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    for pid in servers {
        while is_there(&pid) {
            std::thread::yield_now();
        }
    }
}

/// As `npx` and the like start servers: the kernel ends the process that was started here, and the server behind it, in a session of its
/// own, ends with its input.
#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn mcp_server_behind_another_process_ends_with_its_input_when_the_program_is_killed() {
    let program = env!("CARGO_BIN_EXE_openai-agents");
    let script = format!("setsid sh -c \"echo \\$\\$ > pid; exec {program} serve --stdio\"; :");
    let config = format!(
        "mcp_servers:
  sums:
    command: sh
    args: [-c, '{script}']
    env: {{ OPENAI_BASE_URL: 'http://127.0.0.1:1/v1', OPENAI_MODEL: m, OPENAI_AGENTS_CONFIG: none.yaml }}
agents: [{{ name: Sum, mcp_servers: [sums] }}]
"
    );
    let directory = Directory::new("mcp-killed-behind")
        .file("none.yaml", "log_level: warn")
        .file("config.yaml", &config);
    let server = FakeServer::start([]).await.unwrap();
    let arguments = ["serve", "--bind", "127.0.0.1:0"];
    let mut served = ServedProgram::start(on(&server, &directory, &arguments));
    let behind = std::fs::read_to_string(directory.path("pid")).unwrap();
    let shells = children(served.child.id());
    assert!(!shells.contains(&behind.trim().to_owned()) && is_there(behind.trim()));
    served.child.kill().unwrap();
    served.child.wait().unwrap();
    while is_there(behind.trim()) {
        std::thread::yield_now();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn mcp_server_that_is_killed_under_serve_is_logged_and_an_error_of_its_calls() {
    let directory = directory("mcp-killed-server", "");
    let server = FakeServer::start([streamed_call("", "calculator", SUM)])
        .await
        .unwrap();
    let arguments = ["serve", "--bind", "127.0.0.1:0"];
    let mut served = ServedProgram::start(on(&server, &directory, &arguments));
    let servers = children(served.child.id());
    assert_eq!(servers.len(), 1, "{servers:?}");
    kill(&servers[0]);
    let line = served.next_line();
    assert!(
        line.contains("WARN")
            && line.contains("the MCP server ended by itself")
            && line.contains("sums"),
        "{line}"
    );
    let chat = json!({"model": "Sum", "messages": [{"role": "user", "content": "100 + 250?"}]});
    let (status, answer) = served.ask("POST", "/v1/chat/completions", &[], &chat.to_string());
    assert_eq!(status, 500, "{answer}");
    assert!(answer.contains("\"code\":\"mcp\""), "{answer}");
    let cause = "the tools of `sums` cannot be listed: MCP server `sums` is not connected: MCP server `sums` ended by signal 9";
    let advice = "it is not started again by itself, but when it is connected anew, by a reload of the program that serves";
    assert!(answer.contains(&format!("{cause}; {advice}")), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mcp_server_whose_tools_are_deferred_has_them_found_by_the_model() {
    let directory = directory("mcp-deferred", "    defer_tools: true");
    let server = FakeServer::start([
        streamed_call("", "search_tools", r#"{"query":"calculate"}"#),
        streamed_call("", "calculator", SUM),
        streamed_text("It is ", "350."),
    ])
    .await
    .unwrap();
    let arguments = ["run", "--agent", "Sum", "100 + 250?"];
    let output = on(&server, &directory, &arguments).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "It is 350.\n");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let searched = "-> search_tools {\"query\":\"calculate\"}\n<- These tools can be called from now on: calculator.\n";
    assert!(stderr.starts_with(searched), "{stderr}");
    let tools = server.requests().into_iter().map(|request| {
        let body = request.json().unwrap();
        let tools = body["tools"].as_array().unwrap().iter();
        let names = tools.map(|tool| tool["function"]["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>().join(" ")
    });
    assert_eq!(
        tools.collect::<Vec<_>>(),
        [
            "search_tools",
            "search_tools calculator",
            "search_tools calculator"
        ]
    );
    let description = &server.requests()[0].json().unwrap()["tools"][0]["function"]["description"];
    let description = description.as_str().unwrap();
    assert!(
        description.ends_with("\n- sums: Tools of the MCP server `sums`."),
        "{description}"
    );
}

/// By the setting of that name, and without a reload.
#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn mcp_server_that_is_killed_under_serve_comes_back_where_that_is_asked_for() {
    let directory = directory("mcp-comes-back", "    reconnect_after_secs: 1");
    let server = FakeServer::start([whole_call("calculator", SUM), whole_text("350")])
        .await
        .unwrap();
    let arguments = ["serve", "--bind", "127.0.0.1:0"];
    let mut served = ServedProgram::start(on(&server, &directory, &arguments));
    let before = children(served.child.id());
    kill(&before[0]);
    served.next_line();
    let chat = json!({"model": "Sum", "messages": [{"role": "user", "content": "100 + 250?"}]});
    let (status, answer) = served.ask("POST", "/v1/chat/completions", &[], &chat.to_string());
    assert_eq!(status, 200, "{answer}");
    let told = server.requests()[1].json().unwrap().to_string();
    assert!(told.contains("\"content\":\"350\""), "{told}");
    let after = children(served.child.id());
    assert_eq!(after.len(), 1, "{after:?}");
    assert_ne!(after, before);
}
