//! `parity` does what the Python Agents SDK did, except where a difference is listed with its reason.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};

/// What stands in the list for a key that one side does not have.
const ABSENT: &str = "(absent)";

/// The list of what is different on purpose, `scenario-differences.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    everywhere: Vec<Rule>,
    scenarios: BTreeMap<String, Vec<ReasonGroup>>,
}

/// A difference that may occur in every scenario, and occurs in one at least.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// Its path; `*` is any one step.
    at: String,
    /// Both sides, unless they are always different.
    ours: Option<Value>,
    theirs: Option<Value>,
    reason: String,
}

/// Differences of one scenario that have one reason.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReasonGroup {
    reason: String,
    /// Our side by path; the other is in the golden file.
    ours: BTreeMap<String, Value>,
}

/// A path and what both sides have there.
type PathDifference = (String, [Value; 2]);

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/python-parity")
}

fn read(path: &Path) -> Value {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// Runs all scenarios, into a folder of this test.
fn run(name: &str) -> PathBuf {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if out.exists() {
        fs::remove_dir_all(&out).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_parity"))
        .arg(fixtures().join("scenarios.json"))
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    out
}

/// What was told of a scenario, without the names by which the two present themselves.
fn told(path: &Path) -> Value {
    let mut told = read(path);
    for request in told["requests"].as_array_mut().unwrap() {
        request["headers"]
            .as_object_mut()
            .unwrap()
            .remove("user-agent");
    }
    told
}

/// The names of the files in a folder, without their ending.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    let name = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    entries.map(|entry| name(entry.unwrap().path())).collect()
}

/// Finds where two values differ; lists of different lengths, and the events, differ as a whole.
fn differences(path: &str, ours: &Value, theirs: &Value, found: &mut Vec<PathDifference>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let keys: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
            for key in keys {
                let absent = json!(ABSENT);
                let (ours, theirs) = (ours.get(key), theirs.get(key));
                let sides = (ours.unwrap_or(&absent), theirs.unwrap_or(&absent));
                differences(&format!("{path}/{key}"), sides.0, sides.1, found);
            }
        }
        (Value::Array(ours), Value::Array(theirs))
            if ours.len() == theirs.len() && path != "/outcome/events" =>
        {
            for (n, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                differences(&format!("{path}/{n}"), ours, theirs, found);
            }
        }
        _ if ours == theirs => {}
        _ => found.push((path.to_owned(), [ours.clone(), theirs.clone()])),
    }
}

impl Rule {
    fn covers(&self, (path, [ours, theirs]): &PathDifference) -> bool {
        let is_there = self.at.split('/').count() == path.split('/').count()
            && self
                .at
                .split('/')
                .zip(path.split('/'))
                .all(|(at, step)| at == "*" || at == step);
        is_there
            && self.ours.as_ref().is_none_or(|known| known == ours)
            && self.theirs.as_ref().is_none_or(|known| known == theirs)
    }
}

/// What is different and not listed, or listed and not different.
fn complaints(name: &str, found: Vec<PathDifference>, groups: &[ReasonGroup]) -> Vec<String> {
    let mut listed: BTreeMap<&str, &Value> = BTreeMap::new();
    for group in groups {
        assert!(
            !group.reason.is_empty(),
            "{name}: a difference without reason"
        );
        listed.extend(
            group
                .ours
                .iter()
                .map(|(path, value)| (path.as_str(), value)),
        );
    }
    let mut complaints = Vec::new();
    for (path, [ours, theirs]) in found {
        if listed.remove(path.as_str()) != Some(&ours) {
            complaints.push(format!("{name}{path}\n  ours   {ours}\n  theirs {theirs}"));
        }
    }
    complaints.extend(
        listed
            .keys()
            .map(|path| format!("{name}{path} does not differ any more")),
    );
    complaints
}

#[test]
fn every_scenario_is_equal_or_listed() {
    let (ours, golden) = (run("scenarios"), fixtures().join("golden"));
    let listed = read(&fixtures().join("scenario-differences.json"));
    let listed: Listed = serde_json::from_value(listed).unwrap();
    assert_eq!(names(&ours), names(&golden));
    let mut unused: Vec<&Rule> = listed.everywhere.iter().collect();
    let mut complaints = Vec::new();
    for name in names(&golden) {
        let file = format!("{name}.json");
        let mut found = Vec::new();
        differences(
            "",
            &told(&ours.join(&file)),
            &told(&golden.join(&file)),
            &mut found,
        );
        unused.retain(|rule| !found.iter().any(|difference| rule.covers(difference)));
        found.retain(|difference| !listed.everywhere.iter().any(|rule| rule.covers(difference)));
        let groups = listed.scenarios.get(&name).map(Vec::as_slice);
        complaints.extend(self::complaints(&name, found, groups.unwrap_or_default()));
    }
    let rules = unused
        .iter()
        .map(|rule| format!("{} does not differ any more", rule.at));
    complaints.extend(rules);
    let unknown = listed
        .scenarios
        .keys()
        .filter(|name| !names(&golden).contains(*name));
    complaints.extend(unknown.map(|name| format!("there is no scenario {name}")));
    assert!(listed.everywhere.iter().all(|rule| !rule.reason.is_empty()));
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn a_difference_that_is_not_listed_or_gone_is_told() {
    let group = |ours: Value| ReasonGroup {
        reason: "because".to_owned(),
        ours: serde_json::from_value(ours).unwrap(),
    };
    let found = |ours: &Value, theirs: &Value| {
        let mut found = Vec::new();
        differences("", ours, theirs, &mut found);
        found
    };
    let (ours, theirs) = (
        json!({ "a": [1, { "b": 2 }] }),
        json!({ "a": [1, {}], "c": null }),
    );
    let both = found(&ours, &theirs);
    let paths: Vec<_> = both.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["/a/1/b", "/c"]);
    let right = group(json!({ "/a/1/b": 2, "/c": ABSENT }));
    assert_eq!(complaints("x", both.clone(), &[right]), [""; 0]);
    let other = group(json!({ "/a/1/b": 3, "/c": ABSENT }));
    assert_eq!(complaints("x", both.clone(), &[other]).len(), 1);
    assert_eq!(complaints("x", both, &[]).len(), 2);
    let gone = group(json!({ "/a/0": 1 }));
    assert_eq!(
        complaints("x", found(&ours, &ours), &[gone])[0],
        "x/a/0 does not differ any more"
    );
    let whole = found(&json!([1, 2]), &json!([1]));
    assert_eq!(whole, [(String::new(), [json!([1, 2]), json!([1])])]);
}

/// Scenarios of which two can be played, the last among them.
fn mostly_unplayable() -> Value {
    let answer =
        json!({ "choices": [{ "message": { "content": "hello" }, "finish_reason": "stop" }] });
    let scenario = |name: &str, more: Value| {
        let mut scenario = json!({
            "name": name,
            "agents": { "main": { "name": "Main", "instructions": "Be brief.", "tools": [] } },
            "start": "main", "input": "hi", "steps": [{ "json": answer }],
        });
        let more = more.as_object().unwrap().clone();
        scenario.as_object_mut().unwrap().extend(more);
        scenario
    };
    let agent = |more: Value| {
        let mut agent = json!({ "name": "Main", "instructions": "" });
        let more = more.as_object().unwrap().clone();
        agent.as_object_mut().unwrap().extend(more);
        json!({ "agents": { "main": agent } })
    };
    json!({
        "tools": { "odd": { "description": "", "schema": {}, "no_such_option": 1 } },
        "scenarios": [
            scenario("config", json!({ "run_config": { "reasoning_item_id_policy": "omit" } })),
            scenario("model", agent(json!({ "model_settings": { "extra_query": {} } }))),
            scenario("start", json!({ "start": "nobody" })),
            scenario("step", json!({ "steps": [{ "jsno": {} }] })),
            scenario("tool", agent(json!({ "tools": ["missing"] }))),
            scenario("tracing", json!({ "run_config": { "workflow_name": "w", "tracing_disabled": true } })),
            scenario("tracing", json!({})),
            scenario("../outside", json!({})),
            scenario("setting", json!({ "no_such_setting": true })),
            scenario("option", agent(json!({ "tools": ["odd"] }))),
            scenario("last", json!({ "run_config": { "model_settings": null } })),
        ],
    })
}

#[test]
fn a_scenario_that_cannot_be_played_is_told_and_the_others_are_played() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("unplayable");
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    let scenarios = folder.join("scenarios.json");
    fs::write(&scenarios, mostly_unplayable().to_string()).unwrap();
    let out = folder.join("out");
    let output = Command::new(env!("CARGO_BIN_EXE_parity"))
        .arg(&scenarios)
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.ends_with("parity: 9 scenarios could not be played\n"));
    let mut outcomes: BTreeMap<String, Value> = names(&out)
        .into_iter()
        .map(|name| {
            let told = read(&out.join(format!("{name}.json")));
            (name, told["outcome"].clone())
        })
        .collect();
    for name in ["tracing", "last"] {
        assert_eq!(outcomes.remove(name).unwrap()["final_output"], "hello");
    }
    // These two list all that is known.
    for (name, unknown) in [
        ("setting", "unknown field `no_such_setting`, "),
        ("option", "the tool odd: unknown field `no_such_option`, "),
    ] {
        let told = outcomes.remove(name).unwrap();
        let reason = told["not_played"].as_str().unwrap();
        assert!(reason.starts_with(unknown), "{reason}");
    }
    let outcomes = json!(outcomes);
    let reasons = [
        (
            "config",
            "run_config.reasoning_item_id_policy has nothing here that it could set",
        ),
        (
            "model",
            "the setting extra_query: there is nothing here that it could set",
        ),
        (
            "scenario-6",
            "the name \"tracing\" is taken or no file's name",
        ),
        (
            "scenario-7",
            "the name \"../outside\" is taken or no file's name",
        ),
        ("start", "no such start agent"),
        ("step", "the key jsno of a step is not known here"),
        ("tool", "there is no tool missing"),
    ];
    let reasons: BTreeMap<_, _> = reasons
        .into_iter()
        .map(|(name, reason)| (name, json!({ "not_played": reason })))
        .collect();
    assert_eq!(outcomes, json!(reasons));
}
