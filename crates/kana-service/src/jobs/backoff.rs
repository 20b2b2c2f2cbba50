use std::time::Duration;

/// Pauses after failed attempts. Each is up to twice as long as the one before, and at random, so
/// that jobs which failed together are not tried again together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first pause at most.
    pub first: Duration,
    /// The longest pause.
    pub max: Duration,
}

impl Backoff {
    /// Returns the pause after so many failed attempts in a row.
    #[must_use]
    pub(super) fn pause_after(self, attempts: u32) -> Duration {
        // Without randomness, the pauses are the same for all.
        self.pause(attempts, getrandom::u32().unwrap_or_default())
    }

    /// Between half of the longest and the longest, by the chance.
    fn pause(self, attempts: u32, chance: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1));
        let half = self.first.saturating_mul(doubled).min(self.max) / 2;
        let nanos = half.as_nanos() * u128::from(chance) / u128::from(u32::MAX);
        half + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BACKOFF: Backoff =
        Backoff { first: Duration::from_secs(1), max: Duration::from_secs(3600) };

    #[test]
    fn pauses_double_until_they_are_as_long_as_they_may_be() {
        let longest = |attempts| BACKOFF.pause(attempts, u32::MAX).as_secs();
        assert_eq!(
            [0, 1, 2, 3, 12, 13, 99, u32::MAX].map(longest),
            [1, 1, 2, 4, 2048, 3600, 3600, 3600]
        );
        assert_eq!(BACKOFF.pause(3, 0), Duration::from_secs(2));
    }

    proptest! {
        #[test]
        fn a_pause_is_within_its_bounds(attempts: u32, chance: u32) {
            let longest = BACKOFF.pause(attempts, u32::MAX);
            let pause = BACKOFF.pause(attempts, chance);
            prop_assert!(longest / 2 <= pause && pause <= longest && longest <= BACKOFF.max);
        }
    }

    #[test]
    fn pauses_are_at_random() {
        let pauses: std::collections::HashSet<_> =
            (0..10).map(|_| BACKOFF.pause_after(10)).collect();
        assert!(pauses.len() > 1);
    }
}
