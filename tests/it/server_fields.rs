//! What a client sends: each field of the two APIs does what the tables of `docs/openai-api.md` say, and goes up as it came.

use std::collections::BTreeMap;

use openai_agents::server::Server;
use openai_agents::testing::{CapturedRequest, FakeServer, Reply};
use openai_agents::{Agent, Runner};
use serde_json::{Value, json};

use crate::front::{Answer, Front};
use crate::support::{chat, responses};

const DOCS: &str = include_str!("../../docs/openai-api.md");
const SAMPLES: &str = include_str!("../fixtures/openai-fields/samples.json");
const FIELDS: &str = include_str!("../fixtures/openai-fields/fields.txt");

/// An API, of the client or of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Api {
    Chat,
    Responses,
}

/// A row of the tables.
#[derive(Debug)]
struct FieldRow {
    here: String,
    other: String,
}

impl Api {
    const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
        }
    }

    fn rows(self) -> BTreeMap<String, FieldRow> {
        let part = DOCS
            .split("\n## ")
            .find(|part| part.starts_with(self.path()));
        let lines = part.unwrap().lines().filter(|line| line.starts_with("| `"));
        let row = |line: &str| {
            let cells: Vec<&str> = line.split(" | ").collect();
            let path = cells[0].trim_start_matches("| `").trim_end_matches('`');
            let row = FieldRow {
                here: cells[1].to_owned(),
                other: cells[2].trim().to_owned(),
            };
            (path.to_owned(), row)
        };
        lines.map(row).collect()
    }

    fn asked(self, more: &Value) -> Value {
        let mut body = match self {
            Self::Chat => {
                json!({"model": "Guide", "messages": [{"role": "user", "content": "hi"}]})
            }
            Self::Responses => {
                json!({"model": "Guide", "input": [{"role": "user", "content": "hi"}]})
            }
        };
        let more = more.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(more);
        body
    }

    /// The answer of a model's server, `{}`.
    fn reply(self, streams: bool) -> Reply {
        let choice = |message: &str| json!({"index": 0, message: {"role": "assistant", "content": "{}"}, "finish_reason": "stop"});
        let chunk = |choice: Value| json!({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]});
        let message = json!({"type": "message", "id": "m1", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "{}", "annotations": []}]});
        let response =
            json!({"id": "r1", "object": "response", "status": "completed", "output": [message]});
        match (self, streams) {
            (Self::Chat, false) => Reply::json(&chunk(choice("message"))),
            (Self::Chat, true) => {
                Reply::sse([chunk(choice("delta")).to_string(), "[DONE]".to_owned()])
            }
            (Self::Responses, false) => Reply::json(&response),
            (Self::Responses, true) => Reply::event_stream().named_event(
                "response.completed",
                &json!({"type": "response.completed", "response": response}).to_string(),
            ),
        }
    }
}

/// A front for clients, before a model that speaks one of the APIs.
struct Between {
    front: Front,
    server: FakeServer,
    model: Api,
}

impl Between {
    async fn new(model: Api) -> Self {
        let server = FakeServer::start([]).await.unwrap();
        let runner = match model {
            Api::Chat => Runner::new(chat(&server)),
            Api::Responses => Runner::new(responses(&server)),
        };
        let agent = Agent::builder("Guide").build().unwrap();
        let front = Front::start(Server::builder(runner).agent(agent)).await;
        Self {
            front,
            server,
            model,
        }
    }

    /// Asks, and gives what went up.
    async fn up(&self, api: Api, more: &Value) -> (Answer, Value) {
        let body = api.asked(more);
        self.server.push(self.model.reply(body["stream"] == true));
        let answer = self.front.post(api.path(), &body).await;
        let up = self
            .server
            .requests()
            .last()
            .and_then(CapturedRequest::json);
        (answer, up.unwrap_or_default())
    }
}

fn samples(api: Api) -> BTreeMap<String, Value> {
    let mut samples: Value = serde_json::from_str(SAMPLES).unwrap();
    serde_json::from_value(samples[api.name()].take()).unwrap()
}

#[test]
fn the_tables_have_every_field_of_the_specification_and_a_sample_of_each() {
    for api in [Api::Chat, Api::Responses] {
        let (rows, samples) = (api.rows(), samples(api));
        let names: Vec<&String> = rows.keys().collect();
        assert_eq!(names, samples.keys().collect::<Vec<_>>());
        let prefix = format!("{} ", api.name());
        for field in FIELDS.lines().filter_map(|line| line.strip_prefix(&prefix)) {
            let is_in = |name: &&String| {
                let rest = name.strip_prefix(field);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            };
            assert!(rows.keys().any(|name| is_in(&name)), "{prefix}{field}");
        }
    }
}

#[tokio::test]
async fn openai_fields_match_the_documented_table() {
    for api in [Api::Chat, Api::Responses] {
        let rows = api.rows();
        for model in [Api::Chat, Api::Responses] {
            let between = Between::new(model).await;
            let (_, plain) = between.up(api, &json!({})).await;
            for (path, sample) in samples(api) {
                if sample["send"].is_null() {
                    continue;
                }
                let row = &rows[&path];
                let what = format!("{api:?} {path} to {model:?}: {row:?}");
                let refused = row.here == "refused" || (model != api && row.other == "an error");
                if refused {
                    let answer = between
                        .front
                        .post(api.path(), &api.asked(&sample["send"]))
                        .await;
                    assert_eq!(answer.status, 400, "{what} {answer:?}");
                    let code = if row.here == "refused" {
                        "unsupported_parameter"
                    } else {
                        "unsupported"
                    };
                    assert_eq!(answer.code().1, code, "{what}");
                    continue;
                }
                let (answer, up) = between.up(api, &sample["send"]).await;
                assert_eq!(answer.status, 200, "{what} {answer:?}");
                let said = Said {
                    path: &path,
                    row,
                    sample: &sample,
                    is_own: model == api,
                };
                said.check(&what, &up, &plain);
            }
        }
    }
}

/// What a row says of a request.
struct Said<'a> {
    path: &'a str,
    row: &'a FieldRow,
    sample: &'a Value,
    /// Whether the model speaks the API of the client.
    is_own: bool,
}

impl Said<'_> {
    #[track_caller]
    fn check(&self, what: &str, up: &Value, plain: &Value) {
        let Self {
            path,
            row,
            sample,
            is_own,
        } = self;
        let expect = if *is_own {
            &sample["own"]
        } else {
            &sample["other"]
        };
        match expect.as_object() {
            Some(expect) => {
                for (pointer, value) in expect {
                    assert_eq!(up.pointer(pointer), Some(value), "{what} {up}");
                }
            }
            None if row.here == "passed on" && *is_own => {
                for (key, value) in sample["send"].as_object().unwrap() {
                    assert_eq!(up.get(key), Some(value), "{what} {up}");
                }
            }
            None if row.other == "nothing" => {
                let (_, name) = path.rsplit_once(['.', ']']).unwrap_or(("", path));
                assert!(
                    !up.to_string().contains(&format!("\"{name}\":")),
                    "{what} {up}"
                );
            }
            None if row.here == "without effect" => {
                let mut up = up.clone();
                if let Some(up) = up.as_object_mut() {
                    up.retain(|key, _| !key.starts_with("stream"));
                }
                assert_eq!(up, *plain, "{what}");
            }
            None => {}
        }
    }
}

#[tokio::test]
async fn a_chat_request_goes_up_in_the_words_of_its_client() {
    let between = Between::new(Api::Chat).await;
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a"]});
    let format = json!({"type": "json_schema", "json_schema": {"name": "my_answer", "description": "d", "schema": schema, "strict": false}});
    let tool = json!({"type": "function", "function": {"name": "mine", "parameters": schema, "strict": false, "x_more": 1}});
    let more = json!({
        "temperature": 1, "top_p": 1, "max_completion_tokens": 9, "stop": "END", "seed": 7, "presence_penalty": 0,
        "service_tier": "flex", "metadata": {"a": "b"}, "user": "u", "reasoning_effort": "low", "top_k": 40,
        "chat_template_kwargs": {"enable_thinking": false}, "response_format": format, "tools": [tool],
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "name": "Ann", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]},
            {"role": "assistant", "content": "Yes?", "name": "Bob", "reasoning_content": "hm"},
            {"role": "user", "content": [{"type": "video_url", "video_url": {"url": "http://x/v.mp4"}}]},
        ],
    });
    let (answer, up) = between.up(Api::Chat, &more).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut expect = more;
    expect["model"] = up["model"].clone();
    assert_eq!(up, expect);
}

#[tokio::test]
async fn one_name_of_the_two_for_the_same_limit_goes_up() {
    let server = FakeServer::start([]).await.unwrap();
    let runner = Runner::new(chat(&server));
    let settings = openai_agents::ModelSettings::default().max_tokens(500);
    let agent = Agent::builder("Guide").model_settings(settings).build();
    let front = Front::start(Server::builder(runner).agent(agent.unwrap())).await;
    for (sent, left_out) in [
        ("max_completion_tokens", "max_tokens"),
        ("max_tokens", "max_completion_tokens"),
    ] {
        server.push(Api::Chat.reply(false));
        let body = Api::Chat.asked(&json!({sent: 9}));
        assert_eq!(front.post(Api::Chat.path(), &body).await.status, 200);
        let up = server.requests().last().unwrap().json().unwrap();
        assert_eq!((&up[sent], up.get(left_out)), (&json!(9), None));
    }
}

#[tokio::test]
async fn a_response_tells_its_request_again_in_the_words_of_its_client() {
    let between = Between::new(Api::Responses).await;
    let format =
        json!({"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": false});
    let more = json!({
        "temperature": 1, "reasoning": {"summary": "auto"}, "text": {"format": format}, "truncation": "auto",
        "max_output_tokens": 9, "service_tier": "flex", "instructions": "Be brief.", "metadata": {"a": "b"},
    });
    let (answer, _) = between.up(Api::Responses, &more).await;
    let told = answer.json();
    let mut expect = more;
    expect["reasoning"] = json!({"effort": null, "summary": "auto"});
    expect["text"] = json!({"format": format, "verbosity": null});
    for (key, value) in expect.as_object().unwrap() {
        assert_eq!(told[key], *value, "{key}");
    }
}

#[tokio::test]
async fn an_answer_with_an_unknown_end_is_an_error_and_no_stop() {
    for streams in [false, true] {
        let between = Between::new(Api::Chat).await;
        let choice = |message: &str, text: &str, end: Value| json!({"index": 0, message: {"role": "assistant", "content": text}, "finish_reason": end});
        let chunk = |choice: Value| json!({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]});
        between.server.push(if streams {
            Reply::sse([
                chunk(choice("delta", "The answer is forty-", Value::Null)).to_string(),
                chunk(choice("delta", "", json!("weird_end"))).to_string(),
                "[DONE]".to_owned(),
            ])
        } else {
            Reply::json(&chunk(choice(
                "message",
                "The answer is forty-",
                json!("weird_end"),
            )))
        });
        let body = Api::Chat.asked(&json!({"stream": streams}));
        let answer = between.front.post(Api::Chat.path(), &body).await;
        let error = if streams {
            answer.events().last().unwrap()["error"].clone()
        } else {
            answer.json()["error"].clone()
        };
        assert_eq!(answer.status, if streams { 200 } else { 502 });
        assert_eq!(error["code"], "unknown_finish_reason", "{answer:?}");
        assert!(!answer.body.contains("[DONE]"));
    }
}
