//! The visible text of HTML, for a model: no scripts, no styles, and where links lead.
//!
//! It reads tags and knows no grammar: what is wrong in a page is shown as text, and nothing is lost that a reader would see.

/// Elements whose content is not shown.
const HIDDEN: [&str; 5] = ["script", "style", "noscript", "template", "svg"];
/// Elements that begin a line of their own.
const BLOCKS: [&str; 24] = [
    "p",
    "div",
    "br",
    "li",
    "ul",
    "ol",
    "tr",
    "table",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "pre",
    "section",
    "article",
    "header",
    "footer",
    "nav",
    "main",
    "blockquote",
    "title",
    "hr",
];

/// Returns the visible text.
pub(super) fn text(html: &str) -> String {
    let mut text = VisibleText::default();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        let (before, tag) = rest.split_at(start);
        text.push(before);
        rest = match Tag::read(tag) {
            None => {
                text.push("<");
                tag.get(1..).unwrap_or_default()
            }
            Some((tag, after)) => tag.apply(&mut text, after),
        };
    }
    text.push(rest);
    text.finish()
}

struct Tag<'a> {
    name: String,
    is_end: bool,
    inside: &'a str,
}

impl<'a> Tag<'a> {
    /// Reads a tag or a comment at the beginning of a text, and gives what follows it.
    fn read(text: &'a str) -> Option<(Self, &'a str)> {
        if let Some(comment) = text.strip_prefix("<!--") {
            let after = comment.split_once("-->").map_or("", |(_, after)| after);
            return Some((Self::nothing(), after));
        }
        let inside = text.get(1..)?;
        let is_end = inside.starts_with('/');
        let name = inside.strip_prefix('/').unwrap_or(inside);
        if !name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '!') {
            return None;
        }
        let (inside, after) = inside.split_once('>')?;
        let name: String = name
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect();
        let name = name.to_ascii_lowercase();
        let tag = Self {
            name,
            is_end,
            inside,
        };
        Some((tag, after))
    }

    const fn nothing() -> Self {
        Self {
            name: String::new(),
            is_end: false,
            inside: "",
        }
    }

    /// Adds what the tag means to the text, and gives where to go on.
    fn apply(&self, text: &mut VisibleText, after: &'a str) -> &'a str {
        let is_hidden = HIDDEN.contains(&self.name.as_str()) && !self.is_end;
        if is_hidden && !self.inside.ends_with('/') {
            return behind_end(after, &self.name);
        }
        if BLOCKS.contains(&self.name.as_str()) {
            text.end_line();
        }
        match (self.name.as_str(), self.is_end) {
            ("li", false) => text.push("- "),
            ("a", false) => text.link = self.attribute("href"),
            ("a", true) => text.close_link(),
            _ => {}
        }
        after
    }

    fn attribute(&self, name: &str) -> Option<String> {
        let start = self.inside.to_ascii_lowercase().find(&format!("{name}="))?;
        let value = self.inside.get(start + name.len() + 1..)?;
        let quoted = value
            .strip_prefix('"')
            .map(|value| (value, '"'))
            .or_else(|| value.strip_prefix('\'').map(|value| (value, '\'')));
        let value = match quoted {
            Some((value, quote)) => value.split(quote).next(),
            None => value.split_whitespace().next(),
        };
        value.map(decode)
    }
}

/// What follows the end of an element whose content is not shown.
fn behind_end<'a>(text: &'a str, name: &str) -> &'a str {
    let mut rest = text;
    while let Some(start) = rest.find("</") {
        let at_name = rest.get(start + 2..).unwrap_or_default();
        let is_it = at_name
            .get(..name.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(name));
        if is_it {
            return at_name.split_once('>').map_or("", |(_, after)| after);
        }
        rest = at_name;
    }
    ""
}

#[derive(Default)]
struct VisibleText {
    lines: String,
    link: Option<String>,
}

impl VisibleText {
    /// Adds text; spaces and line ends between words are one space.
    fn push(&mut self, raw: &str) {
        let decoded = decode(raw);
        let begins_apart = decoded.starts_with(char::is_whitespace);
        for (n, word) in decoded.split_whitespace().enumerate() {
            if n > 0 || begins_apart {
                self.space();
            }
            self.lines.push_str(word);
        }
        if decoded.ends_with(char::is_whitespace) {
            self.space();
        }
    }

    fn space(&mut self) {
        if !self.lines.is_empty() && !self.lines.ends_with([' ', '\n']) {
            self.lines.push(' ');
        }
    }

    fn end_line(&mut self) {
        let length = self.lines.trim_end_matches(' ').len();
        self.lines.truncate(length);
        if !self.lines.is_empty() && !self.lines.ends_with('\n') {
            self.lines.push('\n');
        }
    }

    /// Says where a link leads, if it leads to another page.
    fn close_link(&mut self) {
        let link = self.link.take();
        let is_page = |link: &String| !link.starts_with('#') && !link.starts_with("javascript:");
        if let Some(link) = link.filter(is_page) {
            for part in [" (", &link, ")"] {
                self.lines.push_str(part);
            }
        }
    }

    fn finish(mut self) -> String {
        self.end_line();
        self.lines
    }
}

/// Decodes the references of characters that pages use.
fn decode(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        let (before, at) = rest.split_at(start);
        decoded.push_str(before);
        let reference = at.get(1..).and_then(|at| at.split_once(';'));
        let known = reference.and_then(|(name, after)| Some((character(name)?, after)));
        let (character, after) = known.unwrap_or(('&', at.get(1..).unwrap_or_default()));
        decoded.push(character);
        rest = after;
    }
    decoded.push_str(rest);
    decoded
}

fn character(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "ndash" => '\u{2013}',
        "mdash" => '\u{2014}',
        "hellip" => '\u{2026}',
        "copy" => '\u{a9}',
        _ => return None,
    })
}
