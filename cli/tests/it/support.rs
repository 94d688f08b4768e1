//! The program as a process, with a directory and an environment of its own.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use openai_agents::testing::{FakeServer, Reply};
use serde_json::{Value, json};

/// It must never be printed; every command of [`on`] has it.
pub(crate) const KEY: &str = "sk-secret-0123456789";

/// A working directory of its own, which is also the home directory.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        if path.exists() {
            fs::remove_dir_all(&path).unwrap();
        }
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.0.join(name), text).unwrap();
        self
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_openai-agents"));
        command
            .current_dir(&self.0)
            .env_clear()
            .env("HOME", &self.0)
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null());
        command
    }
}

/// The whole outcome: exit code, stdout and stderr.
#[track_caller]
pub(crate) fn check_output(output: &Output, code: i32, stdout: &str, stderr: &str) {
    assert_eq!(
        (
            String::from_utf8_lossy(&output.stdout).as_ref(),
            String::from_utf8_lossy(&output.stderr).as_ref(),
            output.status.code(),
        ),
        (stdout, stderr, Some(code)),
    );
}

/// A command that talks to the server, with a key.
pub(crate) fn on(server: &FakeServer, directory: &Directory, arguments: &[&str]) -> Command {
    let mut command = directory.program();
    command
        .args(arguments)
        .env("OPENAI_BASE_URL", format!("{}/v1", server.url()))
        .env("OPENAI_MODEL", "m")
        .env("OPENAI_API_KEY", KEY);
    command
}

/// The same where no file can have more than a block, so that a larger one fails to be written as on a full disk.
#[cfg(unix)]
pub(crate) fn on_full_disk(
    server: &FakeServer,
    directory: &Directory,
    arguments: &[&str],
) -> Command {
    let program = on(server, directory, arguments);
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"ulimit -f 1; exec "$0" "$@""#])
        .arg(program.get_program())
        .args(program.get_args())
        .current_dir(directory.path("."))
        .env_clear()
        .stdin(Stdio::null());
    for (name, value) in program.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command
}

/// The lines of stdout, each of them JSON.
#[track_caller]
pub(crate) fn lines(output: &Output) -> Vec<Value> {
    let stdout = std::str::from_utf8(&output.stdout).unwrap();
    stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A streamed answer in two pieces.
pub(crate) fn streamed_text(first: &str, second: &str) -> Reply {
    Reply::sse([
        chunk(&json!({"role": "assistant", "content": first}), None),
        chunk(&json!({"content": second}), None),
        chunk(&json!({}), Some("stop")),
        usage_chunk(),
        "[DONE]".to_owned(),
    ])
}

/// A streamed call of a tool, with text before it.
pub(crate) fn streamed_call(text: &str, name: &str, arguments: &str) -> Reply {
    let call = json!([{"index": 0, "id": "call_1", "type": "function",
        "function": {"name": name, "arguments": arguments}}]);
    Reply::sse([
        chunk(&json!({"role": "assistant", "content": text}), None),
        chunk(&json!({"tool_calls": call}), None),
        chunk(&json!({}), Some("tool_calls")),
        usage_chunk(),
        "[DONE]".to_owned(),
    ])
}

/// The same answers, whole.
pub(crate) fn whole_text(text: &str) -> Reply {
    whole(&json!({"role": "assistant", "content": text}), "stop")
}

pub(crate) fn whole_call(name: &str, arguments: &str) -> Reply {
    let call = json!([{"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}]);
    let message = json!({"role": "assistant", "content": null, "tool_calls": call});
    whole(&message, "tool_calls")
}

pub(crate) fn chunk(delta: &Value, finish_reason: Option<&str>) -> String {
    json!({"id": "r", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})
    .to_string()
}

fn usage_chunk() -> String {
    json!({"id": "r", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": usage()})
        .to_string()
}

fn whole(message: &Value, finish_reason: &str) -> Reply {
    Reply::json(&json!({
        "id": "r", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": usage(),
    }))
}

fn usage() -> Value {
    json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15})
}
