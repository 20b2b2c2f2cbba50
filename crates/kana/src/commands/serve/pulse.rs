//! What a connection is doing. The connection notes it as it goes, with a few plain stores for each
//! request: no clock, no timer, no lock. Whether that takes too long is judged elsewhere, now and
//! then, for all connections at once ([`connections`](super::connections)).

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::unread::UnreadBody;

/// The most bytes that are read at once. hyper enlarges a buffer that a read has filled, so larger
/// reads would make each connection that sends a body cost more, even if the body is not wanted.
const READ_BYTES_MAX: usize = 16 * 1024;

/// What a connection is doing, and when it must end.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// Even while a request is waited for, odd while one is answered. It grows with each change.
    turn: AtomicU64,
    /// Bytes read in this turn.
    read: AtomicU64,
    /// Bytes written since the last request began.
    written: AtomicU64,
    body_awaited: AtomicBool,
    write_blocked: AtomicBool,
    /// One more than the turn in which nothing more is waited for; 0 is none.
    end_of_reading: AtomicU64,
    end_of_writing: AtomicBool,
    unread: UnreadBody,
    /// Whether a request's body will not be read to its end, so no request can follow.
    must_close: AtomicBool,
    /// Whether the last answer was sent and the client should close the connection.
    lingering: AtomicBool,
}

/// What a connection was doing when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beat {
    pub(super) turn: u64,
    /// Bytes read in this turn.
    pub(super) read: u64,
    /// Bytes written since the last request began.
    pub(super) written: u64,
    /// Whether whoever answers waits for more of the request's body.
    pub(super) body_awaited: bool,
    /// Whether there is something to send that the client does not take.
    pub(super) write_blocked: bool,
    /// Whether the unread rest of a body is being read and dropped.
    pub(super) discarding: bool,
    /// Whether the last answer was sent and the client should close the connection.
    pub(super) lingering: bool,
}

impl Beat {
    /// Whether the connection waits for a request, or for the rest of its head.
    pub(super) fn awaits_request(self) -> bool {
        self.turn.is_multiple_of(2)
    }

    /// Whether the connection has never had a whole head of a request.
    pub(super) fn has_never_asked(self) -> bool {
        self.turn == 0
    }
}

impl Pulse {
    pub(super) fn beat(&self) -> Beat {
        Beat {
            turn: self.turn.load(Ordering::Relaxed),
            read: self.read.load(Ordering::Relaxed),
            written: self.written.load(Ordering::Relaxed),
            body_awaited: self.body_awaited.load(Ordering::Relaxed),
            write_blocked: self.write_blocked.load(Ordering::Relaxed),
            discarding: self.unread.is_there(),
            lingering: self.lingering.load(Ordering::Relaxed),
        }
    }

    /// From now on, a read that finds nothing fails if it is still this turn. The connection must
    /// be woken to see it.
    pub(super) fn end_reading(&self, turn: u64) {
        self.end_of_reading.store(turn + 1, Ordering::Relaxed);
    }

    /// From now on, a write that the client does not take fails. The connection must be woken to
    /// see it.
    pub(super) fn end_writing(&self) {
        self.end_of_writing.store(true, Ordering::Relaxed);
    }

    /// Takes a body that its handler did not read to its end. A client that `waits` for `100
    /// Continue` gets the answer instead. It may or may not send the body afterwards, so the bytes
    /// that follow cannot be read as another request.
    fn leave_unread(&self, body: Incoming, waits: bool) {
        if waits || self.unread.leave(body) {
            self.must_close.store(true, Ordering::Relaxed);
        }
    }

    /// Returns true if the client has never sent anything.
    fn has_never_read(&self) -> bool {
        self.turn.load(Ordering::Relaxed) == 0 && self.read.load(Ordering::Relaxed) == 0
    }

    /// Stops reading and dropping an unread body. The connection must be woken to see it.
    pub(super) fn end_discarding(&self) {
        self.unread.give_up();
    }

    /// Drops the bytes of an unread body that have arrived.
    pub(super) fn discard(&self, context: &mut Context<'_>) {
        if self.unread.poll_discard(context) {
            // These bytes are not part of the next request's head.
            self.read.store(0, Ordering::Relaxed);
        }
    }

    /// Returns true if the connection must close after its answer.
    pub(super) fn must_close(&self) -> bool {
        self.must_close.load(Ordering::Relaxed)
    }

    /// Closes the connection at once if it is idle, when the server begins to stop.
    pub(super) fn end_if_idle(&self) {
        let beat = self.beat();
        if beat.awaits_request() && beat.read == 0 && !beat.write_blocked {
            self.end_reading(beat.turn);
        }
    }

    /// Stops dropping an unread body if the request is answered, when the server stops.
    pub(super) fn end_discarding_if_answered(&self) {
        if self.beat().awaits_request() {
            self.end_discarding();
        }
    }

    /// Notes that a request's head has been read, until what this answers is dropped.
    pub(super) fn begin_answer(self: &Arc<Self>) -> Answering {
        // Only the connection's own task stores these, so that a load and a store are enough.
        let turn = (self.turn.load(Ordering::Relaxed) + 1) | 1;
        self.written.store(0, Ordering::Relaxed);
        self.begin(turn);
        Answering { turn, pulse: Arc::clone(self) }
    }

    fn begin(&self, turn: u64) {
        self.read.store(0, Ordering::Relaxed);
        self.turn.store(turn, Ordering::Relaxed);
    }

    fn reading_has_ended(&self) -> bool {
        self.end_of_reading.load(Ordering::Relaxed) == self.turn.load(Ordering::Relaxed) + 1
    }

    /// Notes what a write came to, and fails it when it is time.
    fn note_write(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.write_blocked.store(written.is_pending(), Ordering::Relaxed);
        match written {
            Poll::Ready(Ok(bytes)) => {
                add(&self.written, bytes);
                written
            }
            Poll::Pending if self.end_of_writing.load(Ordering::Relaxed) => {
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            _ => written,
        }
    }
}

fn add(counter: &AtomicU64, bytes: usize) {
    counter.store(counter.load(Ordering::Relaxed) + bytes as u64, Ordering::Relaxed);
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Answering {
    turn: u64,
    pulse: Arc<Pulse>,
}

impl Drop for Answering {
    fn drop(&mut self) {
        if self.pulse.turn.load(Ordering::Relaxed) == self.turn {
            self.pulse.begin(self.turn + 1);
        }
    }
}

/// A connection's socket.
#[derive(Debug)]
pub(super) struct Watched<S> {
    pub(super) socket: S,
    pub(super) pulse: Arc<Pulse>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = if buffer.remaining() <= READ_BYTES_MAX {
            Pin::new(&mut self.socket).poll_read(context, buffer)
        } else {
            let mut part = ReadBuf::new(buffer.initialize_unfilled_to(READ_BYTES_MAX));
            let read = Pin::new(&mut self.socket).poll_read(context, &mut part);
            let length = part.filled().len();
            buffer.advance(length);
            read
        };
        match read {
            Poll::Ready(Ok(())) => {
                add(&self.pulse.read, buffer.filled().len() - before);
                Poll::Ready(Ok(()))
            }
            // What has come in time is taken, however late it is looked at.
            Poll::Pending if self.pulse.reading_has_ended() => {
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            other => other,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.pulse.note_write(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.pulse.note_write(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    /// Shuts down the writing half, and drops what still arrives until the client closes the
    /// connection. Closing a socket with unread bytes would reset the connection, and the client
    /// could lose the answer.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.pulse.lingering.load(Ordering::Relaxed) {
            ready!(Pin::new(&mut self.socket).poll_shutdown(context))?;
            if self.pulse.has_never_read() {
                return Poll::Ready(Ok(()));
            }
            self.pulse.lingering.store(true, Ordering::Relaxed);
        }
        loop {
            let mut bytes = [MaybeUninit::uninit(); READ_BYTES_MAX];
            let mut buffer = ReadBuf::uninit(&mut bytes);
            let read = ready!(self.as_mut().poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// The body of a request.
pub(super) struct RequestBody {
    /// `None` once it was read to its end.
    body: Option<Incoming>,
    /// Whether the client waits for `100 Continue` before it sends the body.
    waits: bool,
    pulse: Arc<Pulse>,
}

impl RequestBody {
    pub(super) fn new(body: Incoming, headers: &HeaderMap, pulse: &Arc<Pulse>) -> Self {
        let waits = headers.contains_key(header::EXPECT);
        Self { body: Some(body), waits, pulse: Arc::clone(pulse) }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // The first poll makes hyper send `100 Continue`.
        self.waits = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(context);
        self.pulse.body_awaited.store(frame.is_pending(), Ordering::Relaxed);
        let frame = ready!(frame);
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.pulse.body_awaited.store(false, Ordering::Relaxed);
        if let Some(body) = self.body.take_if(|body| !body.is_end_stream()) {
            self.pulse.leave_unread(body, self.waits);
        }
    }
}

/// The body of an answer, which has been given when this is dropped.
pub(super) struct AnswerBody {
    pub(super) body: Body,
    pub(super) _answering: Answering,
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
