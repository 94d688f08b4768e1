//! Signals: Ctrl-C, SIGTERM and a closed terminal end the program in order; a second one ends it at
//! once.
//!
//! A thread of its own listens, so that a program that is stuck also ends, for example in a write
//! to a pipe that nobody reads.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use openai_agents::ErrorKind;
use tokio::runtime::Builder;
use tokio::sync::watch;

use crate::children;
use crate::exit::Exit;
use crate::failure::{Ended, failed_result};
use crate::output;

/// How long an orderly end may take after the first signal. `serve` needs ten seconds.
const ORDERLY: Duration = Duration::from_secs(15);
/// How long the end may take after the second signal: enough to end the children, too short to wait
/// for anything.
const AT_ONCE: Duration = Duration::from_millis(300);
/// How long the last line may take, since nobody may be reading.
const LAST_LINE: Duration = Duration::from_millis(100);

/// What asks the program to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGHUP: the terminal was closed.
    Hangup,
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Signal {
    /// Returns the word for messages.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Hangup => "hung up",
            Self::Interrupt => "interrupted",
            Self::Terminate => "terminated",
        }
    }
}

/// The signals so far. Every later one counts as the second.
#[derive(Debug, Clone, Copy, Default)]
struct ReceivedSignals {
    first: Option<Signal>,
    second: Option<Signal>,
    /// How often Ctrl-C stopped an answer or a recording instead of the program.
    n_spared: u32,
}

/// Reports signals. A clone reports the same ones, also those that came before it.
#[derive(Debug, Clone)]
pub(crate) struct Signals {
    seen: watch::Receiver<ReceivedSignals>,
    spares_interrupt: Arc<AtomicBool>,
}

/// While this exists, one Ctrl-C stops what its holder does, instead of the program.
pub(crate) struct SparedInterrupt {
    seen: watch::Receiver<ReceivedSignals>,
    spares_interrupt: Arc<AtomicBool>,
    n_before: u32,
}

impl Signals {
    /// Starts to listen. From here on no signal ends the program by itself.
    pub(crate) fn listen() -> io::Result<Self> {
        let (sender, seen) = watch::channel(ReceivedSignals::default());
        let (ready, is_ready) = mpsc::channel();
        let spares_interrupt = Arc::new(AtomicBool::new(false));
        let spares = Arc::clone(&spares_interrupt);
        thread::Builder::new()
            .name("openai-agents-signals".to_owned())
            .spawn(move || {
                let runtime = Builder::new_current_thread().enable_all().build();
                match runtime {
                    Ok(runtime) => runtime.block_on(watch_signals(&sender, &ready, &spares)),
                    // The receiver is gone if the program is about to end.
                    Err(error) => drop(ready.send(Err(error))),
                }
            })?;
        is_ready
            .recv()
            .map_err(|_| io::Error::other("cannot listen for signals"))??;
        Ok(Self {
            seen,
            spares_interrupt,
        })
    }

    /// Waits for the first signal.
    ///
    /// # Cancel safety
    ///
    /// No signal is lost: the next call returns it.
    pub(crate) async fn first(&mut self) -> Signal {
        let seen = self.seen.wait_for(|seen| seen.first.is_some()).await;
        match seen.map(|seen| seen.first) {
            Ok(Some(signal)) => signal,
            // Never: the thread lives as long as the process.
            _ => std::future::pending().await,
        }
    }

    /// Does some work, unless a signal comes first: then the work is dropped.
    pub(crate) async fn unless<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            signal = self.first() => Err(Ended(signal).into()),
            done = work => done,
        }
    }

    /// Makes the next Ctrl-C stop something else than the program. The one after it ends the
    /// program.
    pub(crate) fn spare_interrupt(&self) -> SparedInterrupt {
        let seen = self.seen.clone();
        let n_before = seen.borrow().n_spared;
        self.spares_interrupt.store(true, Ordering::Relaxed);
        SparedInterrupt {
            seen,
            spares_interrupt: Arc::clone(&self.spares_interrupt),
            n_before,
        }
    }

    /// Waits for a second signal, by which the user refuses to wait for an orderly end.
    ///
    /// # Cancel safety
    ///
    /// As for [`first`](Self::first).
    pub(crate) async fn second(&mut self) -> Signal {
        let seen = self.seen.wait_for(|seen| seen.second.is_some()).await;
        match seen.map(|seen| seen.second) {
            Ok(Some(signal)) => signal,
            _ => std::future::pending().await,
        }
    }
}

impl SparedInterrupt {
    /// Waits for the Ctrl-C.
    ///
    /// # Cancel safety
    ///
    /// It is not lost: the next call returns at once.
    pub(crate) async fn came(&mut self) {
        let n_before = self.n_before;
        let came = self.seen.wait_for(|seen| seen.n_spared > n_before);
        if came.await.is_err() {
            // Never: the thread lives as long as the process.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for SparedInterrupt {
    fn drop(&mut self) {
        self.spares_interrupt.store(false, Ordering::Relaxed);
    }
}

async fn watch_signals(
    sender: &watch::Sender<ReceivedSignals>,
    ready: &mpsc::Sender<io::Result<()>>,
    spares_interrupt: &AtomicBool,
) {
    let mut source = match SignalSource::new() {
        Ok(source) => source,
        // The receiver is gone if the program is about to end.
        Err(error) => return drop(ready.send(Err(error))),
    };
    if ready.send(Ok(())).is_err() {
        return;
    }
    let mut first = source.next().await;
    // `swap` takes the permission with the first Ctrl-C, so that two in a row always end the
    // program.
    while first == Signal::Interrupt && spares_interrupt.swap(false, Ordering::Relaxed) {
        sender.send_modify(|seen| seen.n_spared += 1);
        first = source.next().await;
    }
    sender.send_modify(|seen| seen.first = Some(first));
    let second = tokio::time::timeout(ORDERLY, source.next()).await;
    // A healthy process ends during the following wait. One that is stuck is ended below.
    let last = second.unwrap_or(first);
    sender.send_modify(|seen| seen.second = Some(last));
    tokio::time::sleep(AT_ONCE).await;
    end_stuck(last);
}

/// Ends the process from this thread, because the main thread is stuck.
#[expect(
    clippy::exit,
    reason = "the main thread is stuck, and somebody asked twice"
)]
fn end_stuck(signal: Signal) {
    let (written, is_written) = mpsc::channel();
    // On another thread, because the stuck one may hold the lock of stdout.
    thread::spawn(move || {
        let line = failed_result(ErrorKind::Cancelled, signal.word());
        drop(written.send(output::result(&line)));
    });
    drop(is_written.recv_timeout(LAST_LINE));
    children::end();
    std::process::exit(Exit::Ended(signal).code().into());
}

#[cfg(unix)]
struct SignalSource {
    /// `None` under `nohup`, which ignores SIGHUP so that the program outlives its terminal. A handler would undo that.
    hangup: Option<tokio::signal::unix::Signal>,
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// Handled and ignored. Otherwise `ulimit -f` would kill the program at a write; now the write fails, as on a full disk.
    _file_size: tokio::signal::unix::Signal,
}

/// SIGXFSZ. It has this number on Linux, macOS and the BSDs.
#[cfg(unix)]
const FILE_SIZE: i32 = 25;

#[cfg(unix)]
impl SignalSource {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let hangup = (!hangup_is_ignored()).then(|| signal(SignalKind::hangup()));
        Ok(Self {
            hangup: hangup.transpose()?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            _file_size: signal(SignalKind::from_raw(FILE_SIZE))?,
        })
    }

    async fn next(&mut self) -> Signal {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
            _ = hangup => Signal::Hangup,
        }
    }
}

/// Says whether SIGHUP is ignored. Without `unsafe` only Linux can tell; elsewhere it counts as not
/// ignored.
#[cfg(unix)]
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // SIGHUP is signal 1, and bit 0 of the mask.
    mask.is_some_and(|mask| mask & 1 == 1)
}

#[cfg(not(unix))]
struct SignalSource;

#[cfg(not(unix))]
impl SignalSource {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::Interrupt,
            Err(_) => std::future::pending().await,
        }
    }
}
