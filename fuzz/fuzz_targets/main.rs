//! Runs one target, named by `FUZZ_TARGET`. With `FUZZ_SEEDS` it writes what to begin with into that folder and ends; with `FUZZ_PACK` it
//! makes what is in that folder the inputs that are kept.
#![no_main]

mod seeds;
mod targets;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::{env, fs, process};

use libfuzzer_sys::fuzz_target;

use targets::{TARGETS, Target};

static TARGET: OnceLock<Target> = OnceLock::new();

fuzz_target!(
    init: {
        let name = env::var("FUZZ_TARGET").unwrap_or_default();
        if let Ok(folder) = env::var("FUZZ_SEEDS") {
            write_seeds(&name, Path::new(&folder));
            process::exit(0);
        }
        if let Ok(folder) = env::var("FUZZ_PACK") {
            seeds::pack(&name, &root(), Path::new(&folder));
            process::exit(0);
        }
        let found = TARGETS.iter().find(|(known, _)| *known == name);
        let (_, target) = found.unwrap_or_else(|| panic!("FUZZ_TARGET names no target: `{name}`"));
        TARGET.get_or_init(|| *target);
    },
    |bytes: &[u8]| {
        if let Some(target) = TARGET.get() {
            target(bytes);
        }
    }
);

fn write_seeds(name: &str, folder: &Path) {
    fs::create_dir_all(folder).expect("the folder can be made");
    let seeds = seeds::seeds(name, &root(), folder);
    let kept = seeds::kept(name, &root());
    for (n, seed) in seeds.iter().chain(&kept).enumerate() {
        fs::write(folder.join(format!("seed-{n:03}")), seed).expect("it can be written");
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
