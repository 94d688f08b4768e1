//! The body of an answer, read by chunks or whole, within limits on time and size.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::HttpError;
use super::pool::PooledBody;
use super::timer::{IdleTimer, Timers};

/// Reads the body of an answer.
///
/// Dropping it before its end closes the connection, so that the server stops working. After the
/// end of the body the connection is free for the next request.
pub struct HttpBody {
    /// `None` after the end or an error.
    incoming: Option<PooledBody>,
    target: Arc<str>,
    timers: Timers,
    /// The content encoding, if it is not `identity`.
    encoding: Option<String>,
    n_bytes: u64,
    limits: BodyLimits,
}

/// How much of a body is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimits {
    /// The limit for [`HttpBody::collect`].
    pub(super) whole: usize,
    /// The limit for [`HttpBody::poll_chunk`].
    pub(super) stream: Option<u64>,
}

impl HttpBody {
    pub(super) const fn new(
        incoming: PooledBody,
        target: Arc<str>,
        timers: Timers,
        encoding: Option<String>,
        limits: BodyLimits,
    ) -> Self {
        Self {
            incoming: Some(incoming),
            target,
            timers,
            encoding,
            n_bytes: 0,
            limits,
        }
    }

    /// Removes the idle time-out, for a caller that has its own.
    pub(crate) fn without_idle_timeout(mut self) -> Self {
        self.timers.idle = IdleTimer::new(None);
        self
    }

    /// Returns the next chunk as it came from the socket.
    ///
    /// It is `None` at the end, and after an error.
    ///
    /// # Errors
    ///
    /// An item is an error if the body is cut, a time-out elapses, the limit for streams is
    /// exceeded, or the body is compressed.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, HttpError>>> {
        let Some(incoming) = &mut self.incoming else {
            return Poll::Ready(None);
        };
        // Nothing here decompresses, and an error with the name of the encoding is better than garbage.
        if let Some(encoding) = self.encoding.take() {
            let target = self.target();
            return self.fail(HttpError::ContentEncoding { target, encoding });
        }
        if let Poll::Ready(limit) = self.timers.poll_total(cx) {
            let target = self.target();
            return self.fail(HttpError::TotalTimeout { target, limit });
        }
        loop {
            match incoming.poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(chunk) if !chunk.is_empty() => return self.on_chunk(chunk),
                    // An empty chunk, or trailers, which nobody here uses.
                    _ => {}
                },
                Poll::Ready(Some(Err(error))) => {
                    let error = HttpError::from_body(&self.target, self.n_bytes, error);
                    return self.fail(error);
                }
                Poll::Ready(None) => {
                    self.incoming = None;
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    let limit = ready!(self.timers.idle.poll_elapsed(cx));
                    let target = self.target();
                    return self.fail(HttpError::IdleTimeout { target, limit });
                }
            }
        }
    }

    /// Waits for the next chunk, as [`poll_chunk`](Self::poll_chunk).
    ///
    /// # Errors
    ///
    /// As [`poll_chunk`](Self::poll_chunk).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no chunk.
    pub async fn next_chunk(&mut self) -> Option<Result<Bytes, HttpError>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Reads the whole body, up to the limit of the client (64 MiB by default).
    ///
    /// # Errors
    ///
    /// As [`poll_chunk`](Self::poll_chunk), and [`HttpError::TooLarge`] beyond the limit.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn collect(self) -> Result<Bytes, HttpError> {
        let max_bytes = self.limits.whole;
        self.collect_up_to(max_bytes).await
    }

    /// Reads the whole body, up to a limit in bytes.
    ///
    /// # Errors
    ///
    /// As [`collect`](Self::collect). A body whose announced length exceeds the limit is refused
    /// before it is read.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn collect_up_to(self, max_bytes: usize) -> Result<Bytes, HttpError> {
        let mut whole = self.whole(max_bytes);
        loop {
            if let Some(body) = poll_fn(|cx| whole.poll(cx)).await? {
                return Ok(body);
            }
        }
    }

    /// Starts to read the whole body, up to a limit.
    pub(crate) fn whole(self, max_bytes: usize) -> WholeBody {
        let announced = self
            .incoming
            .as_ref()
            .map_or(0, |incoming| incoming.size_hint().lower());
        WholeBody {
            body: self,
            max_bytes: u64::try_from(max_bytes).unwrap_or(u64::MAX),
            announced,
            read: Bytes::new(),
            blocks: None,
        }
    }

    fn on_chunk(&mut self, chunk: Bytes) -> Poll<Option<Result<Bytes, HttpError>>> {
        self.timers.idle.touch();
        self.n_bytes += chunk.len() as u64;
        match self.limits.stream {
            Some(max_bytes) if self.n_bytes > max_bytes => self.fail(self.too_large(max_bytes)),
            _ => Poll::Ready(Some(Ok(chunk))),
        }
    }

    /// Ends the body, which closes the connection.
    fn fail(&mut self, error: HttpError) -> Poll<Option<Result<Bytes, HttpError>>> {
        self.incoming = None;
        Poll::Ready(Some(Err(error)))
    }

    fn too_large(&self, max_bytes: u64) -> HttpError {
        HttpError::TooLarge {
            target: self.target(),
            max_bytes,
        }
    }

    fn target(&self) -> String {
        (*self.target).to_owned()
    }
}

/// The largest block of a body whose length was not announced.
const MAX_BLOCK_BYTES: usize = 1024 * 1024;

/// The bytes of a body in blocks that are never moved. A buffer that grows would leave its old
/// memory behind, as much as it holds.
struct Blocks(Vec<Vec<u8>>);

impl Blocks {
    /// Reserves memory for the announced length. Pages that are never written cost nothing.
    fn new(first: &[u8], announced: u64) -> Self {
        let announced = usize::try_from(announced).unwrap_or_default();
        let mut block = Vec::with_capacity(announced.max(2 * first.len()));
        block.extend_from_slice(first);
        Self(vec![block])
    }

    fn push(&mut self, chunk: &[u8]) {
        let n_bytes = self.0.iter().map(Vec::len).sum::<usize>();
        let last = self.0.last_mut();
        let n_free = last
            .as_ref()
            .map_or(0, |block| block.capacity() - block.len());
        let (fits, rest) = chunk.split_at(n_free.min(chunk.len()));
        if let Some(block) = last {
            block.extend_from_slice(fits);
        }
        if !rest.is_empty() {
            let mut block = Vec::with_capacity(n_bytes.min(MAX_BLOCK_BYTES).max(rest.len()));
            block.extend_from_slice(rest);
            self.0.push(block);
        }
    }

    /// Returns the body in one piece.
    fn join(mut self) -> Vec<u8> {
        if self.0.len() < 2 {
            return self.0.pop().unwrap_or_default();
        }
        let mut joined = Vec::with_capacity(self.0.iter().map(Vec::len).sum());
        for block in self.0 {
            joined.extend_from_slice(&block);
        }
        joined
    }
}

/// A body that is being read whole.
pub(crate) struct WholeBody {
    body: HttpBody,
    max_bytes: u64,
    announced: u64,
    /// The first chunk, which is nearly always the whole body and then needs no copy.
    read: Bytes,
    /// All chunks, once there is a second.
    blocks: Option<Blocks>,
}

impl WholeBody {
    /// Returns the number of bytes so far.
    pub(crate) const fn n_bytes(&self) -> u64 {
        self.body.n_bytes
    }

    /// Returns the body when it is complete, and `None` when more of it has come. Must not be polled
    /// after the body.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, HttpError>> {
        // Refused by its announced length, before the first byte is kept. A compressed body is not
        // refused here: below it gets the error that names its encoding.
        if self.announced > self.max_bytes && self.body.encoding.is_none() {
            return Poll::Ready(Err(self.body.too_large(self.max_bytes)));
        }
        let Some(chunk) = ready!(self.body.poll_chunk(cx)).transpose()? else {
            let first = std::mem::take(&mut self.read);
            let blocks = self.blocks.take();
            let body = blocks.map_or(first, |blocks| blocks.join().into());
            return Poll::Ready(Ok(Some(body)));
        };
        if self.body.n_bytes > self.max_bytes {
            return Poll::Ready(Err(self.body.too_large(self.max_bytes)));
        }
        // One chunk is passed on as it is. A second one makes a buffer necessary.
        if self.read.is_empty() {
            self.read = chunk;
        } else {
            let announced = self.announced.min(self.max_bytes);
            self.blocks
                .get_or_insert_with(|| Blocks::new(&self.read, announced))
                .push(&chunk);
        }
        Poll::Ready(Ok(None))
    }
}

impl fmt::Debug for HttpBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpBody")
            .field("target", &self.target)
            .field("n_bytes", &self.n_bytes)
            .finish_non_exhaustive()
    }
}
