//! A tool of a plugin: its description and its call, in JSON.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt::{self, Display};
use std::panic::{AssertUnwindSafe, catch_unwind};

use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Everything that a library offers; made by the macro.
#[derive(Debug)]
pub struct Plugin {
    tools: &'static [Tool],
    shutdown: Option<fn()>,
}

/// A function that a model can call.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "the macro writes it down")]
pub struct Tool {
    /// The name.
    pub name: &'static str,
    /// The description that the model reads.
    pub description: &'static str,
    /// Returns the JSON Schema of the arguments.
    pub parameters: fn() -> Value,
    /// Calls the function with arguments as JSON.
    ///
    /// Gives the output as JSON, or the error for the model.
    pub call: fn(&[u8]) -> Result<String, String>,
}

/// How a call ended, as text for the host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the ABI has no other status")]
pub enum Outcome {
    /// The output, as JSON.
    Output(String),
    /// The function failed, or its arguments are wrong.
    Failed(String),
    /// The function panicked.
    Panicked(String),
}

impl Plugin {
    /// Makes a plugin of tools.
    pub const fn new(tools: &'static [Tool]) -> Self {
        let shutdown = None;
        Self { tools, shutdown }
    }

    /// Sets a function that is called when the host ends.
    #[must_use]
    pub const fn on_shutdown(mut self, shutdown: fn()) -> Self {
        self.shutdown = Some(shutdown);
        self
    }

    /// Describes the tools as JSON.
    pub fn describe(&self) -> Outcome {
        contained(|| {
            let tools = self.tools.iter().map(|tool| {
                json!({
                    "name": tool.name,
                    "description": description(tool.description),
                    "parameters": (tool.parameters)(),
                })
            });
            let tools: Vec<Value> = tools.collect();
            Ok(json!({ "tools": tools }).to_string())
        })
    }

    /// Calls a tool.
    pub fn call(&self, name: &[u8], arguments: &[u8]) -> Outcome {
        let mut tools = self.tools.iter();
        let Some(tool) = tools.find(|tool| tool.name.as_bytes() == name) else {
            let name = String::from_utf8_lossy(name);
            return Outcome::Failed(format!("there is no tool `{name}`"));
        };
        contained(|| (tool.call)(arguments))
    }

    /// Ends the plugin.
    pub fn shutdown(&self) -> Outcome {
        contained(|| {
            if let Some(shutdown) = self.shutdown {
                shutdown();
            }
            Ok(String::new())
        })
    }
}

/// Runs a function and catches its panic. A panic must not cross the C ABI.
fn contained(function: impl FnOnce() -> Result<String, String>) -> Outcome {
    match catch_unwind(AssertUnwindSafe(function)) {
        Ok(Ok(output)) => Outcome::Output(output),
        Ok(Err(problem)) => Outcome::Failed(problem),
        Err(payload) => Outcome::Panicked(words_of(payload)),
    }
}

fn words_of(payload: Box<dyn Any + Send>) -> String {
    let payload = match payload.downcast::<&str>() {
        Ok(text) => return (*text).to_owned(),
        Err(payload) => payload,
    };
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => {
            // Dropping a value of any other type may panic again, with nothing above to catch it. A leak is the lesser evil.
            std::mem::forget(payload);
            "a value that is not text".to_owned()
        }
    }
}

/// Returns the lines of a comment without the space after `///`.
fn description(comment: &str) -> String {
    let lines = comment
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line));
    let lines: Vec<&str> = lines.collect();
    lines.join("\n").trim().to_owned()
}

/// Builds the schema of the arguments of a function.
#[derive(Debug)]
pub struct Parameters {
    generator: SchemaGenerator,
    properties: Map<String, Value>,
    required: Vec<Value>,
}

impl Parameters {
    #[expect(clippy::new_without_default, reason = "only the macro makes one")]
    #[expect(missing_docs, reason = "for the macro")]
    pub fn new() -> Self {
        Self {
            generator: SchemaGenerator::default(),
            properties: Map::new(),
            required: Vec::new(),
        }
    }

    #[expect(missing_docs, reason = "for the macro")]
    #[must_use]
    pub fn with<T: JsonSchema + DeserializeOwned>(mut self, name: &str, comment: &str) -> Self {
        let mut schema = self.generator.subschema_for::<T>();
        let comment = description(comment);
        if !comment.is_empty() {
            schema.insert("description".to_owned(), comment.into());
        }
        self.properties.insert(name.to_owned(), schema.to_value());
        // A type that accepts null, such as `Option`, may be left out: `take` reads a missing
        // argument as null.
        if serde_json::from_value::<T>(Value::Null).is_err() {
            self.required.push(name.into());
        }
        self
    }

    #[expect(missing_docs, reason = "for the macro")]
    pub fn finish(mut self) -> Value {
        let mut schema = json!({
            "type": "object",
            "properties": self.properties,
            "required": self.required,
            "additionalProperties": false,
        });
        let definitions = self.generator.take_definitions(true);
        if let (false, Some(schema)) = (definitions.is_empty(), schema.as_object_mut()) {
            schema.insert("$defs".to_owned(), Value::Object(definitions));
        }
        schema
    }
}

/// The arguments of a call while they are read.
#[derive(Debug)]
pub struct Arguments(RefCell<Map<String, Value>>);

impl Arguments {
    #[expect(missing_docs, reason = "for the macro")]
    #[expect(clippy::missing_errors_doc, reason = "for the macro")]
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let fields = serde_json::from_slice(json);
        fields
            .map(|fields| Self(RefCell::new(fields)))
            .map_err(|error| format!("the arguments are not a JSON object: {error}"))
    }

    #[expect(missing_docs, reason = "for the macro")]
    #[expect(clippy::missing_errors_doc, reason = "for the macro")]
    pub fn take<T: DeserializeOwned>(&self, name: &str) -> Result<T, String> {
        let value = self.0.borrow_mut().remove(name).unwrap_or(Value::Null);
        serde_json::from_value(value).map_err(|error| format!("the argument `{name}`: {error}"))
    }
}

/// The returned value of a function, which is read once.
///
/// The compiler looks for a method on a value before it looks on a reference to it. So a [`Result`]
/// uses [`ReturnResult`], and every other type [`ReturnValue`]. A single trait would need
/// specialization.
pub struct Returned<T>(Cell<Option<T>>);

impl<T> fmt::Debug for Returned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Returned").finish_non_exhaustive()
    }
}

impl<T> Returned<T> {
    #[expect(missing_docs, reason = "for the macro")]
    pub const fn new(value: T) -> Self {
        Self(Cell::new(Some(value)))
    }
}

#[expect(missing_docs, reason = "for the macro")]
pub trait ReturnResult {
    #[expect(clippy::missing_errors_doc, reason = "for the macro")]
    fn finish(&self) -> Result<String, String>;
}

#[expect(missing_docs, reason = "for the macro")]
pub trait ReturnValue {
    #[expect(clippy::missing_errors_doc, reason = "for the macro")]
    fn finish(&self) -> Result<String, String>;
}

impl<T: Serialize, E: Display> ReturnResult for Returned<Result<T, E>> {
    fn finish(&self) -> Result<String, String> {
        match self.0.take() {
            Some(Ok(value)) => to_json(&value),
            Some(Err(error)) => Err(error.to_string()),
            None => to_json(&()),
        }
    }
}

impl<T: Serialize> ReturnValue for &Returned<T> {
    fn finish(&self) -> Result<String, String> {
        to_json(&self.0.take())
    }
}

fn to_json(value: &impl Serialize) -> Result<String, String> {
    serde_json::to_string(value)
        .map_err(|error| format!("the output cannot be written as JSON: {error}"))
}
