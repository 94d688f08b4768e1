//! Plays a script to the machine, without a socket and with a clock of its own.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::context::RunContext;
use crate::guardrail::{OutputGuardrail, Verdict};
use crate::model::realtime::{
    AudioFormat, ConnectionEnd, NewItem, Playback, RealtimeSettings, TurnDetection,
};
use crate::model::wire::realtime::{decode, encode};
use crate::realtime::RealtimeError;
use crate::realtime::agent::{RealtimeAgent, RealtimeHandoff};
use crate::realtime::conversation::RealtimeItem;
use crate::realtime::drive::{check_guardrails, hand_off, refuse, run_tool};
use crate::realtime::machine::{
    CallDecision, Machine, MachineInput, MachineStep, Setup, ToolRequest, UserInput,
};
use crate::testing::realtime::{RealtimeScript, ScriptLine, UserAction};
use crate::tools::{FunctionTool, ToolCallResult, ToolOptions};

pub(super) struct Player {
    machine: Machine,
    cx: RunContext,
    pub(super) now: Duration,
    pub(super) sent: VecDeque<Value>,
    events: VecDeque<String>,
    /// The calls of `book`, which a script ends.
    pub(super) open: HashMap<String, ToolRequest>,
    is_over: bool,
}

/// Two agents that hand off to each other; what the tools do is in their names.
pub(super) fn clerk() -> (RealtimeAgent, Vec<RealtimeAgent>) {
    let tool = |name: &str, output: &'static str| {
        let schema = serde_json::json!({ "type": "object", "properties": {} });
        let options = ToolOptions::default().strict(false);
        FunctionTool::dynamic(name, "Does it.", schema, options, move |_, _| async move {
            Ok::<_, String>(output)
        })
        .unwrap()
    };
    let pay = FunctionTool::dynamic(
        "pay",
        "Pays.",
        serde_json::json!({ "type": "object", "properties": { "amount": { "type": "integer" } } }),
        ToolOptions::default().strict(false),
        async |_, arguments: Map<String, Value>| {
            Ok::<_, String>(format!("paid {}", arguments["amount"]))
        },
    );
    let fail = FunctionTool::dynamic(
        "fail",
        "Fails.",
        serde_json::json!({ "type": "object", "properties": { "why": { "type": "string" } } }),
        ToolOptions::default().strict(false),
        async |_, _| Err::<String, _>("broken"),
    );
    let no_secrets = OutputGuardrail::new("no secrets", async |output| {
        let is_secret = output.output.contains("secret");
        Ok::<_, String>(if is_secret {
            Verdict::trip("a secret")
        } else {
            Verdict::pass()
        })
    });
    let billing = RealtimeAgent::builder("Billing")
        .instructions("Bills.")
        .tool(tool("refund", "refunded"))
        .handoff(RealtimeHandoff::to_name("Clerk"))
        .build()
        .unwrap();
    let clerk = RealtimeAgent::builder("Clerk")
        .instructions("Sells seats.")
        .tool(tool("book", "booked"))
        .tool(pay.unwrap().needs_approval())
        .tool(fail.unwrap())
        .handoff(&billing)
        .output_guardrail(no_secrets)
        .build()
        .unwrap();
    (clerk.clone(), vec![clerk, billing])
}

impl Player {
    /// Plays a script to its end; gives the first line that is not so.
    pub(super) async fn play(script: &RealtimeScript) -> Result<(), String> {
        let words = match script.lines.first() {
            Some((_, ScriptLine::Session(words))) => words.clone(),
            _ => Vec::new(),
        };
        let mut player = Self::new(&words);
        player.open().await;
        let first = script.lines.iter().find_map(|(_, line)| match line {
            ScriptLine::Client(event) => Some(event["type"] == "session.update"),
            _ => None,
        });
        if first != Some(true) {
            let update = player.sent.pop_front().unwrap();
            assert_eq!(update["type"], "session.update");
        }
        for (number, line) in &script.lines {
            player
                .line(line)
                .await
                .map_err(|complaint| format!("line {number}: {complaint}"))?;
        }
        match player.sent.pop_front() {
            Some(more) => Err(format!("the client sent more: {more}")),
            None => Ok(()),
        }
    }

    pub(super) fn new(words: &[String]) -> Self {
        let (agent, agents) = clerk();
        let cx = RunContext::default();
        let has = |word: &str| words.iter().any(|known| known == word);
        let mut settings = RealtimeSettings::default();
        if has("pcmu") {
            settings.input_format = AudioFormat::Pcmu;
            settings.output_format = AudioFormat::Pcmu;
        }
        if has("manual") {
            settings.turn_detection = Some(TurnDetection::Manual);
        }
        Self {
            machine: Machine::new(Setup {
                agent,
                agents,
                cx: cx.clone(),
                settings,
                playback: Playback::Client,
                max_reconnects: u32::from(has("reconnect")),
            }),
            cx,
            now: Duration::ZERO,
            sent: VecDeque::new(),
            events: VecDeque::new(),
            open: HashMap::new(),
            is_over: false,
        }
    }

    pub(super) async fn accept(&mut self, input: MachineInput) {
        self.machine.accept(self.now, input);
        self.perform().await;
    }

    /// The connection stands, for the agent that speaks.
    pub(super) async fn open(&mut self) {
        let briefing = self.machine.agent().brief(&self.cx).await.unwrap();
        self.accept(MachineInput::Opened(briefing)).await;
    }

    pub(super) async fn ask(&mut self, input: UserInput) -> Result<(), RealtimeError> {
        let done = self.machine.ask(self.now, input);
        self.perform().await;
        done
    }

    pub(super) fn history(&mut self) -> Vec<RealtimeItem> {
        self.machine.history(self.now)
    }

    async fn perform(&mut self) {
        while let Some(step) = self.machine.next() {
            let cx = self.cx.clone();
            let input = match step {
                MachineStep::Send(outgoing) => {
                    self.sent
                        .push_back(serde_json::from_str(&encode(&outgoing)).unwrap());
                    continue;
                }
                MachineStep::Emit(event) => {
                    self.events.push_back(event.to_string());
                    continue;
                }
                MachineStep::RunTool(order) if order.tool.name().as_str() == "book" => {
                    assert_eq!(&*order.agent, "Clerk");
                    let before = self.open.insert(order.call_id.clone(), order);
                    assert!(before.is_none(), "a call was made twice");
                    continue;
                }
                MachineStep::RunTool(order) => run_tool(cx, order).await,
                MachineStep::RefuseTool { order, message } => refuse(cx, order, message).await,
                MachineStep::HandOff(order) => hand_off(cx, order).await,
                MachineStep::CheckGuardrails(order) => check_guardrails(cx, order).await,
                MachineStep::Reconnect => continue,
                MachineStep::Close => {
                    self.is_over = true;
                    continue;
                }
            };
            self.machine.accept(self.now, input);
        }
    }

    async fn line(&mut self, line: &ScriptLine) -> Result<(), String> {
        match line {
            ScriptLine::Session(_) => {}
            ScriptLine::At(now) => self.now = *now,
            ScriptLine::Server(event) => {
                let received = decode(&event.to_string()).map_err(|error| error.to_string())?;
                self.accept(MachineInput::Server(received)).await;
            }
            ScriptLine::Client(expected) => {
                let sent = self.sent.pop_front().ok_or("the client sent nothing")?;
                if !has_fields(&sent, expected) {
                    return Err(format!("the client sent {sent}"));
                }
            }
            ScriptLine::User(action, is_refused) => self.act(action, *is_refused).await?,
            ScriptLine::Played(item_id, position) => {
                let (item_id, position) = (item_id.clone(), *position);
                self.accept(MachineInput::Played { item_id, position })
                    .await;
            }
            ScriptLine::Tool(call_id, words) => {
                let call = self.open.remove(call_id);
                call.ok_or("no such call is open")?;
                let output = words.as_str().into();
                let guardrails = Vec::new();
                let result = ToolCallResult::Output { output, guardrails };
                let call_id = call_id.clone();
                self.accept(MachineInput::ToolEnded { call_id, result })
                    .await;
            }
            ScriptLine::Event(expected) => loop {
                let event = self.events.pop_front().ok_or("no such event")?;
                if event == *expected {
                    break;
                }
            },
            ScriptLine::History(expected) => {
                let items = self.machine.history(self.now);
                let items: Vec<String> = items
                    .iter()
                    .map(|item| one_space(&item.to_string()))
                    .collect();
                if items != *expected {
                    return Err(format!("the history is {items:?}"));
                }
            }
            ScriptLine::Close(code, reason) => {
                let (code, reason) = (Some(*code), reason.clone());
                self.accept(MachineInput::Lost(ConnectionEnd::Closed { code, reason }))
                    .await;
            }
            ScriptLine::Drop => {
                let error = crate::model::ModelError::new(crate::ErrorKind::Transport, "gone");
                self.accept(MachineInput::Lost(ConnectionEnd::Broken(error)))
                    .await;
            }
            ScriptLine::Opened => {
                self.open().await;
            }
        }
        Ok(())
    }

    async fn act(&mut self, action: &UserAction, is_refused: bool) -> Result<(), String> {
        let input = match action.clone() {
            UserAction::Text(text) => UserInput::Item {
                item: NewItem::user(text),
                is_answered: true,
            },
            UserAction::Audio(audio) => UserInput::Audio(audio.into()),
            UserAction::Commit => UserInput::Commit,
            UserAction::Clear => UserInput::Clear,
            UserAction::Respond => UserInput::Respond(Box::default()),
            UserAction::Interrupt => UserInput::Interrupt,
            UserAction::Approve(call_id) => UserInput::Decide {
                call_id,
                decision: CallDecision::Approve,
            },
            UserAction::Reject(call_id, words) => UserInput::Decide {
                call_id,
                decision: CallDecision::Reject(Some(words)),
            },
            UserAction::Update(Value::Object(fields)) => UserInput::Update(fields),
            UserAction::Update(other) => return Err(format!("{other} is no object")),
        };
        let done = self.ask(input).await;
        match (done, is_refused) {
            (Ok(()), false) | (Err(_), true) => Ok(()),
            (Ok(()), true) => Err("it was not refused".to_owned()),
            (Err(error), false) => Err(format!("it was refused: {error}")),
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
