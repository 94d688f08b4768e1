//! What `openai-agents serve` costs, and whether it keeps its promises about memory and its end.
//!
//! ```text
//! scripts/measure-serve [MEASUREMENT]...
//! ```
//!
//! The program is taken from beside this one. Each measurement prints one JSON line, whose `broken` names the bounds that do not hold;
//! if any does not, this fails.

mod abandoned;
mod client;
mod ending;
mod fixed_model;
mod idle;
mod memory;
mod model;
mod program;
mod soak;
mod streams;

use std::env;
use std::error::Error;
use std::time::Duration;

use serde_json::{Value, json};

type BoxError = Box<dyn Error + Send + Sync>;

/// What can be measured, in the order in which it is.
const MEASUREMENTS: [&str; 7] = [
    "idle", "streams", "ending", "sessions", "runs", "bodies", "soak",
];

#[tokio::main]
#[expect(
    clippy::print_stdout,
    reason = "the report is a line on stdout for each"
)]
async fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let mut chosen: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if chosen.is_empty() {
        chosen = MEASUREMENTS.to_vec();
    }
    let mut n_broken = 0;
    for name in chosen {
        let report = match name {
            "idle" => idle::measure().await?,
            "streams" => streams::measure().await?,
            "ending" => ending::measure().await?,
            "sessions" => abandoned::measure().await?,
            "runs" => memory::runs().await?,
            "bodies" => memory::bodies().await?,
            "soak" => soak::measure().await?,
            _ => return Err(format!("{name} is none of {}", MEASUREMENTS.join(", ")).into()),
        };
        n_broken += report.broken.len();
        println!("{}", report.into_line(name));
    }
    match n_broken {
        0 => Ok(()),
        _ => Err(format!("{n_broken} bounds do not hold").into()),
    }
}

/// What was measured, and which bounds do not hold.
#[derive(Default)]
struct Report {
    numbers: serde_json::Map<String, Value>,
    broken: Vec<&'static str>,
}

impl Report {
    fn add(&mut self, name: &str, number: impl Into<Value>) {
        self.numbers.insert(name.to_owned(), number.into());
    }

    fn add_time(&mut self, name: &str, time: Duration) {
        self.add(name, u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }

    fn expect(&mut self, bound: &'static str, holds: bool) {
        if !holds {
            self.broken.push(bound);
        }
    }

    fn into_line(self, name: &str) -> Value {
        let mut line = json!({"measurement": name});
        if let Some(fields) = line.as_object_mut() {
            fields.extend(self.numbers);
            fields.insert("broken".to_owned(), json!(self.broken));
        }
        line
    }
}
