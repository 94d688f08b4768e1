//! Agents behind the OpenAI API that need no model's server, for other people's clients and for the end of a server.
//!
//! ```text
//! cargo run -p testbed --bin openai_server [SESSIONS_FILE]
//! ```
//!
//! Prints `LISTENING <url>` when it is ready. It ends in order at SIGTERM, and when its standard input ends. With a file, sessions are
//! in SQLite.
//!
//! The agent `Guide` doubles numbers by its tool when it is asked to `double`, fails like its model's server when it is asked to `fail`,
//! fills in whatever schema it is asked for, and otherwise says how things are. `Slow` has a tool that takes a second.

use std::env;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use openai_agents::future::BoxStream;
use openai_agents::item::ItemKind;
use openai_agents::model::{ModelError, ModelEvent, ModelRequest};
use openai_agents::server::Server;
use openai_agents::session::{Session, SqliteSessions};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, ErrorKind, FunctionTool, Item, Model, Runner, Usage};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

type BoxError = Box<dyn Error + Send + Sync>;

/// How long the slow tool takes.
const SLOW: Duration = Duration::from_secs(1);

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the address is one line on stdout")]
async fn main() -> Result<(), BoxError> {
    let server = server(env::args().nth(1)).await?;
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

async fn server(sessions: Option<String>) -> Result<Server, BoxError> {
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
    let mut builder = Server::builder(Runner::new(Canned))
        .agent(Agent::builder("Guide").tool(double).build()?)
        .agent(Agent::builder("Slow").tool(slow).build()?);
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
    if let Some(format) = &request.output {
        return ScriptedTurn::text(filled(&format.schema).to_string());
    }
    let last = request.items.last();
    let asked = match last.map(Item::kind) {
        Some(ItemKind::FunctionCallOutput(output)) => {
            return ScriptedTurn::text(format!("The answer is {}.", output.output.text()));
        }
        Some(ItemKind::Message(message)) => message.text(" "),
        _ => String::new(),
    };
    let tool = request.tools.specs().first();
    match (asked.as_str(), tool) {
        ("double" | "slow", Some(tool)) => {
            ScriptedTurn::tool_call(tool.name.as_str(), json!({"n": 21}))
        }
        ("fail", _) => {
            let error = ModelError::new(ErrorKind::ApiStatus, "the model is overloaded");
            ScriptedTurn::error(error.with_status(500))
        }
        ("break", _) => {
            let error = ModelError::new(ErrorKind::Transport, "the connection broke");
            ScriptedTurn::text("Half an answer").with_error(error)
        }
        ("how long", _) => ScriptedTurn::text(format!("{} items.", request.items.len())),
        _ => ScriptedTurn::text("All is well."),
    }
}

/// The simplest value of a schema.
fn filled(schema: &Value) -> Value {
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => {
            let properties = schema.get("properties").and_then(Value::as_object);
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
