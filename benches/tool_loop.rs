//! W2 of `benches/compare`: ten turns that call a tool and one that answers, and a server that plays them.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use openai_agents::model::OpenAiChat;
use openai_agents::{Agent, FunctionTool, Limits, Runner};

/// The turns of a run: all but the last call the tool.
pub(crate) const N_TURNS: u32 = 11;

pub(crate) const PROMPT: &str = "Add the numbers step by step.";

pub(crate) fn agent() -> Result<Agent, Box<dyn Error>> {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Summands {
        a: i64,
        b: i64,
    }
    let add = FunctionTool::new(
        "add",
        "Adds two integers.",
        async |_cx, summands: Summands| Ok::<_, String>(summands.a + summands.b),
    )?;
    let agent = Agent::builder("bench")
        .instructions("You are a helpful assistant. Use the tools when they help.")
        .tool(add)
        .build()?;
    Ok(agent)
}

/// A runner whose model is the server at a base URL.
pub(crate) fn runner(base_url: &str) -> Result<Runner, Box<dyn Error>> {
    let model = OpenAiChat::builder(base_url, "bench-model")
        .api_key("sk-bench-0123456789abcdef")
        .build()?;
    Ok(Runner::new(model).limits(Limits::NONE))
}

/// Answers the requests of one connection: a call for each output that is still to come, then a text.
pub(crate) fn answer_all(mut stream: &TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut n_bytes = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(length) = line.strip_prefix("content-length:") {
                n_bytes = length.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; n_bytes];
        reader.read_exact(&mut body)?;
        let body = String::from_utf8_lossy(&body);
        stream.write_all(&answer(body.matches(r#""role":"tool""#).count()))?;
    }
}

fn answer(n_outputs: usize) -> Vec<u8> {
    let (message, reason) = if n_outputs + 1 < N_TURNS as usize {
        let call = format!(
            r#"{{"id":"call_{n_outputs:024}","type":"function","function":{{"name":"add","arguments":"{{\"a\":{n_outputs},\"b\":2}}"}}}}"#
        );
        let message = format!(r#""content":null,"tool_calls":[{call}]"#);
        (message, "tool_calls")
    } else {
        (r#""content":"The result is 42.""#.to_owned(), "stop")
    };
    let usage = r#"{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}"#;
    let body = format!(
        r#"{{"id":"chatcmpl-bench{n_outputs:08}","object":"chat.completion","created":1700000000,"model":"bench-model-2025-01-01","choices":[{{"index":0,"message":{{"role":"assistant",{message},"refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"{reason}"}}],"usage":{usage},"service_tier":"default","system_fingerprint":"fp_bench"}}"#
    );
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nopenai-version: 2020-10-01\r\nx-request-id: req_bench0001\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}
