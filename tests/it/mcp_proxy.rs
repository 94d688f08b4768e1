//! The MCP client behind a network that cuts, is slow, or changes the order: the answer, or an error, and never a wait without end.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt, future, stream};
use openai_agents::mcp::{McpClient, McpContent, McpError, McpProtocol};
use openai_agents::server::mcp::McpServer;
use openai_agents::testing::ScriptedModel;
use openai_agents::tools::ToolOptions;
use openai_agents::{FunctionTool, Runner};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

#[cfg(unix)]
use crate::mcp_script::{call, connected, script};
use crate::mcp_server::{client, serve};

/// No exchange takes this long, on any machine.
const HANG: Duration = Duration::from_secs(60);
/// How many exchanges are under way at once: many of them wait until a stream that broke may be opened again.
const N_AT_ONCE: usize = 128;
#[cfg(unix)]
const N_SHELLS: usize = 4;
/// More than there are exchanges, each of which leaves a session behind.
const MAX_SESSIONS: usize = 10_000;

/// What a proxy does with the bytes that it passes on.
#[derive(Clone)]
struct Proxy {
    target: SocketAddr,
    /// How many bytes of requests pass before all is cut.
    up: Arc<AtomicUsize>,
    /// The same of answers.
    down: Arc<AtomicUsize>,
    /// How many bytes pass at once.
    piece: usize,
    cut: watch::Sender<bool>,
    after_cut: AfterCut,
    /// Holds answers back until so many wait, and lets them go in the opposite order.
    held: Arc<Mutex<Held>>,
}

/// What becomes of connections that are made after the cut.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AfterCut {
    /// They are closed, so that nobody gets around the cut by connecting again.
    Close,
    /// All passes, as after an interruption of the network.
    Pass,
}

#[derive(Default)]
struct Held {
    n_due: usize,
    waiting: Vec<oneshot::Sender<()>>,
}

impl Proxy {
    fn new(target: SocketAddr) -> Self {
        Self {
            target,
            up: Arc::new(AtomicUsize::new(usize::MAX)),
            down: Arc::new(AtomicUsize::new(usize::MAX)),
            piece: usize::MAX,
            cut: watch::Sender::new(false),
            after_cut: AfterCut::Close,
            held: Arc::default(),
        }
    }

    async fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let proxy = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut proxy = proxy.clone();
                if *proxy.cut.borrow() {
                    match proxy.after_cut {
                        AfterCut::Close => continue,
                        AfterCut::Pass => proxy = Self::new(proxy.target),
                    }
                }
                tokio::spawn(proxy.relay(stream));
            }
        });
        address
    }

    async fn relay(self, client: TcpStream) {
        let server = TcpStream::connect(self.target).await.unwrap();
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let mut cut = self.cut.subscribe();
        let up = self.pump(from_client, to_server, &self.up);
        let down = self.pump(from_server, to_client, &self.down);
        tokio::select! {
            _ = future::join(up, down) => {}
            _ = cut.wait_for(|is_cut| *is_cut) => {}
        }
    }

    /// Passes bytes on until there are no more, or no more may pass.
    async fn pump(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, left: &AtomicUsize) {
        let is_down = std::ptr::eq(left, Arc::as_ptr(&self.down));
        let mut buffer = vec![0; 65536];
        while let Ok(n_read @ 1..) = from.read(&mut buffer).await {
            if is_down {
                self.hold().await;
            }
            let n_passed = n_read.min(left.load(Ordering::SeqCst));
            for piece in buffer[..n_passed].chunks(self.piece) {
                if to.write_all(piece).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
            if left.fetch_sub(n_passed, Ordering::SeqCst) == n_passed {
                self.cut.send_replace(true);
                return;
            }
        }
        to.shutdown().await.ok();
    }

    async fn hold(&self) {
        let released = {
            let mut held = self.held.lock().unwrap();
            if held.n_due == 0 {
                return;
            }
            let (release, released) = oneshot::channel();
            held.waiting.push(release);
            if held.waiting.len() == held.n_due {
                held.n_due = 0;
                held.waiting
                    .drain(..)
                    .rev()
                    .for_each(|one| one.send(()).unwrap());
            }
            released
        };
        released.await.unwrap();
    }
}

fn echo() -> FunctionTool {
    let schema = json!({"type": "object", "properties": {"text": {"type": "string"}}});
    let options = ToolOptions::default().strict(false);
    let tool = FunctionTool::dynamic("echo", "Echoes.", schema, options, |cx, _| {
        let arguments = cx.arguments().to_owned();
        async move { Ok::<_, String>(arguments) }
    });
    tool.unwrap()
}

async fn server() -> SocketAddr {
    let builder = McpServer::builder(Runner::new(ScriptedModel::new([])))
        .tool(echo())
        .max_sessions(MAX_SESSIONS);
    serve(builder).await
}

async fn say(client: &McpClient, text: &str) -> Result<String, McpError> {
    let arguments = Map::from_iter([("text".to_owned(), Value::from(text))]);
    let result = client.call_tool("echo", arguments).await?;
    let texts = result.content.iter().filter_map(McpContent::as_text);
    Ok(texts.collect())
}

/// Connects, lists the tools, calls one, and goes.
async fn exchange(address: SocketAddr, protocol: McpProtocol) -> Result<String, McpError> {
    let client = client(address, protocol)
        .connect_timeout(HANG)
        .call_timeout(HANG)
        .build()
        .unwrap();
    client.connect().await?;
    let tools = client.function_tools().await?;
    let said = say(&client, "hi").await?;
    let names = tools.iter().map(|tool| tool.name().as_str().to_owned());
    Ok(format!("{:?} {said}", names.collect::<Vec<_>>()))
}

const ANSWER: &str = r#"["echo"] {"text":"hi"}"#;

/// Says what came of the exchange; it must come by itself, and not because a time-out ended the wait.
async fn outcome(proxy: &Proxy, protocol: McpProtocol) -> Result<(), McpError> {
    let address = proxy.start().await;
    let done = tokio::time::timeout(HANG, exchange(address, protocol)).await;
    done.expect("an end").map(|said| assert_eq!(said, ANSWER))
}

async fn cut_at_every_byte(
    side: fn(&Proxy) -> &Arc<AtomicUsize>,
    protocol: McpProtocol,
    after_cut: AfterCut,
) {
    let target = server().await;
    let whole = Proxy::new(target);
    outcome(&whole, protocol).await.unwrap();
    let n_bytes = usize::MAX - side(&whole).load(Ordering::SeqCst);
    assert!(n_bytes > 500, "{n_bytes}");
    // Numbers and dates in the heads make an exchange some bytes shorter or longer than another.
    let cuts = stream::iter(1..n_bytes + 10).map(async |n_passed| {
        let proxy = Proxy {
            after_cut,
            ..Proxy::new(target)
        };
        side(&proxy).store(n_passed, Ordering::SeqCst);
        (n_passed, outcome(&proxy, protocol).await)
    });
    let outcomes: Vec<_> = cuts.buffer_unordered(N_AT_ONCE).collect().await;
    let is_waited = |error: &McpError| {
        matches!(
            error,
            McpError::Timeout { .. } | McpError::ConnectTimeout { .. }
        )
    };
    let (mut n_errors, mut n_answers) = (0, 0);
    for (n_passed, outcome) in outcomes {
        match outcome {
            Ok(()) => n_answers += 1,
            Err(error) if is_waited(&error) => panic!("cut after {n_passed} bytes: {error}"),
            Err(_) => n_errors += 1,
        }
    }
    println!("{protocol:?}: {n_bytes} bytes, {n_errors} errors, {n_answers} answers");
    assert!(
        n_errors > n_bytes / 2 && n_answers > 0,
        "{n_errors} {n_answers}"
    );
}

#[tokio::test]
async fn mcp_requests_that_are_cut_at_any_byte_are_error_or_answer() {
    cut_at_every_byte(|proxy| &proxy.up, McpProtocol::Stateless, AfterCut::Close).await;
}

#[tokio::test]
async fn mcp_answers_that_are_cut_at_any_byte_are_error_or_answer() {
    cut_at_every_byte(|proxy| &proxy.down, McpProtocol::Stateless, AfterCut::Close).await;
}

#[tokio::test]
async fn mcp_answers_that_are_interrupted_at_any_byte_are_error_or_answer() {
    cut_at_every_byte(|proxy| &proxy.down, McpProtocol::Handshake, AfterCut::Pass).await;
}

/// Over pipes, a server that ends in the middle of its answer.
#[cfg(unix)]
#[tokio::test]
async fn mcp_answer_over_stdio_that_is_cut_at_any_byte_is_an_error() {
    // The shell puts the number of the request where this has 0.
    let whole = r#"{"jsonrpc":"2.0","id":0,"result":{"content":[{"type":"text","text":"oh hi"}]}}"#;
    let (head, tail) = whole.split_once('0').unwrap();
    let cuts = stream::iter(0..whole.len()).map(async |n_passed| {
        let passed = whole.get(..n_passed).unwrap();
        let answer = match passed.strip_prefix(&format!("{head}0")) {
            Some(rest) => format!(r#"printf '%s%s%s' '{head}' "$id" '{rest}'; exit"#),
            None => format!("printf '%s' '{passed}'; exit"),
        };
        let client = connected(script(&answer)).await;
        (n_passed, call(&client).await)
    });
    let errors: Vec<_> = cuts.buffer_unordered(N_SHELLS).collect().await;
    assert_eq!(errors.len(), head.len() + 1 + tail.len());
    for (n_passed, error) in errors {
        let is_named = matches!(error, McpError::Ended { .. } | McpError::Unexpected { .. });
        assert!(is_named, "cut after {n_passed} bytes: {error}");
    }
}

#[tokio::test]
async fn mcp_exchange_in_pieces_of_any_size_is_the_same() {
    let target = server().await;
    for protocol in [McpProtocol::Stateless, McpProtocol::Handshake] {
        for piece in [1, 2, 3, 7, 64, 1000] {
            let proxy = Proxy {
                piece,
                ..Proxy::new(target)
            };
            outcome(&proxy, protocol).await.unwrap();
        }
    }
}

#[tokio::test]
async fn mcp_answers_in_opposite_order_come_to_their_calls() {
    const N_CALLS: usize = 8;
    let proxy = Proxy::new(server().await);
    let client = client(proxy.start().await, McpProtocol::Stateless)
        .build()
        .unwrap();
    client.connect().await.unwrap();
    proxy.held.lock().unwrap().n_due = N_CALLS;
    let texts: Vec<String> = (0..N_CALLS).map(|n| format!("call {n}")).collect();
    let said = future::join_all(texts.iter().map(|text| say(&client, text))).await;
    let said: Vec<String> = said.into_iter().map(Result::unwrap).collect();
    let expected: Vec<String> = texts
        .iter()
        .map(|text| json!({"text": text}).to_string())
        .collect();
    assert_eq!(said, expected);
    assert_eq!(proxy.held.lock().unwrap().n_due, 0);
}
