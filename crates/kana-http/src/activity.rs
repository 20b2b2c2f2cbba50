//! What a connection is doing. The connection notes it as it goes, with a few plain stores for each
//! request: no clock, no timer, no lock. Now and then, one sweep over all connections judges
//! whether that takes too long.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use kana_telemetry::metrics::connections::Closed;

use crate::request_framing::Finding;
use crate::unread_body::UnreadBody;

/// The time from which the beginnings of requests are counted.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// What a connection is doing, and when it must end.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// Even while the connection waits for a request, odd while it responds to one. Grows with
    /// each change: the first request's is 1, the next one's is 3.
    turn: AtomicU64,
    /// Bytes read in this turn.
    read: AtomicU64,
    /// Bytes written since the last request began.
    written: AtomicU64,
    /// When the first byte of the next request's head was read, in nanoseconds since [`START`]; 0 if it
    /// has not been, or came with the request before.
    head_began: AtomicU64,
    /// Bytes of the last request's body that its handler has read.
    body_read: AtomicU64,
    body_awaited: AtomicBool,
    /// The handler has not answered yet.
    handling: AtomicBool,
    /// One more than the turn in which the handler may no longer answer; 0 is none.
    end_of_handling: AtomicU64,
    write_blocked: AtomicBool,
    /// One more than the turn in which reading ends; 0 is none.
    end_of_reading: AtomicU64,
    end_of_writing: AtomicBool,
    unread: UnreadBody,
    /// Why the connection is being closed, as [`Closed`] plus one; 0 is not known.
    closed: AtomicU8,
    /// Whether a request's body will not be read to its end, or its end is not known, so no request can follow.
    must_close: AtomicBool,
    /// The turn of the request that gives the length of its body twice; 0 is none.
    turn_of_two_lengths: AtomicU64,
    /// Whether the last response was sent and the client should close the connection.
    lingering: AtomicBool,
}

/// What a connection is doing at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) turn: u64,
    /// Bytes read in this turn.
    pub(crate) read: u64,
    /// Bytes written since the last request began.
    pub(crate) written: u64,
    /// Whether the handler waits for more of the request's body.
    pub(crate) body_awaited: bool,
    /// Whether the handler has not answered yet.
    pub(crate) handling: bool,
    /// Whether there is something to send that the client does not take.
    pub(crate) write_blocked: bool,
    /// Whether the unread rest of a body is being read and dropped.
    pub(crate) discarding: bool,
    /// Whether the last response was sent and the client should close the connection.
    pub(crate) lingering: bool,
}

impl Snapshot {
    /// Returns true if the connection waits for a request, or for the rest of its head.
    pub(crate) fn awaits_request(self) -> bool {
        self.turn.is_multiple_of(2)
    }

    /// Returns true if the connection has never received the whole head of a request.
    pub(crate) fn is_unused(self) -> bool {
        self.turn == 0
    }
}

impl Activity {
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            turn: self.turn.load(Ordering::Relaxed),
            read: self.read.load(Ordering::Relaxed),
            written: self.written.load(Ordering::Relaxed),
            body_awaited: self.body_awaited.load(Ordering::Relaxed),
            handling: self.handling.load(Ordering::Relaxed),
            write_blocked: self.write_blocked.load(Ordering::Relaxed),
            discarding: self.unread.is_there(),
            lingering: self.lingering.load(Ordering::Relaxed),
        }
    }

    /// From now on, a read that finds nothing fails if it is still this turn. The connection must
    /// be woken to see it.
    pub(crate) fn end_reading(&self, turn: u64) {
        self.end_of_reading.store(turn + 1, Ordering::Relaxed);
    }

    /// Notes why the connection is about to be closed. The first reason counts.
    pub(crate) fn note_closed(&self, reason: Closed) {
        let reason = reason as u8 + 1;
        let _ = self.closed.compare_exchange(0, reason, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Returns why the connection is being closed, if that is known.
    pub(crate) fn why_closed(&self) -> Option<Closed> {
        let number = usize::from(self.closed.load(Ordering::Relaxed)).checked_sub(1)?;
        Closed::ALL.get(number).copied()
    }

    /// From now on, a write that the client does not take fails. The connection must be woken to
    /// see it.
    pub(crate) fn end_writing(&self) {
        self.end_of_writing.store(true, Ordering::Relaxed);
    }

    /// Notes whether the handler waits for more of the request's body.
    pub(crate) fn set_body_awaited(&self, is_awaited: bool) {
        self.body_awaited.store(is_awaited, Ordering::Relaxed);
    }

    /// From now on, the handler of this turn may no longer answer. The connection must be woken to see it.
    pub(crate) fn end_handling(&self, turn: u64) {
        self.end_of_handling.store(turn + 1, Ordering::Relaxed);
    }

    /// Returns true if the handler may no longer answer.
    pub(crate) fn handling_has_ended(&self) -> bool {
        self.end_of_handling.load(Ordering::Relaxed) == self.turn.load(Ordering::Relaxed) + 1
    }

    /// Notes that the handler has answered.
    pub(crate) fn note_answer(&self) {
        self.handling.store(false, Ordering::Relaxed);
    }

    /// Takes a body that its handler did not read to its end. A client that `waits` for `100
    /// Continue` gets the response instead. It may or may not send the body afterwards, so the
    /// bytes that follow cannot be read as another request.
    pub(crate) fn leave_unread(&self, body: Incoming, waits: bool) {
        if waits || self.unread.leave(body) {
            self.require_close();
        }
    }

    /// Notes what was found where requests begin and end. No request can follow it.
    pub(crate) fn note_framing(&self, finding: Finding) {
        match finding {
            Finding::EndUnknown => self.require_close(),
            // The request may be one that waits behind others.
            Finding::TwoLengths { request } => {
                self.turn_of_two_lengths.store(2 * request - 1, Ordering::Relaxed);
            }
        }
    }

    /// Returns true if the request that is being responded to gives the length of its body twice.
    pub(crate) fn has_two_lengths(&self) -> bool {
        let turn = self.turn.load(Ordering::Relaxed);
        self.turn_of_two_lengths.load(Ordering::Relaxed) == turn
    }

    /// Has the connection close after its response.
    pub(crate) fn require_close(&self) {
        self.must_close.store(true, Ordering::Relaxed);
    }

    /// Returns true if the client has never sent anything.
    pub(crate) fn has_never_read(&self) -> bool {
        self.turn.load(Ordering::Relaxed) == 0 && self.read.load(Ordering::Relaxed) == 0
    }

    /// Stops reading and dropping an unread body. The connection must be woken to see it.
    pub(crate) fn end_discarding(&self) {
        self.unread.give_up();
    }

    /// Drops the bytes of an unread body that have arrived.
    pub(crate) fn discard(&self, context: &mut Context<'_>) {
        if self.unread.poll_discard(context) {
            // These bytes are not part of the next request's head.
            self.read.store(0, Ordering::Relaxed);
        }
    }

    /// Returns true if the connection must close after its response.
    pub(crate) fn must_close(&self) -> bool {
        self.must_close.load(Ordering::Relaxed)
    }

    /// Closes the connection at once if it is idle, when the server begins to stop.
    pub(crate) fn end_if_idle(&self) {
        let now = self.snapshot();
        if now.awaits_request() && now.read == 0 && !now.write_blocked {
            self.end_reading(now.turn);
        }
    }

    /// Stops dropping an unread body if the response was sent, when the server stops.
    pub(crate) fn end_discarding_if_answered(&self) {
        if self.snapshot().awaits_request() {
            self.end_discarding();
        }
    }

    /// Notes that the last response was sent.
    pub(crate) fn begin_lingering(&self) {
        self.lingering.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_lingering(&self) -> bool {
        self.lingering.load(Ordering::Relaxed)
    }

    /// Notes that a request's head has been read. The response ends when the returned value is
    /// dropped.
    pub(crate) fn begin_response(self: &Arc<Self>) -> Responding {
        // Only the connection's own task stores these, so that a load and a store are enough.
        let turn = (self.turn.load(Ordering::Relaxed) + 1) | 1;
        self.written.store(0, Ordering::Relaxed);
        self.body_read.store(0, Ordering::Relaxed);
        self.begin(turn);
        self.handling.store(true, Ordering::Relaxed);
        Responding { turn, activity: Arc::clone(self) }
    }

    fn begin(&self, turn: u64) {
        self.read.store(0, Ordering::Relaxed);
        self.turn.store(turn, Ordering::Relaxed);
    }

    pub(crate) fn note_read(&self, bytes: usize) {
        let is_first = self.read.load(Ordering::Relaxed) == 0 && bytes > 0;
        if is_first && self.turn.load(Ordering::Relaxed).is_multiple_of(2) {
            let now = u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.head_began.store(now, Ordering::Relaxed);
        }
        add(&self.read, bytes);
    }

    /// Returns when the first byte of the request's head was read. To be called once for each request.
    pub(crate) fn take_head_began(&self) -> Instant {
        let began = self.head_began.load(Ordering::Relaxed);
        self.head_began.store(0, Ordering::Relaxed);
        let began = (began > 0).then(|| START.checked_add(Duration::from_nanos(began))).flatten();
        began.unwrap_or_else(Instant::now)
    }

    /// Notes that the handler has read bytes of the request's body.
    pub(crate) fn note_body_read(&self, bytes: usize) {
        add(&self.body_read, bytes);
    }

    /// Returns how many bytes of the last request's body its handler has read.
    pub(crate) fn body_read(&self) -> u64 {
        self.body_read.load(Ordering::Relaxed)
    }

    pub(crate) fn reading_has_ended(&self) -> bool {
        self.end_of_reading.load(Ordering::Relaxed) == self.turn.load(Ordering::Relaxed) + 1
    }

    /// Notes the result of a write. Fails a write that the client does not take once
    /// [`end_writing`](Self::end_writing) was called.
    pub(crate) fn note_write(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
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

/// A request whose response is being made or sent.
#[derive(Debug)]
pub(crate) struct Responding {
    turn: u64,
    activity: Arc<Activity>,
}

impl Drop for Responding {
    fn drop(&mut self) {
        if self.activity.turn.load(Ordering::Relaxed) == self.turn {
            self.activity.note_answer();
            self.activity.begin(self.turn + 1);
        }
    }
}
