//! Spoken answers of an agent through the speaker, and a conversation with it by the microphone.

use anyhow::Result;
use openai_agents::voice::{Pipeline, VoiceEvent};

use super::super::talk::TalkTurn;
use super::note_trouble;
use super::recorder::{QuestionRecorder, RecordingEnd, StopKeys};
use crate::exit::Exit;
use crate::output;
use crate::sound::Speaker;

/// How the playing of an answer ended.
enum AnswerEnd {
    /// It was played to its end.
    Heard,
    /// A key stopped it.
    Stopped(RecordingEnd),
    /// The program has to end.
    Program(Exit),
}

/// Plays the answer to a question. Gives the exit code if the program has to end.
pub(crate) async fn answer(
    pipeline: &mut Pipeline,
    turn: &mut TalkTurn<'_>,
    speaker: &mut Speaker,
) -> Result<Option<Exit>> {
    Ok(match play(pipeline, turn, speaker, None).await? {
        AnswerEnd::Program(exit) => Some(exit),
        AnswerEnd::Heard | AnswerEnd::Stopped(_) => None,
    })
}

/// Talks until stdin ends.
pub(crate) async fn talk(
    pipeline: &mut Pipeline,
    turn: &mut TalkTurn<'_>,
    mut recorder: QuestionRecorder,
    mut speaker: Speaker,
) -> Result<Exit> {
    loop {
        let (question, end) = recorder.record().await?;
        if end == RecordingEnd::EndOfInput {
            return Ok(Exit::Done);
        }
        if question.is_empty() {
            continue;
        }
        turn.begin();
        pipeline.send_audio(&question)?;
        pipeline.commit().await?;
        match play(pipeline, turn, &mut speaker, Some(recorder.keys())).await? {
            AnswerEnd::Program(exit) => return Ok(exit),
            AnswerEnd::Heard if turn.has_answer() => match turn.finish(None)? {
                Exit::Done => {}
                exit => return Ok(exit),
            },
            AnswerEnd::Heard => output::note("no speech was recognised; say it again"),
            AnswerEnd::Stopped(end) => {
                turn.renderer.stopped();
                if end == RecordingEnd::EndOfInput {
                    return Ok(Exit::Done);
                }
            }
        }
    }
}

async fn play(
    pipeline: &mut Pipeline,
    turn: &mut TalkTurn<'_>,
    speaker: &mut Speaker,
    mut keys: Option<&mut StopKeys>,
) -> Result<AnswerEnd> {
    const ITEM: &str = "answer";
    let mut has_more = true;
    while has_more || speaker.is_playing() {
        tokio::select! {
            biased;
            end = pressed(&mut keys) => {
                report(pipeline, speaker);
                speaker.clear();
                // After `report`, since the answer is cut at the position that was reported last.
                pipeline.interrupt().await;
                return Ok(AnswerEnd::Stopped(end?));
            }
            progress = speaker.progress() => {
                progress?;
                report(pipeline, speaker);
            }
            event = pipeline.next(), if has_more && speaker.has_room() => match event {
                None => {
                    has_more = false;
                    speaker.finish(ITEM)?;
                    report(pipeline, speaker);
                }
                Some(event) => {
                    if let Ok(VoiceEvent::Audio { audio }) = &event {
                        speaker.push(ITEM, audio)?;
                        report(pipeline, speaker);
                    }
                    if let Some(exit) = turn.take(event).await? {
                        return Ok(AnswerEnd::Program(exit));
                    }
                }
            },
        }
    }
    note_trouble(speaker.take_trouble());
    Ok(AnswerEnd::Heard)
}

/// Tells the conversation how much was played: of an answer that is stopped, the session keeps what
/// was heard.
fn report(pipeline: &mut Pipeline, speaker: &mut Speaker) {
    if let Some(heard) = speaker.heard() {
        pipeline.played(heard.position);
    }
}

async fn pressed(keys: &mut Option<&mut StopKeys>) -> Result<RecordingEnd> {
    match keys {
        Some(keys) => keys.pressed().await,
        None => std::future::pending().await,
    }
}
