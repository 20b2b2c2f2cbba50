//! Throttles failed sign-ins (contract: `dashboard.md`, "throttle"). Nobody is locked out for
//! good.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kana_core::Timestamp;
use sha2::{Digest, Sha256};

/// How long a failure counts.
const WINDOW_MS: i64 = 15 * 60 * 1000;
/// After how many failures an e-mail has to wait.
const FREE_PER_EMAIL: usize = 5;
/// After how many failures an address has to wait.
const FREE_PER_ADDRESS: usize = 50;
const WAIT_MIN_MS: i64 = 1000;
const WAIT_MAX_MS: i64 = 60_000;
/// How many more failures than the free ones make the wait as long as it gets.
const DOUBLINGS_MAX: usize = 6;
/// How many e-mails, and how many addresses, are remembered.
const REMEMBERED_MAX: usize = 10_000;

/// Failed attempts to sign in, on this node.
#[derive(Default)]
pub(super) struct Throttle(Mutex<Failures>);

struct Failures {
    by_email: FailuresBy<[u8; 32]>,
    by_address: FailuresBy<IpAddr>,
}

impl Default for Failures {
    fn default() -> Self {
        Self {
            by_email: FailuresBy::new(FREE_PER_EMAIL),
            by_address: FailuresBy::new(FREE_PER_ADDRESS),
        }
    }
}

/// An attempt that may be made. It counts as failed from the start, so that many at the same time gain
/// nothing.
#[must_use]
pub(super) struct Attempt {
    /// The hash of the e-mail, which takes as little memory for a long one.
    email: [u8; 32],
    address: IpAddr,
    at: Timestamp,
}

impl Throttle {
    /// Begins an attempt. Fails with how long to wait for the next one.
    pub(super) fn begin(
        &self,
        email: &str,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Attempt, Duration> {
        let attempt = Attempt {
            email: Sha256::digest(email.as_bytes()).into(),
            address: network(address),
            at: now,
        };
        let mut failures = self.lock();
        let Failures { by_email, by_address } = &mut *failures;
        let waits = [by_email.wait(&attempt.email, now), by_address.wait(&attempt.address, now)];
        if let Some(wait) = waits.into_iter().flatten().max() {
            return Err(wait);
        }
        by_email.note(attempt.email, now);
        by_address.note(attempt.address, now);
        Ok(attempt)
    }

    /// Forgets the failures of the e-mail, since the password was right. Those of the address count on,
    /// since an attacker may have an account, too.
    pub(super) fn succeeded(&self, attempt: &Attempt) {
        let mut failures = self.lock();
        failures.by_email.times.remove(&attempt.email);
        failures.by_address.take_back(&attempt.address, attempt.at);
    }

    /// Forgets an attempt whose password was not checked.
    pub(super) fn take_back(&self, attempt: &Attempt) {
        let mut failures = self.lock();
        failures.by_email.take_back(&attempt.email, attempt.at);
        failures.by_address.take_back(&attempt.address, attempt.at);
    }

    fn lock(&self) -> MutexGuard<'_, Failures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns what counts as one address. An IPv6 address comes with a whole network of others.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mask = Ipv6Addr::from(u128::from(u64::MAX) << 64);
            IpAddr::V6(address & mask)
        }
        address => address,
    }
}

/// Failures by e-mail or by address.
struct FailuresBy<K> {
    free: usize,
    /// The newest failures of each, oldest first.
    times: HashMap<K, VecDeque<Timestamp>>,
}

impl<K: Copy + Eq + Hash> FailuresBy<K> {
    fn new(free: usize) -> Self {
        Self { free, times: HashMap::new() }
    }

    /// Returns how long the next attempt has to wait; `None` if it may be made now.
    fn wait(&mut self, key: &K, now: Timestamp) -> Option<Duration> {
        let times = self.times.get_mut(key)?;
        let last = keep_recent(times, now)?;
        let doublings = times.len().checked_sub(self.free)?;
        let doublings = u32::try_from(doublings.min(DOUBLINGS_MAX)).ok()?;
        let wait = (WAIT_MIN_MS << doublings).min(WAIT_MAX_MS);
        let left = wait - (now.as_ms() - last.as_ms());
        u64::try_from(left).ok().filter(|left| *left > 0).map(Duration::from_millis)
    }

    fn note(&mut self, key: K, now: Timestamp) {
        if self.times.len() >= REMEMBERED_MAX && !self.times.contains_key(&key) {
            self.make_room(now);
        }
        let times = self.times.entry(key).or_default();
        times.push_back(now);
        if times.len() > self.free + DOUBLINGS_MAX {
            times.pop_front();
        }
    }

    fn take_back(&mut self, key: &K, at: Timestamp) {
        let Some(times) = self.times.get_mut(key) else { return };
        if let Some(place) = times.iter().rposition(|time| *time == at) {
            times.remove(place);
        }
        if times.is_empty() {
            self.times.remove(key);
        }
    }

    /// Forgets those without recent failures, and if there are none, the one with the fewest: whoever
    /// wants a guessed e-mail to be forgotten has to guess at as many others.
    fn make_room(&mut self, now: Timestamp) {
        self.times.retain(|_, times| keep_recent(times, now).is_some());
        if self.times.len() < REMEMBERED_MAX {
            return;
        }
        let fewest = self.times.iter().min_by_key(|(_, times)| (times.len(), times.back()));
        if let Some(key) = fewest.map(|(key, _)| *key) {
            self.times.remove(&key);
        }
    }
}

/// Forgets failures that no longer count. Returns the last one.
fn keep_recent(times: &mut VecDeque<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    while times.front().is_some_and(|first| now.as_ms() - first.as_ms() >= WINDOW_MS) {
        times.pop_front();
    }
    // A clock that was set back must not make anybody wait for longer.
    times.iter_mut().for_each(|time| *time = (*time).min(now));
    times.back().copied()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(1_700_000_000_000 + ms)
    }

    /// How many seconds an attempt is told to wait; 0 if it may be made, and then fails.
    fn attempt(throttle: &Throttle, email: &str, ms: i64) -> u64 {
        match throttle.begin(email, HERE, at(ms)) {
            Ok(_) => 0,
            Err(wait) => wait.as_millis().div_ceil(1000) as u64,
        }
    }

    #[test]
    fn an_email_waits_after_five_failures_ever_longer_up_to_a_minute() {
        let throttle = Throttle::default();
        let mut now = 0;
        for _ in 0..5 {
            assert_eq!(attempt(&throttle, "ada", now), 0);
        }
        for expected in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            assert_eq!(attempt(&throttle, "ada", now), expected);
            assert_eq!(attempt(&throttle, "ada", now + 999), expected);
            now += i64::try_from(expected).unwrap() * 1000;
            assert_eq!(attempt(&throttle, "ada", now), 0);
        }
        assert_eq!(attempt(&throttle, "bob", now), 0);
        assert_eq!(attempt(&throttle, "ada", now + WINDOW_MS), 0);
    }

    #[test]
    fn an_attempt_that_is_refused_does_not_count() {
        let throttle = Throttle::default();
        for ms in 0..100 {
            attempt(&throttle, "ada", ms);
        }
        assert_eq!(attempt(&throttle, "ada", 1004), 0);
    }

    #[test]
    fn a_right_password_forgets_the_failures_of_the_email_and_not_those_of_the_address() {
        let throttle = Throttle::default();
        for number in 0..45 {
            assert_eq!(attempt(&throttle, &number.to_string(), 0), 0);
        }
        for _ in 0..4 {
            assert_eq!(attempt(&throttle, "ada", 0), 0);
        }
        let right = throttle.begin("ada", HERE, at(0)).unwrap();
        throttle.succeeded(&right);
        assert_eq!(attempt(&throttle, "ada", 0), 0);
        assert_eq!(attempt(&throttle, "ada", 0), 1, "this is the fiftieth failure of the address");
        let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        assert!(throttle.begin("ada", elsewhere, at(0)).is_ok());
    }

    #[test]
    fn an_attempt_whose_password_was_not_checked_does_not_count() {
        let throttle = Throttle::default();
        for _ in 0..100 {
            let attempt = throttle.begin("ada", HERE, at(0)).unwrap();
            throttle.take_back(&attempt);
        }
        assert!(throttle.lock().by_email.times.is_empty());
        assert!(throttle.lock().by_address.times.is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let parse = |text: &str| network(text.parse().unwrap());
        assert_eq!(parse("2001:db8:1:2::1"), parse("2001:db8:1:2:ffff::9"));
        assert_ne!(parse("2001:db8:1:2::1"), parse("2001:db8:1:3::1"));
        assert_ne!(parse("192.0.2.1"), parse("192.0.2.2"));
        assert_eq!(parse("::ffff:192.0.2.1"), parse("192.0.2.1"));
    }

    #[test]
    fn the_memory_is_bounded_and_whoever_failed_most_is_remembered() {
        let throttle = Throttle::default();
        let from = |number: u32| IpAddr::V4(Ipv4Addr::from(number));
        for _ in 0..5 {
            assert!(throttle.begin("ada", from(1), at(0)).is_ok());
        }
        for number in 0..u32::try_from(REMEMBERED_MAX).unwrap() + 100 {
            assert!(throttle.begin(&number.to_string(), from(number + 2), at(1)).is_ok());
        }
        assert_eq!(throttle.lock().by_email.times.len(), REMEMBERED_MAX);
        assert_eq!(throttle.lock().by_address.times.len(), REMEMBERED_MAX);
        assert!(throttle.begin("ada", from(1), at(1)).is_err());
    }

    proptest! {
        /// However attempts come, each is answered as the whole list of earlier failures says.
        #[test]
        fn the_wait_follows_from_all_failures_of_the_last_fifteen_minutes(
            steps in prop::collection::vec((0_i64..100_000, 0_u8..2), 0..200),
        ) {
            let throttle = Throttle::default();
            let mut failures: Vec<(i64, u8)> = Vec::new();
            let mut now = 0;
            for (step, email) in steps {
                now += step;
                let of = |free: usize, counts: &dyn Fn(u8) -> bool| {
                    let recent: Vec<i64> = failures
                        .iter()
                        .filter(|(at, email)| now - at < WINDOW_MS && counts(*email))
                        .map(|(at, _)| *at)
                        .collect();
                    let doublings = recent.len().checked_sub(free)?;
                    let wait = 1000_i64.checked_mul(1 << doublings.min(20)).unwrap().min(60_000);
                    Some(recent.last()? + wait - now).filter(|left| *left > 0)
                };
                let expected = of(5, &|other| other == email).max(of(50, &|_| true));
                let answered = throttle.begin(&email.to_string(), HERE, at(now));
                let waits = answered.err().map(|wait| i64::try_from(wait.as_millis()).unwrap());
                prop_assert_eq!(waits, expected);
                if waits.is_none() {
                    failures.push((now, email));
                }
            }
        }

        #[test]
        fn nobody_waits_for_more_than_a_minute_whatever_the_clock_does(
            steps in prop::collection::vec(-2_000_000_i64..2_000_000, 0..200),
        ) {
            let throttle = Throttle::default();
            for now in steps {
                if let Err(wait) = throttle.begin("ada", HERE, at(now)) {
                    prop_assert!(wait <= Duration::from_secs(60));
                }
            }
        }
    }
}
