//! What a turn costs in a SQLite session that is empty, long, or very long.

use std::path::PathBuf;

use divan::Bencher;
use openai_agents::Item;
use openai_agents::session::{
    MemorySession, Session, SessionError, SessionId, SessionTurn, SqliteSessions,
};
use tokio::runtime::Runtime;

const LENGTHS: [usize; 3] = [0, 1_000, 10_000];
/// What a run reads with a limit.
const N_LATEST: usize = 20;

fn main() {
    divan::main();
}

/// A turn of two items, on the disk before it is acknowledged.
#[divan::bench(args = LENGTHS)]
fn append_to_sqlite(bencher: Bencher<'_, '_>, n_items: usize) {
    bench(bencher, n_items, &async |session, n| {
        session.append(turn(n)).await.map(drop)
    });
}

/// The latest items, whatever stands before them.
#[divan::bench(args = LENGTHS)]
fn read_latest_of_sqlite(bencher: Bencher<'_, '_>, n_items: usize) {
    bench(bencher, n_items, &async |session, _| {
        session.items(Some(N_LATEST)).await.map(drop)
    });
}

/// Everything, which does grow.
#[divan::bench(args = LENGTHS, sample_count = 20)]
fn read_all_of_sqlite(bencher: Bencher<'_, '_>, n_items: usize) {
    bench(bencher, n_items, &async |session, _| {
        session.items(None).await.map(drop)
    });
}

/// The same turn where nothing is on a disk.
#[divan::bench]
fn append_to_memory(bencher: Bencher<'_, '_>) {
    let (Ok(runtime), Ok(id)) = (runtime(), SessionId::new("s")) else {
        return;
    };
    let session = MemorySession::new(id);
    bencher.bench_local(|| runtime.block_on(session.append(turn(0))));
}

fn bench(
    bencher: Bencher<'_, '_>,
    n_items: usize,
    work: &impl AsyncFn(&dyn Session, usize) -> Result<(), SessionError>,
) {
    let Ok(runtime) = runtime() else {
        return;
    };
    let file = BenchFile::new(n_items);
    let session = runtime.block_on(async {
        let session = SqliteSessions::open(&file.0).await?.session(file.id()?);
        let items = (0..n_items / 2).flat_map(|n| turn(n).items);
        session.append(SessionTurn::new(items)).await?;
        Ok::<_, Box<dyn std::error::Error>>(session)
    });
    let Ok(session) = session else {
        return;
    };
    let mut n = n_items;
    bencher.bench_local(|| {
        n += 1;
        runtime.block_on(work(&session, n))
    });
}

fn turn(n: usize) -> SessionTurn {
    let question = format!("question number {n} about a thing of some length");
    let answer = format!("answer number {n} of some length");
    SessionTurn::new([Item::user(question), Item::assistant(answer)])
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().build()
}

/// A file that is removed at the end, with those that SQLite puts beside it.
struct BenchFile(PathBuf);

impl BenchFile {
    fn new(n_items: usize) -> Self {
        let name = format!("openai-agents-bench-{}-{n_items}.db", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn id(&self) -> Result<SessionId, openai_agents::session::SessionIdError> {
        SessionId::new(self.0.to_string_lossy())
    }
}

impl Drop for BenchFile {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm"] {
            let mut path = self.0.clone().into_os_string();
            path.push(end);
            drop(std::fs::remove_file(path));
        }
    }
}
