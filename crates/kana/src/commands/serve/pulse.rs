//! What a connection is doing. The connection notes it as it goes, with a few plain stores for each
//! request: no clock, no timer, no lock. Whether that takes too long is judged elsewhere, now and
//! then, for all connections at once ([`connections`](super::connections)).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

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
        match Pin::new(&mut self.socket).poll_read(context, buffer) {
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

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
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

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

/// The body of a request.
pub(super) struct RequestBody {
    pub(super) body: Incoming,
    pub(super) pulse: Arc<Pulse>,
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.pulse.body_awaited.store(frame.is_pending(), Ordering::Relaxed);
        Poll::Ready(ready!(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.pulse.body_awaited.store(false, Ordering::Relaxed);
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
