//! Agents behind the OpenAI API that need no model's server, for other people's clients and for the end of a server.
//!
//! ```text
//! cargo run -p testbed --bin openai_server [SESSIONS_FILE] [--token TOKEN] [--realtime URL]
//! ```
//!
//! Prints `LISTENING <url>` when it is ready. It ends in order at SIGTERM, and when its standard input ends. With a file, sessions are
//! in SQLite.
//!
//! The agent `Guide` doubles numbers by its tool when it is asked to `double`, fails like its model's server when it is asked to `fail` or
//! finds it `busy`, refuses when it is asked to `refuse`, tells of pictures, fills in whatever schema it is asked for, calls a tool of the
//! client when it must or when it is asked `where`, and otherwise says how things are. `Slow` has a tool that takes a second; `Careful` is like `Guide`, and its tool
//! waits for approval.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use openai_agents::future::BoxError;
use openai_agents::future::BoxStream;
use openai_agents::item::{Content, ItemKind, Message, Part, Role};
use openai_agents::model::{ModelError, ModelEvent, ModelRequest, OpenAiRealtime, ToolChoice};
use openai_agents::realtime::{RealtimeAgent, RealtimeSession};
use openai_agents::server::Server;
use openai_agents::session::{Session, SqliteSessions};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::tools::ToolSpec;
use openai_agents::{Agent, ErrorKind, FunctionTool, Item, Model, Runner, Secret, Usage};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// How long the slow tool takes.
const SLOW: Duration = Duration::from_secs(1);

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the address is one line on stdout")]
async fn main() -> Result<(), BoxError> {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    let mut flag = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.drain(at..).nth(1)
    };
    let (realtime, token) = (flag("--realtime"), flag("--token"));
    let server = server(arguments.into_iter().next(), token, realtime).await?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let mut terminated = signal(SignalKind::terminate())?;
    println!("LISTENING http://{}", listener.local_addr()?);
    let shutdown = async move {
        tokio::select! {
            _ = terminated.recv() => {}
            () = input_ended() => {}
        }
    };
    server.serve(listener, shutdown).await?;
    Ok(())
}

async fn input_ended() {
    let mut buffer = [0; 64];
    while let Ok(1..) = tokio::io::stdin().read(&mut buffer).await {}
}

async fn server(
    sessions: Option<String>,
    token: Option<String>,
    realtime: Option<String>,
) -> Result<Server, BoxError> {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Number {
        n: i64,
    }
    let double = FunctionTool::new("double", "Doubles a number.", async |_cx, args: Number| {
        Ok::<_, String>(args.n * 2)
    })?;
    let slow = FunctionTool::new("slow", "Takes its time.", async |_cx, args: Number| {
        tokio::time::sleep(SLOW).await;
        Ok::<_, String>(args.n)
    })?;
    let asking = double.clone().needs_approval();
    let mut builder = Server::builder(Runner::new(Canned))
        .agent(Agent::builder("Guide").tool(double.clone()).build()?)
        .agent(Agent::builder("Slow").tool(slow).build()?)
        .agent(Agent::builder("Careful").tool(asking).build()?);
    // With a realtime model, `Guide` can be talked with at `/v1/realtime`.
    if let Some(url) = realtime {
        let guide = RealtimeAgent::builder("Guide").tool(double).build()?;
        let model = OpenAiRealtime::builder(url, "canned").build()?;
        builder = builder.realtime(RealtimeSession::builder(&guide, model));
    }
    if let Some(token) = token {
        builder = builder.token(Secret::new(token));
    }
    if let Some(file) = sessions {
        let sessions = Arc::new(SqliteSessions::open(file).await?);
        builder = builder.sessions(move |id| {
            let session = sessions.session(id);
            async move { Ok(Arc::new(session) as Arc<dyn Session>) }
        });
    }
    Ok(builder.build()?)
}

/// Answers by what it is asked.
struct Canned;

impl Model for Canned {
    fn name(&self) -> &'static str {
        "canned"
    }

    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelError>> {
        let turn = answer(&request).with_usage(Usage::of_request(7, 3, 10));
        ScriptedModel::new([turn]).call(request)
    }
}

fn answer(request: &ModelRequest) -> ScriptedTurn {
    let last = request.items.last();
    let (asked, has_image) = match last.map(Item::kind) {
        Some(ItemKind::FunctionCallOutput(output)) => {
            return ScriptedTurn::text(format!("The answer is {}.", output.output.text()));
        }
        Some(ItemKind::Message(message)) => (message.text(" "), has_image(message)),
        _ => (String::new(), false),
    };
    if let Some(failure) = failure(&asked) {
        return failure;
    }
    if let Some(tool) = must_call(request, &asked) {
        return ScriptedTurn::tool_call(tool.name.as_str(), filled(&tool.parameters));
    }
    if let Some(format) = &request.output {
        return ScriptedTurn::text(filled(&format.schema).to_string());
    }
    match (asked.as_str(), request.tools.specs().first()) {
        ("double" | "slow", Some(tool)) => {
            ScriptedTurn::tool_call(tool.name.as_str(), json!({"n": 21}))
        }
        ("how long", _) => ScriptedTurn::text(format!("{} items.", request.items.len())),
        _ if has_image => ScriptedTurn::text("I see a picture."),
        _ => ScriptedTurn::text("All is well."),
    }
}

fn has_image(message: &Message) -> bool {
    match &message.content {
        Content::Parts(parts) => parts.iter().any(|part| matches!(part, Part::Image { .. })),
        _ => false,
    }
}

/// How the model or its server fails when it is asked to.
fn failure(asked: &str) -> Option<ScriptedTurn> {
    let status = |status, message: &str| {
        let error = ModelError::new(ErrorKind::ApiStatus, message);
        ScriptedTurn::error(error.with_status(status))
    };
    Some(match asked {
        "fail" => status(500, "the model is overloaded"),
        "busy" => status(429, "too many requests"),
        "refuse" => {
            let refusal = Part::Refusal {
                refusal: "I do not do that.".to_owned(),
            };
            let message = Message::from_parts(Role::Assistant, vec![refusal]);
            ScriptedTurn::items([message.into()])
        }
        "break" => {
            let error = ModelError::new(ErrorKind::Transport, "the connection broke");
            ScriptedTurn::text("Half an answer").with_error(error)
        }
        _ => return None,
    })
}

/// The tool of the client that is to be called, which stands behind the agent's.
fn must_call<'a>(request: &'a ModelRequest, asked: &str) -> Option<&'a ToolSpec> {
    let specs = request.tools.specs();
    match &request.settings.tool_choice {
        Some(ToolChoice::Function(name)) => specs.iter().find(|spec| spec.name.as_str() == name),
        Some(ToolChoice::Required) => specs.last(),
        _ if asked == "where" => specs.last(),
        _ => None,
    }
}

/// The simplest value of a schema.
fn filled(schema: &Value) -> Value {
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => {
            let properties = schema.get("properties").and_then(Value::as_object);
            if properties.is_none() {
                return json!({"city": "Paris", "population": 7});
            }
            let filled = properties
                .into_iter()
                .flatten()
                .map(|(name, schema)| (name.clone(), filled(schema)));
            Value::Object(filled.collect())
        }
        Some("array") => json!([]),
        Some("integer" | "number") => json!(7),
        Some("boolean") => json!(true),
        _ => json!("Paris"),
    }
}
