//! What was tolerated in one answer.

use super::excerpt;
use crate::model::Deviation;

/// How many deviations of one answer are listed; a server that has more has them in every chunk.
const MAX_DEVIATIONS: usize = 64;

/// How much of a field that could not be used is kept with its deviation.
const MAX_KEPT_BYTES: usize = 64 * 1024;

/// The deviations of one answer, each once.
#[derive(Debug, Default)]
pub(crate) struct Deviations {
    noted: Vec<Deviation>,
    /// The fields that deviations are about, beside those.
    fields: Vec<String>,
}

impl Deviations {
    /// Begins with what is known before the answer.
    pub(crate) fn new(noted: Vec<Deviation>) -> Self {
        let fields = vec![String::new(); noted.len()];
        Self { noted, fields }
    }

    /// Notes a deviation of the whole answer; only the first of its code is kept.
    pub(crate) fn note(&mut self, code: &'static str, detail: impl Into<String>) {
        // A server that deviates does so in every chunk. Once is enough to know it.
        if !self.noted.iter().any(|known| known.code == code) {
            self.push(Deviation::new(code, detail), String::new());
        }
    }

    /// Notes a field that was not read as it stands there, with what stands there; only the first of its code and field is kept.
    pub(crate) fn field(&mut self, code: &'static str, field: &str, json: &str) {
        let mut known = self.noted.iter().zip(&self.fields);
        if known.any(|(known, of)| known.code == code && of == field) {
            return;
        }
        let detail = match code {
            "repeated_field" => {
                format!(
                    "`{field}` is there more than once; the first value that says something was taken"
                )
            }
            _ => format!("`{field}` cannot be read and is not needed; it was left out"),
        };
        let mut deviation = Deviation::new(code, detail);
        deviation.received = Some(if json.len() <= MAX_KEPT_BYTES {
            json.to_owned()
        } else {
            excerpt(json)
        });
        self.push(deviation, field.to_owned());
    }

    fn push(&mut self, deviation: Deviation, field: String) {
        if self.noted.len() < MAX_DEVIATIONS {
            self.noted.push(deviation);
            self.fields.push(field);
        }
    }

    /// Returns what was noted.
    pub(crate) fn take(&mut self) -> Vec<Deviation> {
        self.fields.clear();
        std::mem::take(&mut self.noted)
    }
}
