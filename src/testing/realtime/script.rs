//! A script: what a realtime server sends and expects, and what the user does in between.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::model::realtime::AudioFormat;

/// A conversation between a realtime server and a client.
///
/// It has one line for each thing that happens.
///
/// | line | means |
/// |---|---|
/// | `<- {..}` | the server sends this event |
/// | `-> {..}` | the client's next event has at least these fields |
/// | `user text Hello`, `user audio 40ms`, `user audio 7 bytes`, `user commit`, `user clear`, `user respond`, `user interrupt`, `user approve call_1`, `user reject call_1 words`, `user update {..}` | the application does this |
/// | `refused user ..` | the same, and the session refuses it |
/// | `played item_1 800ms` | the application reports what was played |
/// | `at 1200ms` | the clock shows this; may stand before another line |
/// | `tool call_1 gives words` | a tool that was called comes to its end |
/// | `event words` | the session tells the application this, behind what the lines before told |
/// | `history line \| line` | the conversation is this |
/// | `close 1001 words`, `drop` | the server closes the connection, or it breaks |
/// | `opened` | the client has connected again |
/// | `session word ..` | the session is begun with these options; the first line |
///
/// In events, a text `$500ms` is that much silence as base64, in PCM, or in `$500ms:pcmu`. `#` begins a comment.
///
/// ```
/// use openai_agents::testing::realtime::{RealtimeScript, ScriptLine};
///
/// let script = RealtimeScript::parse("<- {\"type\":\"session.created\"}\nuser text Hello")?;
/// assert_eq!(script.lines.len(), 2);
/// # Ok::<(), openai_agents::testing::realtime::ScriptError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RealtimeScript {
    /// The lines, with their numbers.
    pub lines: Vec<(usize, ScriptLine)>,
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ScriptLine {
    /// The session is begun with these options.
    Session(Vec<String>),
    /// The server sends this.
    Server(Value),
    /// The client has sent this.
    Client(Value),
    /// The application does this; whether the session refuses it.
    User(UserAction, bool),
    /// The application reports what was played.
    Played(String, Duration),
    /// The clock shows this.
    At(Duration),
    /// A tool comes to its end.
    Tool(String, String),
    /// The session tells the application this.
    Event(String),
    /// The conversation is this.
    History(Vec<String>),
    /// The server closes the connection.
    Close(u16, String),
    /// The connection breaks.
    Drop,
    /// The client has connected again.
    Opened,
}

/// What the application does.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum UserAction {
    /// Sends a text.
    Text(String),
    /// Sends audio.
    Audio(Vec<u8>),
    /// Commits the audio.
    Commit,
    /// Throws the audio away.
    Clear,
    /// Asks for an answer.
    Respond,
    /// Stops the agent.
    Interrupt,
    /// Approves a call.
    Approve(String),
    /// Refuses a call.
    Reject(String, String),
    /// Changes fields of the session.
    Update(Value),
}

/// Says which line of a script is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {number} of the script: {reason}")]
#[non_exhaustive]
pub struct ScriptError {
    /// The number of the line.
    pub number: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl RealtimeScript {
    /// Reads a script.
    ///
    /// # Errors
    ///
    /// [`ScriptError`] for the first line that is none.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let mut lines = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let parsed = parse_line(line).map_err(|reason| ScriptError { number, reason })?;
            lines.extend(parsed.into_iter().map(|line| (number, line)));
        }
        Ok(Self { lines })
    }
}

fn parse_line(line: &str) -> Result<Vec<ScriptLine>, String> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim();
    let (first, behind) = rest.split_once(' ').unwrap_or((rest, ""));
    let parsed = match word {
        "<-" => ScriptLine::Server(event(rest)?),
        "->" => ScriptLine::Client(event(rest)?),
        "session" => ScriptLine::Session(rest.split_whitespace().map(str::to_owned).collect()),
        "user" => ScriptLine::User(user(rest)?, false),
        "refused" => ScriptLine::User(user(behind)?, true),
        "played" => ScriptLine::Played(first.to_owned(), duration(behind)?),
        "at" => {
            let mut lines = vec![ScriptLine::At(duration(first)?)];
            if !behind.is_empty() {
                lines.extend(parse_line(behind)?);
            }
            return Ok(lines);
        }
        "tool" => {
            let words = behind.strip_prefix("gives ").ok_or("`gives` is missing")?;
            ScriptLine::Tool(first.to_owned(), words.to_owned())
        }
        "event" => ScriptLine::Event(rest.to_owned()),
        "history" => {
            let items = rest.split('|').map(|item| item.trim().to_owned());
            ScriptLine::History(items.filter(|item| !item.is_empty()).collect())
        }
        "close" => {
            let code = first.parse().map_err(|_| "the code is no number")?;
            ScriptLine::Close(code, behind.to_owned())
        }
        "drop" => ScriptLine::Drop,
        "opened" => ScriptLine::Opened,
        other => return Err(format!("`{other}` begins no line")),
    };
    Ok(vec![parsed])
}

fn user(text: &str) -> Result<UserAction, String> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    Ok(match word {
        "text" => UserAction::Text(rest.to_owned()),
        "audio" => UserAction::Audio(match rest.strip_suffix(" bytes") {
            Some(n_bytes) => vec![0; n_bytes.parse().map_err(|_| "how many bytes?")?],
            None => silence(rest)?,
        }),
        "commit" => UserAction::Commit,
        "clear" => UserAction::Clear,
        "respond" => UserAction::Respond,
        "interrupt" => UserAction::Interrupt,
        "approve" => UserAction::Approve(rest.to_owned()),
        "reject" => {
            let (call_id, words) = rest.split_once(' ').unwrap_or((rest, ""));
            UserAction::Reject(call_id.to_owned(), words.to_owned())
        }
        "update" => UserAction::Update(event(rest)?),
        other => return Err(format!("a user cannot `{other}`")),
    })
}

fn event(json: &str) -> Result<Value, String> {
    let mut event = serde_json::from_str(json).map_err(|error| error.to_string())?;
    fill_in(&mut event)?;
    Ok(event)
}

/// Puts audio where its length stands.
fn fill_in(value: &mut Value) -> Result<(), String> {
    match value {
        Value::String(text) => {
            if let Some(length) = text.strip_prefix('$') {
                *text = STANDARD.encode(silence(length)?);
            }
            Ok(())
        }
        Value::Array(list) => list.iter_mut().try_for_each(fill_in),
        Value::Object(object) => object.values_mut().try_for_each(fill_in),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn silence(length: &str) -> Result<Vec<u8>, String> {
    let (length, format) = match length.split_once(':') {
        None => (length, AudioFormat::Pcm16),
        Some((length, "pcmu")) => (length, AudioFormat::Pcmu),
        Some((length, "pcma")) => (length, AudioFormat::Pcma),
        Some((_, other)) => return Err(format!("`{other}` is no format")),
    };
    let rate = u128::from(format.sample_rate_hz());
    let n_samples = duration(length)?.as_nanos() * rate / 1_000_000_000;
    let n_samples = usize::try_from(n_samples).map_err(|_| "too long")?;
    Ok(vec![0; n_samples * format.sample_bytes()])
}

fn duration(text: &str) -> Result<Duration, String> {
    let number = text
        .strip_suffix("ms")
        .ok_or("milliseconds are written as `800ms`")?;
    let number = number
        .parse()
        .map_err(|_| format!("`{number}` is no number"))?;
    Ok(Duration::from_millis(number))
}
