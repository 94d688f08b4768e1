//! Pictures and files that tools give, on the chat API, which takes only text from a tool.

use openai_agents::item::{FunctionCallOutput, Item, OutputContent, Part};
use openai_agents::model::{
    Dialect, Model, ModelRequest, OpenAiChat, ResponseAccumulator, ToolMedia,
};
use openai_agents::testing::FakeServer;
use serde_json::{Value, json};

use crate::support::{bodies, call, whole_text};

/// A turn with two calls, of which the first gives a picture between texts and the second a file alone.
fn items() -> Vec<Item> {
    let file = Part::File {
        file_data: Some("data:text/plain;base64,eA==".to_owned()),
        file_id: None,
        filename: Some("a.txt".to_owned()),
    };
    let parts = |parts| OutputContent::Parts(parts);
    let shot = vec![
        Part::text("before"),
        Part::image("data:image/png;base64,AA=="),
        Part::text("after"),
    ];
    vec![
        Item::user("go"),
        call("c1", "shot", "{}"),
        call("c2", "log", "{}"),
        FunctionCallOutput::new("c1", parts(shot)).into(),
        FunctionCallOutput::new("c2", parts(vec![file])).into(),
    ]
}

async fn sent(items: Vec<Item>, dialect: Dialect) -> (Value, Vec<(String, String)>) {
    use futures_util::StreamExt as _;
    let server = FakeServer::start([whole_text("ok")]).await.unwrap();
    let model = OpenAiChat::builder(server.url(), "m")
        .dialect(dialect)
        .build()
        .unwrap();
    let mut events = model.call(ModelRequest::new(items));
    let mut fold = ResponseAccumulator::default();
    while let Some(event) = events.next().await {
        fold.push(event.unwrap());
    }
    let deviations = fold.finish().unwrap().meta.deviations.into_iter();
    let deviations = deviations.map(|deviation| (deviation.code.into_owned(), deviation.detail));
    (bodies(&server)[0]["messages"].clone(), deviations.collect())
}

#[tokio::test]
async fn media_of_a_tool_is_told_to_the_model_and_listed() {
    let (messages, deviations) = sent(items(), Dialect::default()).await;
    let text = |text: &str| json!({ "type": "text", "text": text });
    let omitted = "[image omitted: this API takes only text from tools]";
    assert_eq!(
        messages[2]["content"],
        json!([text("before"), text(omitted), text("after")])
    );
    assert_eq!(
        messages[3]["content"],
        "[file omitted: this API takes only text from tools]"
    );
    assert_eq!(messages.as_array().unwrap().len(), 4);
    let says = "the chat API takes only text from tools, so the model was told that this was left out: image of c1, file of c2; \
        `dialect.tool_media: user_message` sends it";
    assert_eq!(
        deviations,
        [("tool_media_omitted".to_owned(), says.to_owned())]
    );
}

#[tokio::test]
async fn media_of_an_earlier_turn_is_listed_once() {
    let mut items = items();
    items.extend([Item::assistant("I see."), Item::user("and?")]);
    let (messages, deviations) = sent(items, Dialect::default()).await;
    assert!(messages.to_string().contains("[image omitted"));
    assert_eq!(deviations, []);
}

#[tokio::test]
async fn media_of_a_turn_goes_behind_all_its_outputs_if_asked_for() {
    for force_functions in [false, true] {
        let mut dialect = Dialect::default();
        dialect.tool_media = ToolMedia::UserMessage;
        dialect.force_functions = force_functions;
        let mut items = items();
        items.push(Item::user("and?"));
        let (messages, deviations) = sent(items, dialect).await;
        assert_eq!(deviations, []);
        let messages = messages.as_array().unwrap();
        let text = |text: &str| json!({ "type": "text", "text": text });
        let user = &messages[messages.len() - 2];
        assert_eq!(
            *user,
            json!({ "role": "user", "content": [
                text("From the output of shot:"),
                { "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==", "detail": "auto" } },
                text("From the output of log:"),
                { "type": "file", "file": { "file_data": "data:text/plain;base64,eA==", "filename": "a.txt" } },
            ] })
        );
        let all = Value::from(messages.clone()).to_string();
        assert!(
            all.contains("[image: in the message behind the outputs]"),
            "{all}"
        );
        assert_eq!(messages[messages.len() - 1]["content"], "and?");
    }
}
