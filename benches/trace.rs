//! What recording a run in the local store costs: the CPU time of this process for each turn, with and without.
//!
//! `cargo bench --bench trace --features sqlite` prints the medians of many pairs of rounds, one with and one without, since a single round may
//! differ by a third: of all threads together, and of that by which the run itself goes on. A run is W2 of
//! `benches/compare`: ten turns with a call of a tool, and one that answers. Linux only: it reads `/proc`. The model is a server in a
//! process of its own, so that its work is not counted as the run's; CPU time hardly depends on what else the machine does.
//!
//! Times say little while anything else runs; valgrind counts instructions the same each time (`scripts/trace-instructions`): 83,700 for a turn
//! on the run's own thread and 7,700 more when it is recorded (9 %), 99,700 more on all threads. That is above the 5 % that this was to stay
//! below: a quarter of it is to allocate what another thread frees. A turn of a real model takes hundreds of milliseconds.
//!
//! What is recorded to nowhere and into a queue that keeps nothing shows what of that the run itself does, and not SQLite's thread beside it on
//! the same two cores: 8 to 10 % of the time of its thread in both, and 13 to 14 % in the store, where nothing else ran.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints what it measured"
)]

mod tool_loop;

use std::error::Error;
use std::io::{self, BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use openai_agents::trace::{ExportQueue, Exporter, Span, TraceStore, Tracer};
use openai_agents::{Agent, Runner};
use tool_loop::{N_TURNS, PROMPT};

/// The runs of a round.
const N_RUNS: u32 = 60;

const N_PAIRS: usize = 61;

/// Microseconds of CPU for a turn.
#[derive(Clone, Copy)]
struct Cost {
    /// Of the thread that drives the runs.
    own: f64,
    /// Of all threads.
    all: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().any(|argument| argument == "--serve") {
        return Ok(serve()?);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut server, url) = start_server()?;
    let measured = match Counted::from_arguments()? {
        Some(counted) => runtime.block_on(run_counted(&url, counted)),
        None => runtime.block_on(measure(&url)),
    };
    server.kill()?;
    server.wait()?;
    measured
}

/// What `scripts/trace-instructions` counts.
struct Counted {
    n_runs: u32,
    is_recorded: bool,
}

impl Counted {
    /// Reads `--runs N` or `--recorded-runs N`.
    fn from_arguments() -> Result<Option<Self>, Box<dyn Error>> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let mut pairs = arguments.iter().zip(arguments.iter().skip(1));
        let found = pairs.find(|(name, _)| matches!(&***name, "--runs" | "--recorded-runs"));
        let Some((name, number)) = found else {
            return Ok(None);
        };
        Ok(Some(Self {
            n_runs: number.parse()?,
            is_recorded: name == "--recorded-runs",
        }))
    }
}

async fn run_counted(url: &str, counted: Counted) -> Result<(), Box<dyn Error>> {
    let agent = tool_loop::agent()?;
    let runner = tool_loop::runner(url)?;
    let path = store_path();
    if counted.is_recorded {
        let store = TraceStore::open(&path).await?;
        let processor = store.processor().await?;
        let tracer = Tracer::builder().processor(processor).build();
        let runner = runner.tracer(&tracer);
        for _ in 0..counted.n_runs {
            runner.run(&agent, PROMPT).await?;
        }
        if !tracer.flush(Duration::from_secs(600)).await || tracer.n_lost() > 0 {
            return Err(format!("{} spans were lost", tracer.n_lost()).into());
        }
    } else {
        for _ in 0..counted.n_runs {
            runner.run(&agent, PROMPT).await?;
        }
    }
    remove_store(&path);
    Ok(())
}

fn store_path() -> PathBuf {
    std::env::temp_dir().join(format!("openai-agents-traces-{}.db", std::process::id()))
}

fn remove_store(path: &Path) {
    for end in ["", "-wal", "-shm"] {
        // They are not all there.
        std::fs::remove_file(format!("{}{end}", path.display())).ok();
    }
}

async fn measure(url: &str) -> Result<(), Box<dyn Error>> {
    let path = store_path();
    let store = TraceStore::open(&path).await?;
    let processor = store.processor().await?;
    let tracers = [
        ("to nowhere", Tracer::builder().build()),
        (
            "into a queue",
            Tracer::builder()
                .processor(ExportQueue::new(DiscardedSpans))
                .build(),
        ),
        (
            "in the store",
            Tracer::builder().processor(processor).build(),
        ),
    ];
    for (place, tracer) in tracers {
        measure_pairs(url, place, &tracer).await?;
    }
    drop(store);
    remove_store(&path);
    Ok(())
}

/// Takes spans as the store does, and keeps none.
struct DiscardedSpans;

impl Exporter for DiscardedSpans {
    fn export(&mut self, _spans: &[Arc<Span>]) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }

    fn wants_running(&self) -> bool {
        true
    }

    fn target(&self) -> String {
        "nothing".to_owned()
    }
}

async fn measure_pairs(url: &str, place: &str, tracer: &Tracer) -> Result<(), Box<dyn Error>> {
    let agent = tool_loop::agent()?;
    let plain = tool_loop::runner(url)?;
    let traced = plain.clone().tracer(tracer);
    let mut pairs = Vec::new();
    // The first warms everything up.
    for round in 0..=N_PAIRS {
        let without = cost(&plain, &agent, None).await?;
        let with = cost(&traced, &agent, Some(tracer)).await?;
        if round > 0 {
            pairs.push((without, with));
        }
    }
    println!("recorded {place}");
    print_cost(
        "all threads",
        pairs.iter().map(|(one, two)| (one.all, two.all)),
    );
    print_cost(
        "the run's thread",
        pairs.iter().map(|(one, two)| (one.own, two.own)),
    );
    if tracer.n_lost() > 0 {
        eprintln!("{} spans were lost", tracer.n_lost());
    }
    Ok(())
}

/// Prints the medians, and between which bounds the middle half of the pairs differs.
fn print_cost(of: &str, pairs: impl Iterator<Item = (f64, f64)>) {
    let (without, with): (Vec<f64>, Vec<f64>) = pairs.unzip();
    let more = without.iter().zip(&with);
    let more: Vec<f64> = more.map(|(one, two)| (two / one - 1.0) * 100.0).collect();
    println!(
        "CPU of a turn, {of}: {:.1} us, recorded {:.1} us: {:+.1} % (half of the pairs {:+.1} to {:+.1})",
        quartile(&without, 2),
        quartile(&with, 2),
        quartile(&more, 2),
        quartile(&more, 1),
        quartile(&more, 3),
    );
}

/// The value that as many quarters of all are below; the second is the median.
fn quartile(values: &[f64], n_quarters: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    let at = last * n_quarters / 4;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

async fn cost(
    runner: &Runner,
    agent: &Agent,
    tracer: Option<&Tracer>,
) -> Result<Cost, Box<dyn Error>> {
    let (own, all) = (thread_cpu()?, cpu()?);
    for _ in 0..N_RUNS {
        runner.run(agent, PROMPT).await?;
    }
    let own = thread_cpu()?.saturating_sub(own);
    if let Some(tracer) = tracer {
        tracer.flush(Duration::from_secs(60)).await;
    }
    let all = cpu()?.saturating_sub(all);
    let n_turns = f64::from(N_RUNS * N_TURNS);
    let of_a_turn = |time: Duration| time.as_secs_f64() * 1e6 / n_turns;
    Ok(Cost {
        own: of_a_turn(own),
        all: of_a_turn(all),
    })
}

/// The CPU time of all threads.
fn cpu() -> io::Result<Duration> {
    let mut sum = Duration::ZERO;
    for task in std::fs::read_dir("/proc/self/task")? {
        sum += cpu_of(&task?.path())?;
    }
    Ok(sum)
}

/// The CPU time of this thread.
fn thread_cpu() -> io::Result<Duration> {
    cpu_of(Path::new("/proc/thread-self"))
}

fn cpu_of(task: &Path) -> io::Result<Duration> {
    let times = std::fs::read_to_string(task.join("schedstat"))?;
    let own = times.split(' ').next().and_then(|own| own.parse().ok());
    Ok(Duration::from_nanos(own.unwrap_or(0)))
}

fn start_server() -> Result<(Child, String), Box<dyn Error>> {
    let mut server = Command::new(std::env::current_exe()?)
        .arg("--serve")
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = server.stdout.take().ok_or("the server has no stdout")?;
    let mut port = String::new();
    BufReader::new(stdout).read_line(&mut port)?;
    Ok((server, format!("http://127.0.0.1:{}/v1", port.trim())))
}

fn serve() -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?.port());
    for connection in listener.incoming() {
        let connection = connection?;
        connection.set_nodelay(true)?;
        std::thread::spawn(move || tool_loop::answer_all(&connection));
    }
    Ok(())
}
