//! A plugin whose tools do what no tool should: the tests load it into the program, as a shared library and as a WebAssembly module, and look
//! at what is left.

#![expect(clippy::panic, reason = "that is what is contained")]

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An error that cannot be printed.
struct Unprintable;

impl fmt::Display for Unprintable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("while the error was printed")
    }
}

/// An output that cannot be serialized.
struct Unserializable;

impl Serialize for Unserializable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("while the output was serialized")
    }
}

/// An argument that cannot be read.
struct Unreadable;

impl<'de> Deserialize<'de> for Unreadable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        panic!("while the argument {text} was read")
    }
}

impl JsonSchema for Unreadable {
    fn schema_name() -> Cow<'static, str> {
        "Unreadable".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

/// The value of a panic that panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("while the panic was dropped")
    }
}

fn close() {
    panic!("at the end")
}

openai_agents_plugin::export_plugin! {
    shutdown = close;

    /// Returns the text back.
    fn echo(text: String) -> String {
        text
    }

    /// Fails.
    fn fails() -> Result<String, String> {
        Err("it is Sunday".to_owned())
    }

    /// Panics.
    fn panics() -> String {
        panic!("in the function")
    }

    /// Panics with a value that panics when it is dropped.
    fn panics_twice() -> String {
        std::panic::panic_any(Bomb)
    }

    /// Panics when its argument is read.
    fn panics_before(argument: Unreadable) -> String {
        let Unreadable = argument;
        String::new()
    }

    /// Panics when its output is serialized.
    fn panics_after() -> Unserializable {
        Unserializable
    }

    /// Panics when its error is printed.
    fn panics_late() -> Result<String, Unprintable> {
        Err(Unprintable)
    }

    /// Computes without end.
    fn loops() -> u64 {
        let mut n = 0_u64;
        loop {
            n = std::hint::black_box(n.wrapping_add(1));
        }
    }

    /// Takes so many MiB of memory, and gives back how many bytes that were.
    fn takes_memory(mib: usize) -> usize {
        let memory = vec![1_u8; mib * 1024 * 1024];
        std::hint::black_box(&memory).len()
    }
}
