//! Cancels and interruptions at random points: no call is made twice, none stays without its output, and the history is what was heard.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::player::Player;
use crate::model::wire::realtime::decode;
use crate::realtime::machine::{MachineInput, UserInput};
use crate::tools::ToolCallResult;

/// What happens next, as far as it can happen in the state that the server is in.
#[derive(Debug, Clone)]
enum Happening {
    ServerAudio {
        ms: u16,
    },
    ServerCalls,
    ServerEnds,
    /// The server begins an asked or spoken answer.
    ServerBegins,
    Speech,
    UserText,
    UserInterrupts,
    Plays {
        ms: u16,
    },
    TimePasses {
        ms: u16,
    },
    ToolEnds {
        n: usize,
    },
    SaysSecret,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let ms = 1_u16..1500;
    let one = prop_oneof![
        4 => ms.clone().prop_map(|ms| Happening::ServerAudio { ms }),
        2 => Just(Happening::ServerCalls),
        2 => Just(Happening::ServerEnds),
        3 => Just(Happening::ServerBegins),
        2 => Just(Happening::Speech),
        2 => Just(Happening::UserText),
        2 => Just(Happening::UserInterrupts),
        2 => ms.clone().prop_map(|ms| Happening::Plays { ms }),
        3 => ms.prop_map(|ms| Happening::TimePasses { ms }),
        2 => (0_usize..4).prop_map(|n| Happening::ToolEnds { n }),
        1 => Just(Happening::SaysSecret),
    ];
    proptest::collection::vec(one, 1..60)
}

/// A server that keeps the rules of the protocol, and what it saw.
#[derive(Default)]
struct ProtocolServer {
    active: Option<u32>,
    /// Whether an answer was asked for and not begun.
    is_asked: bool,
    is_spoken_to: bool,
    n_responses: u32,
    n_calls: u32,
    /// The audio that was sent of each item, in milliseconds.
    sent: HashMap<String, u64>,
    truncated: HashMap<String, u64>,
    outputs: HashMap<String, usize>,
    calls: Vec<String>,
}

impl ProtocolServer {
    fn take(&mut self, event: &Value) {
        match event["type"].as_str().unwrap() {
            "response.create" => {
                assert!(
                    self.active.is_none(),
                    "an answer was asked for during another"
                );
                assert!(!self.is_asked, "an answer was asked for twice");
                self.is_asked = true;
            }
            "conversation.item.truncate" => {
                let item = event["item_id"].as_str().unwrap().to_owned();
                let end = event["audio_end_ms"].as_u64().unwrap();
                assert!(end <= self.sent[&item], "{end} ms of {item} were not sent");
                let before = self.truncated.insert(item, end);
                assert_eq!(before, None, "an item was truncated twice");
            }
            "conversation.item.create" if event["item"]["type"] == "function_call_output" => {
                assert!(self.active.is_none(), "an output came during an answer");
                let call = event["item"]["call_id"].as_str().unwrap();
                assert!(self.calls.iter().any(|known| known == call));
                *self.outputs.entry(call.to_owned()).or_default() += 1;
            }
            _ => {}
        }
    }

    fn response(&self) -> String {
        format!("resp_{}", self.n_responses)
    }

    fn item(&self) -> String {
        format!("item_{}", self.n_responses)
    }
}

struct PlayedSession {
    player: Player,
    server: ProtocolServer,
    runtime: tokio::runtime::Runtime,
    has_playback_reports: bool,
    /// What the listener heard of an item when it was cut, by the reports.
    reported: HashMap<String, u64>,
}

impl PlayedSession {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        let mut stage = Self {
            player: Player::new(&[]),
            server: ProtocolServer::default(),
            runtime: runtime.unwrap(),
            has_playback_reports: false,
            reported: HashMap::new(),
        };
        stage.runtime.block_on(stage.player.open());
        stage.drain();
        stage
    }

    fn accept(&mut self, input: MachineInput) {
        self.runtime.block_on(self.player.accept(input));
        self.drain();
    }

    fn ask(&mut self, input: UserInput) {
        self.runtime.block_on(self.player.ask(input)).unwrap();
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(event) = self.player.sent.pop_front() {
            self.server.take(&event);
        }
    }

    fn serve(&mut self, event: &Value) {
        let received = decode(&event.to_string()).unwrap();
        self.accept(MachineInput::Server(received));
    }

    fn happen(&mut self, happening: &Happening) {
        let (response, item) = (self.server.response(), self.server.item());
        match happening {
            Happening::ServerAudio { ms } if self.server.active.is_some() => {
                let ms = u64::from(*ms);
                *self.server.sent.entry(item.clone()).or_default() += ms;
                let audio = STANDARD.encode(vec![0; usize::try_from(ms).unwrap() * 48]);
                self.serve(&json!({ "type": "response.output_audio.delta", "response_id": response, "item_id": item, "content_index": 0, "delta": audio }));
            }
            Happening::ServerCalls if self.server.active.is_some() => {
                self.server.n_calls += 1;
                let call = format!("call_{}", self.server.n_calls);
                self.server.calls.push(call.clone());
                self.serve(&json!({ "type": "response.output_item.done", "response_id": response, "item": { "id": format!("fc_{call}"), "type": "function_call", "call_id": call, "name": "book", "arguments": "{}", "status": "completed" } }));
                // A server that tells it twice.
                self.serve(&json!({ "type": "response.output_item.done", "response_id": response, "item": { "id": format!("fc_{call}"), "type": "function_call", "call_id": call, "name": "book", "arguments": "{}", "status": "completed" } }));
            }
            Happening::ServerEnds if self.server.active.take().is_some() => {
                self.serve(&json!({ "type": "response.done", "response": { "id": response, "status": "completed", "output": [] } }));
            }
            Happening::ServerBegins
                if self.server.active.is_none()
                    && (self.server.is_asked || self.server.is_spoken_to) =>
            {
                self.server.is_asked = false;
                self.server.is_spoken_to = false;
                self.server.n_responses += 1;
                self.server.active = Some(self.server.n_responses);
                let response = self.server.response();
                self.serve(&json!({ "type": "response.created", "response": { "id": response } }));
            }
            Happening::Speech => {
                // Its turn detection cancels the answer by itself, and answers when the user has finished.
                self.serve(&json!({ "type": "input_audio_buffer.speech_started" }));
                if self.server.active.take().is_some() {
                    self.serve(&json!({ "type": "response.done", "response": { "id": response, "status": "cancelled", "output": [] } }));
                }
                self.serve(&json!({ "type": "input_audio_buffer.speech_stopped" }));
                self.server.is_spoken_to = !self.server.is_asked;
            }
            Happening::UserText => self.ask(UserInput::Item {
                item: crate::model::realtime::NewItem::user("Hello"),
                is_answered: true,
            }),
            Happening::UserInterrupts => self.ask(UserInput::Interrupt),
            Happening::Plays { ms } => {
                self.has_playback_reports = true;
                let heard = self.reported.entry(item.clone()).or_default();
                *heard = (*heard).max(u64::from(*ms));
                let position = Duration::from_millis(*heard);
                self.accept(MachineInput::Played {
                    item_id: item,
                    position,
                });
            }
            Happening::TimePasses { ms } => {
                self.player.now += Duration::from_millis(u64::from(*ms));
            }
            Happening::ToolEnds { n } => self.end_tool_number(*n),
            Happening::SaysSecret if self.server.active.is_some() => {
                self.serve(&json!({ "type": "response.output_audio_transcript.done", "response_id": response, "item_id": item, "content_index": 0, "transcript": "A secret." }));
            }
            Happening::ServerAudio { .. }
            | Happening::ServerCalls
            | Happening::ServerEnds
            | Happening::ServerBegins
            | Happening::SaysSecret => {}
        }
    }

    fn end_tool_number(&mut self, n: usize) {
        let mut open: Vec<String> = self.player.open.keys().cloned().collect();
        open.sort();
        if let Some(call) = open.get(n).cloned() {
            self.end_tool(call);
        }
    }

    fn end_tool(&mut self, call_id: String) {
        self.player.open.remove(&call_id).unwrap();
        let result = ToolCallResult::Output {
            output: "booked".into(),
            guardrails: Vec::new(),
        };
        self.accept(MachineInput::ToolEnded { call_id, result });
    }

    /// Lets everything that waits come to its end.
    fn finish_answer(&mut self) {
        for _ in 0..70 {
            let open: Vec<String> = self.player.open.keys().cloned().collect();
            for call in open {
                self.end_tool(call);
            }
            self.happen(&Happening::ServerBegins);
            self.happen(&Happening::ServerEnds);
        }
    }

    fn check(&mut self) {
        for call in &self.server.calls {
            assert_eq!(self.server.outputs.get(call), Some(&1), "outputs of {call}");
        }
        assert!(!self.server.is_asked, "an answer is still asked for");
        for item in self.player.history() {
            let Some(heard) = item.heard else { continue };
            let sent = self.server.sent.get(&item.id).copied().unwrap_or_default();
            assert!(heard <= Duration::from_millis(sent));
            match self.server.truncated.get(&item.id) {
                // What the server keeps is what the history says.
                Some(end) => {
                    assert!(item.is_cut);
                    assert_eq!(heard.as_millis(), u128::from(*end));
                }
                // A cut that the server was not told of left nothing to forget.
                None if item.is_cut => assert_eq!(heard, Duration::from_millis(sent)),
                None => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn machine_random_interruptions_lose_no_call_and_no_position(happenings in happenings()) {
        let mut stage = PlayedSession::new();
        for happening in &happenings {
            stage.happen(happening);
        }
        stage.finish_answer();
        stage.check();
    }
}
