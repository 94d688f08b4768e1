//! Cases from the standard, and a slow decoder written from its text as the oracle.

use bytes::Bytes;
use proptest::prelude::*;

use super::{SseDecoder, SseError};

/// Event name, data, `error` line.
type DecodedEvent = (String, Vec<u8>, Option<Vec<u8>>);

const MAX: usize = 1 << 20;

/// Decodes chunks; the second part is what the end of the stream cut.
fn decode(
    chunks: &[&[u8]],
    max_event_bytes: usize,
) -> Result<(Vec<DecodedEvent>, Option<DecodedEvent>), SseError> {
    let mut decoder = SseDecoder::new(max_event_bytes);
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.push(Bytes::copy_from_slice(chunk));
        while let Some(event) = decoder.next_event()? {
            events.push(owned(&event));
        }
    }
    let cut = decoder.finish()?.map(|event| owned(&event));
    Ok((events, cut))
}

fn owned(event: &super::SseEvent<'_>) -> DecodedEvent {
    (
        event.event.to_owned(),
        event.data.to_vec(),
        event.error.map(<[u8]>::to_vec),
    )
}

fn bytewise(stream: &[u8]) -> Vec<&[u8]> {
    stream.chunks(1).collect()
}

fn check(stream: &str, expected: &[(&str, &str)]) {
    let expected: Vec<DecodedEvent> = expected
        .iter()
        .map(|(event, data)| ((*event).to_owned(), data.as_bytes().to_vec(), None))
        .collect();
    for chunks in [vec![stream.as_bytes()], bytewise(stream.as_bytes())] {
        let (events, cut) = decode(&chunks, MAX).unwrap();
        assert_eq!(events, expected, "{stream:?}");
        assert_eq!(cut, None, "{stream:?}");
    }
}

#[test]
fn events_follow_the_standard() {
    check("", &[]);
    check("data: a\n\n", &[("", "a")]);
    check("data: a\r\n\r\n", &[("", "a")]);
    check("data: a\r\r", &[("", "a")]);
    check("data: a\r\n\ndata: b\n\r\n", &[("", "a"), ("", "b")]);
    check("data:a\n\ndata:  b\n\n", &[("", "a"), ("", " b")]);
    check("data: a\ndata: b\ndata\ndata:c\n\n", &[("", "a\nb\n\nc")]);
    check("data\n\n", &[("", "")]);
    check("data:\n\n", &[("", "")]);
    check("data\ndata\n\n", &[("", "\n")]);
    check("data: a:b: c\n\n", &[("", "a:b: c")]);
    check("event: x\ndata: a\n\ndata: b\n\n", &[("x", "a"), ("", "b")]);
    check("event: x\nevent: y\ndata: a\n\n", &[("y", "a")]);
    check("event: x\n\ndata: a\n\n", &[("", "a")]);
    check("data: a\nevent: late\n\n", &[("late", "a")]);
    check(
        ": hi\n:\ndata: a\n: in between\ndata: b\n\n",
        &[("", "a\nb")],
    );
    check("id: 1\nretry: 5\nfoo: bar\nfoo\ndata: a\n\n", &[("", "a")]);
    check("DATA: a\n data: b\ndataa: c\n\n", &[]);
    check("\u{feff}data: a\n\n", &[("", "a")]);
    check("\u{feff}\ndata: a\n\n", &[("", "a")]);
    check("\u{feff}\u{feff}data: a\n\n", &[]);
    check("data: a\n\n\u{feff}data: b\n\n", &[("", "a")]);
    check("\n\n\n: only comments\n\n", &[]);
    check("data: \u{1f980}\u{e9}\n\n", &[("", "\u{1f980}\u{e9}")]);
}

#[test]
fn an_end_inside_an_event_is_seen() {
    let cases: &[(&str, Option<&str>)] = &[
        ("data: a\n\n", None),
        ("data: a\n", Some("a")),
        ("data: a", Some("a")),
        ("data: a\ndata: b", Some("a\nb")),
        ("da", Some("")),
        ("id: 1\n", Some("")),
        (": comment", None),
        (": comment\n", None),
        ("\u{feff}", None),
        ("\n", None),
    ];
    for (stream, expected) in cases {
        for chunks in [vec![stream.as_bytes()], bytewise(stream.as_bytes())] {
            let (_, cut) = decode(&chunks, MAX).unwrap();
            let data = cut.map(|(_, data, _)| data);
            assert_eq!(data.as_deref(), expected.map(str::as_bytes), "{stream:?}");
        }
    }
}

#[test]
fn an_error_line_is_handed_out() {
    let (events, cut) = decode(&[b"error: {\"code\":500}\n\ndata: a\n\n"], MAX).unwrap();
    let error = (String::new(), Vec::new(), Some(b"{\"code\":500}".to_vec()));
    assert_eq!(
        events,
        [error.clone(), (String::new(), b"a".to_vec(), None)]
    );
    assert_eq!(cut, None);

    let (events, cut) = decode(&[b"error: {\"code\":500}"], MAX).unwrap();
    assert_eq!((events, cut), (Vec::new(), Some(error)));
}

#[test]
fn an_event_name_that_is_not_utf8_is_replaced() {
    let (events, _) = decode(&[b"event: \xff\ndata: \xff\n\n"], MAX).unwrap();
    assert_eq!(events, [("\u{fffd}".to_owned(), b"\xff".to_vec(), None)]);
}

#[test]
fn the_bound_does_not_depend_on_the_chunks() {
    let too_large = Err(SseError::EventTooLarge {
        max_event_bytes: 16,
    });
    let cases: &[(&[u8], bool)] = &[
        (b"data: 0123456789\n\n", true),
        (b"data: 01234567890\n\n", false),
        (b"data: 01234567890", false),
        (b": 0123456789 0123456789\n", false),
        (b"data: 01234567\ndata: 0123456\n\n", true),
        (b"data: 01234567\ndata: 01234567\n\n", false),
        (b": 012345678\n: 012345678\n: 012345678\ndata: a\n\n", true),
        (b"event: 01234567\ndata: 012345678\n\n", false),
    ];
    for (stream, fits) in cases {
        for chunks in [vec![*stream], bytewise(stream)] {
            let result = decode(&chunks, 16);
            assert_eq!(result.is_ok(), *fits, "{}", stream.escape_ascii());
            assert!(*fits || result == too_large);
        }
    }
}

#[test]
fn an_event_inside_one_chunk_is_not_copied() {
    let chunk = Bytes::from_static(b"event: x\ndata: {\"a\":1}\n\ndata: {\"b\":2}\n\ndata: {");
    let mut decoder = SseDecoder::new(MAX);
    decoder.push(chunk.clone());
    for _ in 0..2 {
        let event = decoder.next_event().unwrap().unwrap();
        assert!(chunk.as_ptr_range().contains(&event.data.as_ptr()));
    }
    assert_eq!(decoder.next_event(), Ok(None));
}

#[test]
fn a_failure_stays() {
    let mut decoder = SseDecoder::new(4);
    decoder.push(Bytes::from_static(b"data: too long\n\ndata\n\n"));
    let error = decoder.next_event().unwrap_err();
    assert_eq!(
        error.to_string(),
        "an event of the stream is larger than 4 bytes"
    );
    assert_eq!(decoder.next_event(), Err(error));
    assert_eq!(decoder.finish(), Err(error));
}

/// The interpretation of the standard, section 9.2.6, as literally as it can be written.
fn oracle(stream: &[u8]) -> Vec<DecodedEvent> {
    let stream = stream.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(stream);
    let text: Vec<u8> = stream.to_vec();
    let mut lines = Vec::new();
    let mut line = Vec::new();
    let mut idx = 0;
    while idx < text.len() {
        match text[idx] {
            b'\r' => {
                lines.push(std::mem::take(&mut line));
                idx += usize::from(text.get(idx + 1) == Some(&b'\n'));
            }
            b'\n' => lines.push(std::mem::take(&mut line)),
            byte => line.push(byte),
        }
        idx += 1;
    }
    let (mut events, mut data, mut event, mut error) = (Vec::new(), Vec::new(), Vec::new(), None);
    for line in lines {
        if line.is_empty() {
            if !data.is_empty() || error.is_some() {
                data.pop();
                events.push((
                    String::from_utf8_lossy(&event).into_owned(),
                    data.clone(),
                    error.clone(),
                ));
            }
            data.clear();
            event.clear();
            error = None;
            continue;
        }
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = if value.first() == Some(&b' ') {
            &value[1..]
        } else {
            value
        };
        match &line[..colon] {
            b"event" => event = value.to_vec(),
            b"data" => {
                data.extend_from_slice(value);
                data.push(b'\n');
            }
            b"error" => error = Some(value.to_vec()),
            _ => {}
        }
    }
    events
}

fn split<'a>(stream: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    cuts.extend([0, stream.len()]);
    cuts.sort_unstable();
    cuts.windows(2)
        .map(|pair| &stream[pair[0]..pair[1]])
        .collect()
}

fn fragment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "data",
        "data:",
        "data: ",
        "event",
        "event: ",
        "error: ",
        "id: 1",
        "retry",
        ":",
        " ",
        "a",
        "{\"b\":1}",
        "\n",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "\u{feff}",
        "\u{e9}",
    ])
}

fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..12)
}

proptest! {
    #[test]
    fn decoding_agrees_with_the_standard(fragments in prop::collection::vec(fragment(), 0..40), cuts in cuts()) {
        let stream = fragments.concat().into_bytes();
        let expected = oracle(&stream);
        let (events, _) = decode(&split(&stream, &cuts), MAX).unwrap();
        prop_assert_eq!(&events, &expected);
        let (events, _) = decode(&bytewise(&stream), MAX).unwrap();
        prop_assert_eq!(&events, &expected);
    }

    #[test]
    fn arbitrary_bytes_decode_alike_in_any_chunks(
        stream in prop::collection::vec(prop::sample::select(b"data:event \r\n\xEF\xBB\xBF\xff".to_vec()), 0..80),
        cuts in cuts(),
        max in 4_usize..40,
    ) {
        let whole = decode(&[&stream], max);
        prop_assert_eq!(&decode(&split(&stream, &cuts), max), &whole);
        if let Ok((events, _)) = whole {
            prop_assert_eq!(events, oracle(&stream));
        }
    }

    #[test]
    fn rendered_events_come_back(
        events in prop::collection::vec(("[a-z.]{0,12}", "[^\r\n]{0,40}(\n[^\r\n]{0,40}){0,3}"), 0..8),
        endings in prop::collection::vec(prop::sample::select(vec!["\n", "\r\n", "\r"]), 1..7),
        comments in any::<bool>(),
        bom in any::<bool>(),
        cuts in cuts(),
    ) {
        let mut stream = String::from(if bom { "\u{feff}" } else { "" });
        let mut endings = endings.iter().cycle();
        let mut line = |stream: &mut String, text: &str| {
            stream.push_str(text);
            stream.push_str(endings.next().unwrap());
        };
        for (event, data) in &events {
            if comments {
                line(&mut stream, ": ping");
            }
            if !event.is_empty() {
                line(&mut stream, &format!("event:{event}"));
            }
            for part in data.split('\n') {
                line(&mut stream, &format!("data: {part}"));
            }
            // A bare CR before the LF of an empty line would be one line end.
            stream.push_str("\r\n");
            line(&mut stream, "");
        }
        let expected: Vec<DecodedEvent> = events.into_iter().map(|(event, data)| (event, data.into_bytes(), None)).collect();
        let (decoded, cut) = decode(&split(stream.as_bytes(), &cuts), MAX).unwrap();
        prop_assert_eq!(decoded, expected);
        prop_assert_eq!(cut, None);
    }
}
