//! What fuzzing begins with and what it found, through the same functions, without the fuzzer: every input on every run of the tests.

#[path = "../../fuzz/fuzz_targets/seeds.rs"]
mod seeds;
#[path = "../../fuzz/fuzz_targets/targets.rs"]
mod targets;

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use targets::TARGETS;

#[test]
fn fuzz_input_that_is_kept_breaks_no_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz-inputs");
    fs::create_dir_all(&scratch).unwrap();
    let mut broken = Vec::new();
    for (name, target) in TARGETS {
        let seeds = seeds::seeds(name, root, &scratch);
        assert!(!seeds.is_empty(), "{name}");
        for (n, input) in seeds.into_iter().chain(seeds::kept(name, root)).enumerate() {
            if panic::catch_unwind(AssertUnwindSafe(|| target(&input))).is_err() {
                broken.push(format!("{name} {n}: {}", String::from_utf8_lossy(&input)));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
