//! Where the values of a received JSON text stand in it, found in the pass that says that it is JSON.
//!
//! An answer is looked at part by part, and each part a dozen times. To check the text by `serde_json` and then to look for the parts of
//! each level anew was two fifths of what a turn cost. Whatever is not understood here is left to `serde_json`, which says what is
//! wrong with it; so this may refuse more than it has to, and must not take anything else to be JSON.

use std::ops::Range;

/// A text with more values is not indexed: they would take many times the memory of their text.
const MAX_NODES: usize = 4096;

/// Where deeper values stand is known, but whether a parser would follow that far is not.
const SURE_DEPTH: usize = 100;

/// A number of at most this many bytes without an exponent is in the range of what a value can hold.
const SURE_DIGITS: usize = 300;

/// So many bytes of an answer have about one value.
const BYTES_OF_A_VALUE: usize = 16;

/// The values of one text, each followed by those inside it.
#[derive(Debug, Default)]
pub(crate) struct JsonIndex(Vec<JsonNode>);

/// Where a value stands: counted from the beginning of the value that it is in.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct JsonNode {
    key_begin: u32,
    begin: u32,
    len: u32,
    /// How many values are inside it, on all levels; while it is being read, the place of the value that it is in.
    n_inside: u32,
    key_len: u16,
    name_mark: u8,
    marks: u8,
}

/// The key holds an escape.
const KEY_ESCAPED: u8 = 1;
/// The value is a text that holds an escape.
const TEXT_ESCAPED: u8 = 2;
/// Whether a parser can make a value of it is not known: half a surrogate pair, a large number, a deep place.
const UNSURE: u8 = 4;
const NULL: u8 = 8;
const OBJECT: u8 = 16;

impl JsonIndex {
    /// Indexes a text; nothing where that cannot be done, whose reason is not known.
    pub(super) fn read(&mut self, json: &str) -> Option<&[JsonNode]> {
        // Every place has to be countable.
        u32::try_from(json.len()).ok()?;
        self.0.clear();
        let n_values = json.len() / BYTES_OF_A_VALUE + 1;
        self.0.reserve(n_values.min(MAX_NODES));
        let mut reader = IndexReader {
            json: json.as_bytes(),
            nodes: &mut self.0,
            open: None,
            depth: 0,
        };
        reader.read()?;
        Some(&self.0)
    }
}

impl JsonNode {
    pub(super) const fn key(&self) -> Range<usize> {
        let begin = self.key_begin as usize;
        begin..begin + self.key_len as usize
    }

    pub(super) const fn key_len(&self) -> usize {
        self.key_len as usize
    }

    /// The mark of its key, unless that is escaped.
    #[inline]
    pub(super) const fn name_mark(&self) -> u8 {
        self.name_mark
    }

    pub(super) const fn value(&self) -> Range<usize> {
        self.begin as usize..(self.begin + self.len) as usize
    }

    /// How many values are inside this one.
    pub(super) const fn n_inside(&self) -> usize {
        self.n_inside as usize
    }

    pub(super) const fn has_escaped_key(&self) -> bool {
        self.marks & KEY_ESCAPED != 0
    }

    pub(super) const fn is_escaped_text(&self) -> bool {
        self.marks & TEXT_ESCAPED != 0
    }

    /// Whether a parser can certainly make a value of it.
    pub(super) const fn is_sure(&self) -> bool {
        self.marks & UNSURE == 0
    }

    pub(super) const fn is_null(&self) -> bool {
        self.marks & NULL != 0
    }
}

/// Reads a text. Where it is in it goes from hand to hand, so that it can stay in a register.
struct IndexReader<'a> {
    json: &'a [u8],
    nodes: &'a mut Vec<JsonNode>,
    /// The object or list that is being read.
    open: Option<Container>,
    depth: usize,
}

#[derive(Clone, Copy)]
struct Container {
    node: usize,
    /// Where it begins in the text.
    begin: usize,
    is_object: bool,
}

/// A key, and whether it is escaped.
#[derive(Clone, Copy, Default)]
struct Key {
    begin: usize,
    len: u16,
    name_mark: u8,
    marks: u8,
}

/// How many marks of names there are: as many as a `u64` has bits.
pub(super) const N_MARKS: usize = 64;

/// The mark of a name, less than [`N_MARKS`]: the names that one object of an answer has are mostly told apart by it.
#[inline]
pub(super) const fn name_mark(name: &[u8]) -> u8 {
    let first = match name.first() {
        Some(first) => *first,
        None => 0,
    };
    let last = match name.last() {
        Some(last) => *last,
        None => 0,
    };
    let sum = narrow(name.len()) + 7 * first as u32 + last as u32;
    sum.to_le_bytes()[0] % 64
}

impl IndexReader<'_> {
    /// Reads the whole text; nothing if it is not understood.
    fn read(&mut self) -> Option<()> {
        let mut at = 0;
        let mut key = Key::default();
        loop {
            // A container that was opened and has something in it is gone into: its first value comes next.
            if !self.value(key, &mut at)? {
                loop {
                    let next = next_byte(self.json, &mut at);
                    let Some(open) = self.open else {
                        return next.is_none().then_some(());
                    };
                    at += 1;
                    if next? == b',' {
                        break;
                    }
                    // No comma, so a container ends here. Several may end one behind the other.
                    self.close(open, next?, at)?;
                }
            }
            key = self.key(&mut at)?;
        }
    }

    /// Reads the key of the next value, if it has one.
    #[inline]
    fn key(&self, at: &mut usize) -> Option<Key> {
        if !self.open?.is_object {
            return Some(Key::default());
        }
        if next_byte(self.json, at)? != b'"' {
            return None;
        }
        let begin = *at + 1;
        let marks = text(self.json, at)?;
        let name = self.json.get(begin..*at - 1)?;
        if next_byte(self.json, at)? != b':' {
            return None;
        }
        *at += 1;
        let is_escaped = if marks & TEXT_ESCAPED == 0 {
            0
        } else {
            KEY_ESCAPED
        };
        Some(Key {
            begin,
            // A longer one is left to the parser.
            len: u16::try_from(name.len()).ok()?,
            name_mark: name_mark(name),
            marks: is_escaped | (marks & UNSURE),
        })
    }

    /// Reads a value, or the beginning of one in which something stands, and says whether it is that.
    #[inline]
    fn value(&mut self, key: Key, at: &mut usize) -> Option<bool> {
        let first = next_byte(self.json, at)?;
        let begin = *at;
        let marks = match first {
            b'"' => text(self.json, at)?,
            b'{' => return self.open(key, at, OBJECT),
            b'[' => return self.open(key, at, 0),
            b'-' | b'0'..=b'9' => number(self.json, at)?,
            b't' => word(self.json, at, b"true", 0)?,
            b'f' => word(self.json, at, b"false", 0)?,
            b'n' => word(self.json, at, b"null", NULL)?,
            _ => return None,
        };
        self.push(key, begin..*at, marks)?;
        Some(false)
    }

    /// Adds a value.
    #[inline]
    fn push(&mut self, key: Key, value: Range<usize>, marks: u8) -> Option<()> {
        if self.nodes.len() == MAX_NODES {
            return None;
        }
        let mut inside = 0;
        if let Some(open) = &self.open {
            inside = open.begin;
            // A doubt about a part is a doubt about the whole: it goes up to the container, and
            // `close` takes it further.
            if (marks | key.marks) & UNSURE != 0
                && let Some(node) = self.nodes.get_mut(open.node)
            {
                node.marks |= UNSURE;
            }
        }
        self.nodes.push(JsonNode {
            // A key begins behind the beginning of its object, or there is none.
            key_begin: narrow(key.begin.saturating_sub(inside)),
            begin: narrow(value.start - inside),
            len: narrow(value.end - value.start),
            n_inside: 0,
            key_len: key.len,
            name_mark: key.name_mark,
            marks: marks | (key.marks & KEY_ESCAPED),
        });
        Some(())
    }

    /// Reads the beginning of an object or list; one that is empty is read whole.
    fn open(&mut self, key: Key, at: &mut usize, mark: u8) -> Option<bool> {
        let begin = *at;
        let is_object = mark & OBJECT != 0;
        *at += 1;
        let is_empty = next_byte(self.json, at)? == if is_object { b'}' } else { b']' };
        if is_empty {
            *at += 1;
            self.push(key, begin..*at, mark)?;
            return Some(false);
        }
        // Only depth is counted here. Whether it is too deep for serde_json (128 levels) is left to
        // that parser: the mark only says "ask it".
        self.depth += 1;
        let marks = if self.depth > SURE_DEPTH {
            mark | UNSURE
        } else {
            mark
        };
        let node = self.nodes.len();
        self.push(key, begin..*at, marks)?;
        if let Some(own) = self.nodes.get_mut(node) {
            // While a container is open, its `n_inside` holds the place of the outer one, so the
            // nodes are their own stack. `close` writes the real count.
            own.n_inside = narrow(self.open.map_or(0, |open| open.node));
        }
        self.open = Some(Container {
            node,
            begin,
            is_object,
        });
        Some(true)
    }

    /// Takes the end of what is open, and goes on with what that is in.
    fn close(&mut self, open: Container, bracket: u8, end: usize) -> Option<()> {
        if bracket != if open.is_object { b'}' } else { b']' } {
            return None;
        }
        self.depth -= 1;
        let n_nodes = self.nodes.len();
        let own = self.nodes.get_mut(open.node)?;
        own.len = narrow(end - open.begin);
        let outer = own.n_inside as usize;
        own.n_inside = narrow(n_nodes - 1 - open.node);
        let (begin, unsure) = (own.begin as usize, own.marks & UNSURE);
        if self.depth == 0 {
            self.open = None;
            return Some(());
        }
        let node = self.nodes.get_mut(outer)?;
        node.marks |= unsure;
        self.open = Some(Container {
            node: outer,
            begin: open.begin - begin,
            is_object: node.marks & OBJECT != 0,
        });
        Some(())
    }
}

/// Passes over space, and gives the byte behind it.
#[inline]
fn next_byte(json: &[u8], at: &mut usize) -> Option<u8> {
    let byte = *json.get(*at)?;
    // Few texts have space between their values.
    if byte > b' ' {
        return Some(byte);
    }
    *at = space_end(json, *at);
    json.get(*at).copied()
}

#[cold]
fn space_end(json: &[u8], at: usize) -> usize {
    let rest = json.get(at..).unwrap_or_default();
    let is_space = |byte: &&u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
    at + rest.iter().take_while(is_space).count()
}

/// Reads a text, from its first quote, and gives its marks.
#[inline]
fn text(json: &[u8], at: &mut usize) -> Option<u8> {
    let end = plain_end(json, *at + 1);
    if json.get(end) == Some(&b'"') {
        *at = end + 1;
        return Some(0);
    }
    *at = end;
    escaped_text(json, at)
}

/// Reads the rest of a text, from its first escape.
#[cold]
fn escaped_text(json: &[u8], at: &mut usize) -> Option<u8> {
    let mut marks = 0;
    loop {
        match *json.get(*at)? {
            b'"' => {
                *at += 1;
                return Some(marks);
            }
            b'\\' => {
                marks |= escape(json, at)?;
                *at = plain_end(json, *at);
            }
            _ => return None,
        }
    }
}

/// Reads an escape, and gives the marks of the text that it stands in.
fn escape(json: &[u8], at: &mut usize) -> Option<u8> {
    match *json.get(*at + 1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {
            *at += 2;
            Some(TEXT_ESCAPED)
        }
        b'u' => {
            let digits = json.get(*at + 2..*at + 6)?;
            *at += 6;
            // Half of a surrogate pair is legal JSON and no text. Only a parser finds that out, so
            // the value is unsure.
            let is_number = digits.iter().all(u8::is_ascii_hexdigit);
            is_number.then_some(TEXT_ESCAPED | UNSURE)
        }
        _ => None,
    }
}

fn number(json: &[u8], at: &mut usize) -> Option<u8> {
    let begin = *at;
    let mut is_sure = true;
    if json.get(*at) == Some(&b'-') {
        *at += 1;
    }
    match json.get(*at)? {
        b'0' => *at += 1,
        _ => digits(json, at)?,
    }
    if json.get(*at) == Some(&b'.') {
        *at += 1;
        digits(json, at)?;
    }
    if matches!(json.get(*at), Some(b'e' | b'E')) {
        is_sure = false;
        *at += 1;
        if matches!(json.get(*at), Some(b'+' | b'-')) {
            *at += 1;
        }
        digits(json, at)?;
    }
    is_sure &= *at - begin <= SURE_DIGITS;
    Some(if is_sure { 0 } else { UNSURE })
}

/// Reads digits, of which there is at least one.
fn digits(json: &[u8], at: &mut usize) -> Option<()> {
    let begin = *at;
    while json.get(*at).is_some_and(u8::is_ascii_digit) {
        *at += 1;
    }
    (*at > begin).then_some(())
}

fn word(json: &[u8], at: &mut usize, word: &[u8], marks: u8) -> Option<u8> {
    json.get(*at..)?.starts_with(word).then(|| {
        *at += word.len();
        marks
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "no place in the text is beyond what 32 bits can count, which was seen before it was read"
)]
const fn narrow(n: usize) -> u32 {
    n as u32
}

/// Where the next byte stands that ends a text, begins an escape or must not stand in one; the end if there is none.
#[inline]
fn plain_end(json: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = json.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let found = special(u64::from_le_bytes(*chunk));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    last_plain_end(json, at)
}

/// The same for the last bytes.
#[cold]
fn last_plain_end(json: &[u8], at: usize) -> usize {
    let rest = json.get(at..).unwrap_or_default();
    let is_special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    at + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// Marks bytes below a space, quotes and backslashes by their highest bit; the lowest mark is right, and those above it may not be.
const fn special(bytes: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGHEST: u64 = ONES << 7;
    // The second bit turned, a quote is a space, and what is below a space stays there.
    let turned = bytes ^ (ONES * 2);
    let is_low = turned.wrapping_sub(ONES * 0x21);
    let is_backslash = (bytes ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    (is_low | is_backslash) & !bytes & HIGHEST
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;

    proptest! {
        /// What is indexed is JSON, also where a few bytes of it were changed.
        #[test]
        fn json_that_is_indexed_is_json(
            words in proptest::collection::vec(
                prop_oneof![
                    Just("{"), Just("}"), Just("["), Just("]"), Just(","), Just(":"), Just("\"a\""), Just("\"\\u00e9\\n\""), Just("\"\\x\""),
                    Just("\"b"), Just("1"), Just("-0.5e+3"), Just("01"), Just("1."), Just("-"), Just("null"), Just("tru"), Just("true"), Just(" "),
                    Just("\u{e9}"), Just("\"12345678\\\""), Just("\"\u{1}\""),
                ],
                0..12,
            ),
        ) {
            let json = words.concat();
            let mut index = JsonIndex::default();
            let is_json = serde_json::from_str::<&RawValue>(&json).is_ok();
            prop_assert_eq!(index.read(&json).is_some(), is_json);
        }

        /// What is sure can be parsed.
        #[test]
        fn json_that_is_sure_can_be_parsed(number in r"-?[1-9][0-9]{0,40}(\.[0-9]{1,9})?(e[+-]?[0-9]{1,4})?", text in r#"(\\ud83[0-9d]|\\u00e9|a|\\\\|\\"){0,6}"#) {
            let json = format!(r#"{{"a":[{{"b":{number}}}],"c":"{text}"}}"#);
            let mut index = JsonIndex::default();
            let nodes = index.read(&json).unwrap_or_default();
            let is_sure = nodes.first().is_some_and(JsonNode::is_sure);
            prop_assert!(!is_sure || serde_json::from_str::<Value>(&json).is_ok());
        }
    }

    #[test]
    fn text_ends_at_the_first_special_byte_wherever_it_stands() {
        for n_before in 0..40 {
            for special in [b'"', b'\\', 0, 0x1f] {
                let mut text = vec![b' '; n_before];
                text.extend([special, 0x80, b'"', 0x7f, 0xff, b'a', b'b', b'c', b'd']);
                assert_eq!(
                    plain_end(&text, 0),
                    n_before,
                    "{special} behind {n_before} bytes"
                );
            }
            let plain = vec![0xe9; n_before];
            assert_eq!(plain_end(&plain, 0), n_before);
        }
    }

    #[test]
    fn json_of_very_many_values_is_not_indexed() {
        let list = |n: usize| format!("[{}1]", "1,".repeat(n - 1));
        let mut index = JsonIndex::default();
        assert_eq!(
            index.read(&list(MAX_NODES - 1)).map(<[_]>::len),
            Some(MAX_NODES)
        );
        assert!(index.read(&list(MAX_NODES)).is_none());
    }
}
