//! Tools for pages, databases and web services, and those of the Responses API, in runs of the program.

use openai_agents::testing::{FakeServer, Reply};
use serde_json::{Value, json};

use crate::support::{Directory, check_output, on, streamed_call, streamed_text};

const DOCUMENT: &str = "\
openapi: 3.1.0
paths:
  /pets:
    get: { operationId: listPets, description: Lists pets. }
";

#[test]
fn outside_tools_are_listed_with_their_section() {
    let directory = Directory::new("outside-tools")
        .file("pets.yaml", DOCUMENT)
        .file(
            "config.yaml",
            "\
fetch_url: {}
openapi:
  pets: { document: pets.yaml, server: 'https://pets.example' }
agents: [{ name: A, tools: [fetch_url, listPets] }]
",
        );
    let output = directory.program().arg("tools").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for (tool, next) in [
        ("fetch_url(url) (fetch_url, ./config.yaml:1)\n", "fetch_url"),
        ("listPets() (openapi.pets, ./config.yaml:3)\n", "listPets"),
    ] {
        assert!(text.contains(tool), "{next}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn run_reads_a_page_of_a_private_host_only_if_the_file_names_it() {
    for (private_hosts, told) in [
        ("[127.0.0.1]", "42"),
        (
            "[]",
            "`127.0.0.1` is 127.0.0.1, which is not a public address",
        ),
    ] {
        let pages = FakeServer::start([Reply::status(200, "42")]).await.unwrap();
        let file = format!(
            "fetch_url: {{ private_hosts: {private_hosts} }}\nagents: [{{ name: A, tools: [fetch_url] }}]"
        );
        let directory = Directory::new("outside-fetch").file("config.yaml", &file);
        let arguments = json!({"url": format!("{}/answer", pages.url())}).to_string();
        let server = FakeServer::start([
            streamed_call("", "fetch_url", &arguments),
            streamed_text("Do", "ne."),
        ])
        .await
        .unwrap();
        let output = on(&server, &directory, &["run", "--agent", "A", "hi"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let body: Value = server.requests()[1].json().unwrap();
        let content = body["messages"][2]["content"].as_str().unwrap();
        assert!(content.ends_with(told), "{content}");
        assert_eq!(pages.requests().len(), usize::from(told == "42"));
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn run_makes_a_shell_call_of_the_responses_api() {
    let file = "\
model_api: responses
workspace: { root: ., approval: never, builtin_tools: [shell] }
agents: [{ name: A, tools: [run_command] }]
";
    let directory = Directory::new("outside-shell").file("config.yaml", file);
    let call = json!({"type": "shell_call", "id": "sh_1", "call_id": "c1", "status": "completed",
        "action": {"commands": ["echo 42"], "timeout_ms": null, "max_output_length": null}});
    let text = json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "42.", "annotations": []}]});
    let server = FakeServer::start([response("resp_0", &call), response("resp_1", &text)])
        .await
        .unwrap();
    let output = on(&server, &directory, &["run", "--agent", "A", "hi"])
        .output()
        .unwrap();
    check_output(
        &output,
        0,
        "42.\n",
        "-> run_command {\"commands\":[\"echo 42\"],\"timeout_ms\":null,\"max_output_length\":null}\n<- {\"output\":[{\"stdout\":\"42\\n\",\"stderr\":\"\",\"outcome\":{\"type\":\"exit\",\"exit_code\":0}}]}\n",
    );
    let requests = server.requests();
    let body: Value = requests[0].json().unwrap();
    assert_eq!(
        body["tools"],
        json!([{"type": "shell", "environment": {"type": "local"}}])
    );
    let body: Value = requests[1].json().unwrap();
    assert_eq!(body["input"][2]["output"][0]["stdout"], "42\n");
}

/// A streamed response of the Responses API with one item.
fn response(id: &str, item: &Value) -> Reply {
    let response = json!({"id": id, "object": "response", "status": "completed", "model": "m", "output": [item],
        "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}});
    let created = json!({"type": "response.created", "response": {"id": id}});
    let done = json!({"type": "response.output_item.done", "output_index": 0, "item": item});
    let completed = json!({"type": "response.completed", "response": response});
    Reply::sse([created, done, completed].map(|event| event.to_string()))
}
