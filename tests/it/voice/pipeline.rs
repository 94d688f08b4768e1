//! The pipeline: order of events, interruption, history, half duplex, failures.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use openai_agents::model::voice::PcmAudio;
use openai_agents::model::{ModelError, OpenAiChat};
use openai_agents::realtime::Clock;
use openai_agents::testing::{
    FakeServer, Reply, ScriptedModel, ScriptedStt, ScriptedTts, ScriptedTurn,
};
use openai_agents::trace::{MemorySpans, SpanKind, SpanStatus, Tracer};
use openai_agents::voice::{Pipeline, PipelineBuilder, VoiceError, VoiceEvent};
use openai_agents::{Agent, ErrorKind, RunEvent, Runner};
use serde_json::json;

use crate::support::{agent, instant};

type Now = Arc<Mutex<Duration>>;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn clock() -> (Now, Clock) {
    let now = Now::default();
    let shared = Arc::clone(&now);
    (now, Clock::new(move || *shared.lock().unwrap()))
}

pub(super) fn speech(milliseconds: usize) -> PcmAudio {
    PcmAudio::new(24_000, 1, vec![1; milliseconds * 48]).unwrap()
}

fn builder(model: ScriptedModel, agent: &Agent) -> PipelineBuilder {
    Pipeline::builder(&Runner::new(model), agent)
}

/// An event as a line; those of the run that a listener does not care for are left out.
pub(super) fn line(event: &VoiceEvent) -> Option<String> {
    Some(match event {
        VoiceEvent::UserTranscriptDelta { delta } => format!("user +{delta}"),
        VoiceEvent::UserTranscriptDone { transcript } => format!("user ={}", transcript.text),
        VoiceEvent::SentenceStarted { text } => format!("says {text}"),
        VoiceEvent::Audio { audio } => format!("audio {}", audio.duration().as_millis()),
        VoiceEvent::TurnDone => "done".to_owned(),
        VoiceEvent::Run { event } => match &**event {
            RunEvent::ToolCalled { name, .. } => format!("calls {name}"),
            RunEvent::ToolOutputDone { output, .. } => format!("gets {output}"),
            RunEvent::RunDone { .. } => "run done".to_owned(),
            _ => return None,
        },
        other => format!("{other:?}"),
    })
}

/// Plays a turn to its end or its failure.
pub(super) async fn play(pipeline: &mut Pipeline) -> (Vec<String>, Option<VoiceError>) {
    let mut lines = Vec::new();
    while let Some(event) = pipeline.next().await {
        match event {
            Ok(event) => lines.extend(line(&event)),
            Err(error) => return (lines, Some(error)),
        }
    }
    (lines, None)
}

/// Plays a turn until a line.
async fn play_to(pipeline: &mut Pipeline, last: &str) {
    while let Some(event) = pipeline.next().await {
        if line(&event.unwrap()).as_deref() == Some(last) {
            return;
        }
    }
    panic!("there is no {last:?}");
}

pub(super) fn history(pipeline: &Pipeline) -> Vec<String> {
    let items = pipeline.history().iter();
    items
        .map(|item| {
            let json = serde_json::to_value(item).unwrap();
            let text = item
                .user_text()
                .or_else(|| Some(json.pointer("/content/0/text")?.as_str()?.to_owned()));
            text.unwrap_or_else(|| json["type"].as_str().unwrap_or_default().to_owned())
        })
        .collect()
}

#[tokio::test]
async fn turn_is_heard_answered_and_spoken() {
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("clock", json!({})),
        ScriptedTurn::text("It is nine. Go home!"),
    ]);
    let (stt, tts) = (ScriptedStt::new(["What time is it?"]), ScriptedTts::new());
    let mut pipeline = builder(model, &agent([instant("clock", "21:00")]))
        .stt(stt.clone())
        .tts(tts.clone(), "alloy")
        .speech_instructions("Whisper.")
        .language("en")
        .build();
    pipeline.send_audio(&speech(20)).unwrap();
    pipeline.send_audio(&speech(30)).unwrap();
    assert_eq!(pipeline.commit().await.unwrap(), None);
    let (lines, error) = play(&mut pipeline).await;
    assert!(error.is_none());
    assert_eq!(
        lines,
        [
            "user +What ",
            "user +time ",
            "user +is ",
            "user +it?",
            "user =What time is it?",
            "calls clock",
            "gets 21:00",
            "says It is nine.",
            "audio 110",
            "says Go home!",
            "audio 80",
            "run done",
            "done",
        ]
    );
    assert_eq!(
        history(&pipeline),
        [
            "What time is it?",
            "function_call",
            "function_call_output",
            "It is nine. Go home!"
        ]
    );
    let heard = &stt.requests()[0];
    assert_eq!(PcmAudio::from_wav(&heard.audio.bytes).unwrap(), speech(50));
    assert_eq!(heard.language.as_deref(), Some("en"));
    let spoken = &tts.requests()[0];
    assert_eq!(
        (&*spoken.voice, spoken.instructions.as_deref()),
        ("alloy", Some("Whisper."))
    );
}

#[tokio::test]
async fn first_audio_comes_before_the_last_token() {
    let chunk = |delta: &str| json!({"choices": [{"delta": {"content": delta}}]}).to_string();
    // The model never finishes.
    let reply = Reply::sse([chunk("One."), chunk(" Two")]).hang();
    let server = FakeServer::start([reply]).await.unwrap();
    let model = OpenAiChat::builder(server.url(), "m").build().unwrap();
    let (stt, tts) = (ScriptedStt::new(["Count."]), ScriptedTts::new());
    let agent = Agent::builder("A").build().unwrap();
    let mut pipeline = Pipeline::builder(&Runner::new(model), &agent)
        .stt(stt)
        .tts(tts, "v")
        .build();
    pipeline.send_audio(&speech(20)).unwrap();
    pipeline.commit().await.unwrap();
    play_to(&mut pipeline, "audio 40").await;
    pipeline.interrupt().await;
    server.peer_closed().await;
}

#[tokio::test]
async fn interruption_keeps_what_was_heard() {
    let (now, clock) = clock();
    let model = ScriptedModel::new([
        ScriptedTurn::text("One two three. Four five six."),
        ScriptedTurn::text("Sorry."),
    ]);
    let (stt, tts) = (ScriptedStt::new(["Count.", "Stop!"]), ScriptedTts::new());
    let mut pipeline = builder(model, &agent([]))
        .stt(stt)
        .tts(tts, "v")
        .clock(clock)
        .build();
    pipeline.send_audio(&speech(20)).unwrap();
    pipeline.commit().await.unwrap();
    // All audio was given out: 140 ms and 140 ms; the listener is at 200 ms.
    assert!(play(&mut pipeline).await.1.is_none());
    *now.lock().unwrap() = ms(200);
    pipeline.send_audio(&speech(20)).unwrap();
    let interruption = pipeline.commit().await.unwrap().unwrap();
    assert_eq!(interruption.heard, ms(200));
    assert_eq!(interruption.text, "One two three. Four");
    assert!(play(&mut pipeline).await.1.is_none());
    assert_eq!(
        history(&pipeline),
        ["Count.", "One two three. Four", "Stop!", "Sorry."]
    );
}

#[tokio::test]
async fn interruption_counts_reports_over_the_clock() {
    let (now, clock) = clock();
    let model = ScriptedModel::text("One two three. Four five six.");
    let mut pipeline = builder(model, &agent([]))
        .stt(ScriptedStt::new(["Count."]))
        .tts(ScriptedTts::new(), "v")
        .clock(clock)
        .build();
    pipeline.send_text("Count.").await;
    play_to(&mut pipeline, "audio 140").await;
    *now.lock().unwrap() = ms(100);
    pipeline.played(ms(0));
    let interruption = pipeline.interrupt().await.unwrap();
    assert_eq!((interruption.heard, &*interruption.text), (ms(0), ""));
    assert_eq!(history(&pipeline), ["Count."]);
    assert!(pipeline.next().await.is_none());
    assert_eq!(pipeline.interrupt().await, None);
}

#[tokio::test]
async fn answer_that_was_heard_is_not_interrupted() {
    let (now, clock) = clock();
    let mut pipeline = builder(ScriptedModel::text("Hello."), &agent([]))
        .stt(ScriptedStt::new(["Hi."]))
        .tts(ScriptedTts::new(), "v")
        .clock(clock)
        .build();
    pipeline.send_text("Hi.").await;
    assert!(play(&mut pipeline).await.1.is_none());
    *now.lock().unwrap() = ms(61);
    assert_eq!(pipeline.interrupt().await, None);
    assert_eq!(history(&pipeline), ["Hi.", "Hello."]);
}

#[tokio::test]
async fn half_duplex_hears_nothing_until_the_hold_is_over() {
    let (now, clock) = clock();
    let (stt, tts) = (ScriptedStt::new(["Hi.", "Bye."]), ScriptedTts::new());
    let model = ScriptedModel::new([ScriptedTurn::text("Hello."), ScriptedTurn::text("Bye.")]);
    let mut pipeline = builder(model, &agent([]))
        .stt(stt)
        .tts(tts, "v")
        .clock(clock)
        .half_duplex(ms(300))
        .build();
    pipeline.send_audio(&speech(20)).unwrap();
    pipeline.commit().await.unwrap();
    assert!(pipeline.is_deaf());
    assert!(play(&mut pipeline).await.1.is_none());
    // The answer plays to 60 ms, and the hold ends at 360 ms.
    for (at, is_deaf) in [(59, true), (359, true), (360, false)] {
        *now.lock().unwrap() = ms(at);
        assert_eq!(pipeline.is_deaf(), is_deaf, "{at} ms");
        pipeline.send_audio(&speech(20)).unwrap();
        assert_eq!(pipeline.commit().await.is_err(), is_deaf, "{at} ms");
    }
}

#[tokio::test]
async fn noise_is_not_answered() {
    let mut pipeline = builder(ScriptedModel::new([]), &agent([]))
        .stt(ScriptedStt::new([" ... "]))
        .tts(ScriptedTts::new(), "v")
        .build();
    pipeline.send_audio(&speech(20)).unwrap();
    pipeline.commit().await.unwrap();
    let (lines, error) = play(&mut pipeline).await;
    assert!(error.is_none());
    assert_eq!(lines.last().unwrap(), "done");
    assert_eq!(history(&pipeline), [""; 0]);
}

#[tokio::test]
async fn failures_end_the_turn_and_say_which_part_failed() {
    let (_now, clock) = clock();
    let broken = || ModelError::new(ErrorKind::Transport, "gone");
    let model = ScriptedModel::new([ScriptedTurn::text("One. Two."), ScriptedTurn::text("Here.")]);
    let mut pipeline = builder(model, &agent([]))
        .stt(ScriptedStt::new(["Count.", "Again."]).then_fail(broken()))
        .tts(ScriptedTts::new().failing_at(1, broken()), "v")
        .clock(clock)
        .build();
    assert!(matches!(pipeline.commit().await, Err(VoiceError::NoAudio)));
    let mut failure = async || {
        pipeline.send_audio(&speech(20)).unwrap();
        pipeline.commit().await.unwrap();
        let (_, error) = play(&mut pipeline).await;
        error.map(|error| error.to_string())
    };
    assert_eq!(
        failure().await.as_deref(),
        Some("the answer could not be spoken: gone")
    );
    assert_eq!(failure().await, None);
    assert_eq!(
        failure().await.as_deref(),
        Some("the speech could not be transcribed: gone")
    );
    // No time has passed, so that nothing of the answers was played before the next turn.
    assert_eq!(history(&pipeline), ["Count.", "Again."]);
}

#[tokio::test]
async fn run_that_fails_is_an_error_of_the_run() {
    let mut pipeline = builder(ScriptedModel::new([]), &agent([]))
        .stt(ScriptedStt::new(["Hi."]))
        .tts(ScriptedTts::new(), "v")
        .build();
    pipeline.send_text("Hi.").await;
    let (_, error) = play(&mut pipeline).await;
    let error = error.unwrap();
    assert!(matches!(error, VoiceError::Run(_)));
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn audio_of_a_turn_has_one_format_and_a_bound() {
    let mut pipeline = builder(ScriptedModel::new([]), &agent([]))
        .stt(ScriptedStt::new(["Hi."]))
        .tts(ScriptedTts::new(), "v")
        .build();
    pipeline.send_audio(&speech(20)).unwrap();
    let other = PcmAudio::new(16_000, 1, vec![0; 2]).unwrap();
    let error = pipeline.send_audio(&other).unwrap_err();
    assert_eq!(
        error.to_string(),
        "audio of 16000 Hz, 1 channel follows audio of 24000 Hz, 1 channel"
    );
    let minutes = PcmAudio::new(24_000, 1, vec![0; 24 * 1024 * 1024]).unwrap();
    assert_eq!(
        pipeline.send_audio(&minutes).unwrap_err().kind(),
        ErrorKind::LimitExceeded
    );
}

#[tokio::test]
async fn next_sentence_is_asked_for_while_one_is_spoken() {
    let tts = ScriptedTts::new();
    let model = ScriptedModel::text("One. Two. Three.");
    let mut pipeline = builder(model, &agent([]))
        .stt(ScriptedStt::new(["Count."]))
        .tts(tts.clone(), "alloy")
        .build();
    pipeline.send_text("Count.").await;
    play_to(&mut pipeline, "says One.").await;
    play_to(&mut pipeline, "run done").await;
    let texts = |tts: &ScriptedTts| -> Vec<String> {
        let requests = tts.requests().into_iter();
        requests.map(|request| request.text).collect()
    };
    let (rest, error) = play(&mut pipeline).await;
    assert!(error.is_none());
    assert_eq!(texts(&tts), ["One.", "Two.", "Three."]);
    assert_eq!(rest.last().unwrap(), "done");
}

#[tokio::test]
async fn sentence_asked_for_early_fails_only_when_its_turn_comes() {
    let error = ModelError::new(ErrorKind::Transport, "gone");
    let model = ScriptedModel::text("One. Two.");
    let mut pipeline = builder(model, &agent([]))
        .stt(ScriptedStt::new(["Count."]))
        .tts(ScriptedTts::new().failing_at(1, error), "alloy")
        .build();
    pipeline.send_text("Count.").await;
    let (lines, error) = play(&mut pipeline).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Transport);
    let spoken: Vec<&String> = lines.iter().filter(|line| *line != "run done").collect();
    assert_eq!(spoken, ["says One.", "audio 40", "says Two."]);
}

#[tokio::test]
async fn turn_is_recorded_with_transcription_run_and_speech() {
    let model = ScriptedModel::new([
        ScriptedTurn::text("It is nine. Go home!"),
        ScriptedTurn::text("Late."),
    ]);
    let spans = MemorySpans::default();
    let tracer = Tracer::builder().processor(spans.clone()).build();
    let runner = Runner::new(model).tracer(&tracer);
    let mut pipeline = Pipeline::builder(&runner, &agent([]))
        .stt(ScriptedStt::new(["What time is it?"]))
        .tts(ScriptedTts::new(), "v")
        .tracer(&tracer)
        .build();
    pipeline.send_audio(&speech(20)).unwrap();
    pipeline.commit().await.unwrap();
    assert!(play(&mut pipeline).await.1.is_none());
    let ended = spans.ended();
    let name_of = |id| {
        let span = ended.iter().find(|span| Some(span.id) == id);
        span.map_or("-", |span| span.kind.as_str())
    };
    let mut lines: Vec<_> = ended
        .iter()
        .map(|span| {
            format!(
                "{} in {} {}",
                span.kind.as_str(),
                name_of(span.parent),
                span.status.as_str()
            )
        })
        .collect();
    lines.sort();
    assert_eq!(
        lines,
        [
            "agent in task ok",
            "custom in - ok",
            "generation in turn ok",
            "speech in speech_group ok",
            "speech in speech_group ok",
            "speech_group in custom ok",
            "task in custom ok",
            "transcription in custom ok",
            "turn in agent ok",
        ]
    );
    let said = ended
        .iter()
        .find(|span| span.kind == SpanKind::Transcription)
        .unwrap();
    assert_eq!(
        said.content("output").unwrap().to_text(),
        "What time is it?"
    );
    assert_eq!(&*said.trace.name, "A");

    // A turn that is not heard to its end is cancelled, with what it had begun.
    pipeline.send_text("And now?").await;
    play_to(&mut pipeline, "says Late.").await;
    pipeline.interrupt().await;
    let ended = spans.ended();
    let cancelled: Vec<_> = ended
        .iter()
        .filter(|span| span.status == SpanStatus::Cancelled)
        .map(|span| span.kind.as_str())
        .collect();
    assert!(
        cancelled.ends_with(&["speech", "speech_group", "custom"]),
        "{cancelled:?}"
    );
}

#[tokio::test]
async fn turn_that_cannot_be_written_down_is_recorded_as_failed() {
    let spans = MemorySpans::default();
    let tracer = Tracer::builder().processor(spans.clone()).build();
    let mut pipeline = builder(ScriptedModel::text("never asked"), &agent([]))
        .stt(ScriptedStt::new(Vec::<String>::new()))
        .tts(ScriptedTts::new(), "v")
        .tracer(&tracer)
        .build();
    pipeline.send_audio(&speech(20)).unwrap();
    pipeline.commit().await.unwrap();
    let error = play(&mut pipeline).await.1.unwrap();
    let ended = spans.ended();
    let failed: Vec<_> = ended
        .iter()
        .map(|span| (span.kind.as_str(), span.error.clone().unwrap()))
        .collect();
    assert_eq!(failed.len(), 2);
    for ((kind, said), expected) in failed.into_iter().zip(["transcription", "custom"]) {
        assert_eq!(kind, expected);
        assert_eq!(
            (&*said.kind, said.message),
            (error.kind().as_str(), error.to_string())
        );
    }
}
