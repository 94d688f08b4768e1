//! Content codings of request bodies (gzip), decoded up to a bound.

use std::io::{self, Write};

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use flate2::write::MultiGzDecoder;

use super::too_large;
use crate::server::error::ApiError;

/// A coding that is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
}

impl Coding {
    /// Reads `Content-Encoding`.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut coding = Self::Identity;
        for value in headers.get_all(CONTENT_ENCODING) {
            for name in value.to_str().unwrap_or("what is not text").split(',') {
                let name = name.trim().to_ascii_lowercase();
                coding = match (&*name, coding) {
                    ("" | "identity", coding) => coding,
                    ("gzip" | "x-gzip", Self::Identity) => Self::Gzip,
                    // Twice the same is no use, but a way to hide how large something is.
                    _ => return Err(ApiError::unsupported_coding(&name)),
                };
            }
        }
        Ok(coding)
    }
}

/// Decodes what it is given, piece by piece, so that a body is never there twice.
pub(super) enum BodyDecoder {
    Identity(Bounded),
    Gzip(Box<MultiGzDecoder<Bounded>>),
}

/// Takes up to so many bytes.
pub(super) struct Bounded {
    bytes: Vec<u8>,
    max_bytes: usize,
    is_over: bool,
}

impl BodyDecoder {
    /// Begins with room for what is expected, which becomes memory only as it comes.
    pub(super) fn new(coding: Coding, n_expected: u64, max_bytes: usize) -> Self {
        let n_expected = usize::try_from(n_expected).unwrap_or(max_bytes);
        let room = |n_bytes: usize| Bounded {
            bytes: Vec::with_capacity(n_bytes.min(max_bytes)),
            max_bytes,
            is_over: false,
        };
        match coding {
            Coding::Identity => Self::Identity(room(n_expected)),
            Coding::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(room(0)))),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), ApiError> {
        let (written, bounded) = match self {
            Self::Identity(bounded) => (bounded.write_all(bytes), &*bounded),
            Self::Gzip(decoder) => (decoder.write_all(bytes), decoder.get_ref()),
        };
        written.map_err(|error| bounded.failure(&error))
    }

    /// Returns what was decoded, if it is whole.
    pub(super) fn finish(self) -> Result<Bytes, ApiError> {
        let bytes = match self {
            Self::Identity(bounded) => bounded.bytes,
            Self::Gzip(mut decoder) => {
                let ended = decoder.try_finish();
                ended.map_err(|error| decoder.get_ref().failure(&error))?;
                std::mem::take(&mut decoder.get_mut().bytes)
            }
        };
        Ok(Bytes::from(bytes))
    }
}

impl Bounded {
    fn failure(&self, error: &io::Error) -> ApiError {
        if self.is_over {
            return too_large(self.max_bytes);
        }
        ApiError::new(400, "broken_body", format!("the body is not gzip: {error}"))
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.max_bytes - self.bytes.len() {
            self.is_over = true;
            return Err(io::Error::other("more than a body may have"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
