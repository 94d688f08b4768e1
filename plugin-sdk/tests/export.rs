//! A plugin through the table that a host sees, without a host.
#![cfg(test)]
#![expect(unsafe_code, reason = "a host calls through pointers")]

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use openai_agents_plugin::abi::{
    ABI_VERSION, Bytes, MAGIC, STATUS_FAILED, STATUS_OUTPUT, STATUS_PANICKED,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A place.
#[derive(Deserialize, Serialize, JsonSchema)]
struct Point {
    x: i64,
    y: i64,
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

struct Unprintable;

impl std::fmt::Display for Unprintable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("no words");
    }
}

static N_SHUTDOWNS: AtomicU32 = AtomicU32::new(0);

fn close() {
    N_SHUTDOWNS.fetch_add(1, Ordering::Relaxed);
    panic!("at the end");
}

openai_agents_plugin::export_plugin! {
    shutdown = close;

    /// Moves a point.
    ///
    /// Both ways.
    fn move_point(
        /// From where.
        point: Point,
        /// How far to the right.
        right: Option<i64>,
    ) -> Point {
        Point { x: point.x + right.unwrap_or(0), y: point.y }
    }

    /// Adds two numbers.
    pub fn add(a: i64, b: i64) -> Result<i64, &'static str> {
        a.checked_add(b).ok_or("too large")
    }

    fn nothing() {}

    fn text() -> String {
        "plain".to_owned()
    }

    fn panics() -> String {
        panic!("on purpose")
    }

    fn panics_twice() -> String {
        std::panic::panic_any(Bomb)
    }

    fn panics_late() -> Result<String, Unprintable> {
        Err(Unprintable)
    }

    fn no_json() -> BTreeMap<(u8, u8), u8> {
        BTreeMap::from([((1, 2), 3)])
    }
}

static COMPLETED: Mutex<Vec<(u64, u32, String)>> = Mutex::new(Vec::new());

unsafe extern "C" fn complete(call_id: u64, status: u32, bytes: Bytes) {
    let bytes = unsafe { bytes.get() }.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    COMPLETED.lock().unwrap().push((call_id, status, text));
}

unsafe extern "C" fn receive(target: *mut c_void, status: u32, bytes: Bytes) {
    let text = String::from_utf8(unsafe { bytes.get() }.unwrap().to_vec()).unwrap();
    let target: &mut Vec<(u32, String)> = unsafe { &mut *target.cast() };
    target.push((status, text));
}

fn table() -> openai_agents_plugin::abi::PluginTable {
    unsafe extern "C" {
        safe static OPENAI_AGENTS_PLUGIN: openai_agents_plugin::abi::PluginTable;
    }
    OPENAI_AGENTS_PLUGIN
}

fn call(id: u64, name: &str, arguments: &Value) -> (u32, String) {
    let arguments = arguments.to_string();
    let (name, arguments) = (Bytes::of(name.as_bytes()), Bytes::of(arguments.as_bytes()));
    unsafe { (table().call.unwrap())(name, arguments, id, complete) };
    let mut completed = COMPLETED.lock().unwrap();
    let at = completed.iter().position(|found| found.0 == id).unwrap();
    let (_, status, text) = completed.remove(at);
    (status, text)
}

#[test]
fn table_says_its_version_and_size() {
    let table = table();
    assert_eq!(table.magic, MAGIC);
    assert_eq!(table.abi_version, ABI_VERSION);
    assert_eq!(table.size as usize, size_of_val(&table));
}

#[test]
fn describe_gives_comments_and_schemas() {
    let mut described: Vec<(u32, String)> = Vec::new();
    let target: *mut c_void = (&raw mut described).cast();
    unsafe { (table().describe.unwrap())(target, receive) };
    let [(status, text)] = &described[..] else {
        panic!("described {} times", described.len());
    };
    assert_eq!(*status, STATUS_OUTPUT);
    let json: Value = serde_json::from_str(text).unwrap();
    let tool = &json["tools"][0];
    assert_eq!(tool["name"], "move_point");
    assert_eq!(tool["description"], "Moves a point.\n\nBoth ways.");
    let parameters = &tool["parameters"];
    assert_eq!(parameters["required"], json!(["point"]));
    assert_eq!(
        parameters["properties"]["right"]["description"],
        "How far to the right."
    );
    assert_eq!(parameters["$defs"]["Point"]["required"], json!(["x", "y"]));
    assert_eq!(json["tools"].as_array().unwrap().len(), 8);
}

#[test]
fn calls_give_json_or_say_what_is_wrong() {
    let point = json!({"point": {"x": 1, "y": 2}, "right": 3});
    let moved = json!({"x": 4, "y": 2}).to_string();
    assert_eq!(call(1, "move_point", &point), (STATUS_OUTPUT, moved));
    let sum = call(2, "add", &json!({"a": 20, "b": 22}));
    assert_eq!(sum, (STATUS_OUTPUT, "42".to_owned()));
    let sum = call(3, "add", &json!({"a": i64::MAX, "b": 1}));
    assert_eq!(sum, (STATUS_FAILED, "too large".to_owned()));
    let (status, words) = call(4, "add", &json!({"a": "1", "b": 1}));
    assert_eq!(status, STATUS_FAILED);
    assert!(
        words.starts_with("the argument `a`: invalid type"),
        "{words}"
    );
    assert_eq!(
        call(5, "nothing", &json!({})),
        (STATUS_OUTPUT, "null".to_owned())
    );
    assert_eq!(
        call(6, "text", &json!({})),
        (STATUS_OUTPUT, "\"plain\"".to_owned())
    );
    let unknown = (STATUS_FAILED, "there is no tool `other`".to_owned());
    assert_eq!(call(7, "other", &json!({})), unknown);
    let (status, words) = call(8, "no_json", &json!({}));
    assert_eq!(status, STATUS_FAILED);
    assert!(
        words.starts_with("the output cannot be written as JSON"),
        "{words}"
    );
    let (status, words) = call(9, "add", &json!([]));
    assert_eq!(status, STATUS_FAILED);
    assert!(
        words.starts_with("the arguments are not a JSON object"),
        "{words}"
    );
}

#[test]
fn panics_are_told_and_go_no_further() {
    let told = |words: &str| (STATUS_PANICKED, words.to_owned());
    assert_eq!(call(21, "panics", &json!({})), told("on purpose"));
    let no_text = told("a value that is not text");
    assert_eq!(call(22, "panics_twice", &json!({})), no_text);
    assert_eq!(call(23, "panics_late", &json!({})), told("no words"));
    unsafe { (table().shutdown.unwrap())() };
    assert_eq!(N_SHUTDOWNS.load(Ordering::Relaxed), 1);
}

#[test]
fn null_from_the_host_is_a_failed_call() {
    let null = Bytes {
        pointer: std::ptr::null(),
        length: 3,
    };
    unsafe { (table().call.unwrap())(null, null, 31, complete) };
    let completed = COMPLETED.lock().unwrap();
    let words = "the host passed null".to_owned();
    assert!(completed.contains(&(31, STATUS_FAILED, words)));
}
