//! A token bucket: so many requests a second, and so many at once (contract: `operations.md`, "Limits").
//!
//! All that is kept of a bucket is the instant at which it would be full again, so a request is one exchange
//! of a number.

use std::sync::atomic::{AtomicU64, Ordering};

const SECOND_NS: u64 = 1_000_000_000;

/// How fast a bucket fills, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    /// Requests per second; not 0.
    pub(super) per_second: u32,
    /// How many requests there may be at once; not 0.
    pub(super) burst: u32,
}

/// What is left in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    /// Requests that may follow at once.
    pub(super) requests: u32,
    /// Seconds until the bucket is full again, rounded up.
    pub(super) full_in_s: u64,
}

/// Nothing is left for one more request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Empty {
    /// Seconds until there is, rounded up: 1 or more.
    pub(super) retry_in_s: u64,
    /// Seconds until the bucket is full again, rounded up.
    pub(super) full_in_s: u64,
}

/// When the bucket would be full again, in nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Bucket(AtomicU64);

impl Rate {
    /// Nanoseconds after which there is one more request, rounded up: never faster than was said.
    fn interval_ns(self) -> u64 {
        SECOND_NS.div_ceil(u64::from(self.per_second))
    }

    fn whole_ns(self) -> u64 {
        self.interval_ns().saturating_mul(u64::from(self.burst))
    }

    /// Seconds in which an empty bucket fills, rounded up.
    pub(super) fn window_s(self) -> u64 {
        seconds(self.whole_ns())
    }
}

impl Bucket {
    /// Takes one request out. `now_ns` is read off any clock that never goes back.
    pub(super) fn take(&self, rate: Rate, now_ns: u64) -> Result<Left, Empty> {
        let whole = rate.whole_ns();
        let taken = |full_at: u64| full_at.max(now_ns).saturating_add(rate.interval_ns());
        let fits = |full_at: &u64| full_at.saturating_sub(now_ns) <= whole;
        let exchanged = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            Some(taken(full_at)).filter(fits)
        });
        match exchanged {
            Ok(before) => {
                let missing = taken(before).saturating_sub(now_ns);
                let left = whole.saturating_sub(missing) / rate.interval_ns();
                let requests = u32::try_from(left).unwrap_or(u32::MAX);
                Ok(Left { requests, full_in_s: seconds(missing) })
            }
            Err(full_at) => {
                let too_early = taken(full_at).saturating_sub(now_ns).saturating_sub(whole);
                let full_in_s = seconds(full_at.saturating_sub(now_ns));
                Err(Empty { retry_in_s: seconds(too_early).max(1), full_in_s })
            }
        }
    }
}

fn seconds(ns: u64) -> u64 {
    ns.div_ceil(SECOND_NS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATE: Rate = Rate { per_second: 2, burst: 3 };

    #[test]
    fn a_bucket_gives_its_burst_at_once_and_then_its_rate() {
        let bucket = Bucket::default();
        let left = |requests, full_in_s| Ok(Left { requests, full_in_s });
        assert_eq!(bucket.take(RATE, 0), left(2, 1));
        assert_eq!(bucket.take(RATE, 0), left(1, 1));
        assert_eq!(bucket.take(RATE, 0), left(0, 2));
        assert_eq!(bucket.take(RATE, 0), Err(Empty { retry_in_s: 1, full_in_s: 2 }));
        // A refused request takes nothing.
        assert_eq!(bucket.take(RATE, SECOND_NS / 2), left(0, 2));
        assert_eq!(
            bucket.take(RATE, SECOND_NS / 2 + 1),
            Err(Empty { retry_in_s: 1, full_in_s: 2 })
        );
        assert_eq!(
            bucket.take(RATE, 10 * SECOND_NS),
            left(2, 1),
            "it holds no more than its burst"
        );
        assert_eq!(RATE.window_s(), 2);
    }

    #[test]
    fn the_largest_and_the_smallest_rates_stay_in_range() {
        for per_second in [1, 3, 1_000_000] {
            let rate = Rate { per_second, burst: 2_000_000 };
            let bucket = Bucket::default();
            assert_eq!(bucket.take(rate, u64::MAX / 2).unwrap().requests, 1_999_999);
        }
    }

    proptest! {
        /// In any span of time, no more requests pass than the burst and what flowed in.
        #[test]
        fn no_more_pass_than_was_said(
            per_second in 1_u32..1_000,
            burst in 1_u32..50,
            pauses in prop::collection::vec(0_u64..20_000_000, 1..300),
        ) {
            let (rate, bucket) = (Rate { per_second, burst }, Bucket::default());
            let (mut now, mut passed) = (0, Vec::new());
            for pause in pauses {
                now += pause;
                if bucket.take(rate, now).is_ok() {
                    passed.push(now);
                }
            }
            for (first, begun) in passed.iter().enumerate() {
                for (last, ended) in passed.iter().enumerate().skip(first) {
                    let flowed = (ended - begun) / rate.interval_ns();
                    prop_assert!((last - first) as u64 <= flowed + u64::from(burst));
                }
            }
        }
    }
}
