//! A session: begun by a builder, asked through its handle, and listened to.

use std::fmt;
use std::future::poll_fn;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::RealtimeError;
use super::agent::{RealtimeAgent, Target};
use super::conversation::RealtimeItem;
use super::drive::{Driver, DriverCommand, DriverParts, open};
use super::event::RealtimeEvent;
use super::machine::{CallDecision, Machine, Setup, UserInput};
use super::queue::EventQueue;
use super::trace::SessionTrace;
use crate::context::{RunContext, States};
use crate::limits::Limits;
use crate::model::realtime::{
    AudioFormat, Modality, NewContent, NewItem, Playback, RealtimeModel, RealtimeSettings,
    ResponseOptions, Transcription, TurnDetection,
};
use crate::trace::Tracer;
use crate::usage::Usage;

/// A conversation with a realtime model: text and audio both ways.
///
/// Its events are taken with [`next`](Self::next); everything else is asked through its [`RealtimeHandle`], to which it dereferences. The
/// connection is read only as fast as events are taken, within a bound of some minutes of audio; what is sent and interruptions never wait
/// for that. Dropping the session ends it: its connection closes, and its tools are dropped where they stand.
///
/// ```no_run
/// use std::time::Duration;
/// use openai_agents::model::OpenAiRealtime;
/// use openai_agents::realtime::{RealtimeAgent, RealtimeEvent, RealtimeSession};
///
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// let model = OpenAiRealtime::builder("https://models.example/v1", "gpt-realtime").api_key("sk-123").build()?;
/// let clerk = RealtimeAgent::builder("Clerk").instructions("Be brief.").build()?;
/// let mut session = RealtimeSession::builder(&clerk, model).voice("alloy").connect().await?;
/// session.send_text("Hello!").await?;
/// while let Some(event) = session.next().await {
///     if let RealtimeEvent::Audio { item_id, audio } = event {
///         // Play it, and say how much of the item was heard.
///         session.played(item_id, Duration::from_millis(audio.len() as u64 / 48)).await?;
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RealtimeSession {
    handle: RealtimeHandle,
    events: Arc<EventQueue>,
    task: JoinHandle<()>,
}

/// Asks things of a session, from anywhere; cheap to clone.
///
/// Each method waits until the session has taken what is asked, which may wait until earlier audio was sent. A dropped future may have
/// been taken all the same.
#[derive(Clone)]
pub struct RealtimeHandle {
    control: mpsc::Sender<DriverCommand>,
    audio: mpsc::Sender<DriverCommand>,
    cx: RunContext,
}

/// Builds a [`RealtimeSession`]; begun by [`RealtimeSession::builder`].
///
/// A clone begins another session of the same kind.
#[derive(Clone)]
#[must_use = "a session is begun by connect()"]
pub struct RealtimeSessionBuilder {
    agent: RealtimeAgent,
    agents: Vec<RealtimeAgent>,
    model: Arc<dyn RealtimeModel>,
    settings: RealtimeSettings,
    states: States,
    limits: Limits,
    reconnect: Option<Reconnect>,
    clock: Clock,
    tracer: Option<Tracer>,
    /// Whether another client plays the audio, to which the events of the server are passed on.
    is_for_other_client: bool,
}

/// When a lost connection is made again, and how often that is tried.
///
/// The new session is told what was said and heard; it uses no id of the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reconnect {
    /// How often one loss is answered by a connection.
    ///
    /// It also bounds how many losses in a row are answered so, without an answer in between.
    pub max_attempts: u32,
    /// How long is waited before each attempt.
    pub delay: Duration,
}

/// Tells the time since some moment.
///
/// What was heard is reckoned by it where the application does not report it.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Duration + Send + Sync>);

impl RealtimeSession {
    /// Begins a session of an agent with a model.
    pub fn builder(
        agent: &RealtimeAgent,
        model: impl RealtimeModel + 'static,
    ) -> RealtimeSessionBuilder {
        RealtimeSessionBuilder {
            agent: agent.clone(),
            agents: Vec::new(),
            model: Arc::new(model),
            settings: RealtimeSettings::default(),
            states: States::new(),
            limits: Limits::default(),
            reconnect: None,
            clock: Clock::default(),
            tracer: None,
            is_for_other_client: false,
        }
    }

    /// Waits for the next event; the last is [`RealtimeEvent::Ended`], and behind it comes `None`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<RealtimeEvent> {
        poll_fn(|cx| self.events.poll_next(cx)).await
    }

    /// Returns a handle that can be used beside the session.
    pub fn handle(&self) -> RealtimeHandle {
        self.handle.clone()
    }

    /// Closes the session and waits until the server knows, at most two seconds.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the session, and so closes it at once.
    pub async fn close(mut self) {
        // A session that is over already is closed.
        drop(self.handle.control.send(DriverCommand::Close).await);
        drop((&mut self.task).await);
    }
}

impl Deref for RealtimeSession {
    type Target = RealtimeHandle;

    fn deref(&self) -> &RealtimeHandle {
        &self.handle
    }
}

impl Drop for RealtimeSession {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RealtimeHandle {
    /// Says something to the agent, which answers when it has finished what it says.
    ///
    /// # Errors
    ///
    /// [`RealtimeError::TooLarge`] or [`RealtimeError::Ended`].
    pub async fn send_text(&self, text: impl Into<String>) -> Result<(), RealtimeError> {
        self.send_item(NewItem::user(text)).await
    }

    /// Shows the agent an image, with a question about it.
    ///
    /// The image is given by a URL or a `data:` URL. The agent answers.
    ///
    /// # Errors
    ///
    /// As [`send_text`](Self::send_text).
    pub async fn send_image(
        &self,
        url: impl Into<String>,
        question: impl Into<String>,
    ) -> Result<(), RealtimeError> {
        let content = vec![
            NewContent::Image(url.into()),
            NewContent::Text(question.into()),
        ];
        let role = "user".to_owned();
        self.send_item(NewItem::Message { role, content }).await
    }

    /// Adds an item, and asks for an answer to it.
    ///
    /// # Errors
    ///
    /// As [`send_text`](Self::send_text).
    pub async fn send_item(&self, item: NewItem) -> Result<(), RealtimeError> {
        let is_answered = true;
        self.ask(UserInput::Item { item, is_answered }).await
    }

    /// Adds an item without asking for an answer.
    ///
    /// # Errors
    ///
    /// As [`send_text`](Self::send_text).
    pub async fn add_item(&self, item: NewItem) -> Result<(), RealtimeError> {
        let is_answered = false;
        self.ask(UserInput::Item { item, is_answered }).await
    }

    /// Has the model forget an item; an item that is not there is a [`RealtimeEvent::ServerError`].
    ///
    /// # Errors
    ///
    /// [`RealtimeError::Ended`].
    pub async fn delete_item(&self, item_id: impl Into<String>) -> Result<(), RealtimeError> {
        let item_id = item_id.into();
        self.ask(UserInput::Delete { item_id }).await
    }

    /// Sends audio of the user, in the input format of the session.
    ///
    /// The pieces may be any, also of half a sample.
    ///
    /// It waits while 20 seconds of audio wait to be sent.
    ///
    /// # Errors
    ///
    /// [`RealtimeError::AudioInCall`] or [`RealtimeError::Ended`].
    pub async fn send_audio(&self, audio: impl Into<Bytes>) -> Result<(), RealtimeError> {
        let audio = UserInput::Audio(audio.into());
        ask(&self.audio, audio).await
    }

    /// Ends the user's turn where the application finds turns; [`respond`](Self::respond) has it answered.
    ///
    /// # Errors
    ///
    /// [`RealtimeError::NoAudio`] when there is nothing to commit, or [`RealtimeError::Ended`].
    pub async fn commit(&self) -> Result<(), RealtimeError> {
        // Through the way of the audio: it belongs behind what was sent before.
        ask(&self.audio, UserInput::Commit).await
    }

    /// Throws the audio away that was not committed.
    ///
    /// # Errors
    ///
    /// [`RealtimeError::Ended`].
    pub async fn clear(&self) -> Result<(), RealtimeError> {
        ask(&self.audio, UserInput::Clear).await
    }

    /// Asks for an answer, as soon as there can be one.
    ///
    /// Two requests that wait are one.
    ///
    /// # Errors
    ///
    /// [`RealtimeError::Ended`].
    pub async fn respond(&self) -> Result<(), RealtimeError> {
        let options = Box::default();
        self.ask(UserInput::Respond(options)).await
    }

    /// Asks for an answer that differs in something.
    ///
    /// # Errors
    ///
    /// [`RealtimeError::Ended`].
    pub async fn respond_with(&self, options: ResponseOptions) -> Result<(), RealtimeError> {
        let options = Box::new(options);
        self.ask(UserInput::Respond(options)).await
    }

    /// Stops the agent.
    ///
    /// Its answer is cancelled, and what was not heard is forgotten, here and by the model.
    ///
    /// # Errors
    ///
    /// [`RealtimeError::Ended`].
    pub async fn interrupt(&self) -> Result<(), RealtimeError> {
        self.ask(UserInput::Interrupt).await
    }

    /// Says how much of an item was played, from its beginning.
    ///
    /// The first report makes reports all that counts: what was not reported was not heard.
    ///
    /// # Errors
    ///
    /// [`RealtimeError::Ended`].
    pub async fn played(
        &self,
        item_id: impl Into<String>,
        position: Duration,
    ) -> Result<(), RealtimeError> {
        let command = DriverCommand::Played(item_id.into(), position);
        let sent = self.control.send(command).await;
        sent.map_err(|_| RealtimeError::Ended)
    }

    /// Has a call made that waits for approval.
    ///
    /// # Errors
    ///
    /// [`RealtimeError::NoSuchCall`] or [`RealtimeError::Ended`].
    pub async fn approve(&self, call_id: impl Into<String>) -> Result<(), RealtimeError> {
        let call_id = call_id.into();
        let decision = CallDecision::Approve;
        self.ask(UserInput::Decide { call_id, decision }).await
    }

    /// Refuses a call that waits for approval.
    ///
    /// The model is given the words that come with it, if there are any.
    ///
    /// # Errors
    ///
    /// As [`approve`](Self::approve).
    pub async fn reject(
        &self,
        call_id: impl Into<String>,
        message: Option<String>,
    ) -> Result<(), RealtimeError> {
        let call_id = call_id.into();
        let decision = CallDecision::Reject(message);
        self.ask(UserInput::Decide { call_id, decision }).await
    }

    /// Changes fields of the session, as the protocol names them.
    ///
    /// Everything else is sent again as it was, the audio formats too.
    ///
    /// # Errors
    ///
    /// [`RealtimeError::Ended`].
    pub async fn update(&self, fields: Map<String, Value>) -> Result<(), RealtimeError> {
        self.ask(UserInput::Update(fields)).await
    }

    /// Returns the conversation, with what was heard of each item.
    ///
    /// It is in the order of the server.
    ///
    /// # Errors
    ///
    /// [`RealtimeError::Ended`].
    pub async fn history(&self) -> Result<Vec<RealtimeItem>, RealtimeError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.control.send(DriverCommand::History(reply)).await;
        sent.map_err(|_| RealtimeError::Ended)?;
        answer.await.map_err(|_| RealtimeError::Ended)
    }

    /// Returns what the answers so far cost.
    pub fn usage(&self) -> Usage {
        self.cx.usage()
    }

    /// Passes an event of another client on, behind those before it.
    #[cfg(feature = "server")]
    pub(crate) async fn pass_on(&self, json: String) -> Result<(), RealtimeError> {
        ask(&self.audio, UserInput::Verbatim(json)).await
    }

    /// Asks for an answer, behind the events of another client that were passed on.
    #[cfg(feature = "server")]
    pub(crate) async fn respond_behind(
        &self,
        options: ResponseOptions,
    ) -> Result<(), RealtimeError> {
        let options = Box::new(options);
        ask(&self.audio, UserInput::Respond(options)).await
    }

    async fn ask(&self, input: UserInput) -> Result<(), RealtimeError> {
        ask(&self.control, input).await
    }
}

async fn ask(way: &mpsc::Sender<DriverCommand>, input: UserInput) -> Result<(), RealtimeError> {
    let (reply, answer) = oneshot::channel();
    let sent = way.send(DriverCommand::Ask(input, reply)).await;
    sent.map_err(|_| RealtimeError::Ended)?;
    answer.await.map_err(|_| RealtimeError::Ended)?
}

macro_rules! settings {
    ($($(#[$doc:meta])+ $name:ident: $type:ty => $value:expr,)+) => {
        $($(#[$doc])+
        pub fn $name(mut self, $name: $type) -> Self {
            self.settings.$name = $value;
            self
        })+
    };
}

impl RealtimeSessionBuilder {
    settings! {
        /// Sets the voice.
        voice: impl Into<String> => Some(voice.into()),
        /// Sets how fast the voice speaks; 1 is usual.
        speed: f64 => Some(speed),
        /// Sets whether the model answers in audio or in text; in audio unless set.
        modality: Modality => modality,
        /// Sets the format of the user's audio; 24 kHz PCM unless set.
        input_format: AudioFormat => input_format,
        /// Sets the format of the model's audio; 24 kHz PCM unless set.
        output_format: AudioFormat => output_format,
        /// Sets how the user's speech is transcribed.
        transcription: Transcription => Some(transcription),
        /// Sets how the turns of the user are found; the server's choice unless set.
        turn_detection: TurnDetection => Some(turn_detection),
        /// Sets the most tokens of an answer.
        max_output_tokens: u32 => Some(max_output_tokens),
        /// Sets whether and which tool the model must call.
        tool_choice: crate::model::ToolChoice => Some(tool_choice),
        /// Sets `near_field` or `far_field` noise reduction.
        noise_reduction: impl Into<String> => Some(noise_reduction.into()),
        /// Sets further fields of the session, as the protocol names them.
        extra: Map<String, Value> => extra,
    }

    /// Makes an agent known that handoffs name.
    pub fn register_agent(mut self, agent: &RealtimeAgent) -> Self {
        self.agents.push(agent.clone());
        self
    }

    /// Gives the tools access to a value, found by its type.
    pub fn state<T: Send + Sync + 'static>(mut self, state: T) -> Self {
        self.states.insert(state);
        self
    }

    /// Limits the tool calls of the session.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Makes a lost connection again; without this a loss ends the session.
    pub fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = Some(reconnect);
        self
    }

    /// Records the session in a tracer.
    ///
    /// Without it a session is recorded where a [scope](crate::trace::TraceScope) is current when it connects.
    pub fn tracer(mut self, tracer: &Tracer) -> Self {
        self.tracer = Some(tracer.clone());
        self
    }

    /// Tells the time by this clock, for tests.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Shows the events of the server as they came, for another client that plays the audio.
    #[cfg(feature = "server")]
    pub(crate) fn for_other_client(mut self) -> Self {
        self.is_for_other_client = true;
        self
    }

    /// Returns the name of the agent that speaks first.
    #[cfg(feature = "server")]
    pub(crate) fn agent_name(&self) -> &str {
        self.agent.name()
    }

    /// Connects, and begins the session on a task of the current Tokio runtime.
    ///
    /// # Errors
    ///
    /// [`RealtimeError`] if the agents do not fit together, the instructions cannot be computed or the connection cannot be made.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn connect(self) -> Result<RealtimeSession, RealtimeError> {
        // What can be wrong without a connection is found before one is made.
        let agents = reachable(&self.agent, &self.agents)?;
        let cx = RunContext::of_run(
            self.states,
            self.limits,
            crate::context::Ledger::default(),
            (None, Vec::new()),
        );
        let opened = open(&*self.model, &self.agent, &cx).await;
        let mut opened = opened.map_err(RealtimeError::Connect)?;
        let trace = SessionTrace::begin(
            self.tracer.as_ref(),
            &self.agent.shared_name(),
            &*self.model,
        );
        let mut playback = self.model.playback();
        if self.is_for_other_client {
            opened.0.keep_json();
            playback = Playback::OtherClient;
        }
        let machine = Machine::new(Setup {
            agent: self.agent,
            agents,
            cx: cx.clone(),
            settings: self.settings,
            playback,
            max_reconnects: self.reconnect.map_or(0, |reconnect| reconnect.max_attempts),
        });
        let events = Arc::<EventQueue>::default();
        // Commands are small and taken at once; more than a few wait only behind one another.
        let (control, control_taken) = mpsc::channel(16);
        // Audio waits in the driver's queue, which is bounded in bytes.
        let (audio, audio_taken) = mpsc::channel(1);
        // Three parts: the machine decides and knows no I/O, the driver does what it decides, and
        // the handle here talks to the driver over two channels.
        let driver = Driver::new(DriverParts {
            machine,
            model: self.model,
            cx: cx.clone(),
            clock: self.clock,
            reconnect: self.reconnect,
            events: Arc::clone(&events),
            trace,
            control: control_taken,
            audio: audio_taken,
        });
        // The session aborts it when it is dropped.
        let task = tokio::spawn(driver.run(opened));
        Ok(RealtimeSession {
            handle: RealtimeHandle { control, audio, cx },
            events,
            task,
        })
    }
}

/// Finds all agents that a session can come to; names that are not found or mean two agents are errors before anything is sent.
fn reachable(
    first: &RealtimeAgent,
    registered: &[RealtimeAgent],
) -> Result<Vec<RealtimeAgent>, RealtimeError> {
    let mut agents: Vec<RealtimeAgent> = Vec::new();
    let mut todo: Vec<RealtimeAgent> = registered.iter().rev().cloned().collect();
    todo.push(first.clone());
    while let Some(agent) = todo.pop() {
        match agents.iter().find(|known| known.name() == agent.name()) {
            Some(known) if known.is_same(&agent) => continue,
            Some(_) => {
                let name = agent.name().to_owned();
                return Err(RealtimeError::SameName { name });
            }
            None => {}
        }
        for handoff in agent.bound_handoffs() {
            if let Target::Agent(target) = &handoff.target {
                todo.push(target.clone());
            }
        }
        agents.push(agent);
    }
    let known: Vec<String> = agents.iter().map(|agent| agent.name().to_owned()).collect();
    for agent in &agents {
        if let Some(to) = agent
            .handoffs()
            .find(|to| !known.iter().any(|name| name == to))
        {
            return Err(RealtimeError::UnknownAgent {
                from: agent.name().to_owned(),
                to: to.to_owned(),
                known,
            });
        }
    }
    Ok(agents)
}

impl Reconnect {
    /// Tries so often, and waits so long before each attempt.
    pub const fn new(max_attempts: u32, delay: Duration) -> Self {
        Self {
            max_attempts,
            delay,
        }
    }
}

impl Clock {
    /// Makes a clock of a function that tells the time since some moment.
    pub fn new(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> Duration {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        let start = Instant::now();
        Self::new(move || start.elapsed())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock(..)")
    }
}

impl fmt::Debug for RealtimeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RealtimeHandle(..)")
    }
}

impl fmt::Debug for RealtimeSessionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RealtimeSessionBuilder")
            .field("agent", &self.agent)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
