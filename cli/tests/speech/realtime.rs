//! Realtime sessions with Hugging Face's speech-to-speech: real turn detection, speech and a small chat model.
//!
//! What it does differently from the protocol: `conversation.item.created` in place of `added` and `done`, no
//! `response.function_call_arguments.delta`, error codes in `type`, and turns are found also where the session says that they are not.

use std::time::Duration;

use openai_agents::FunctionTool;
use openai_agents::model::realtime::{NewItem, ResponseStatus, ServerVad, TurnDetection};
use openai_agents::model::{OpenAiRealtime, ToolChoice};
use openai_agents::realtime::{
    RealtimeAgent, RealtimeAgentBuilder, RealtimeEvent, RealtimeSession, RealtimeSessionBuilder,
};
use openai_agents::tools::ToolOptions;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::{spoken, variable, words};

/// The machine may be crowded, and each answer is recognised, written and spoken.
const PATIENCE: Duration = Duration::from_secs(120);

/// The server has two places, and gives one back only when its chat model has ended.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

fn builder(agent: RealtimeAgentBuilder) -> RealtimeSessionBuilder {
    let url = variable("SPEECH_REALTIME_URL");
    let model = OpenAiRealtime::builder(url, "local")
        .api_key("any")
        .build()
        .unwrap();
    let agent = agent
        .instructions("Answer in one short sentence.")
        .build()
        .unwrap();
    RealtimeSession::builder(&agent, model)
}

fn clerk() -> RealtimeAgentBuilder {
    RealtimeAgent::builder("Clerk")
}

/// The events up to one, as lines; audio counts in bytes.
async fn until(
    session: &mut RealtimeSession,
    is_last: impl Fn(&RealtimeEvent) -> bool,
) -> (Vec<String>, usize) {
    let (mut lines, mut n_bytes) = (Vec::new(), 0);
    loop {
        let event = tokio::time::timeout(PATIENCE, session.next()).await;
        let event = event.unwrap_or_else(|_| panic!("nothing more came after {lines:?}"));
        let event = event.unwrap_or_else(|| panic!("the session ended: {lines:?}"));
        if let RealtimeEvent::Audio { audio, .. } = &event {
            assert_eq!(audio.len() % 2, 0);
            n_bytes += audio.len();
        } else {
            lines.push(event.to_string());
        }
        if is_last(&event) {
            return (lines, n_bytes);
        }
    }
}

fn is_done(event: &RealtimeEvent) -> bool {
    matches!(event, RealtimeEvent::ResponseDone { .. })
}

/// Says something as a microphone does: in pieces, and then silence.
async fn say(session: &RealtimeSession, text: &str) {
    let audio = spoken(&variable("SPEECH_URL"), "tts-1", text).await;
    assert_eq!(audio.sample_rate_hz(), 24_000);
    let silence = vec![0; 48_000 * 2];
    for piece in audio.bytes().chunks(960).chain(silence.chunks(960)) {
        session.send_audio(piece.to_vec()).await.unwrap();
    }
}

#[tokio::test]
async fn text_is_answered_in_text_and_audio() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut session = builder(clerk()).connect().await.unwrap();
    session.send_text("Say hello.").await.unwrap();
    let (lines, n_bytes) = until(&mut session, is_done).await;
    assert!(
        lines.iter().any(|line| line.starts_with("text of ")),
        "{lines:?}"
    );
    assert!(n_bytes > 4_800, "{n_bytes} bytes of audio");
    assert_eq!(lines.last().unwrap(), "answer completed");
    session.close().await;
}

#[tokio::test]
async fn speech_is_found_written_down_and_answered() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let vad = TurnDetection::Server(ServerVad::default());
    let mut session = builder(clerk())
        .turn_detection(vad)
        .connect()
        .await
        .unwrap();
    say(&session, "What is the capital of France?").await;
    let (lines, n_bytes) = until(&mut session, is_done).await;
    let place = |begin: &str| lines.iter().position(|line| line.starts_with(begin));
    assert!(
        place("speech started") < place("speech stopped"),
        "{lines:?}"
    );
    let written = lines
        .iter()
        .find(|line| line.contains(" done: ") && line.starts_with("user's words"));
    let written = words(written.unwrap_or_else(|| panic!("{lines:?}")));
    for word in ["capital", "france"] {
        assert!(written.iter().any(|found| found == word), "{written:?}");
    }
    assert!(n_bytes > 0);
    session.close().await;
}

#[tokio::test]
async fn tool_is_called_and_its_output_is_delivered_once() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] });
    let options = ToolOptions::default().strict(false);
    let weather = async |_, arguments: Map<String, Value>| {
        Ok::<_, String>(format!(
            "It is sunny in {}.",
            arguments["city"].as_str().unwrap_or("town")
        ))
    };
    let weather = FunctionTool::dynamic(
        "get_weather",
        "Tells the weather.",
        schema,
        options,
        weather,
    );
    let mut session = builder(clerk().tool(weather.unwrap()))
        .tool_choice(ToolChoice::Required)
        .connect()
        .await
        .unwrap();
    session
        .send_text("What is the weather in Paris?")
        .await
        .unwrap();
    let is_ended = |event: &RealtimeEvent| matches!(event, RealtimeEvent::ToolEnded { .. });
    let (lines, _) = until(&mut session, is_ended).await;
    assert!(
        lines.last().unwrap().contains("It is sunny in"),
        "{lines:?}"
    );
    // The answer that called, and the one that follows it.
    until(&mut session, is_done).await;
    let history = session.history().await.unwrap();
    let shown: Vec<String> = history.iter().map(ToString::to_string).collect();
    let count = |begin: &str| shown.iter().filter(|line| line.starts_with(begin)).count();
    assert_eq!(count("calls get_weather"), count("gives: "), "{shown:?}");
    session.close().await;
}

#[tokio::test]
async fn answer_can_be_cancelled() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut session = builder(clerk()).connect().await.unwrap();
    session
        .send_text("Count from one to one hundred, in words.")
        .await
        .unwrap();
    let has_begun = |event: &RealtimeEvent| matches!(event, RealtimeEvent::ResponseStarted { .. });
    until(&mut session, has_begun).await;
    session.interrupt().await.unwrap();
    let (lines, _) = until(&mut session, is_done).await;
    assert!(
        lines.last().unwrap().starts_with("answer cancelled"),
        "{lines:?}"
    );
    // The session lives.
    session.send_text("Say hello.").await.unwrap();
    let (lines, _) = until(&mut session, is_done).await;
    assert_eq!(lines.last().unwrap(), "answer completed");
    session.close().await;
}

#[tokio::test]
async fn speech_interrupts_an_answer() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let vad = TurnDetection::Server(ServerVad::default());
    let mut session = builder(clerk())
        .turn_detection(vad)
        .connect()
        .await
        .unwrap();
    session
        .send_text("Tell me a long story about a dog, a cat and a bird, in ten sentences.")
        .await
        .unwrap();
    let speaks = |event: &RealtimeEvent| matches!(event, RealtimeEvent::Audio { .. });
    until(&mut session, speaks).await;
    say(&session, "Stop please, what is two plus two?").await;
    let is_cut = |event: &RealtimeEvent| matches!(event, RealtimeEvent::Interrupted { .. });
    let (lines, _) = until(&mut session, is_cut).await;
    assert!(
        lines.last().unwrap().starts_with("interrupted by speech"),
        "{lines:?}"
    );
    // The small model may talk until its answer is cut.
    let is_answered = |event: &RealtimeEvent| matches!(event, RealtimeEvent::ResponseDone { status, .. } if *status != ResponseStatus::Cancelled);
    until(&mut session, is_answered).await;
    session.close().await;
}

#[tokio::test]
async fn items_can_be_deleted_and_errors_end_nothing() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut session = builder(clerk()).connect().await.unwrap();
    session
        .add_item(NewItem::user("Remember this."))
        .await
        .unwrap();
    let is_added = |event: &RealtimeEvent| matches!(event, RealtimeEvent::ItemAdded { .. });
    until(&mut session, is_added).await;
    let history = session.history().await.unwrap();
    let item = history
        .first()
        .unwrap_or_else(|| panic!("the item is there"));
    session.delete_item(&item.id).await.unwrap();
    session.delete_item("item_that_is_not_there").await.unwrap();
    session.send_text("Say hello.").await.unwrap();
    let (lines, _) = until(&mut session, is_done).await;
    assert!(
        lines.iter().any(|line| line.starts_with("server error")),
        "{lines:?}"
    );
    assert_eq!(lines.last().unwrap(), "answer completed");
    session.close().await;
}
