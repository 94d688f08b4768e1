//! A paused run as the user sees it: the waiting calls, where the run is saved, and the command
//! that resumes it.

use std::path::PathBuf;

use openai_agents::agent::Interruption;

use crate::escape::Shown;

/// What a user is told about a run that waits.
pub(crate) struct Pause {
    pub(crate) calls: Vec<Interruption>,
    /// Where the run is saved.
    pub(crate) saved: Saved,
    /// The flags that resume it, without the place and the decisions.
    pub(crate) command: Vec<String>,
}

/// Where a paused run is saved.
#[derive(Debug, Clone)]
pub(crate) enum Saved {
    File(PathBuf),
    /// In the journal, under this id.
    Run(String),
}

impl Saved {
    /// Returns the place as text.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Run(id) => id.clone(),
        }
    }

    /// Returns the key of the place in `--json`.
    pub(crate) const fn key(&self) -> &'static str {
        match self {
            Self::File(_) => "state",
            Self::Run(_) => "run",
        }
    }

    /// Returns the command that resumes the run, quoted for a shell.
    pub(crate) fn line(&self, flags: &[String], decisions: &[&str]) -> String {
        // As it was called: the program may not be in PATH.
        let program = std::env::args().next();
        let program = program.unwrap_or_else(|| "openai-agents".to_owned());
        let name = self.name();
        let (command, place) = match self {
            Self::File(_) => ("run", vec!["--resume", name.as_str()]),
            Self::Run(_) => ("resume", vec![name.as_str()]),
        };
        let flags = flags.iter().map(String::as_str);
        let words = [program.as_str(), command].into_iter().chain(flags);
        let words = words.chain(place).chain(decisions.iter().copied());
        words.map(quoted).collect::<Vec<String>>().join(" ")
    }
}

impl Pause {
    /// Returns the pause in one sentence.
    pub(crate) fn message(&self) -> String {
        let tools: Vec<&str> = self.calls.iter().map(|call| call.tool.as_str()).collect();
        let tools = tools.join(", ");
        match self.calls.len() {
            1 => format!("1 call waits for approval: {tools}"),
            n_calls => format!("{n_calls} calls wait for approval: {tools}"),
        }
    }

    /// Returns the pause in lines for a person, with all arguments uncut: they decide about them.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.message()];
        for call in &self.calls {
            let doubt = if call.may_have_run {
                "  (it may have been made before)"
            } else {
                ""
            };
            let changed = match &call.changed {
                Some(changed) => {
                    format!("  (the tool has changed since you were asked before: {changed})")
                }
                None => String::new(),
            };
            let (id, agent, tool, arguments) = (&call.id, &call.agent, &call.tool, &call.arguments);
            lines.push(format!(
                "  {id}  {agent}: {tool} {arguments}{doubt}{changed}"
            ));
        }
        let place = match &self.saved {
            Saved::File(_) => "saved in",
            Saved::Run(_) => "kept as",
        };
        let first = self.calls.iter().map(|call| call.id.as_str()).next();
        let first = first.filter(|id| Shown(id).is_plain()).unwrap_or("ID");
        lines.push(format!(
            "the run is {place} {}; to approve and resume it:",
            self.saved.name()
        ));
        lines.push(format!("  {}", self.approve()));
        lines.push(format!(
            "to reject a call instead, which the model is told: --reject {} or --reject {}",
            quoted(first),
            quoted(&format!("{first}=WHY")),
        ));
        lines
    }

    /// Returns the command that resumes the run, without decisions.
    pub(crate) fn go_on(&self) -> String {
        self.saved.line(&self.command, &[])
    }

    fn approve(&self) -> String {
        // An id with invisible characters cannot be typed or copied.
        if self.calls.iter().all(|call| Shown(&call.id).is_plain()) {
            let calls = self.calls.iter();
            let decisions: Vec<&str> = calls.flat_map(|call| ["--approve", &call.id]).collect();
            self.saved.line(&self.command, &decisions)
        } else {
            self.saved.line(&self.command, &["--approve-all"])
        }
    }
}

/// Quotes a word for a shell.
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
