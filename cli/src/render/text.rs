//! Shows a run to people: the answer on stdout, everything else on stderr.

use std::borrow::Cow;
use std::io::{self, Write as _};

use openai_agents::RunEvent;
use serde_json::Value;

use crate::escape::{Shown, answer};
use crate::output::Output;

/// The longest line on stderr, which is for a glance. --json shows everything.
const MAX_LINE_CHARS: usize = 300;

/// Shows a run as text.
pub(super) struct TextRenderer {
    output: Output,
    /// Whether the last character on stdout was not a line end.
    line_is_open: bool,
    /// Whether the text of this turn, which may be the answer, is on stdout.
    answer_is_shown: bool,
    /// The calls of this turn. With more than one, an output needs the name of its tool.
    n_calls: usize,
}

impl TextRenderer {
    pub(super) fn new(output: Output) -> Self {
        Self {
            output,
            line_is_open: false,
            answer_is_shown: false,
            n_calls: 0,
        }
    }

    pub(super) fn event(&mut self, event: &RunEvent) -> io::Result<()> {
        match event {
            RunEvent::TurnStarted { .. } => {
                self.n_calls = 0;
                self.answer_is_shown = false;
                self.end_line()
            }
            RunEvent::TextDelta { delta } => {
                self.answer_is_shown = true;
                self.show(delta)
            }
            RunEvent::ToolCalled {
                name, arguments, ..
            } => {
                self.n_calls += 1;
                self.answer_is_shown = false;
                self.end_line()?;
                self.note(&format!("-> {name} {arguments}"));
                Ok(())
            }
            RunEvent::ToolOutputDone {
                name,
                output,
                failure,
                ..
            } => {
                let tool = if self.n_calls > 1 {
                    format!("{name}: ")
                } else {
                    String::new()
                };
                self.note(&match failure {
                    Some(failure) => format!("<- {tool}failed: {failure}"),
                    None => format!("<- {tool}{output}"),
                });
                Ok(())
            }
            RunEvent::HandoffOccurred { to, .. } => {
                self.answer_is_shown = false;
                self.end_line()?;
                self.note(&format!("=> {to}"));
                Ok(())
            }
            RunEvent::ToolProgress { name, message, .. } => {
                self.note(&progress(name, message));
                Ok(())
            }
            RunEvent::Nested { .. } => {
                if let Some(line) = nested(event) {
                    self.note(&line);
                }
                Ok(())
            }
            // The others are for programs. Calls that wait are shown with the pause.
            _ => Ok(()),
        }
    }

    /// Shows the answer if it was not streamed.
    pub(super) fn done(&mut self, final_output: &str) -> io::Result<()> {
        if !self.answer_is_shown {
            self.end_line()?;
            self.show(final_output)?;
        }
        self.end_line()
    }

    /// Ends an open line on stdout.
    pub(super) fn end_line(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.line_is_open) {
            self.output.out.write_all(b"\n")?;
            self.output.out.flush()?;
        }
        Ok(())
    }

    /// Ends the line in which a terminal shows `^C`.
    pub(super) fn interrupted(&mut self) -> io::Result<()> {
        self.line_is_open |= self.output.out_is_terminal;
        self.end_line()
    }

    fn show(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        // Only a terminal obeys control characters. A file or another program gets the text unchanged.
        let shown = if self.output.out_is_terminal {
            answer(text)
        } else {
            Cow::Borrowed(text)
        };
        self.line_is_open = !text.ends_with('\n');
        self.output.out.write_all(shown.as_bytes())?;
        self.output.out.flush()
    }

    /// Writes a line to stderr. If stderr is closed, nobody sees it.
    fn note(&mut self, text: &str) {
        let text = cut(&Shown(text).to_string());
        let line = if self.output.err_is_styled {
            format!("\u{1b}[2m{text}\u{1b}[0m\n")
        } else {
            format!("{text}\n")
        };
        let _unheard = self.output.err.write_all(line.as_bytes());
    }
}

fn progress(name: &str, message: &Value) -> String {
    match message {
        Value::String(text) => format!(".. {name}: {text}"),
        other => format!(".. {name}: {other}"),
    }
}

/// Describes an event inside an agent that was called as a tool, after the names of the agents that
/// lead there.
///
/// Its text is not shown: the output of the call has what matters of it.
fn nested(mut event: &RunEvent) -> Option<String> {
    let mut line = String::new();
    while let RunEvent::Nested {
        agent,
        event: inner,
        ..
    } = event
    {
        line.push_str("  ");
        line.push_str(agent);
        event = inner;
    }
    let what = match event {
        RunEvent::ToolCalled {
            name, arguments, ..
        } => format!("-> {name} {arguments}"),
        RunEvent::ToolOutputDone {
            name,
            output,
            failure,
            ..
        } => match failure {
            Some(failure) => format!("<- {name}: failed: {failure}"),
            None => format!("<- {name}: {output}"),
        },
        RunEvent::HandoffOccurred { to, .. } => format!("=> {to}"),
        RunEvent::ToolProgress { name, message, .. } => progress(name, message),
        _ => return None,
    };
    Some(format!("{line} {what}"))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_LINE_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => {
            let n_chars = text.chars().count();
            let shown = text.get(..end).unwrap_or_default();
            format!("{shown}... ({n_chars} characters)")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What stands on the screen when both streams are the same terminal.
    fn check(events: &[RunEvent], final_output: &str, expected: &str) {
        let screen = Screen::default();
        let mut text = TextRenderer::new(Output {
            out: Box::new(screen.clone()),
            err: Box::new(screen.clone()),
            out_is_terminal: true,
            err_is_styled: false,
        });
        for event in events {
            text.event(event).unwrap();
        }
        text.done(final_output).unwrap();
        let shown = String::from_utf8(screen.0.lock().unwrap().clone()).unwrap();
        assert_eq!(shown, expected);
    }

    fn turn(turn: u32) -> RunEvent {
        RunEvent::TurnStarted {
            turn,
            agent: "A".into(),
        }
    }

    fn delta(delta: &str) -> RunEvent {
        RunEvent::TextDelta {
            delta: delta.to_owned(),
        }
    }

    fn called(name: &str, arguments: &str) -> RunEvent {
        RunEvent::ToolCalled {
            call_id: "c".to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        }
    }

    fn output(name: &str, output: &str, failure: Option<&str>) -> RunEvent {
        RunEvent::ToolOutputDone {
            call_id: "c".to_owned(),
            name: name.to_owned(),
            output: output.to_owned(),
            failure: failure.map(str::to_owned),
        }
    }

    #[test]
    fn an_answer_is_streamed_and_ends_its_line() {
        check(&[turn(1), delta("Hel"), delta("lo")], "Hello", "Hello\n");
        check(&[turn(1), delta("Hello\n")], "Hello\n", "Hello\n");
    }

    #[test]
    fn an_answer_that_was_not_streamed_is_shown_at_the_end() {
        check(&[turn(1)], "Hello", "Hello\n");
        check(
            &[
                turn(1),
                delta("Let me see"),
                called("t", "{}"),
                output("t", "42", None),
            ],
            "42",
            "Let me see\n-> t {}\n<- 42\n42\n",
        );
    }

    #[test]
    fn text_beside_a_call_stands_on_its_own_line() {
        check(
            &[
                turn(1),
                delta("Let me see"),
                called("sum", "{\"a\":\n1}"),
                called("now", ""),
                output("now", "x\ty", None),
                output("sum", "", Some("too large")),
                turn(2),
                delta("Done."),
            ],
            "Done.",
            "Let me see\n-> sum {\"a\":\\n1}\n-> now \n<- now: x\\ty\n<- sum: failed: too large\nDone.\n",
        );
    }

    fn nested_in(agent: &str, event: RunEvent) -> RunEvent {
        RunEvent::Nested {
            call_id: "c".to_owned(),
            agent: agent.into(),
            event: Box::new(event),
        }
    }

    #[test]
    fn handoffs_progress_and_what_agents_do_as_tools_are_shown() {
        let handoff = RunEvent::HandoffOccurred {
            from: "A".into(),
            to: "B\u{1b}".into(),
        };
        let said = |message: Value| RunEvent::ToolProgress {
            call_id: "c".to_owned(),
            name: "t".to_owned(),
            message,
        };
        check(
            &[
                turn(1),
                delta("Let me see"),
                handoff,
                turn(1),
                called("ask", "{}"),
                nested_in("Inner", turn(1)),
                nested_in("Inner", delta("I think")),
                nested_in("Inner", called("deep", "{}")),
                nested_in("Inner", nested_in("Deep", said("half".into()))),
                nested_in("Inner", output("deep", "7", None)),
                said(serde_json::json!({"done": 2})),
                output("ask", "seven", None),
                turn(2),
                delta("Seven."),
            ],
            "Seven.",
            "Let me see\n=> B\\u{1b}\n-> ask {}\n  Inner -> deep {}\n  Inner  Deep .. t: half\n  Inner <- deep: 7\n\
             .. t: {\"done\":2}\n<- seven\nSeven.\n",
        );
    }

    #[test]
    fn text_with_control_characters_is_escaped() {
        check(
            &[
                turn(1),
                called("t\u{1b}[2J", "\r"),
                output("t", "\u{9b}31m", None),
                turn(2),
                delta("\u{1b}]0;x\u{7}"),
            ],
            "",
            "-> t\\u{1b}[2J \\u{d}\n<- \\u{9b}31m\n\\u{1b}]0;x\\u{7}\n",
        );
    }

    #[test]
    fn a_long_line_is_cut() {
        let long = "é".repeat(400);
        let expected = format!("<- {}... (403 characters)\n\n", "é".repeat(297));
        check(&[turn(1), output("t", &long, None)], "\n", &expected);
    }
}
