//! The examples, each as its first line says: they compile against the public API and end well on a small model.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// In the order in which they teach.
fn examples(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root.join("examples")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn every_example_ends_well() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let names = examples(root);
    assert!(names.len() >= 8, "{names:?}");
    for name in names {
        let output = Command::new(env::var_os("CARGO").unwrap())
            .args([
                "run",
                "--quiet",
                "--locked",
                "--package",
                "openai-agents-rust",
            ])
            .args(["--manifest-path", root.join("Cargo.toml").to_str().unwrap()])
            .args(["--example", &name])
            // Without the file and settings of whoever runs the tests.
            .current_dir(env!("CARGO_TARGET_TMPDIR"))
            .env_remove("OPENAI_AGENTS_CONFIG")
            .output()
            .unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}: {stdout}{stderr}");
        assert!(stdout.ends_with('\n'), "{name}: {stdout}");
        assert!(!stderr.contains("panicked"), "{name}: {stderr}");
    }
}
