//! A run that waits for approval: which calls, where it is saved, and the command that goes on.

use std::fmt::Write as _;
use std::path::PathBuf;

use openai_agents::agent::Interruption;

use crate::sanitize::{exact_line, sanitize};

/// What is told of a run that waits.
pub(crate) struct Pause {
    pub(crate) calls: Vec<Interruption>,
    /// Where it is saved.
    pub(crate) file: PathBuf,
    /// The program and the flags with which it goes on, without the file and the decisions.
    pub(crate) command: Vec<String>,
}

impl Pause {
    /// Says it in a sentence.
    pub(crate) fn message(&self) -> String {
        let tools: Vec<&str> = self.calls.iter().map(|call| call.tool.as_str()).collect();
        let tools = tools.join(", ");
        match self.calls.len() {
            1 => format!("1 call waits for approval: {tools}"),
            n_calls => format!("{n_calls} calls wait for approval: {tools}"),
        }
    }

    /// Says it to a person, with every argument whole: it is what they decide about.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\n", exact_line(&self.message()));
        for call in &self.calls {
            let [id, agent, tool, arguments] =
                [&call.id, &call.agent, &call.tool, &call.arguments].map(|part| exact_line(part));
            // Writing to a string cannot fail.
            let doubt = if call.may_have_run {
                "  (it may have been made before)"
            } else {
                ""
            };
            let _always_ok = writeln!(text, "  {id}  {agent}: {tool} {arguments}{doubt}");
        }
        let file = self.file.display().to_string();
        let first = self.calls.iter().map(|call| call.id.as_str()).next();
        let first = first.filter(|id| is_printable(id)).unwrap_or("ID");
        let _always_ok = writeln!(
            text,
            "the run is saved in {}; to go on:\n  {}\nor refuse, which the model is told: --reject {} or --reject {}",
            sanitize(&file),
            self.approve(&file),
            quoted(first),
            quoted(&format!("{first}=WHY")),
        );
        text
    }

    /// The command that goes on, without decisions.
    pub(crate) fn go_on(&self) -> String {
        self.line(&self.file.display().to_string(), &[])
    }

    fn line(&self, file: &str, decisions: &[&str]) -> String {
        let command = self.command.iter().map(String::as_str);
        let words = command.chain(["--resume", file]);
        let words: Vec<String> = words.chain(decisions.iter().copied()).map(quoted).collect();
        words.join(" ")
    }

    fn approve(&self, file: &str) -> String {
        // An identifier that cannot be printed cannot be typed either.
        if self.calls.iter().all(|call| is_printable(&call.id)) {
            let calls = self.calls.iter();
            let decisions: Vec<&str> = calls.flat_map(|call| ["--approve", &call.id]).collect();
            self.line(file, &decisions)
        } else {
            self.line(file, &["--approve-all"])
        }
    }
}

fn is_printable(text: &str) -> bool {
    exact_line(text) == text
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_are_those_of_a_shell() {
        for (word, expected) in [
            ("call_1/call-2", "call_1/call-2"),
            ("/home/a b/x.json", "'/home/a b/x.json'"),
            ("$(rm -rf)", "'$(rm -rf)'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            ("~", "'~'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
