//! The open connections: how many there may be, and how long one may take.
//!
//! One look at all of them, once in a while, stands in for timers that every request would have to
//! set. What is too slow is so found late by up to one such interval.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::pulse::{Beat, Pulse};
use super::rarely::Rarely;

/// How often it is tried to make room while a client waits and every connection is at work.
const ROOM_RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// How many connections there may be, and how long each may keep the server waiting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) connections_max: u32,
    /// Until a request begins, from the last answer on or from the start of the connection.
    pub(super) idle: Duration,
    /// From the first byte of a request's head to its last.
    pub(super) head: Duration,
    /// Without a byte of a body that is awaited, or without one taken of an answer.
    pub(super) stall: Duration,
    /// What the client must send of a body, or take of an answer, in the long run: bytes per second
    /// of the time in which nothing else is waited for, on top of `stall`.
    pub(super) rate_min: u32,
    /// For reading and dropping the unread rest of a body.
    pub(super) discard: Duration,
    /// For the client to close a connection after its last answer.
    pub(super) linger: Duration,
}

impl Limits {
    /// How often the connections are looked at.
    pub(super) fn look_interval(&self) -> Duration {
        let shortest = self.idle.min(self.head).min(self.stall).min(self.discard).min(self.linger);
        (shortest / 4).clamp(Duration::from_millis(5), Duration::from_secs(1))
    }
}

/// All open connections.
pub(super) struct Connections {
    limits: Limits,
    /// By the connections' numbers.
    places: Mutex<HashMap<u64, Place>>,
    room: Arc<Semaphore>,
    /// No more requests are taken.
    finishing: AtomicBool,
    /// Nothing more is waited for.
    abandoned: AtomicBool,
    full: Rarely,
}

struct Place {
    pulse: Arc<Pulse>,
    /// Of the connection's task, once that has begun.
    waker: Option<Waker>,
    seen: Seen,
}

impl Place {
    /// Lets the connection's task see what was decided. One that has not begun will see it anyway.
    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

/// A connection's place among the open ones, for as long as it is open.
pub(super) struct Taken {
    number: u64,
    connections: Arc<Connections>,
}

impl Taken {
    /// Notes the task that serves the connection, which is always the same.
    pub(super) fn set_waker(&self, waker: &Waker) {
        if let Some(place) = self.connections.places().get_mut(&self.number) {
            place.waker = Some(waker.clone());
        }
    }

    pub(super) fn all(&self) -> &Connections {
        &self.connections
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.connections.places().remove(&self.number);
    }
}

impl Connections {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            places: Mutex::default(),
            room: Arc::new(Semaphore::new(limits.connections_max as usize)),
            finishing: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            full: Rarely::default(),
        })
    }

    fn places(&self) -> MutexGuard<'_, HashMap<u64, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room for one more connection. When there is none, those go that have waited
    /// longest for a request: a client is let in at once, however many others say nothing.
    pub(super) async fn room(&self) -> OwnedSemaphorePermit {
        loop {
            let room = Arc::clone(&self.room);
            if let Ok(permit) = Arc::clone(&room).try_acquire_owned() {
                return permit;
            }
            if self.full.is_due() {
                tracing::warn!(
                    connections_max = self.limits.connections_max,
                    "no more connections are allowed: those that have waited longest for a \
                     request are closed"
                );
            }
            self.close_idle();
            let freed = tokio::time::timeout(ROOM_RETRY_INTERVAL, room.acquire_owned()).await;
            if let Ok(Ok(permit)) = freed {
                return permit;
            }
        }
    }

    /// Ends some of the connections that wait for a request: first those that have never asked for
    /// anything, then those that have waited longest. A hundredth at once, so that a flood of new
    /// connections does not search through all of them for each.
    pub(super) fn close_idle(&self) {
        let mut places = self.places();
        let mut waiting: Vec<_> = places
            .iter_mut()
            .filter_map(|(number, place)| {
                let beat = place.pulse.beat();
                place.seen.note_turn(beat);
                let rank = (!beat.has_never_asked(), Reverse(place.seen.unasked), *number);
                beat.awaits_request().then_some((rank, beat.turn))
            })
            .collect();
        let enough = (self.limits.connections_max as usize).div_ceil(100);
        if waiting.len() > enough {
            waiting.select_nth_unstable(enough);
        }
        for ((_, _, number), turn) in waiting.into_iter().take(enough) {
            if let Some(place) = places.get(&number) {
                place.pulse.end_reading(turn);
                place.wake();
            }
        }
    }

    /// Notes an open connection. They are numbered in the order in which they were accepted.
    pub(super) fn take_place(self: &Arc<Self>, number: u64, pulse: &Arc<Pulse>) -> Taken {
        let place = Place { pulse: Arc::clone(pulse), waker: None, seen: Seen::default() };
        self.places().insert(number, place);
        Taken { number, connections: Arc::clone(self) }
    }

    /// Looks at every connection again and again, and ends those that take too long.
    pub(super) async fn watch(&self) {
        let interval = self.limits.look_interval();
        let mut looked_at = Instant::now();
        loop {
            tokio::time::sleep(interval).await;
            // If the whole process was held up, that is no client's fault.
            let passed = looked_at.elapsed().min(interval * 2);
            looked_at = Instant::now();
            self.look(passed);
        }
    }

    fn look(&self, passed: Duration) {
        for place in self.places().values_mut() {
            let beat = place.pulse.beat();
            let over = place.seen.look(beat, passed, &self.limits);
            if over.discarding {
                place.pulse.end_discarding();
            }
            if over.reading {
                place.pulse.end_reading(beat.turn);
            }
            if over.writing {
                place.pulse.end_writing();
            }
            if over.discarding || over.reading || over.writing {
                place.wake();
            }
        }
    }

    /// Lets every connection end with the request that it is at, and cuts off those that have not
    /// ended after `drain_time`. Whether all ended by themselves.
    pub(super) async fn finish(&self, drain_time: Duration) -> bool {
        self.finishing.store(true, Ordering::Relaxed);
        self.wake_all();
        let drained = tokio::time::timeout(drain_time, async {
            tokio::select! {
                () = self.all_closed() => {}
                () = self.watch() => {}
            }
        });
        let drained = drained.await.is_ok();
        if !drained {
            self.abandoned.store(true, Ordering::Relaxed);
            self.wake_all();
        }
        drained
    }

    /// Waits until no connection is open.
    async fn all_closed(&self) {
        let _all = self.room.acquire_many(self.limits.connections_max).await;
    }

    /// A task that begins after this finds what was decided, since the lock of the places comes
    /// between.
    fn wake_all(&self) {
        for place in self.places().values() {
            place.wake();
        }
    }

    pub(super) fn finishing(&self) -> bool {
        self.finishing.load(Ordering::Relaxed)
    }

    pub(super) fn abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }
}

/// What was seen of a connection so far.
#[derive(Debug, Default)]
struct Seen {
    turn: u64,
    /// How long it has waited for a request.
    unasked: Duration,
    /// How long the request's head has been incomplete.
    head: Duration,
    /// How long the unread rest of a body has been read and dropped.
    discarding: Duration,
    /// How long the server has waited for the client to close the connection.
    lingering: Duration,
    reading: Patience,
    writing: Patience,
}

/// What takes too long.
#[derive(Debug, Default, PartialEq, Eq)]
struct Over {
    reading: bool,
    writing: bool,
    discarding: bool,
}

impl Seen {
    /// Starts anew when the connection has begun something else. Whether it has.
    fn note_turn(&mut self, beat: Beat) -> bool {
        if beat.turn == self.turn {
            return false;
        }
        // While a request is waited for, the last answer may still be on its way.
        if !beat.awaits_request() {
            (self.reading, self.writing) = Default::default();
        }
        (self.turn, self.unasked, self.head) = (beat.turn, Duration::ZERO, Duration::ZERO);
        true
    }

    /// Judges a connection that was looked at before, `passed` ago.
    fn look(&mut self, beat: Beat, passed: Duration, limits: &Limits) -> Over {
        let passed = if self.note_turn(beat) { Duration::ZERO } else { passed };
        let mut reading = self.reading.is_over(beat.body_awaited, beat.read, passed, limits);
        self.discarding = if beat.discarding { self.discarding + passed } else { Duration::ZERO };
        if beat.lingering {
            self.lingering += passed;
            reading |= self.lingering >= limits.linger;
        } else if beat.awaits_request() && !beat.discarding {
            self.unasked += passed;
            if beat.read > 0 {
                self.head += passed;
            }
            reading |= self.unasked >= limits.idle || self.head >= limits.head;
        }
        let writing = self.writing.is_over(beat.write_blocked, beat.written, passed, limits);
        Over { reading, writing, discarding: self.discarding >= limits.discard }
    }
}

/// How long a client has been waited for, in one direction, for the sake of one request.
#[derive(Debug, Default)]
struct Patience {
    awaited: bool,
    moved: u64,
    waited: Duration,
    stalled: Duration,
}

impl Patience {
    fn is_over(&mut self, awaited: bool, moved: u64, passed: Duration, limits: &Limits) -> bool {
        // What lies between two looks at which the client was waited for counts as waiting.
        let waited = if awaited && self.awaited { passed } else { Duration::ZERO };
        let stalled = if moved == self.moved { self.stalled + waited } else { Duration::ZERO };
        self.waited += waited;
        (self.awaited, self.moved, self.stalled) = (awaited, moved, stalled);
        let earned = Duration::from_millis(moved.saturating_mul(1000) / u64::from(limits.rate_min));
        awaited && (self.stalled >= limits.stall || self.waited >= limits.stall + earned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LIMITS: Limits = Limits {
        connections_max: 10,
        idle: Duration::from_secs(60),
        head: Duration::from_secs(20),
        stall: Duration::from_secs(20),
        rate_min: 500,
        discard: Duration::from_secs(30),
        linger: Duration::from_secs(2),
    };
    const SILENT: Beat = Beat {
        turn: 0,
        read: 0,
        written: 0,
        body_awaited: false,
        write_blocked: false,
        discarding: false,
        lingering: false,
    };
    const ANSWERING: Beat = Beat { turn: 1, ..SILENT };

    /// After how many seconds a connection that is looked at each second is over, and in which
    /// direction. `beat` says how it is after so many seconds.
    fn over_after(beat: impl Fn(u64) -> Beat) -> Option<(u64, Over)> {
        let mut seen = Seen::default();
        seen.look(beat(0), SECOND, &LIMITS);
        (1..10_000).find_map(|second| {
            let over = seen.look(beat(second), SECOND, &LIMITS);
            (over != Over::default()).then_some((second, over))
        })
    }

    const READING: Over = Over { reading: true, writing: false, discarding: false };
    const WRITING: Over = Over { reading: false, writing: true, discarding: false };
    const DISCARDING: Over = Over { reading: false, writing: false, discarding: true };

    #[test]
    fn a_connection_that_says_nothing_is_over_when_it_has_been_idle_for_too_long() {
        assert_eq!(over_after(|_| Beat { turn: 2, ..SILENT }), Some((60, READING)));
        let asks_each_minute = |second| Beat { turn: second / 59 * 2, ..SILENT };
        assert_eq!(over_after(asks_each_minute), None);
    }

    #[test]
    fn a_head_is_over_however_steadily_it_comes() {
        let trickle = |second: u64| Beat { read: second.saturating_sub(5), ..SILENT };
        assert_eq!(over_after(trickle), Some((25, READING)));
    }

    #[test]
    fn an_answer_that_takes_its_time_is_no_client_s_fault() {
        assert_eq!(over_after(|_| ANSWERING), None);
    }

    #[test]
    fn a_body_is_over_when_it_stops() {
        let stops =
            |second: u64| Beat { read: second.min(7) * 1_000_000, body_awaited: true, ..ANSWERING };
        assert_eq!(over_after(stops), Some((27, READING)));
    }

    #[test]
    fn a_body_is_over_when_it_trickles_and_not_when_it_is_only_long() {
        let steady =
            |rate| move |second| Beat { read: second * rate, body_awaited: true, ..ANSWERING };
        assert_eq!(over_after(steady(1)), Some((21, READING)));
        assert_eq!(over_after(steady(250)), Some((40, READING)));
        assert_eq!(over_after(steady(500)), None);
    }

    #[test]
    fn time_in_which_the_body_was_not_awaited_does_not_count() {
        let busy = |second: u64| Beat {
            read: second * 10,
            body_awaited: second.is_multiple_of(2),
            ..ANSWERING
        };
        assert_eq!(over_after(busy), None);
    }

    #[test]
    fn every_request_of_a_connection_is_waited_for_anew() {
        let requests = |second: u64| Beat {
            turn: second / 15 * 2 + 1,
            read: 10,
            body_awaited: true,
            ..ANSWERING
        };
        assert_eq!(over_after(requests), None);
    }

    #[test]
    fn an_unread_body_is_over_after_its_own_time_and_is_no_head() {
        let unread = Beat { turn: 2, discarding: true, ..SILENT };
        let trickles = |second| Beat { read: second, ..unread };
        assert_eq!(over_after(trickles), Some((30, DISCARDING)));
        // The answer was on its way for a while.
        let answered = |second| Beat { turn: if second > 3 { 2 } else { 1 }, ..unread };
        assert_eq!(over_after(answered), Some((31, DISCARDING)));
        let ends = |second| Beat { discarding: second < 29, ..unread };
        assert_eq!(over_after(ends), Some((28 + 60, READING)));
    }

    #[test]
    fn a_client_that_does_not_close_is_over_after_a_while() {
        let goes_on = |second| Beat { turn: 2, read: second * 1000, lingering: true, ..SILENT };
        assert_eq!(over_after(goes_on), Some((2, READING)));
    }

    #[test]
    fn an_answer_is_over_when_nobody_takes_it() {
        let refused = Beat { written: 1_000_000, write_blocked: true, ..ANSWERING };
        assert_eq!(over_after(|_| refused), Some((20, WRITING)));
        let sipped = |second| Beat { written: 100_000 + second, ..refused };
        assert_eq!(over_after(sipped), Some((20 + 201, WRITING)));
        // The handler has given all of it, and the socket has not.
        let given = |second: u64| Beat { turn: if second > 3 { 2 } else { 1 }, ..refused };
        assert_eq!(over_after(given), Some((21, WRITING)));
    }
}
