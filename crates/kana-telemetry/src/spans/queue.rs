//! What was recorded and is not exported yet.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::span::Span;
use crate::metrics::spans::DROPPED;

/// The most spans that are held, those that are being exported included. One more is dropped, and counted.
pub const SPANS_MAX: usize = 2048;

static QUEUE: Queue = Queue::new();

struct Queue {
    state: Mutex<State>,
    /// Is notified when a batch is full, and when no more are to come.
    changed: Condvar,
}

struct State {
    waiting: VecDeque<Span>,
    /// Spans that were taken and are held by the exporter.
    taken: usize,
    /// Spans that found no room since that was last asked for.
    without_room: u64,
    /// How many fill a batch.
    batch: usize,
    is_stopped: bool,
}

/// Spans that were taken out of the queue. They count as held until this is dropped.
#[derive(Debug)]
pub struct Taken(Vec<Span>);

impl Taken {
    /// Returns the spans.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.0
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        QUEUE.release(self.0.len());
    }
}

/// Waits for up to `wait` until there are `batch` spans, and takes at most so many. Returns at once after
/// [`stop`]; `None` if then none is left.
#[must_use]
pub fn take(batch: usize, wait: Duration) -> Option<Taken> {
    QUEUE.take(batch, wait).map(Taken)
}

/// Returns how many spans found no room since this was last called.
#[must_use]
pub fn take_without_room() -> u64 {
    QUEUE.take_without_room()
}

/// Ends the waiting of [`take`] and of [`wait_for_stop`].
pub fn stop() {
    QUEUE.stop();
}

/// Waits for up to `pause`. Returns true at once after [`stop`].
#[must_use]
pub fn wait_for_stop(pause: Duration) -> bool {
    QUEUE.wait_for_stop(pause)
}

/// Adds a span. Never waits for anything but the short lock of the queue.
pub(super) fn push(span: Span) {
    if !QUEUE.push(span) {
        DROPPED.count();
    }
}

impl Queue {
    const fn new() -> Self {
        let state = State {
            waiting: VecDeque::new(),
            taken: 0,
            without_room: 0,
            batch: 1,
            is_stopped: false,
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns false if there is no room.
    fn push(&self, span: Span) -> bool {
        let is_full = {
            let mut state = self.state();
            if state.waiting.len() + state.taken >= SPANS_MAX {
                state.without_room += 1;
                return false;
            }
            state.waiting.push_back(span);
            state.waiting.len() == state.batch
        };
        if is_full {
            self.changed.notify_all();
        }
        true
    }

    fn take(&self, batch: usize, wait: Duration) -> Option<Vec<Span>> {
        let mut state = self.state();
        state.batch = batch;
        let is_early = |state: &mut State| state.waiting.len() < batch && !state.is_stopped;
        let waited = self.changed.wait_timeout_while(state, wait, is_early);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let count = state.waiting.len().min(batch);
        let taken: Vec<Span> = state.waiting.drain(..count).collect();
        state.taken += taken.len();
        (!state.is_stopped || !taken.is_empty()).then_some(taken)
    }

    fn take_without_room(&self) -> u64 {
        std::mem::take(&mut self.state().without_room)
    }

    fn release(&self, count: usize) {
        let mut state = self.state();
        state.taken = state.taken.saturating_sub(count);
    }

    fn stop(&self) {
        self.state().is_stopped = true;
        self.changed.notify_all();
    }

    fn wait_for_stop(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut state = self.state();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if state.is_stopped || left.is_zero() {
                return state.is_stopped;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::span::SpanKind;
    use super::*;
    use crate::sampling::new_span_id;
    use crate::trace_parent::{SpanContext, TraceId};

    fn span() -> Span {
        let trace_id = TraceId::of_bits(1).unwrap();
        Span {
            context: SpanContext { trace_id, span_id: new_span_id() },
            parent: None,
            trace_state: None,
            kind: SpanKind::Internal,
            name: "decide".into(),
            began_ns: 1,
            ended_ns: 2,
            attributes: Vec::new(),
            links: Vec::new(),
            links_left_out: 0,
            is_error: false,
        }
    }

    #[test]
    fn there_is_room_for_so_many_spans_and_those_that_are_being_exported_are_among_them() {
        let queue = Queue::new();
        let pushed = |count: usize| (0..count).filter(|_| queue.push(span())).count();
        assert_eq!(pushed(SPANS_MAX + 10), SPANS_MAX);
        assert_eq!([queue.take_without_room(), queue.take_without_room()], [10, 0]);
        let taken = queue.take(500, Duration::MAX).unwrap();
        assert_eq!((taken.len(), pushed(1)), (500, 0));
        queue.release(taken.len());
        assert_eq!(pushed(501), 500);
    }

    #[test]
    fn a_batch_is_taken_when_it_is_full_or_the_time_is_over() {
        let queue = Queue::new();
        queue.push(span());
        assert_eq!(queue.take(2, Duration::ZERO).map(|taken| taken.len()), Some(1));
        assert_eq!(queue.take(2, Duration::ZERO).map(|taken| taken.len()), Some(0));
        std::thread::scope(|threads| {
            let taking =
                threads.spawn(|| queue.take(2, Duration::from_secs(60)).map(|it| it.len()));
            queue.push(span());
            queue.push(span());
            assert_eq!(taking.join().unwrap(), Some(2));
        });
    }

    #[test]
    fn the_last_spans_are_taken_at_once_and_then_no_more() {
        let queue = Queue::new();
        std::thread::scope(|threads| {
            let pausing = threads.spawn(|| queue.wait_for_stop(Duration::from_secs(60)));
            queue.push(span());
            queue.stop();
            assert!(pausing.join().unwrap());
        });
        assert_eq!(queue.take(100, Duration::from_secs(60)).map(|taken| taken.len()), Some(1));
        assert!(queue.take(100, Duration::from_secs(60)).is_none());
        assert!(!Queue::new().wait_for_stop(Duration::ZERO));
    }
}
