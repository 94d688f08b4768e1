//! `openai-agents chat`.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use openai_agents::agent::Interruption;
use openai_agents::context::Cancel;
use openai_agents::item::{Message, Role};
use openai_agents::session::{MemorySession, Session, SessionId};
use openai_agents::{ErrorKind, Limits, RunEvent, RunRequest, RunState};

use super::run::latest_session;
use crate::args::{DeliveryFlag, Global};
use crate::exit::Exit;
use crate::failure::{Ended, Failure, Usage};
use crate::logging;
use crate::output::{self, Output};
use crate::recorder::{LocalStore, Recorder};
use crate::render::Renderer;
use crate::run_setup::RunSetup;
use crate::signal::Signals;
use crate::typed_lines::{TypedLines, is_yes};

/// Talk with an agent in the terminal
///
/// Each line of stdin is a message, and the answer comes before the next one is sent. The agent remembers the conversation until the end;
/// with --session it is kept for the next time. After a handoff the next message goes to the agent that answered.
///
/// If a call needs approval, the terminal asks you: y approves it, a approves it and all later calls of the tool in this answer, anything
/// else rejects it, and the model is told so. If stdin is not a terminal, the call is rejected. --approve-all approves every call.
///
/// Ctrl-C stops the answer under way, and the conversation continues without it; between answers it ends the program. The end of stdin
/// (Ctrl-D) ends the program too.
///
/// If an answer fails, stderr says why. In a terminal the conversation continues; if stdin is not a terminal, the program ends.
///
/// Exit codes: 0 done; those of `run` if an answer failed and stdin is not a terminal; 129, 130 or 143 after SIGHUP, Ctrl-C or SIGTERM.
#[derive(Debug, Args)]
pub(crate) struct ChatArgs {
    /// Talk with this agent; `openai-agents agents` lists them.
    #[arg(long, value_name = "NAME", default_value = "Assistant")]
    agent: String,
    #[command(flatten)]
    delivery: DeliveryFlag,
    /// Allow at most this many turns for an answer; each is one request to the model.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_turns: Option<u32>,
    /// End an answer after this many seconds.
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
    /// Approve all calls that need it, and ask nobody.
    #[arg(long)]
    approve_all: bool,
    /// Continue the conversation with this id, or start it; `openai-agents sessions list` shows all.
    #[arg(
        long,
        value_name = "ID",
        help_heading = "Session",
        allow_hyphen_values = true
    )]
    session: Option<String>,
    /// Continue the most recent conversation.
    #[arg(long, help_heading = "Session", conflicts_with = "session")]
    r#continue: bool,
    /// Continue this branch of the session; `sessions fork` makes one.
    #[arg(long, value_name = "NAME", help_heading = "Session")]
    branch: Option<String>,
    /// Record the answers in the local store of traces, for `openai-agents trace`.
    #[arg(long)]
    trace: bool,
}

/// A conversation in the terminal.
struct Chat<'a> {
    arguments: &'a ChatArgs,
    setup: RunSetup,
    session: Arc<dyn Session>,
    recorder: Option<Recorder>,
    lines: TypedLines,
    out: Output,
    /// The agent that gets the next message.
    agent: String,
}

/// How an answer ended.
enum AnswerEnd {
    /// It is complete or was stopped; the conversation continues.
    Over,
    Failed(Exit),
    /// Calls wait for approval.
    Waits(Box<RunState>),
    /// The reader of stdout is gone.
    Unread,
}

pub(crate) async fn run(
    global: Global,
    arguments: &ChatArgs,
    signals: &mut Signals,
) -> Result<Exit> {
    let prepared = signals.unless(Box::pin(prepare(global, arguments))).await;
    let mut chat = prepared?;
    let ended = Box::pin(chat.talk(signals)).await;
    if let Some(recorder) = &chat.recorder {
        tokio::select! {
            _ = signals.second() => {}
            () = recorder.close() => {}
        }
    }
    tokio::select! {
        // A second signal ends at once: dropping the servers ends them without waiting.
        _ = signals.second() => {}
        () = chat.setup.config.mcp_servers().close() => {}
    }
    ended
}

/// Does everything that can fail before the first message, so that nothing is typed in vain.
async fn prepare(global: Global, arguments: &ChatArgs) -> Result<Chat<'_>> {
    if arguments.branch.is_some() && arguments.session.is_none() && !arguments.r#continue {
        return Err(Usage("--branch needs --session".to_owned()).into());
    }
    let session = arguments.session.as_ref().map(SessionId::new).transpose()?;
    let names_model = global.names_model();
    let config = global.load()?;
    logging::start(&config)?;
    let local_store = if arguments.trace {
        LocalStore::Always
    } else {
        LocalStore::IfConfigured
    };
    let mut setup = RunSetup {
        local_store,
        names_model,
        session,
        ..RunSetup::new(config, Vec::new())?
    };
    setup.demand(&arguments.agent, None)?;
    setup.check_model(&arguments.agent)?;
    // Made only to see the errors of its configuration.
    drop(setup.config.runner_for(&arguments.agent)?);
    // After the checks above, because finding the latest session opens the store.
    if arguments.r#continue {
        setup.session = Some(latest_session(&setup).await?);
    }
    let session = match setup.open_session(arguments.branch.as_deref()).await? {
        Some(session) => session,
        None => Arc::new(MemorySession::new(SessionId::new("chat")?)),
    };
    let described = setup.config.agent_config(&arguments.agent)?;
    setup.config.connect_mcp(described).await?;
    Ok(Chat {
        arguments,
        recorder: Recorder::open(&setup.config, local_store).await?,
        setup,
        session,
        lines: TypedLines::read()?,
        out: Output::of_process(),
        agent: arguments.agent.clone(),
    })
}

impl Chat<'_> {
    /// Answers line by line until stdin ends.
    async fn talk(&mut self, signals: &mut Signals) -> Result<Exit> {
        loop {
            if self.lines.is_terminal() {
                self.prompt();
            }
            let next = signals.unless(self.lines.next()).await;
            if self.lines.is_terminal() && !matches!(next, Ok(Some(_))) {
                // After Ctrl-C or Ctrl-D the cursor is still behind the prompt.
                self.out.err.write_all(b"\n").ok();
            }
            let Some(line) = next? else {
                return Ok(Exit::Done);
            };
            if line.trim().is_empty() {
                continue;
            }
            match self.answer(line, signals).await? {
                Some(exit) if exit == Exit::Done || !self.lines.is_terminal() => return Ok(exit),
                _ => {}
            }
        }
    }

    fn prompt(&mut self) {
        let written = self.out.err.write_all(b"> ");
        // If stderr is closed, nobody sees the prompt.
        drop(written.and_then(|()| self.out.err.flush()));
    }

    /// Answers a message. Gives the exit code if the conversation cannot continue.
    async fn answer(&mut self, line: String, signals: &mut Signals) -> Result<Option<Exit>> {
        let input = vec![Message::new(Role::User, line).into()];
        let delivery = self.arguments.delivery.delivery();
        let request = self.setup.ask(&self.agent, input, delivery).await;
        let mut next = request.map(|request| request.limits(self.limits()));
        let mut renderer = Renderer::new(false, Some(&self.agent));
        loop {
            let request = match next {
                Ok(request) => request,
                Err(error) => return Ok(Some(renderer.failed(&Failure::of(&error)))),
            };
            match self.watch(request, &mut renderer, signals).await? {
                AnswerEnd::Over => return Ok(None),
                AnswerEnd::Unread => return Ok(Some(Exit::Done)),
                AnswerEnd::Failed(exit) => return Ok(Some(exit)),
                AnswerEnd::Waits(mut state) => {
                    self.decide(&mut state, signals).await?;
                    let agent = state.start_agent().to_owned();
                    let limits = state.limits();
                    let request = self.setup.resume(&agent, *state, delivery).await;
                    next = request.map(|request| request.limits(limits));
                }
            }
        }
    }

    fn limits(&self) -> Limits {
        // Only an unknown agent has no limits, and after a handoff the agent is in the configuration too.
        let mut limits = self.setup.limits(&self.agent).unwrap_or_default();
        limits.max_turns = self.arguments.max_turns.or(limits.max_turns);
        let timeout = self.arguments.timeout.map(Duration::from_secs);
        limits.max_duration = timeout.or(limits.max_duration);
        limits
    }

    /// Shows an answer as it arrives, until it is complete, fails, waits for approval or is
    /// stopped.
    async fn watch(
        &mut self,
        request: RunRequest,
        renderer: &mut Renderer,
        signals: &mut Signals,
    ) -> Result<AnswerEnd> {
        let request = request.session(&self.session);
        let request = match &self.recorder {
            Some(recorder) => request.tracer(&recorder.tracer),
            None => request,
        };
        let mut stream = request.stream();
        let mut interrupt = signals.spare_interrupt();
        let mut is_stopped = false;
        loop {
            let next = tokio::select! {
                biased;
                // In this order: a signal must not wait until a fast stream has a pause.
                signal = signals.first() => return Err(Ended(signal).into()),
                () = interrupt.came(), if !is_stopped => {
                    is_stopped = true;
                    stream.cancel(Cancel::Now);
                    continue;
                }
                next = stream.next() => next,
            };
            match next {
                Some(Ok(RunEvent::RunDone { result })) => {
                    result.last_agent().name().clone_into(&mut self.agent);
                    renderer.done(&result, None)?;
                    return Ok(AnswerEnd::Over);
                }
                Some(Ok(event)) => {
                    if renderer.event(&event)?.is_some() {
                        return Ok(AnswerEnd::Unread);
                    }
                }
                // The run reports the cancel as an error. Any other error is a failure, also if it
                // came while the user pressed Ctrl-C.
                Some(Err(error)) if is_stopped && error.kind() == ErrorKind::Cancelled => {
                    renderer.stopped();
                    return Ok(AnswerEnd::Over);
                }
                Some(Err(error)) => {
                    renderer.reached(error.progress());
                    let is_paused = error.kind() == ErrorKind::ApprovalRequired;
                    let failure = Failure::of_run(&error, &self.setup.config);
                    return Ok(match error.into_state() {
                        Ok(state) if is_paused => {
                            renderer.end_line()?;
                            AnswerEnd::Waits(Box::new(state))
                        }
                        Ok(_) | Err(_) => AnswerEnd::Failed(renderer.failed(&failure)),
                    });
                }
                None => return Ok(AnswerEnd::Failed(Exit::Failed)),
            }
        }
    }

    /// Asks about the calls that wait for approval, and writes the decisions into the state.
    async fn decide(&mut self, state: &mut RunState, signals: &mut Signals) -> Result<()> {
        for call in state.interruptions() {
            if self.arguments.approve_all {
                state.approve(&call.id)?;
                continue;
            }
            if !self.lines.is_terminal() {
                output::note(format_args!(
                    "rejected, since nobody can be asked (--approve-all approves): {}",
                    question(&call)
                ));
                state.reject(&call.id)?;
                continue;
            }
            output::note(question(&call));
            let asked = self.lines.ask("approve? [y/a/N] ", &mut self.out);
            let answer = signals.unless(asked).await?.unwrap_or_default();
            if answer.trim().eq_ignore_ascii_case("a") {
                state.approve_always(&call.id)?;
            } else if is_yes(&answer) {
                state.approve(&call.id)?;
            } else {
                state.reject(&call.id)?;
            }
        }
        Ok(())
    }
}

/// Describes a call with all of its arguments, uncut: somebody decides about them.
fn question(call: &Interruption) -> String {
    let (agent, tool, arguments) = (&call.agent, &call.tool, &call.arguments);
    let doubt = if call.may_have_run {
        "  (it may have been made before)"
    } else {
        ""
    };
    format!("{agent}: {tool} {arguments}{doubt}")
}
