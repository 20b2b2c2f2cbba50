//! Reads and drops the rest of a request's body that its handler left unread.
//!
//! Many clients send a whole request before they read the response. If the server closed the
//! connection meanwhile, they would see a broken pipe instead of the reason. So the response is sent
//! at once, and the rest of the body is read and dropped, up to a limit. If the body ends within
//! the limit, the connection serves the next request.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use hyper::body::{Body as _, Incoming};

/// The most bytes of a body that are read and dropped.
const DISCARDED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The unread rest of the body of a connection's last request, if there is one.
#[derive(Debug, Default)]
pub(crate) struct UnreadBody {
    /// Whether there is a rest, so that a connection without one need not take the lock.
    is_there: AtomicBool,
    rest: Mutex<Option<Rest>>,
}

#[derive(Debug)]
struct Rest {
    body: Incoming,
    /// How many bytes may still be read.
    bytes_left: u64,
}

impl UnreadBody {
    fn rest(&self) -> MutexGuard<'_, Option<Rest>> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over a body from its handler. Returns true if the body is known to exceed the limit.
    pub(crate) fn leave(&self, body: Incoming) -> bool {
        let is_too_large = body.size_hint().lower() > DISCARDED_BYTES_MAX;
        *self.rest() = Some(Rest { body, bytes_left: DISCARDED_BYTES_MAX });
        self.is_there.store(true, Ordering::Relaxed);
        is_too_large
    }

    pub(crate) fn is_there(&self) -> bool {
        self.is_there.load(Ordering::Relaxed)
    }

    /// Stops reading the rest, so that the connection closes after its response.
    pub(crate) fn give_up(&self) {
        if self.is_there() {
            *self.rest() = None;
            self.is_there.store(false, Ordering::Relaxed);
        }
    }

    /// Drops the bytes that have arrived. Returns true if the body has ended or exceeded the limit.
    pub(crate) fn poll_discard(&self, context: &mut Context<'_>) -> bool {
        if !self.is_there() {
            return false;
        }
        let mut unread = self.rest();
        while let Some(rest) = unread.as_mut() {
            match Pin::new(&mut rest.body).poll_frame(context) {
                Poll::Pending => return false,
                Poll::Ready(Some(Ok(frame))) => {
                    let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                    match rest.bytes_left.checked_sub(length) {
                        Some(left) => rest.bytes_left = left,
                        None => *unread = None,
                    }
                }
                Poll::Ready(None | Some(Err(_))) => *unread = None,
            }
        }
        self.is_there.store(false, Ordering::Relaxed);
        true
    }
}
