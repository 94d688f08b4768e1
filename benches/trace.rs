//! What recording a run in the local store costs: the CPU time of this process for each turn, with and without, all threads together.
//!
//! `cargo bench --bench trace` prints three rounds. Linux only: it reads `/proc`. The model is a server in a process of its own, so that
//! its work is not counted as the run's.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints what it measured"
)]

use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use openai_agents::model::OpenAiChat;
use openai_agents::trace::{TraceStore, Tracer};
use openai_agents::{Agent, FunctionTool, Limits, Runner};

const N_RUNS: u32 = 1_000;
/// A turn that calls a tool, and one that answers.
const N_TURNS: f64 = 2.0;

const CALL: &str = r#"{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"add","arguments":"{\"a\":1,\"b\":2}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":90,"completion_tokens":20,"total_tokens":110}}"#;
const ANSWER: &str = r#"{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Three."},"finish_reason":"stop"}],"usage":{"prompt_tokens":120,"completion_tokens":3,"total_tokens":123}}"#;

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().any(|argument| argument == "--serve") {
        return Ok(serve()?);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut server, url) = start_server()?;
    let measured = runtime.block_on(measure(&url));
    server.kill()?;
    server.wait()?;
    measured
}

async fn measure(url: &str) -> Result<(), Box<dyn Error>> {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Sum {
        a: i64,
        b: i64,
    }
    let add = FunctionTool::new("add", "Adds.", async |_cx, sum: Sum| {
        Ok::<_, String>(sum.a + sum.b)
    })?;
    let agent = Agent::builder("A")
        .instructions("Be brief.")
        .tool(add)
        .build()?;
    let plain = Runner::new(OpenAiChat::builder(url, "m").build()?).limits(Limits::NONE);
    let path = std::env::temp_dir().join(format!("openai-agents-traces-{}.db", std::process::id()));
    let store = TraceStore::open(&path).await?;
    let tracer = Tracer::builder()
        .processor(store.processor().await?)
        .build();
    let traced = plain.clone().tracer(&tracer);
    for round in 0..4 {
        let without = cost(&plain, &agent, None).await?;
        let with = cost(&traced, &agent, Some(&tracer)).await?;
        // The first warms everything up.
        if round > 0 {
            let more = (with / without - 1.0) * 100.0;
            println!("CPU of a turn: {without:.1} us, recorded {with:.1} us: {more:+.1} %");
        }
    }
    if tracer.n_lost() > 0 {
        eprintln!("{} spans were lost", tracer.n_lost());
    }
    drop((store, traced, tracer));
    for end in ["", "-wal", "-shm"] {
        // They are not all there.
        std::fs::remove_file(format!("{}{end}", path.display())).ok();
    }
    Ok(())
}

/// Microseconds of CPU for a turn.
async fn cost(
    runner: &Runner,
    agent: &Agent,
    tracer: Option<&Tracer>,
) -> Result<f64, Box<dyn Error>> {
    let before = cpu()?;
    for _ in 0..N_RUNS {
        runner.run(agent, "What is 1 + 2?").await?;
    }
    if let Some(tracer) = tracer {
        tracer.flush(Duration::from_secs(60)).await;
    }
    let took = cpu()?.saturating_sub(before);
    Ok(took.as_secs_f64() * 1e6 / f64::from(N_RUNS) / N_TURNS)
}

/// The CPU time of all threads.
fn cpu() -> io::Result<Duration> {
    let mut nanos = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let times = std::fs::read_to_string(task?.path().join("schedstat"))?;
        let own = times.split(' ').next().and_then(|own| own.parse().ok());
        nanos += own.unwrap_or(0);
    }
    Ok(Duration::from_nanos(nanos))
}

fn start_server() -> Result<(Child, String), Box<dyn Error>> {
    let mut server = Command::new(std::env::current_exe()?)
        .arg("--serve")
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = server.stdout.take().ok_or("the server has no stdout")?;
    let mut port = String::new();
    BufReader::new(stdout).read_line(&mut port)?;
    Ok((server, format!("http://127.0.0.1:{}/v1", port.trim())))
}

fn serve() -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?.port());
    for connection in listener.incoming() {
        let connection = connection?;
        std::thread::spawn(move || answer(connection));
    }
    Ok(())
}

/// Answers with a call to what has no output of a tool yet.
fn answer(connection: TcpStream) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut connection = connection;
    loop {
        let mut n_bytes = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim().to_ascii_lowercase();
            if let Some(length) = line.strip_prefix("content-length:") {
                n_bytes = length.trim().parse().unwrap_or(0);
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; n_bytes];
        reader.read_exact(&mut body)?;
        let has_output = body.windows(12).any(|window| window == b"tool_call_id");
        let body = if has_output { ANSWER } else { CALL };
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
        connection.write_all(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes())?;
    }
}
