//! The content of a row: all texts of its spans in one, and the pieces of it that make up each.
//!
//! The request of a model call repeats the one before and adds a little. Stored whole, a conversation would take space that grows with
//! the square of its turns, and copying it would be most of what the store costs a run. So a request refers to the pieces that it shares
//! with the one before, and only the rest is written.

use std::borrow::Cow;

use serde_json::Value;

use crate::secret::Redactor;
use crate::trace::json::ContentPlace;
use crate::trace::span::SpanContent;

/// Shared text shorter than this is written again: referring to it would take about as much space.
const MIN_SHARED: usize = 256;

/// A request of more pieces is written whole, so that reading one never has to join thousands.
const MAX_PIECES: usize = 64;

/// Collects the content of a row.
#[derive(Default)]
pub(super) struct RowContent {
    text: String,
    latest_request: Option<WrittenRequest>,
}

struct WrittenRequest {
    text: String,
    pieces: Vec<(u64, u64)>,
    /// The redactors that found no secret in it; `None` if one did.
    clean_of: Option<[Redactor; 2]>,
}

impl RowContent {
    pub(super) fn n_bytes(&self) -> usize {
        self.text.len()
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Begins that of another row.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.latest_request = None;
    }

    /// Adds a text and returns where it stands.
    pub(super) fn push(&mut self, name: Cow<'static, str>, content: &SpanContent) -> ContentPlace {
        let pieces = if name == "request" {
            self.push_request(content)
        } else {
            vec![self.push_piece(&content.to_text())]
        };
        let size = pieces.iter().map(|(_, size)| size).sum();
        ContentPlace { name, size, pieces }
    }

    fn push_piece(&mut self, text: &str) -> (u64, u64) {
        let offset = self.text.len() as u64;
        self.text.push_str(text);
        (offset, text.len() as u64)
    }

    fn push_request(&mut self, content: &SpanContent) -> Vec<(u64, u64)> {
        let latest = self.latest_request.take();
        let (text, clean_of) = redacted(content, latest.as_ref());
        let latest = latest.filter(|latest| latest.pieces.len() < MAX_PIECES);
        let shared = latest.as_ref();
        let n_shared = shared.map_or(0, |latest| n_shared(&latest.text, &text));
        let mut pieces = match latest {
            Some(latest) if n_shared >= MIN_SHARED => first_bytes(latest.pieces, n_shared as u64),
            _ => Vec::new(),
        };
        let rest = if pieces.is_empty() { 0 } else { n_shared };
        pieces.push(self.push_piece(text.get(rest..).unwrap_or_default()));
        self.latest_request = Some(WrittenRequest {
            text,
            pieces: pieces.clone(),
            clean_of,
        });
        pieces
    }
}

/// The text of a request without secrets, and the redactors if they found none.
///
/// Searching for secrets behind escapes, which JSON within JSON has, costs more than everything
/// else done with a request. So the part shared with the request before is not searched again. It
/// ends with a brace, and a secret that contains no brace cannot extend across one.
fn redacted(
    content: &SpanContent,
    latest: Option<&WrittenRequest>,
) -> (String, Option<[Redactor; 2]>) {
    let mut text = content.raw_text();
    let n_clean = latest.map_or(0, |latest| latest.n_clean(content, &text));
    match content.redact(text.get(n_clean..).unwrap_or_default()) {
        Cow::Borrowed(_) => (text, Some(content.redactors().map(Clone::clone))),
        Cow::Owned(rest) => {
            text.truncate(n_clean);
            text.push_str(&rest);
            (text, None)
        }
    }
}

impl WrittenRequest {
    /// How many bytes at the beginning of a text are known from this request to hold no secret.
    fn n_clean(&self, content: &SpanContent, text: &str) -> usize {
        let redactors = content.redactors();
        let is_known = self.clean_of.as_ref().is_some_and(|known| {
            let mut pairs = known.iter().zip(redactors);
            pairs.all(|(known, redactor)| known.is_same(redactor) && !known.reaches_over('}'))
        });
        if is_known {
            n_shared(&self.text, text)
        } else {
            0
        }
    }
}

/// How many bytes at the beginning two requests share, up to the end of an element of a list.
///
/// The cut never falls inside a text that somebody may search for: `},{"` cannot stand in a JSON
/// string, where a quote has a backslash before it.
fn n_shared(before: &str, now: &str) -> usize {
    const CHUNK: usize = 64;
    let (before, now) = (before.as_bytes(), now.as_bytes());
    // Whole chunks first, because comparing byte by byte would take most of the time here.
    let chunks = before.chunks(CHUNK).zip(now.chunks(CHUNK));
    let n_chunks = chunks.take_while(|(one, other)| one == other).count();
    let n_same = (n_chunks * CHUNK).min(before.len()).min(now.len());
    let rest = before.iter().zip(now).skip(n_same);
    let n_same = n_same + rest.take_while(|(one, other)| one == other).count();
    // The texts may differ right after the brace: a list ends there in one and goes on in the other. So
    // the three bytes behind the shared part may belong to the boundary.
    let end = (n_same + 3).min(now.len());
    let alike = now.get(..end).unwrap_or_default();
    let boundary = alike.windows(4).rposition(|window| window == br#"},{""#);
    boundary.map_or(0, |at| at + 1)
}

/// The pieces that make up the first bytes of a text.
fn first_bytes(pieces: Vec<(u64, u64)>, mut n_bytes: u64) -> Vec<(u64, u64)> {
    let mut first = Vec::with_capacity(pieces.len() + 1);
    for (offset, size) in pieces {
        if n_bytes == 0 {
            break;
        }
        first.push((offset, size.min(n_bytes)));
        n_bytes = n_bytes.saturating_sub(size);
    }
    first
}

/// Reads the text that a place describes from the content of its row.
pub(super) fn read(place: &Value, content: &str) -> Option<String> {
    let Some(pieces) = place.get("pieces") else {
        // Formats 1 and 2 stored every text whole, with one offset and size.
        let (offset, size) = (place.get("offset")?.as_u64()?, place.get("size")?.as_u64()?);
        return piece(content, (offset, size)).map(str::to_owned);
    };
    let pieces: Vec<(u64, u64)> = serde_json::from_value(pieces.clone()).ok()?;
    pieces.into_iter().map(|at| piece(content, at)).collect()
}

fn piece(content: &str, (offset, size): (u64, u64)) -> Option<&str> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(size).ok()?)?;
    content.get(start..end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::secret::Secret;

    /// Writes texts as requests of one row, and gives the row and where each stands.
    fn write(texts: &[String]) -> (RowContent, Vec<Value>) {
        let mut content = RowContent::default();
        let places = texts.iter().map(|text| {
            let place = content.push("request".into(), &SpanContent::text(text.as_str()));
            as_json(&place)
        });
        let places = places.collect();
        (content, places)
    }

    fn as_json(place: &ContentPlace) -> Value {
        json!({"size": place.size, "pieces": place.pieces})
    }

    #[track_caller]
    fn check(texts: &[String]) -> RowContent {
        let (content, places) = write(texts);
        for (text, place) in texts.iter().zip(&places) {
            assert_eq!(read(place, content.as_str()).as_ref(), Some(text));
            assert_eq!(place["size"], text.len());
        }
        content
    }

    /// A conversation of so many messages.
    fn request(n_messages: usize) -> String {
        let messages: Vec<_> = (0..n_messages)
            .map(|n| json!({"role": "user", "content": format!("{n}: {}", "},{ ä ".repeat(20))}))
            .collect();
        format!(r#"{{"model":"m","messages":{}}}"#, Value::Array(messages))
    }

    #[test]
    fn conversation_is_written_once_whatever_its_turns() {
        let turns: Vec<_> = (1..=200).map(request).collect();
        let content = check(&turns);
        let longest = turns.last().unwrap().len();
        // Each third of the turns begins anew with a whole request.
        assert!(content.n_bytes() < 4 * longest, "{}", content.n_bytes());
    }

    #[test]
    fn message_stands_in_one_piece_so_that_it_is_found() {
        let branch = |said: &str| {
            let message = json!({"role": "user", "content": said});
            request(9).replace("]}", &format!(",{message}]}}"))
        };
        let content = check(&[branch("Hello Anna"), branch("Hello Berta")]);
        assert!(content.as_str().contains("Hello Berta"));
    }

    #[test]
    fn texts_that_share_nothing_or_all_are_read_as_written() {
        let long = request(50);
        check(&[String::new(), long.clone(), long, request(3), String::new()]);
    }

    #[test]
    fn place_of_format_2_is_read() {
        let place = json!({"offset": 2, "size": 3});
        assert_eq!(read(&place, "abcdef").as_deref(), Some("cde"));
        assert_eq!(read(&json!({"offset": 2, "size": 9}), "abcdef"), None);
        assert_eq!(
            read(&json!({"pieces": [[5, 1], [0, 2]]}), "abcdef").as_deref(),
            Some("fab")
        );
    }

    #[track_caller]
    fn check_secrets(texts: &[String], secrets: &[&str]) {
        let secrets = secrets.iter().map(|secret| Secret::new(*secret));
        let redactor = secrets.fold(Redactor::builder(), |all, secret| all.secret(&secret));
        let redactor = redactor.build();
        let contents = texts.iter().map(|text| {
            let content = SpanContent::text(text.as_str());
            content.without_secrets_of(&redactor)
        });
        let contents: Vec<_> = contents.collect();
        let mut row = RowContent::default();
        for content in &contents {
            let place = row.push("request".into(), content);
            let place = as_json(&place);
            assert_eq!(read(&place, row.as_str()), Some(content.to_text()));
        }
    }

    #[test]
    fn secrets_are_taken_out_of_what_is_new_and_over_what_is_shared() {
        let with = |said: &str| {
            let message = json!({"role": "user", "content": said});
            request(9).replace("]}", &format!(",{message}]}}"))
        };
        let texts = [
            request(9),
            with("sk-12345678"),
            with("sk-12345678"),
            request(10),
        ];
        check_secrets(&texts, &["sk-12345678"]);
        // This one reaches over the place where what is shared ends.
        check_secrets(&texts, &[r#""},{"role":"user","#]);
    }

    proptest! {
        #[test]
        fn any_requests_are_without_secrets(
            texts in proptest::collection::vec("(\\},\\{\"role|ä|aaaaaaaaaaaaaaaa|sk-1|2345678|%2d|\\.\\.\\. \\(){0,80}", 0..8),
        ) {
            let shared = request(3);
            let texts: Vec<_> = texts.iter().map(|text| format!("{shared}{text}")).collect();
            check_secrets(&texts, &["sk-12345678"]);
        }

        #[test]
        fn any_texts_are_read_as_written(texts in proptest::collection::vec("(\\},\\{\"|ä|a){0,200}", 0..8)) {
            check(&texts);
        }
    }
}
