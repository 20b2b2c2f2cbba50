//! The log of failures: the same one at most 10 times a second, then one line a second that says how many
//! more there were (contract: `operations.md`, "Logs").

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::request;
use crate::request_id::RequestId;

/// The time after which what was not written is reported.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often the same failure is written in that time.
const TIMES_MAX: u32 = 10;
/// How many failures are told apart in that time. Further ones are counted with the newest.
const KINDS_MAX: usize = 32;

/// One for the process, as the log is.
static FAILURES: Failures = Failures::new();

#[derive(Debug)]
struct Failures(Mutex<Recent>);

#[derive(Debug)]
struct Recent {
    since: Option<Instant>,
    kinds: Vec<Kind>,
    /// What is to be reported of earlier seconds.
    unreported: Vec<(String, u64)>,
}

/// A failure that happened in the current second.
#[derive(Debug)]
struct Kind {
    name: String,
    written: u32,
    more: u64,
}

/// Logs a failure that is our fault: `what` failed for this cause. Returns the id under which the log has
/// it: the request's, so that whoever called can name it.
pub fn log(what: &'static str, cause: &dyn fmt::Display) -> RequestId {
    let request_id = request::current_id().unwrap_or_default();
    let cause = cause.to_string();
    if is_written(format_args!("{what}: {cause}")) {
        tracing::error!(%request_id, cause, "{what}");
    }
    request_id
}

/// Returns true if a line about a failure of this name should be written: up to 10 times a second. The
/// rest is counted, and reported by [`report_regularly`].
#[must_use]
pub fn is_written(name: fmt::Arguments<'_>) -> bool {
    FAILURES.add(&name.to_string(), Instant::now())
}

/// Reports, once a second, how many failures were not written. Never returns.
pub async fn report_regularly() {
    loop {
        tokio::time::sleep(INTERVAL).await;
        for (failure, more) in FAILURES.unreported(Instant::now()) {
            tracing::error!(failure, more, "the same happened more often than is logged");
        }
    }
}

impl Failures {
    const fn new() -> Self {
        let recent = Recent { since: None, kinds: Vec::new(), unreported: Vec::new() };
        Self(Mutex::new(recent))
    }

    /// Counts a failure. Returns true if its line is to be written.
    fn add(&self, name: &str, now: Instant) -> bool {
        let mut recent = self.at(now);
        let kinds = &mut recent.kinds;
        let known = kinds.iter().position(|kind| kind.name == name);
        let place =
            known.or_else(|| kinds.len().checked_sub(1).filter(|_| kinds.len() >= KINDS_MAX));
        let Some(kind) = place.and_then(|place| kinds.get_mut(place)) else {
            kinds.push(Kind { name: name.to_owned(), written: 1, more: 0 });
            return true;
        };
        let is_written = kind.written < TIMES_MAX;
        if is_written {
            kind.written += 1;
        } else {
            kind.more += 1;
        }
        is_written
    }

    /// Returns what was not written in the seconds that have ended, and forgets it.
    fn unreported(&self, now: Instant) -> Vec<(String, u64)> {
        std::mem::take(&mut self.at(now).unreported)
    }

    /// Begins another second if it is time.
    fn at(&self, now: Instant) -> MutexGuard<'_, Recent> {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.since.is_none_or(|at| now.saturating_duration_since(at) >= INTERVAL) {
            recent.since = Some(now);
            for Kind { name, more, .. } in std::mem::take(&mut recent.kinds) {
                if more > 0 {
                    recent.count_unreported(name, more);
                }
            }
        }
        recent
    }
}

impl Recent {
    /// Adds to what is to be reported. If nobody reports, no more kinds are told apart than in a second.
    fn count_unreported(&mut self, name: String, more: u64) {
        let known = self.unreported.iter().position(|(known, _)| *known == name);
        let is_full = self.unreported.len() >= KINDS_MAX;
        match known.or_else(|| is_full.then_some(KINDS_MAX - 1)) {
            Some(place) => {
                if let Some((_, count)) = self.unreported.get_mut(place) {
                    *count += more;
                }
            }
            None => self.unreported.push((name, more)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_failure_is_written_ten_times_a_second_and_then_counted() {
        let failures = Failures::new();
        let start = Instant::now();
        let mut reported = Vec::new();
        let mut written = 0;
        for ms in 0..5000 {
            let now = start + Duration::from_millis(ms);
            written += u32::from(failures.add("damaged", now));
            reported.extend(failures.unreported(now));
        }
        assert_eq!(written, 5 * TIMES_MAX);
        let more = u64::from(1000 - TIMES_MAX);
        assert_eq!(reported, vec![("damaged".to_owned(), more); 4]);
        let rest = failures.unreported(start + 6 * INTERVAL);
        assert_eq!(rest, [("damaged".to_owned(), more)], "also when it has ended");
        assert!(failures.unreported(start + 9 * INTERVAL).is_empty());
    }

    #[test]
    fn different_failures_are_told_apart_up_to_a_bound() {
        let failures = Failures::new();
        let now = Instant::now();
        let written = (0..1000).filter(|number| failures.add(&number.to_string(), now)).count();
        assert_eq!(written, KINDS_MAX + TIMES_MAX as usize - 1);
        let reported = failures.unreported(now + INTERVAL);
        let more: u64 = reported.iter().map(|(_, more)| more).sum();
        assert_eq!(more as usize, 1000 - written, "none is lost");
        for second in 2..100 {
            for number in 0..1000 {
                failures.add(&format!("{second} {number}"), now + second * INTERVAL);
            }
        }
        assert!(failures.unreported(now + 100 * INTERVAL).len() <= KINDS_MAX);
    }
}
