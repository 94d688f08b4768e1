//! What the server plays for one request.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

/// Scripts one reply: a head, then steps, exactly in order.
///
/// A reply that has no [`close`](Self::close), [`reset`](Self::reset) or [`hang`](Self::hang) ends as its [`Framing`]
/// says, and the connection serves the next request if it can. Each write is flushed at once, but the network may still
/// join writes; [`pause`](Self::pause) keeps them apart.
///
/// ```
/// use std::time::Duration;
/// use openai_agents::testing::{Framing, Reply};
///
/// // An event, a silence, half an event, and then the connection is gone.
/// let cut = Reply::sse([r#"{"n":1}"#])
///     .pause(Duration::from_millis(20))
///     .bytes("data: {\"n\"")
///     .close();
///
/// // Says that more comes than does.
/// let short = Reply::status(200, "{").framing(Framing::DeclaredLength(100)).close();
///
/// // Accepts the request and never answers.
/// let silent = Reply::raw("").hang();
/// ```
#[derive(Debug, Clone)]
pub struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) framing: Framing,
    pub(super) steps: Vec<Step>,
}

/// Says how the end of a reply's body is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Framing {
    /// `transfer-encoding: chunked`: each [`Reply::bytes`] is a chunk.
    Chunked,
    /// `content-length`, counted.
    ContentLength,
    /// `content-length` with this number, right or wrong.
    DeclaredLength(usize),
    /// The end of the connection is the end of the body.
    UntilClose,
    /// No head is written: the bytes are the whole reply. The connection stays open.
    Raw,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Bytes(Bytes),
    Pause(Duration),
    Hang,
    Reset,
    Close,
}

impl Reply {
    /// Creates a reply with a status and no body yet; framed by content length.
    pub const fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            framing: Framing::ContentLength,
            steps: Vec::new(),
        }
    }

    /// Creates a reply with the status 200 and a JSON body.
    pub fn json(value: &Value) -> Self {
        Self::new(200)
            .header("content-type", "application/json")
            .bytes(value.to_string())
    }

    /// Creates a stream of events, each given by its data; every event is a chunk.
    pub fn sse(events: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        events
            .into_iter()
            .fold(Self::event_stream(), |reply, data| {
                reply.event(data.as_ref())
            })
    }

    /// Creates a stream of events without an event yet.
    pub fn event_stream() -> Self {
        Self::new(200)
            .header("content-type", "text/event-stream")
            .framing(Framing::Chunked)
    }

    /// Creates a reply with a status and a body.
    ///
    /// The body is plain text, or JSON if it looks like it.
    pub fn status(status: u16, body: impl Into<String>) -> Self {
        let body = body.into();
        let is_json = serde_json::from_str::<&serde_json::value::RawValue>(&body).is_ok();
        let content_type = if is_json {
            "application/json"
        } else {
            "text/plain"
        };
        Self::new(status)
            .header("content-type", content_type)
            .bytes(body)
    }

    /// Creates a reply of exactly these bytes, head included.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::new(0).framing(Framing::Raw).bytes(bytes)
    }

    /// Sets another status.
    #[must_use]
    pub const fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets how the end of the body is marked.
    #[must_use]
    pub const fn framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// Writes bytes of the body.
    #[must_use]
    pub fn bytes(mut self, bytes: impl Into<Bytes>) -> Self {
        self.steps.push(Step::Bytes(bytes.into()));
        self
    }

    /// Writes an event without a name; data of several lines becomes several `data` lines.
    #[must_use]
    pub fn event(self, data: &str) -> Self {
        let event = format!("data: {}\n\n", data.replace('\n', "\ndata: "));
        self.bytes(event)
    }

    /// Writes an event with a name.
    #[must_use]
    pub fn named_event(self, event: &str, data: &str) -> Self {
        let event = format!(
            "event: {event}\ndata: {}\n\n",
            data.replace('\n', "\ndata: ")
        );
        self.bytes(event)
    }

    /// Writes nothing for a while.
    #[must_use]
    pub fn pause(mut self, duration: Duration) -> Self {
        self.steps.push(Step::Pause(duration));
        self
    }

    /// Splits all bytes so far into writes of one byte.
    #[must_use]
    pub fn byte_by_byte(self) -> Self {
        self.split_steps(|bytes| bytes.chunks(1).map(Bytes::copy_from_slice).collect())
    }

    /// Splits all bytes so far after so many bytes, and writes a pause between.
    #[must_use]
    pub fn drip(self, n_bytes: usize, pause: Duration) -> Self {
        let mut dripping = self.split_steps(|bytes| {
            bytes
                .chunks(n_bytes.max(1))
                .map(Bytes::copy_from_slice)
                .collect()
        });
        dripping.steps = dripping
            .steps
            .into_iter()
            .flat_map(|step| [step, Step::Pause(pause)])
            .collect();
        dripping
    }

    /// Joins all bytes so far and splits them at these offsets from their start.
    #[must_use]
    pub fn split_at(mut self, offsets: impl IntoIterator<Item = usize>) -> Self {
        let mut joined = Vec::new();
        self.steps.retain(|step| match step {
            Step::Bytes(bytes) => {
                joined.extend_from_slice(bytes);
                false
            }
            _ => true,
        });
        let mut offsets: Vec<usize> = offsets.into_iter().map(|at| at.min(joined.len())).collect();
        offsets.sort_unstable();
        let mut rest = Bytes::from(joined);
        let mut pieces = Vec::new();
        let mut done = 0;
        for at in offsets {
            pieces.push(Step::Bytes(rest.split_to(at - done)));
            done = at;
        }
        pieces.push(Step::Bytes(rest));
        self.steps.splice(0..0, pieces);
        self
    }

    /// Writes nothing more and keeps the connection open, until the client goes.
    #[must_use]
    pub fn hang(mut self) -> Self {
        self.steps.push(Step::Hang);
        self
    }

    /// Resets the connection: the client gets an error, not an end.
    #[must_use]
    pub fn reset(mut self) -> Self {
        self.steps.push(Step::Reset);
        self
    }

    /// Closes the connection, whether the body is complete or not.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.steps.push(Step::Close);
        self
    }

    fn split_steps(mut self, split: impl Fn(&Bytes) -> Vec<Bytes>) -> Self {
        self.steps = self
            .steps
            .into_iter()
            .flat_map(|step| match step {
                Step::Bytes(bytes) => split(&bytes).into_iter().map(Step::Bytes).collect(),
                other => vec![other],
            })
            .collect();
        self
    }

    /// The head as it goes over the wire, empty for [`Framing::Raw`].
    pub(super) fn head(&self) -> String {
        let n_bytes = self.steps.iter().map(|step| match step {
            Step::Bytes(bytes) => bytes.len(),
            _ => 0,
        });
        let framing = match self.framing {
            Framing::Chunked => "transfer-encoding: chunked".to_owned(),
            Framing::ContentLength => format!("content-length: {}", n_bytes.sum::<usize>()),
            Framing::DeclaredLength(declared) => format!("content-length: {declared}"),
            Framing::UntilClose => "connection: close".to_owned(),
            Framing::Raw => return String::new(),
        };
        let mut head = format!("HTTP/1.1 {} Scripted\r\n{framing}\r\n", self.status);
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        head
    }
}
