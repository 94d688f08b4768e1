//! The `.env` format: `NAME=value` lines, as python-dotenv and docker read them.
//!
//! This is not taken from a crate because the known ones read the real environment while they parse, replace an unset
//! `$NAME` by nothing, give no line numbers, and print the offending line, which may hold a key. A `$` is an ordinary
//! character here: part of a key must not vanish because it looks like a variable.

use std::iter::Peekable;
use std::str::Chars;

/// Beginnings of the names of variables for this program.
const OURS: [&str; 2] = ["OPENAI_", "VLLM_"];

/// One assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) name: String,
    pub(super) value: String,
    /// The line that it starts on, from 1.
    pub(super) line: u64,
}

/// The problem of a line, without its text, which may hold a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) line: u64,
    pub(super) problem: &'static str,
}

/// Reads every assignment in order. A name that appears twice is returned twice.
///
/// Other programs use the same file, and some know forms that this one does not. A line that cannot
/// be read is skipped, unless its variable is one of ours.
pub(super) fn parse(text: &str) -> Result<Vec<Assignment>, Malformed> {
    // Editors on Windows put a byte order mark first. It would become part of the first name.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut cursor = Cursor {
        chars: text.chars().peekable(),
        line: 1,
    };
    let mut assignments = Vec::new();
    loop {
        cursor.skip_blank_lines_and_comments();
        let line = cursor.clone();
        match cursor.assignment() {
            Ok(None) => return Ok(assignments),
            Ok(Some(assignment)) => assignments.push(assignment),
            Err(malformed) if line.is_ours() => return Err(malformed),
            Err(_) => {
                // A quote that is not closed has consumed the rest of the file. Going back to the
                // line loses that line only.
                cursor = line;
                cursor.skip_line();
            }
        }
    }
}

#[derive(Clone)]
struct Cursor<'a> {
    chars: Peekable<Chars<'a>>,
    line: u64,
}

impl Cursor<'_> {
    fn assignment(&mut self) -> Result<Option<Assignment>, Malformed> {
        if self.chars.peek().is_none() {
            return Ok(None);
        }
        let line = self.line;
        let mut name = self.name();
        self.skip_blanks();
        // `export NAME=value` is for files that a shell reads too. `export=value` is a variable of
        // that name.
        if name == "export" && self.chars.peek() != Some(&'=') {
            name = self.name();
            self.skip_blanks();
        }
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(malformed(
                line,
                "a variable name was expected, as in NAME=value",
            ));
        }
        if self.chars.next_if_eq(&'=').is_none() {
            return Err(malformed(line, "`=` was expected after the variable name"));
        }
        self.skip_blanks();
        let value = match self.chars.peek() {
            Some('"') => self.quoted('"')?,
            Some('\'') => self.quoted('\'')?,
            _ => return Ok(Some(self.bare(name, line))),
        };
        self.end_of_line()?;
        Ok(Some(Assignment { name, value, line }))
    }

    /// Whether the line begins with the name of a variable that is meant for this program.
    fn is_ours(&self) -> bool {
        let mut line = self.clone();
        let mut name = line.name();
        if name == "export" {
            line.skip_blanks();
            name = line.name();
        }
        OURS.iter().any(|ours| name.starts_with(ours))
    }

    fn skip_line(&mut self) {
        while self.chars.next_if(|&c| c != '\n').is_some() {}
    }

    fn skip_blank_lines_and_comments(&mut self) {
        while let Some(&next) = self.chars.peek() {
            if next == '#' {
                while self.chars.next_if(|&c| c != '\n').is_some() {}
            } else if !next.is_whitespace() {
                return;
            }
            self.bump();
        }
    }

    fn skip_blanks(&mut self) {
        while self.chars.next_if(|&c| c == ' ' || c == '\t').is_some() {}
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(next) = self
            .chars
            .next_if(|&c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
        {
            name.push(next);
        }
        name
    }

    /// Reads up to the end of the line, or to a `#` after a blank: `a#b` is a value, `a #b` a value
    /// and a comment.
    fn bare(&mut self, name: String, line: u64) -> Assignment {
        let mut value = String::new();
        while let Some(next) = self.chars.next_if(|&c| c != '\n') {
            let comment = next == '#' && value.chars().next_back().is_none_or(char::is_whitespace);
            if comment {
                while self.chars.next_if(|&c| c != '\n').is_some() {}
                break;
            }
            value.push(next);
        }
        value.truncate(value.trim_end().len());
        Assignment { name, value, line }
    }

    /// Reads a quoted value, which may span lines. As in a shell, only double quotes have `\n`,
    /// `\r` and `\t`.
    fn quoted(&mut self, quote: char) -> Result<String, Malformed> {
        let line = self.line;
        self.bump();
        let mut value = String::new();
        while let Some(next) = self.bump() {
            if next == quote {
                return Ok(value);
            }
            if next != '\\' {
                value.push(next);
                continue;
            }
            match (self.bump(), quote) {
                (Some(escaped), _) if escaped == quote || escaped == '\\' => value.push(escaped),
                (Some('n'), '"') => value.push('\n'),
                (Some('r'), '"') => value.push('\r'),
                (Some('t'), '"') => value.push('\t'),
                // An unknown escape stays as it is: `C:\dir` must not lose its backslash.
                (Some(other), _) => value.extend(['\\', other]),
                (None, _) => break,
            }
        }
        Err(malformed(
            line,
            "the quote that opens the value is not closed",
        ))
    }

    fn end_of_line(&mut self) -> Result<(), Malformed> {
        let line = self.line;
        while let Some(next) = self.chars.next_if(|&c| c != '\n') {
            if next == '#' {
                while self.chars.next_if(|&c| c != '\n').is_some() {}
            } else if !next.is_whitespace() {
                return Err(malformed(line, "there is more after the closing quote"));
            }
        }
        Ok(())
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.chars.next();
        if next == Some('\n') {
            self.line += 1;
        }
        next
    }
}

fn malformed(line: u64, problem: &'static str) -> Malformed {
    Malformed { line, problem }
}

#[cfg(test)]
mod tests {
    use super::{Assignment, Malformed, parse};

    fn check(text: &str, expected: &[(&str, &str, u64)]) {
        let expected: Vec<Assignment> = expected
            .iter()
            .map(|(name, value, line)| Assignment {
                name: (*name).to_owned(),
                value: (*value).to_owned(),
                line: *line,
            })
            .collect();
        assert_eq!(parse(text), Ok(expected), "{text:?}");
    }

    #[test]
    fn assignments() {
        check("", &[]);
        check("\n  \n# only a comment", &[]);
        check("A=1", &[("A", "1", 1)]);
        check("A=1\r\nB=2\r\n", &[("A", "1", 1), ("B", "2", 2)]);
        check("\u{feff}A=1", &[("A", "1", 1)]);
        check("export A = x y ", &[("A", "x y", 1)]);
        check("export=1", &[("export", "1", 1)]);
        check("A=\nB=2", &[("A", "", 1), ("B", "2", 2)]);
        check("A= # nothing\nB=2", &[("A", "", 1), ("B", "2", 2)]);
        check("A=a#b #c", &[("A", "a#b", 1)]);
        check("A=sk-$HOME${X}", &[("A", "sk-$HOME${X}", 1)]);
        check(r"A=C:\new", &[("A", r"C:\new", 1)]);
        check(r#"A="x \"y\" \n\t\q" # c"#, &[("A", "x \"y\" \n\t\\q", 1)]);
        check(r"A='it\'s \n'", &[("A", r"it's \n", 1)]);
        check("A=\"1\n2\"\n\nB=3", &[("A", "1\n2", 1), ("B", "3", 4)]);
        check("A=1\nA=2", &[("A", "1", 1), ("A", "2", 2)]);
    }

    #[test]
    fn lines_of_other_programs_are_passed_over() {
        check("secret\n=x\n1A=x\nA B=x\nB=1", &[("B", "1", 5)]);
        check("A='open\nB=1", &[("B", "1", 2)]);
        check("A=\"open\\\nB=1\n", &[("B", "1", 2)]);
        check("A='x' y\nB=1", &[("B", "1", 2)]);
        check(
            "CFG={\n  \"OPENAI_X\": [1]\n}\nB=1",
            &[("CFG", "{", 1), ("B", "1", 4)],
        );
        check(
            "KEY=\"-----BEGIN\nOPENAI_API_KEY=no\n-----END\"\nB=1",
            &[
                ("KEY", "-----BEGIN\nOPENAI_API_KEY=no\n-----END", 1),
                ("B", "1", 4),
            ],
        );
        check("$env:A = 1\nset B=1\n[section]\nC=2", &[("C", "2", 4)]);
    }

    #[test]
    fn malformed() {
        for (text, line) in [
            ("A=1\nOPENAI_API_KEY secret", 2),
            ("export OPENAI_API_KEY", 1),
            ("OPENAI_X B=secret", 1),
            ("FOO=\"open\n\nOPENAI_MODEL='secret", 3),
            ("OPENAI_AGENTS__MODEL=\"secret\\", 1),
            ("VLLM_X='x' secret", 1),
        ] {
            let Err(Malformed { line: at, problem }) = parse(text) else {
                panic!("{text:?} is not malformed");
            };
            assert_eq!(at, line, "{text:?}");
            assert!(!problem.contains("secret"));
        }
    }
}
