//! Conversations over the streams of `/chat/completions` and `/responses` in which the user can interrupt an answer.

use std::collections::VecDeque;
use std::fmt;

use crate::agent::runner::{RunEvent, RunStream, Runner};
use crate::agent::{Agent, RunState};
use crate::context::Cancel;
use crate::error::{RunError, RunProgress};
use crate::item::{Item, ItemKind, Message, Role};

/// A conversation of runs, one for each thing that the user says.
///
/// Saying something interrupts the answer under way.
///
/// It needs no realtime model: any [`Model`](crate::Model) streams. The history holds exactly what was delivered: of an answer that was
/// interrupted the text that [`next`](Self::next) gave, and every tool call with its output, or not at all. Dropping the session cancels
/// the run under way.
///
/// ```
/// use openai_agents::realtime::StreamingSession;
/// use openai_agents::testing::{ScriptedModel, ScriptedTurn};
/// use openai_agents::{Agent, RunEvent, Runner};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runner = Runner::new(ScriptedModel::new([ScriptedTurn::text("Once upon a time"), ScriptedTurn::text("Sorry.")]));
/// let mut session = StreamingSession::new(&runner, &Agent::builder("Teller").build()?);
/// session.send("Tell me a story.").await;
/// while let Some(event) = session.next().await {
///     if let RunEvent::TextDelta { .. } = event? {
///         break;
///     }
/// }
/// session.send("Stop!").await;
/// while session.next().await.is_some() {}
/// assert_eq!(session.history().len(), 4);
/// # Ok(())
/// # }
/// ```
pub struct StreamingSession {
    runner: Runner,
    agent: Agent,
    history: Vec<Item>,
    answer: Option<StreamedAnswer>,
}

/// The answer under way, and what of it was delivered.
struct StreamedAnswer {
    stream: RunStream,
    /// The messages that were delivered whole; the run may not have taken their response over yet.
    messages: VecDeque<Item>,
    /// What was delivered of the next.
    text: String,
}

impl StreamingSession {
    /// Begins a conversation with an agent.
    ///
    /// What a run of the agent has (limits, hooks, state) is set on the runner.
    pub fn new(runner: &Runner, agent: &Agent) -> Self {
        Self {
            runner: runner.clone(),
            agent: agent.clone(),
            history: Vec::new(),
            answer: None,
        }
    }

    /// Goes on with a conversation.
    #[must_use]
    pub fn with_history(mut self, history: Vec<Item>) -> Self {
        self.history = history;
        self
    }

    /// Says something; an answer under way is interrupted.
    ///
    /// Gives the text of that which was delivered.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have interrupted the answer and not said anything.
    pub async fn send(&mut self, text: impl Into<String>) -> Option<String> {
        let message = Message::new(Role::User, text);
        self.send_item(message.into()).await
    }

    /// Says something that is more than a text.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub async fn send_item(&mut self, item: Item) -> Option<String> {
        let interrupted = self.interrupt().await;
        self.history.push(item);
        let stream = self.runner.run(&self.agent, self.history.clone()).stream();
        self.answer = Some(StreamedAnswer::new(stream));
        interrupted
    }

    /// Goes on with an answer that paused for approvals, once they are decided about.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub async fn resume(&mut self, agent: &Agent, state: RunState) {
        drop(self.interrupt().await);
        let stream = self.runner.resume(agent, state).stream();
        self.answer = Some(StreamedAnswer::new(stream));
    }

    /// Waits for the next event of the answer; `None` when there is none under way.
    ///
    /// # Errors
    ///
    /// That of the run. The conversation goes on all the same, with what was delivered.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<Result<RunEvent, RunError>> {
        let answer = self.answer.as_mut()?;
        let event = answer.stream.next().await;
        match &event {
            Some(Ok(RunEvent::RunDone { result })) => {
                self.history = result.to_input_list();
                self.agent = result.last_agent().clone();
                self.answer = None;
            }
            Some(Ok(event)) => answer.deliver(event),
            Some(Err(error)) => drop(self.finish_answer(error.progress())),
            None => self.answer = None,
        }
        event
    }

    /// Stops the answer under way: its request closes, its tools are dropped.
    ///
    /// Gives its text that was delivered.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves the answer cancelled; the next call of any method finishes it.
    pub async fn interrupt(&mut self) -> Option<String> {
        let answer = self.answer.as_mut()?;
        // Then the stream is read to its end, because only the end tells what the tools have done.
        answer.stream.cancel(Cancel::Now);
        while let Some(event) = answer.stream.next().await {
            match event {
                // It was over in the same moment; what was not delivered is left out all the same.
                Ok(RunEvent::RunDone { result }) => return self.finish_answer(result.progress()),
                Ok(_) => {}
                Err(error) => return self.finish_answer(error.progress()),
            }
        }
        self.answer = None;
        None
    }

    /// Shortens what the last answer says to its first bytes: a listener heard no more of it. What its tools did stays.
    #[cfg(feature = "voice")]
    pub(crate) fn keep_heard(&mut self, n_bytes: usize) {
        let by = |item: &Item, role| matches!(item.kind(), ItemKind::Message(message) if message.role == role);
        let begin = self.history.iter().rposition(|item| by(item, Role::User));
        let answer = self.history.split_off(begin.map_or(0, |at| at + 1));
        let mut left = n_bytes;
        for item in answer {
            let text = match item.kind() {
                ItemKind::Message(message) if message.role == Role::Assistant => message.text(""),
                _ => {
                    self.history.push(item);
                    continue;
                }
            };
            if text.len() <= left {
                left -= text.len();
                self.history.push(item);
            } else if let Some(heard) = text.get(..left).filter(|heard| !heard.is_empty()) {
                self.history
                    .push(Message::new(Role::Assistant, heard).into());
                left = 0;
            } else {
                left = 0;
            }
        }
    }

    /// Says whether an answer is under way.
    #[cfg(feature = "voice")]
    pub(crate) const fn is_answering(&self) -> bool {
        self.answer.is_some()
    }

    /// Returns the conversation: what was said, and what was delivered of the answers.
    pub fn history(&self) -> &[Item] {
        &self.history
    }

    /// Returns the agent that answers next.
    ///
    /// After a handoff it is the one that the conversation went to.
    pub const fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Takes over what a run has done, as far as it was delivered.
    fn finish_answer(&mut self, progress: &RunProgress) -> Option<String> {
        let StreamedAnswer {
            mut messages, text, ..
        } = self.answer.take()?;
        self.agent = progress.last_agent.clone();
        self.history.clone_from(&progress.input);
        // Goes through what the run did, in order. A message that was delivered whole stays. The
        // first one that was not is cut to what was delivered, and the others are left out.
        let partial = || Item::from(Message::new(Role::Assistant, text.clone()));
        let mut is_cut = false;
        for item in &progress.items {
            match item.kind() {
                ItemKind::Message(message) if message.role == Role::Assistant => {
                    if messages.pop_front().is_some() {
                        self.history.push(item.clone());
                    } else if !std::mem::replace(&mut is_cut, true) && !text.is_empty() {
                        self.history.push(partial());
                    }
                }
                // What tools did was done, whether or not it was shown.
                _ => self.history.push(item.clone()),
            }
        }
        // Delivered, but the run ended before it took its response over.
        self.history.extend(messages);
        if !is_cut && !text.is_empty() {
            self.history.push(partial());
        }
        Some(text)
    }
}

impl StreamedAnswer {
    const fn new(stream: RunStream) -> Self {
        Self {
            stream,
            messages: VecDeque::new(),
            text: String::new(),
        }
    }

    fn deliver(&mut self, event: &RunEvent) {
        match event {
            RunEvent::TextDelta { delta } => self.text.push_str(delta),
            RunEvent::ItemDone { item } => {
                if matches!(item.kind(), ItemKind::Message(message) if message.role == Role::Assistant)
                {
                    self.messages.push_back(item.clone());
                    self.text.clear();
                }
            }
            _ => {}
        }
    }
}

impl fmt::Debug for StreamingSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamingSession")
            .field("agent", &self.agent)
            .field("history", &self.history)
            .field("answers", &self.answer.is_some())
            .finish_non_exhaustive()
    }
}
