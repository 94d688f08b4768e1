//! Runs an agent to its end: shows its events, and stops on a signal.

use anyhow::Result;
use openai_agents::{RunEvent, RunRequest, RunState, RunStream};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::pause::Saved;
use crate::recorder::{LocalStore, Recorder};
use crate::render::Renderer;
use crate::run_setup::RunSetup;
use crate::signal::Signals;

/// How a run starts.
pub(crate) enum Start {
    Run(Box<RunRequest>),
    /// A run that waits for approval, and no decision was given: it is only shown.
    Show(Box<RunState>, Saved),
}

/// Prepares a run and plays it. A signal before it begins ends the program without having done
/// anything.
pub(crate) async fn play(
    prepared: impl Future<Output = Result<(Start, RunSetup)>>,
    renderer: &mut Renderer,
    signals: &mut Signals,
) -> Result<Exit> {
    let prepared = tokio::select! {
        biased;
        signal = signals.first() => return Ok(renderer.failed(&Failure::ended(signal))),
        prepared = prepared => prepared,
    };
    let (start, setup) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return Ok(renderer.failed(&Failure::of(&error))),
    };
    if let Some(id) = &setup.session {
        renderer.in_session(id.as_str());
    }
    match start {
        Start::Run(request) => {
            if let Some(durable) = &setup.durable {
                renderer.durable(durable.id())?;
            }
            let recorder = match recorder(&setup, signals).await {
                Ok(recorder) => recorder,
                Err(error) => return Ok(renderer.failed(&Failure::of(&error))),
            };
            let request = match &recorder {
                Some(recorder) => request.tracer(&recorder.tracer),
                None => *request,
            };
            let played = watch(request.stream(), &setup, renderer, signals).await;
            if let Some(recorder) = &recorder {
                tokio::select! {
                    _ = signals.second() => {}
                    () = recorder.close() => {}
                }
                if setup.local_store == LocalStore::Always {
                    output::note("recorded: see it with `openai-agents trace show`");
                }
            }
            tokio::select! {
                // A second signal ends at once: dropping the servers ends them without waiting.
                _ = signals.second() => {}
                () = setup.config.mcp_servers().close() => {}
            }
            played
        }
        Start::Show(state, saved) => {
            renderer.is_at(state.agent(), state.turns());
            renderer.paused(&setup.pause(&state, saved))
        }
    }
}

/// Opens the recorder. A replay is not recorded, because the run was when it took place.
async fn recorder(setup: &RunSetup, signals: &mut Signals) -> Result<Option<Recorder>> {
    if setup.is_replay {
        return Ok(None);
    }
    let opened = Recorder::open(&setup.config, setup.local_store);
    signals.unless(opened).await
}

/// Shows the events of the run until it ends, fails, waits, is interrupted, or its reader is gone.
async fn watch(
    mut stream: RunStream,
    setup: &RunSetup,
    renderer: &mut Renderer,
    signals: &mut Signals,
) -> Result<Exit> {
    loop {
        let next = tokio::select! {
            biased;
            signal = signals.first() => {
                // Closes the connection first, so that the server stops working at once.
                drop(stream);
                return Ok(renderer.failed(&setup.unfinished(Failure::ended(signal))));
            }
            next = stream.next() => next,
        };
        match next {
            Some(Ok(RunEvent::RunDone { result })) => {
                let failure = setup.answered(result.final_output()).await;
                return renderer.done(&result, failure.as_ref());
            }
            Some(Ok(event)) => {
                if let Some(exit) = renderer.event(&event)? {
                    return Ok(exit);
                }
            }
            Some(Err(error)) => {
                renderer.reached(error.progress());
                return setup.ended(error, renderer).await;
            }
            None => return Ok(Exit::Failed),
        }
    }
}
