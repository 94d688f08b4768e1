//! A final output that is still being written, read as far as it is there.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads a JSON text that is not complete yet.
///
/// What is open is taken as closed.
///
/// Feed it the text deltas of a run and read when you want to show something. A text that has begun counts as far as it is written; a
/// number or word that may go on, and a key without a value, do not count yet. What is read is a preview: the run's own result is checked
/// when it is whole.
///
/// ```
/// use openai_agents::agent::PartialOutput;
/// use serde_json::json;
///
/// let mut partial = PartialOutput::new();
/// partial.push(r#"{"title": "Two te"#);
/// assert_eq!(partial.value(), Some(json!({ "title": "Two te" })));
/// partial.push(r#"sts", "n": 1"#);
/// assert_eq!(partial.value(), Some(json!({ "title": "Two tests" })));
///
/// #[derive(serde::Deserialize)]
/// struct Preview { title: Option<String> }
/// assert_eq!(partial.read::<Preview>().and_then(|preview| preview.title).as_deref(), Some("Two tests"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct PartialOutput {
    text: String,
    scan: Scan,
}

/// Where in the text the reader is.
#[derive(Debug, Clone, Default)]
struct Scan {
    /// What closes each open list and object, the outermost first.
    closers: Vec<char>,
    /// The string that is open.
    string: Option<OpenString>,
    expects_key: bool,
    /// The end of the part that can be closed as it stands, and how much was open there.
    safe: usize,
    n_safe_closers: usize,
}

#[derive(Debug, Clone)]
struct OpenString {
    /// Whether it is the key of an object.
    is_key: bool,
    escape: Escape,
    /// Where its last whole character ends.
    end: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    None,
    Begun,
    /// So many hexadecimal digits are still to come.
    Hex(u8),
}

impl PartialOutput {
    /// Begins with nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes more of the text.
    pub fn push(&mut self, delta: &str) {
        for c in delta.chars() {
            self.text.push(c);
            self.scan.take(c, self.text.len());
        }
    }

    /// Returns the value as far as it is there.
    ///
    /// It is `None` if the value has not begun, or the text is no JSON.
    ///
    /// It costs as much as parsing the text so far.
    pub fn value(&self) -> Option<Value> {
        let scan = &self.scan;
        let value = scan.string.as_ref().filter(|string| !string.is_key);
        let (end, n_closers) = match value {
            Some(string) => (string.end, scan.closers.len()),
            None => (scan.safe, scan.n_safe_closers),
        };
        let mut text = self.text.get(..end)?.to_owned();
        text.extend(value.map(|_| '"'));
        text.extend(scan.closers.get(..n_closers)?.iter().rev());
        serde_json::from_str(&text).ok()
    }

    /// Reads the value so far as a type, whose fields should be optional.
    ///
    /// It is `None` if the value does not fit yet.
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_value(self.value()?).ok()
    }
}

impl Scan {
    /// Takes a character; the text ends at `end` with it.
    fn take(&mut self, c: char, end: usize) {
        if let Some(string) = &mut self.string {
            if string.take(c, end) {
                return;
            }
            let is_key = string.is_key;
            self.string = None;
            if !is_key {
                self.mark_safe(end);
            }
            return;
        }
        match c {
            '"' => {
                self.string = Some(OpenString {
                    is_key: self.expects_key,
                    escape: Escape::None,
                    end,
                });
            }
            '{' | '[' => {
                self.closers.push(if c == '{' { '}' } else { ']' });
                self.expects_key = c == '{';
                self.mark_safe(end);
            }
            '}' | ']' => {
                self.closers.pop();
                self.expects_key = false;
                self.mark_safe(end);
            }
            ',' => {
                // What stood before it is whole.
                self.mark_safe(end - 1);
                self.expects_key = self.closers.last() == Some(&'}');
            }
            ':' => self.expects_key = false,
            _ => {}
        }
    }

    fn mark_safe(&mut self, end: usize) {
        self.safe = end;
        self.n_safe_closers = self.closers.len();
    }
}

impl OpenString {
    /// Takes a character; `false` if the string ends with it.
    fn take(&mut self, c: char, end: usize) -> bool {
        self.escape = match (self.escape, c) {
            (Escape::None, '"') => return false,
            (Escape::None, '\\') => Escape::Begun,
            (Escape::Begun, 'u') => Escape::Hex(4),
            (Escape::Hex(n @ 2..), _) => Escape::Hex(n - 1),
            (Escape::None | Escape::Begun | Escape::Hex(_), _) => Escape::None,
        };
        if self.escape == Escape::None {
            self.end = end;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(text: &str, expect: impl Into<Option<Value>>) {
        let mut partial = PartialOutput::new();
        partial.push(text);
        assert_eq!(partial.value(), expect.into(), "{text}");
    }

    #[test]
    fn partial_json_is_closed() {
        check("", None);
        check("{", Some(json!({})));
        check(r#"{"a"#, Some(json!({})));
        check(r#"{"a":"#, Some(json!({})));
        check(r#"{"a":1"#, Some(json!({})));
        check(r#"{"a":1,"#, Some(json!({"a": 1})));
        check(r#"{"a":tr"#, Some(json!({})));
        check(r#"{"a":["x","y"#, Some(json!({"a": ["x", "y"]})));
        check(r#"{"a":"x\"#, Some(json!({"a": "x"})));
        check(r#"{"a":"x\u00e"#, Some(json!({"a": "x"})));
        check(r#"{"a":"x\u00e9"#, Some(json!({"a": "xé"})));
        check(r#"{"a":{"b":[]},"c"#, Some(json!({"a": {"b": []}})));
        check(r#"{"a":"}{"}"#, Some(json!({"a": "}{"})));
        check("Sure! {", None);
    }

    #[test]
    fn partial_json_is_read_at_every_beginning() {
        let whole = json!({"a": "q\"\\ü😀", "b": [1, 2.5, {"c": null}], "d": {"e": [true, "x"]}});
        let text = whole.to_string();
        let mut partial = PartialOutput::new();
        for c in text.chars() {
            partial.push(c.encode_utf8(&mut [0; 4]));
            assert!(partial.value().is_some(), "{}", partial.text);
        }
        assert_eq!(partial.value(), Some(whole));
    }
}
