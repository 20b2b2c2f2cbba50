//! How long a client has kept the server waiting. One sweep over all connections now and then
//! stands in for timers that every request would have to set, so a limit takes effect late by up to
//! one interval.

use std::time::Duration;

use crate::activity::Snapshot;
use crate::limits::Limits;

/// What a connection has been waiting for, as far as the sweeps have seen.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    turn: u64,
    /// For a request.
    request: Duration,
    /// For the rest of a request's head.
    head: Duration,
    /// For the end of an unread body that is dropped.
    discarding: Duration,
    /// For the client to close the connection.
    lingering: Duration,
    handling: Handling,
    reading: Stall,
    writing: Stall,
}

/// What takes too long.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Overdue {
    pub(crate) reading: bool,
    pub(crate) writing: bool,
    pub(crate) discarding: bool,
    /// The handler has not answered in time.
    pub(crate) handling: bool,
}

impl Waits {
    /// Returns how long the connection has waited for a request.
    pub(crate) fn for_request(&self) -> Duration {
        self.request
    }

    /// Starts anew if the connection has changed its turn. Returns true if it has.
    pub(crate) fn note_turn(&mut self, now: Snapshot) -> bool {
        if now.turn == self.turn {
            return false;
        }
        // While a request is waited for, the last response may still be on its way.
        if !now.awaits_request() {
            (self.reading, self.writing, self.handling) = Default::default();
        }
        (self.turn, self.request, self.head) = (now.turn, Duration::ZERO, Duration::ZERO);
        true
    }

    /// Adds the time that has passed since the last sweep, and returns what is overdue.
    pub(crate) fn sweep(&mut self, now: Snapshot, passed: Duration, limits: &Limits) -> Overdue {
        let passed = if self.note_turn(now) { Duration::ZERO } else { passed };
        let mut reading = self.reading.is_overdue(now.body_awaited, now.read, passed, limits);
        self.discarding = if now.discarding { self.discarding + passed } else { Duration::ZERO };
        if now.lingering {
            self.lingering += passed;
            reading |= self.lingering >= limits.linger;
        } else if now.awaits_request() && !now.discarding {
            self.request += passed;
            if now.read > 0 {
                self.head += passed;
            }
            reading |= self.request >= limits.idle || self.head >= limits.head;
        }
        let writing = self.writing.is_overdue(now.write_blocked, now.written, passed, limits);
        let handling = self.handling.is_overdue(now, passed, limits);
        Overdue { reading, writing, discarding: self.discarding >= limits.discard, handling }
    }
}

/// How long a handler has taken since the last byte of the request.
#[derive(Debug, Default)]
struct Handling {
    read: u64,
    taken: Duration,
}

impl Handling {
    fn is_overdue(&mut self, now: Snapshot, passed: Duration, limits: &Limits) -> bool {
        let is_at_work = now.handling && !now.body_awaited && now.read == self.read;
        self.taken = if is_at_work { self.taken + passed } else { Duration::ZERO };
        self.read = now.read;
        is_at_work && self.taken >= limits.response
    }
}

/// How long one request has waited for its client, in one direction.
#[derive(Debug, Default)]
struct Stall {
    is_waiting: bool,
    /// Bytes that were moved.
    moved: u64,
    /// All of the waiting.
    waited: Duration,
    /// Since a byte was moved.
    stalled: Duration,
}

impl Stall {
    fn is_overdue(
        &mut self,
        is_waiting: bool,
        moved: u64,
        passed: Duration,
        limits: &Limits,
    ) -> bool {
        // The time between two sweeps counts if both found the connection waiting.
        let waited = if is_waiting && self.is_waiting { passed } else { Duration::ZERO };
        let stalled = if moved == self.moved { self.stalled + waited } else { Duration::ZERO };
        self.waited += waited;
        (self.is_waiting, self.moved, self.stalled) = (is_waiting, moved, stalled);
        let earned = Duration::from_millis(moved.saturating_mul(1000) / u64::from(limits.rate_min));
        is_waiting && (self.stalled >= limits.stall || self.waited >= limits.stall + earned)
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
        response: Duration::from_secs(40),
        stall: Duration::from_secs(20),
        rate_min: 500,
        discard: Duration::from_secs(30),
        linger: Duration::from_secs(2),
    };
    const SILENT: Snapshot = Snapshot {
        turn: 0,
        read: 0,
        written: 0,
        body_awaited: false,
        handling: false,
        write_blocked: false,
        discarding: false,
        lingering: false,
    };
    const RESPONDING: Snapshot = Snapshot { turn: 1, ..SILENT };

    /// Returns what is overdue first on a connection that is swept each second, and after how many
    /// seconds. `snapshot` says what it is doing at each second.
    fn overdue_after(snapshot: impl Fn(u64) -> Snapshot) -> Option<(u64, Overdue)> {
        let mut waits = Waits::default();
        waits.sweep(snapshot(0), SECOND, &LIMITS);
        (1..10_000).find_map(|second| {
            let overdue = waits.sweep(snapshot(second), SECOND, &LIMITS);
            (overdue != Overdue::default()).then_some((second, overdue))
        })
    }

    const NOTHING: Overdue =
        Overdue { reading: false, writing: false, discarding: false, handling: false };
    const READING: Overdue = Overdue { reading: true, ..NOTHING };
    const WRITING: Overdue = Overdue { writing: true, ..NOTHING };
    const DISCARDING: Overdue = Overdue { discarding: true, ..NOTHING };
    const HANDLING: Overdue = Overdue { handling: true, ..NOTHING };

    #[test]
    fn a_connection_that_says_nothing_is_over_when_it_has_been_idle_for_too_long() {
        assert_eq!(overdue_after(|_| Snapshot { turn: 2, ..SILENT }), Some((60, READING)));
        let asks_each_minute = |second| Snapshot { turn: second / 59 * 2, ..SILENT };
        assert_eq!(overdue_after(asks_each_minute), None);
    }

    #[test]
    fn a_head_is_over_however_steadily_it_comes() {
        let trickle = |second: u64| Snapshot { read: second.saturating_sub(5), ..SILENT };
        assert_eq!(overdue_after(trickle), Some((25, READING)));
    }

    #[test]
    fn an_answer_that_takes_its_time_is_no_client_s_fault() {
        assert_eq!(overdue_after(|_| RESPONDING), None);
    }

    #[test]
    fn a_handler_is_over_when_it_does_not_answer_although_it_has_the_whole_request() {
        let handling = Snapshot { handling: true, ..RESPONDING };
        assert_eq!(overdue_after(|_| handling), Some((40, HANDLING)));
        // Its body comes for a while.
        let reads = |second: u64| Snapshot { read: second.min(100) * 1000, ..handling };
        assert_eq!(overdue_after(reads), Some((140, HANDLING)));
        let answers = |second: u64| Snapshot { handling: second < 40, ..handling };
        assert_eq!(overdue_after(answers), None);
        let requests = |second: u64| Snapshot { turn: second / 30 * 2 + 1, ..handling };
        assert_eq!(overdue_after(requests), None);
    }

    #[test]
    fn a_body_is_over_when_it_stops() {
        let stops = |second: u64| Snapshot {
            read: second.min(7) * 1_000_000,
            body_awaited: true,
            ..RESPONDING
        };
        assert_eq!(overdue_after(stops), Some((27, READING)));
    }

    #[test]
    fn a_body_is_over_when_it_trickles_and_not_when_it_is_only_long() {
        let steady =
            |rate| move |second| Snapshot { read: second * rate, body_awaited: true, ..RESPONDING };
        assert_eq!(overdue_after(steady(1)), Some((21, READING)));
        assert_eq!(overdue_after(steady(250)), Some((40, READING)));
        assert_eq!(overdue_after(steady(500)), None);
    }

    #[test]
    fn time_in_which_the_body_was_not_awaited_does_not_count() {
        let busy = |second: u64| Snapshot {
            read: second * 10,
            body_awaited: second.is_multiple_of(2),
            ..RESPONDING
        };
        assert_eq!(overdue_after(busy), None);
    }

    #[test]
    fn every_request_of_a_connection_is_waited_for_anew() {
        let requests = |second: u64| Snapshot {
            turn: second / 15 * 2 + 1,
            read: 10,
            body_awaited: true,
            ..RESPONDING
        };
        assert_eq!(overdue_after(requests), None);
    }

    #[test]
    fn an_unread_body_is_overdue_after_its_own_time_and_is_no_head() {
        let unread = Snapshot { turn: 2, discarding: true, ..SILENT };
        let trickles = |second| Snapshot { read: second, ..unread };
        assert_eq!(overdue_after(trickles), Some((30, DISCARDING)));
        // The answer was on its way for a while.
        let answered = |second| Snapshot { turn: if second > 3 { 2 } else { 1 }, ..unread };
        assert_eq!(overdue_after(answered), Some((31, DISCARDING)));
        let ends = |second| Snapshot { discarding: second < 29, ..unread };
        assert_eq!(overdue_after(ends), Some((28 + 60, READING)));
    }

    #[test]
    fn a_client_that_does_not_close_is_overdue_after_a_while() {
        let goes_on = |second| Snapshot { turn: 2, read: second * 1000, lingering: true, ..SILENT };
        assert_eq!(overdue_after(goes_on), Some((2, READING)));
    }

    #[test]
    fn an_answer_is_over_when_nobody_takes_it() {
        let refused = Snapshot { written: 1_000_000, write_blocked: true, ..RESPONDING };
        assert_eq!(overdue_after(|_| refused), Some((20, WRITING)));
        let sipped = |second| Snapshot { written: 100_000 + second, ..refused };
        assert_eq!(overdue_after(sipped), Some((20 + 201, WRITING)));
        // The handler has given all of it, and the socket has not.
        let given = |second: u64| Snapshot { turn: if second > 3 { 2 } else { 1 }, ..refused };
        assert_eq!(overdue_after(given), Some((21, WRITING)));
    }
}
