//! Tools of a workspace, called by the model: their names, schemas and descriptions are for it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program::program;

const FILE: &str = "\
workspace: { root: ., approval: never }
agents:
  - { name: Reader, tools: [read_file] }
  - { name: Operator, tools: [run_command] }
";

#[test]
fn the_model_reads_a_file_and_runs_a_command() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("workspace");
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("config.yaml"), FILE).unwrap();
    fs::write(folder.join("notes.txt"), "forty-two\n").unwrap();
    for (agent, prompt, (argument, expected), output_end) in [
        (
            "Reader",
            "Read the file notes.txt",
            ("/path", "notes.txt"),
            "forty-two",
        ),
        (
            "Operator",
            "Run the command pwd in the folder src.",
            ("/command/0", "pwd"),
            "/workspace/src\n[exit code 0]",
        ),
    ] {
        let arguments = ["run", "--json", "--agent", agent, prompt];
        let output = program(&arguments).current_dir(&folder).output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let lines = stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let lines: Vec<Value> = lines.collect();
        let first = |name: &str| lines.iter().find(|line| line["type"] == name).unwrap();
        let call: Value =
            serde_json::from_str(first("tool_called")["arguments"].as_str().unwrap()).unwrap();
        assert_eq!(
            call.pointer(argument),
            Some(&Value::from(expected)),
            "{stdout}"
        );
        let told = first("tool_output")["output"].as_str().unwrap();
        assert!(told.trim_end().ends_with(output_end), "{stdout}");
        assert_eq!(lines.last().unwrap()["ok"], true, "{stdout}");
    }
}
