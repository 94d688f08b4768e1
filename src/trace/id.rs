//! The ids of traces and spans, and the `traceparent` header that carries them between programs
//! (W3C Trace Context).

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::str::FromStr;

/// Names a trace: 16 bytes, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(u128);

/// Names a span, unique in all traces: 8 bytes, written as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(u64);

/// Says that a text is not a trace id, span id or `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a {expected}")]
pub struct ParseIdError {
    expected: &'static str,
}

/// Names a span to other programs: the content of a `traceparent` header.
///
/// ```
/// use openai_agents::trace::SpanContext;
///
/// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let parent: SpanContext = header.parse()?;
/// assert_eq!(parent.trace_id.to_string(), "0af7651916cd43dd8448eb211c80319c");
/// assert_eq!(parent.to_string(), header);
/// # Ok::<(), openai_agents::trace::ParseIdError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SpanContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// Whether the program that began the trace records it.
    pub is_sampled: bool,
}

impl TraceId {
    /// Makes a new random id.
    pub fn random() -> Self {
        let high = u128::from(random());
        Self((high << 64) | u128::from(random()))
    }

    /// Makes an id from a name, always the same one.
    ///
    /// So all executions of a durable run form one trace.
    pub fn of_name(name: &str) -> Self {
        let half = |seed| u128::from(fnv(seed, name.as_bytes()));
        Self(((half(1) << 64) | half(2)).max(1))
    }
}

impl SpanId {
    /// Makes a new random id.
    pub fn random() -> Self {
        Self(random())
    }
}

impl SpanContext {
    /// Names a span of a trace that is recorded.
    pub const fn new(trace_id: TraceId, span_id: SpanId) -> Self {
        Self {
            trace_id,
            span_id,
            is_sampled: true,
        }
    }
}

impl FromStr for SpanContext {
    type Err = ParseIdError;

    /// Reads a `traceparent`. A version newer than 00 may have more fields at its end, which are
    /// ignored.
    fn from_str(header: &str) -> Result<Self, ParseIdError> {
        let error = ParseIdError {
            expected: "traceparent",
        };
        let mut fields = header.trim().split('-');
        let mut field = |n_digits| {
            let field = fields.next().ok_or(error)?;
            (field.len() == n_digits).then_some(field).ok_or(error)
        };
        let version = hex(field(2)?).ok_or(error)?;
        let trace_id = field(32)?.parse().map_err(|_| error)?;
        let span_id = field(16)?.parse().map_err(|_| error)?;
        let flags = hex(field(2)?).ok_or(error)?;
        let has_more = fields.next().is_some();
        // W3C Trace Context forbids version ff, and lets only versions after 00 add fields.
        if version == 0xff || (version == 0 && has_more) {
            return Err(error);
        }
        Ok(Self {
            trace_id,
            span_id,
            is_sampled: flags & 1 == 1,
        })
    }
}

impl fmt::Display for SpanContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.is_sampled);
        write!(f, "00-{}-{}-{flags:02x}", self.trace_id, self.span_id)
    }
}

/// Reads hexadecimal digits, lower case only as the specification demands. `from_str_radix` would
/// also take upper case and a sign.
fn hex(digits: &str) -> Option<u128> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if !digits.bytes().all(is_digit) {
        return None;
    }
    u128::from_str_radix(digits, 16).ok()
}

const fn digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' - 10 + nibble,
    }
}

macro_rules! id {
    ($($id:ident: $n_digits:literal, $number:ty, $name:literal;)+) => {$(
        impl FromStr for $id {
            type Err = ParseIdError;

            fn from_str(digits: &str) -> Result<Self, ParseIdError> {
                let number = (digits.len() == $n_digits).then(|| hex(digits)).flatten();
                let number = number.and_then(|number| <$number>::try_from(number).ok());
                // W3C Trace Context: all zeros is invalid.
                let number = number.filter(|number| *number != 0);
                number.map(Self).ok_or(ParseIdError { expected: $name })
            }
        }

        impl $id {
            /// Writes its digits.
            pub(super) fn push_to(self, text: &mut Vec<u8>) {
                let mut digits = [0; $n_digits];
                for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0.to_be_bytes()) {
                    pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
                }
                text.extend_from_slice(&digits);
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{:0", stringify!($n_digits), "x}"), self.0)
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )+};
}

id! {
    TraceId: 32, u128, "trace id of 32 hexadecimal digits";
    SpanId: 16, u64, "span id of 16 hexadecimal digits";
}

/// A random number that is not 0. Ids are not secrets, so it may be predictable.
fn random() -> u64 {
    thread_local! {
        // `RandomState` takes its keys from the system's random numbers, which saves a dependency.
        static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0));
    }
    STATE.with(|state| {
        // SplitMix64: it has one random start per thread, does not repeat itself, and needs no lock.
        let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(next);
        let mixed = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).max(1)
    })
}

/// FNV-1a with a final mix. The standard library's hash differs between versions and processes;
/// this must not, because stored ids depend on it.
pub(crate) fn fnv(seed: u64, bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}
