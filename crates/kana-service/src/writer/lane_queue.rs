//! The queue of a lane. The lane takes from it; the thread in `watch` also reads it, to answer the
//! callers of a lane whose commit hangs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use kana_store::StoreError;
use kana_telemetry::metrics::writer::WAITS;
use tokio::sync::mpsc;

use super::queue::{BATCH_MAX, Replies, Request, Waiting};
use crate::deadlines::WriterDeadlines;
use crate::error::Error;
use crate::retry::warn_refused;

/// Commands that were handed in together and are decided in one transaction with others of their
/// kind. The more there are, the more of them change the same pages, each of which is written once
/// a commit; but a command that came alone waits for all of them.
const TOGETHER_MAX: usize = 8 * 1024;

/// What waits for a lane, and what the lane is at.
pub(super) struct LaneQueue {
    arriving: tokio::sync::Mutex<mpsc::Receiver<Waiting>>,
    state: Mutex<State>,
    limits: WriterDeadlines,
}

#[derive(Default)]
struct State {
    /// Taken from those that arrive, in their order, at most [`BATCH_MAX`].
    taken: VecDeque<Waiting>,
    under_way: Option<UnderWay>,
}

struct UnderWay {
    since: Instant,
    /// `None` once they are answered.
    replies: Option<Replies>,
}

impl LaneQueue {
    pub(super) fn new(arriving: mpsc::Receiver<Waiting>, limits: WriterDeadlines) -> Self {
        Self { arriving: tokio::sync::Mutex::new(arriving), state: Mutex::default(), limits }
    }

    /// Waits for requests, and takes those that have arrived. Returns false once all senders are gone
    /// and none is left. `buffer` is empty before and after.
    pub(super) async fn take(&self, buffer: &mut Vec<Waiting>) -> bool {
        let mut arriving = self.arriving.lock().await;
        let taken = self.state().taken.len();
        if taken == 0 {
            if arriving.recv_many(buffer, BATCH_MAX).await == 0 {
                return false;
            }
            // The thread that sent this request may be about to send more: on a shared core, waking
            // this thread has interrupted it. If no thread is ready to run, this takes no time.
            std::thread::yield_now();
        }
        while taken + buffer.len() < BATCH_MAX
            && let Ok(request) = arriving.try_recv()
        {
            buffer.push(request);
        }
        self.state().taken.extend(buffer.drain(..));
        true
    }

    /// Moves the next requests that can be decided in one transaction to `part`. Refuses those that
    /// have waited too long at `now`.
    pub(super) fn next(&self, now: Instant, part: &mut Vec<Request>) {
        let mut late = Vec::new();
        {
            let mut state = self.state();
            self.take_late(&mut state.taken, now, &mut late);
            let mut commands = 0;
            while let Some(Waiting { request, .. }) = state.taken.front() {
                commands += request.len();
                let joins = part.first().is_none_or(|first| first.is_decided_with(request));
                if !joins || !part.is_empty() && commands > TOGETHER_MAX {
                    break;
                }
                part.extend(state.taken.pop_front().map(|waiting| {
                    WAITS.observe(now.saturating_duration_since(waiting.since));
                    waiting.request
                }));
            }
        }
        self.refuse(late);
    }

    /// Returns how many requests were taken and wait for their turn.
    pub(super) fn taken(&self) -> usize {
        self.state().taken.len()
    }

    /// Notes that work begins, and who is to be answered.
    pub(super) fn begin(&self, replies: Replies) {
        let replies = Some(replies);
        self.state().under_way = Some(UnderWay { since: Instant::now(), replies });
    }

    /// Notes that work has ended. Returns those who are to be answered, unless they have been.
    pub(super) fn end(&self) -> Option<Replies> {
        self.state().under_way.take()?.replies
    }

    /// Answers those who have waited too long at `now`, if the lane is at work: behind that, with a
    /// refusal; for that, with an unknown outcome. Must be called now and then.
    pub(super) fn look(&self, now: Instant) {
        let (mut late, mut unknown) = (Vec::new(), None);
        {
            let mut state = self.state();
            let Some(under_way) = &mut state.under_way else {
                return;
            };
            if now.saturating_duration_since(under_way.since) >= self.limits.batch {
                unknown = under_way.replies.take();
            }
            self.take_late(&mut state.taken, now, &mut late);
        }
        // A lane that waits for something to arrive is not at work.
        if let Ok(mut arriving) = self.arriving.try_lock() {
            while self.state().taken.is_empty()
                && let Ok(waiting) = arriving.try_recv()
            {
                let mut first = VecDeque::from([waiting]);
                self.take_late(&mut first, now, &mut late);
                self.state().taken.extend(first);
            }
        }
        self.refuse(late);
        if let Some(replies) = unknown {
            let why = format!("no answer within {:?}", self.limits.batch);
            tracing::error!(why, "the outcome of a commit is unknown");
            replies.fail(&Error::OutcomeUnknown(Arc::new(StoreError::OutcomeUnknown(why.into()))));
        }
    }

    /// Moves the first requests to `late`, as far as they have waited too long.
    fn take_late(&self, from: &mut VecDeque<Waiting>, now: Instant, late: &mut Vec<Request>) {
        let is_late = |waiting: &mut Waiting| {
            now.saturating_duration_since(waiting.since) >= self.limits.queue
        };
        while let Some(waiting) = from.pop_front_if(is_late) {
            late.push(waiting.request);
        }
    }

    fn refuse(&self, late: Vec<Request>) {
        if late.is_empty() {
            return;
        }
        let why =
            format!("what was to be recorded before took longer than {:?}", self.limits.queue);
        let cause = StoreError::Unavailable(why.into());
        warn_refused(&cause, late.iter().map(Request::len).sum());
        let error = Error::Unavailable(Arc::new(cause));
        late.into_iter().for_each(|request| request.fail(&error));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
