//! What a turn costs in memory, counted: allocations and bytes of a tool loop against a server on this machine.
//!
//! Counts do not depend on how busy a machine is, so this is a test with a bound, and CI holds it. Only the thread of
//! the client counts; the server, which plays the answers of W2 of `benches/compare`, has another one.
//!
//! ```text
//! cargo test --workspace --all-features --test turn_cost -- --nocapture                  the counts
//! TURN_COST=8 cargo test --workspace --all-features --test turn_cost -- --nocapture      and where, by 8 frames
//! ```

mod tool_loop;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tool_loop::{N_TURNS, PROMPT};

const N_RUNS: usize = 20;

/// The most of a turn. Lower them with what is saved; raise them only with a reason in the commit.
const MAX_ALLOCATIONS: usize = 47;
const MAX_BYTES: usize = 21_400;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts what the threads that want it allocate.
struct Counting;

thread_local! {
    static COUNTS: Cell<bool> = const { Cell::new(false) };
    static N_ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static N_BYTES: Cell<usize> = const { Cell::new(0) };
}

/// How many frames of a place are told apart; none are looked at by default.
static N_FRAMES: AtomicUsize = AtomicUsize::new(0);

/// Where the allocations were made, if it is asked for.
static PLACES: Mutex<BTreeMap<String, (usize, usize)>> = Mutex::new(BTreeMap::new());

impl Counting {
    fn count(n_bytes: usize) {
        if !COUNTS.get() {
            return;
        }
        N_ALLOCATIONS.set(N_ALLOCATIONS.get() + 1);
        N_BYTES.set(N_BYTES.get() + n_bytes);
        let n_frames = N_FRAMES.load(Ordering::Relaxed);
        if n_frames > 0 {
            COUNTS.set(false);
            note_place(n_bytes, n_frames);
            COUNTS.set(true);
        }
    }
}

#[expect(
    unsafe_code,
    reason = "an allocator that counts can only be put around the system's by its trait"
)]
// SAFETY: each call is passed on to the system's allocator as it came, whose contract is then the caller's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size());
        // SAFETY: the caller promises what the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        Self::count(new_size.saturating_sub(layout.size()));
        // SAFETY: as above.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[test]
fn turn_of_a_tool_loop_allocates_within_its_bounds() -> Result<(), Box<dyn std::error::Error>> {
    if let Ok(n_frames) = std::env::var("TURN_COST") {
        N_FRAMES.store(n_frames.parse().unwrap_or(8), Ordering::Relaxed);
    }
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    // It ends with the process: the client's connection is its only work.
    std::thread::spawn(move || serve(&listener));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (allocations, bytes) = runtime.block_on(measure(address))?;
    write_report(&format!(
        "a turn makes {allocations} allocations of {bytes} bytes"
    ))?;
    assert!(
        allocations <= MAX_ALLOCATIONS && bytes <= MAX_BYTES,
        "a turn makes {allocations} allocations of {bytes} bytes, over {MAX_ALLOCATIONS} of {MAX_BYTES}"
    );
    Ok(())
}

/// Gives allocations and bytes of a turn.
async fn measure(address: SocketAddr) -> Result<(usize, usize), Box<dyn std::error::Error>> {
    let agent = tool_loop::agent()?;
    let runner = tool_loop::runner(&format!("http://{address}/v1"))?;
    for n in 0..=N_RUNS {
        // The first run opens the connection and fills what is kept.
        COUNTS.set(n > 0);
        let result = runner.run(&agent, PROMPT).await;
        COUNTS.set(false);
        result?;
    }
    let n_turns = N_RUNS * N_TURNS as usize;
    Ok((
        N_ALLOCATIONS.get().div_ceil(n_turns),
        N_BYTES.get().div_ceil(n_turns),
    ))
}

fn serve(listener: &TcpListener) -> io::Result<()> {
    for stream in listener.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        tool_loop::answer_all(&stream)?;
    }
    Ok(())
}

/// Notes where code allocates: the lines of this crate and of those that it calls, those of the standard library left out.
fn note_place(n_bytes: usize, n_frames: usize) {
    let trace = std::backtrace::Backtrace::force_capture().to_string();
    let places = trace
        .lines()
        .filter_map(|line| line.trim().strip_prefix("at "));
    let places = places.filter(|place| !is_foreign(place)).map(short);
    let place = places.take(n_frames).collect::<Vec<_>>().join(" < ");
    if let Ok(mut places) = PLACES.lock() {
        let place = places.entry(place).or_default();
        place.0 += 1;
        place.1 += n_bytes;
    }
}

/// Whether this is a file of the standard library, or of a collection that allocates for another.
fn is_foreign(place: &str) -> bool {
    [
        "/rustc/",
        "/rustlib/",
        "/hashbrown-",
        "benches/turn_cost.rs",
        "benches/tool_loop.rs",
    ]
    .iter()
    .any(|part| place.contains(part))
}

/// The place without the folders that its crate lies in, and without the column.
fn short(place: &str) -> &str {
    let place = place.rsplit_once(':').map_or(place, |(place, _)| place);
    let start = place.rfind("/src/").unwrap_or(0);
    let start = place.get(..start).and_then(|head| head.rfind('/'));
    place
        .get(start.map_or(0, |start| start + 1)..)
        .unwrap_or(place)
}

fn write_report(summary: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    if let Ok(places) = PLACES.lock() {
        let mut places: Vec<_> = places.iter().collect();
        places.sort_by_key(|(_, (n, _))| std::cmp::Reverse(*n));
        let n_turns = N_RUNS * N_TURNS as usize;
        for (place, (n, bytes)) in places {
            let tenths = n * 10 / n_turns;
            writeln!(
                stdout,
                "{:3}.{} {:6} {place}",
                tenths / 10,
                tenths % 10,
                bytes / n_turns
            )?;
        }
    }
    writeln!(stdout, "{summary}")
}
