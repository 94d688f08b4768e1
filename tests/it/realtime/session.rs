//! A session with a scripted server, set up for one test.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openai_agents::guardrail::{OutputGuardrail, Verdict};
use openai_agents::model::OpenAiRealtime;
use openai_agents::model::realtime::{AudioFormat, TurnDetection};
use openai_agents::realtime::{
    Clock, RealtimeAgent, RealtimeError, RealtimeEvent, RealtimeHandoff, RealtimeSession, Reconnect,
};
use openai_agents::testing::realtime::{
    RealtimePeer, RealtimeScript, RealtimeServer, ScriptLine, UserAction,
};
use openai_agents::tools::ToolOptions;
use openai_agents::trace::{MemorySpans, Span, Tracer};
use openai_agents::{FunctionTool, ToolContext};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

/// A hang is a failure with a name; nothing here takes that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// The calls of `book` that wait for their end.
type BookCalls = Arc<Mutex<HashMap<String, oneshot::Receiver<String>>>>;
type Ends = Mutex<HashMap<String, oneshot::Sender<String>>>;

pub(super) struct Stage {
    server: RealtimeServer,
    pub(super) peer: RealtimePeer,
    pub(super) session: RealtimeSession,
    now: Arc<Mutex<Duration>>,
    events: VecDeque<String>,
    ends: Ends,
    n_syncs: u64,
    spans: MemorySpans,
}

pub(super) fn model(url: &str) -> OpenAiRealtime {
    let model = OpenAiRealtime::builder(url, "gpt-realtime").api_key("sk-secret");
    model.build().unwrap()
}

/// Two agents that hand off to each other; what the tools do is in their names.
fn clerk(calls: &BookCalls) -> RealtimeAgent {
    let object = || json!({ "type": "object", "properties": {} });
    let options = || ToolOptions::default().strict(false);
    let calls = Arc::clone(calls);
    let book = move |cx: ToolContext, _: Map<String, Value>| {
        assert_eq!(cx.agent(), "Clerk");
        let end = calls.lock().unwrap().remove(cx.call_id());
        async move {
            end.ok_or("a call was made twice")?
                .await
                .map_err(|_| "gone")
        }
    };
    let pay = async |_, arguments: Map<String, Value>| {
        Ok::<_, String>(format!("paid {}", arguments["amount"]))
    };
    let amount = json!({ "type": "object", "properties": { "amount": { "type": "integer" } } });
    let why = json!({ "type": "object", "properties": { "why": { "type": "string" } } });
    let fail = async |_, _| Err::<String, _>("broken");
    let refund = async |_, _| Ok::<_, String>("refunded");
    let no_secrets = OutputGuardrail::new("no secrets", async |output| {
        let is_secret = output.output.contains("secret");
        Ok::<_, String>(if is_secret {
            Verdict::trip("a secret")
        } else {
            Verdict::pass()
        })
    });
    let tool = |name: &str, schema, function| {
        FunctionTool::dynamic(name, "Does it.", schema, options(), function)
    };
    let refund = FunctionTool::dynamic("refund", "Does it.", object(), options(), refund).unwrap();
    let billing = RealtimeAgent::builder("Billing")
        .instructions("Bills.")
        .tool(refund)
        .handoff(RealtimeHandoff::to_name("Clerk"));
    let pay = FunctionTool::dynamic("pay", "Pays.", amount, options(), pay).unwrap();
    let fail = FunctionTool::dynamic("fail", "Fails.", why, options(), fail).unwrap();
    RealtimeAgent::builder("Clerk")
        .instructions("Sells seats.")
        .tool(tool("book", object(), book).unwrap())
        .tool(pay.needs_approval())
        .tool(fail)
        .handoff(&billing.build().unwrap())
        .output_guardrail(no_secrets)
        .build()
        .unwrap()
}

impl Stage {
    /// Begins a session with these options of a script.
    pub(super) async fn new(words: &[&str]) -> Self {
        Self::for_calls(words, &[]).await
    }

    async fn for_calls(words: &[&str], call_ids: &[&str]) -> Self {
        let server = RealtimeServer::start().await.unwrap();
        let now = Arc::new(Mutex::new(Duration::ZERO));
        let (calls, ends) = (BookCalls::default(), Ends::default());
        for call_id in call_ids {
            let (end, ended) = oneshot::channel();
            ends.lock().unwrap().insert((*call_id).to_owned(), end);
            calls.lock().unwrap().insert((*call_id).to_owned(), ended);
        }
        let clock = Arc::clone(&now);
        let spans = MemorySpans::default();
        let tracer = Tracer::builder().processor(spans.clone()).build();
        let mut session = RealtimeSession::builder(&clerk(&calls), model(&server.url()))
            .tracer(&tracer)
            .clock(Clock::new(move || *clock.lock().unwrap()));
        if words.contains(&"pcmu") {
            session = session
                .input_format(AudioFormat::Pcmu)
                .output_format(AudioFormat::Pcmu);
        }
        if words.contains(&"manual") {
            session = session.turn_detection(TurnDetection::Manual);
        }
        if words.contains(&"reconnect") {
            session = session.reconnect(Reconnect::new(1, Duration::ZERO));
        }
        let (session, peer) = tokio::join!(session.connect(), server.accept());
        Self {
            server,
            peer: peer.unwrap(),
            session: session.unwrap(),
            now,
            events: VecDeque::new(),
            ends,
            n_syncs: 0,
            spans,
        }
    }

    /// Plays a script to its end; gives the first line that is not so.
    pub(super) async fn play(script: &RealtimeScript) -> Result<(), String> {
        Self::play_recorded(script).await.map(drop)
    }

    /// The same; gives the spans of the session.
    pub(super) async fn play_recorded(script: &RealtimeScript) -> Result<Vec<Arc<Span>>, String> {
        let words: Vec<&str> = match script.lines.first() {
            Some((_, ScriptLine::Session(words))) => words.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        };
        let calls = script.lines.iter().filter_map(|(_, line)| match line {
            ScriptLine::Tool(call_id, _) => Some(call_id.as_str()),
            _ => None,
        });
        let mut stage = Self::for_calls(&words, &calls.collect::<Vec<_>>()).await;
        let first = script.lines.iter().find_map(|(_, line)| match line {
            ScriptLine::Client(event) => Some(event["type"] == "session.update"),
            _ => None,
        });
        if first != Some(true) {
            assert_eq!(stage.received().await?["type"], "session.update");
        }
        for (number, line) in &script.lines {
            let played = tokio::time::timeout(PATIENCE, stage.line(line)).await;
            played
                .unwrap_or_else(|_| Err("it hangs".to_owned()))
                .map_err(|complaint| format!("line {number}: {complaint}"))?;
        }
        stage.session.close().await;
        match stage.peer.receive().await {
            Ok(Some(more)) => Err(format!("the client sent more: {more}")),
            Ok(None) | Err(_) => Ok(stage.spans.ended()),
        }
    }

    /// Sends an event, and waits until the session has done what follows from it.
    pub(super) async fn serve(&mut self, event: &Value) {
        self.peer.send(event).await.unwrap();
        self.n_syncs += 1;
        let sync = json!({ "type": "script.sync", "n": self.n_syncs });
        self.peer.send(&sync).await.unwrap();
        loop {
            let event = self.session.next().await.unwrap();
            if matches!(&event, RealtimeEvent::Other { name, .. } if name == "script.sync") {
                break;
            }
            self.events.push_back(event.to_string());
        }
    }

    pub(super) async fn received(&mut self) -> Result<Value, String> {
        let received = self
            .peer
            .receive()
            .await
            .map_err(|error| error.to_string())?;
        received.ok_or_else(|| "the client has gone".to_owned())
    }

    async fn line(&mut self, line: &ScriptLine) -> Result<(), String> {
        match line {
            ScriptLine::Session(_) => {}
            ScriptLine::At(now) => *self.now.lock().unwrap() = *now,
            ScriptLine::Server(event) => self.serve(event).await,
            ScriptLine::Client(expected) => {
                let sent = self.received().await?;
                if !has_fields(&sent, expected) {
                    return Err(format!("the client sent {sent}"));
                }
            }
            ScriptLine::User(action, is_refused) => match (self.act(action).await, is_refused) {
                (Ok(()), false) | (Err(_), true) => {}
                (Ok(()), true) => return Err("it was not refused".to_owned()),
                (Err(error), false) => return Err(format!("it was refused: {error}")),
            },
            ScriptLine::Played(item_id, position) => {
                self.session.played(item_id, *position).await.unwrap();
            }
            ScriptLine::Tool(call_id, words) => {
                let end = self.ends.lock().unwrap().remove(call_id);
                end.ok_or("no such call")?.send(words.clone())?;
            }
            ScriptLine::Event(expected) => loop {
                let event = match self.events.pop_front() {
                    Some(event) => event,
                    None => self
                        .session
                        .next()
                        .await
                        .ok_or("no such event")?
                        .to_string(),
                };
                if event == *expected {
                    break;
                }
            },
            ScriptLine::History(expected) => {
                let items = self
                    .session
                    .history()
                    .await
                    .map_err(|error| error.to_string())?;
                let items: Vec<String> = items
                    .iter()
                    .map(|item| one_space(&item.to_string()))
                    .collect();
                if items != *expected {
                    return Err(format!("the history is {items:?}"));
                }
            }
            ScriptLine::Close(code, reason) => self.peer.close(*code, reason).await.unwrap(),
            ScriptLine::Opened => self.peer = self.server.accept().await.unwrap(),
            other => return Err(format!("{other:?} cannot be played")),
        }
        Ok(())
    }

    async fn act(&self, action: &UserAction) -> Result<(), RealtimeError> {
        let session = &self.session;
        match action.clone() {
            UserAction::Text(text) => session.send_text(text).await,
            UserAction::Audio(audio) => session.send_audio(audio).await,
            UserAction::Commit => session.commit().await,
            UserAction::Clear => session.clear().await,
            UserAction::Respond => session.respond().await,
            UserAction::Interrupt => session.interrupt().await,
            UserAction::Approve(call_id) => session.approve(call_id).await,
            UserAction::Reject(call_id, words) => session.reject(call_id, Some(words)).await,
            UserAction::Update(fields) => session.update(fields.as_object().unwrap().clone()).await,
            other => panic!("{other:?} cannot be done"),
        }
    }
}

/// Whether a value has at least what is expected of it.
fn has_fields(value: &Value, expected: &Value) -> bool {
    match (value, expected) {
        (Value::Object(value), Value::Object(expected)) => {
            expected.iter().all(|(key, expected)| {
                value
                    .get(key)
                    .is_some_and(|value| has_fields(value, expected))
            })
        }
        (Value::Array(value), Value::Array(expected)) => {
            value.len() == expected.len()
                && value
                    .iter()
                    .zip(expected)
                    .all(|(value, expected)| has_fields(value, expected))
        }
        (value, expected) => value == expected,
    }
}

fn one_space(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
