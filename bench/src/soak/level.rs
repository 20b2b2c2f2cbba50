//! Whether a level that is sampled stays where it is.

/// How much it may rise, in percent.
const RISE_MAX: u64 = 10;

/// The first and the last quarter of samples, each by its median.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Level {
    pub(super) first: u64,
    pub(super) last: u64,
}

impl Level {
    /// `None` for fewer than four samples.
    pub(super) fn of(samples: &[u64]) -> Option<Self> {
        let quarter = samples.len() / 4;
        if quarter == 0 {
            return None;
        }
        let (first, last) = (&samples[..quarter], &samples[samples.len() - quarter..]);
        Some(Self { first: median(first), last: median(last) })
    }

    /// Whether the last quarter is at most 10% above the first. It may be lower.
    pub(super) fn stays(self) -> bool {
        self.last * 100 <= self.first * (100 + RISE_MAX)
    }

    /// By how many percent the last quarter is above the first, to show. Negative if it is below.
    pub(super) fn rise_percent(self) -> f64 {
        (self.last as f64 / self.first as f64 - 1.0) * 100.0
    }
}

fn median(samples: &[u64]) -> u64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rise_is_between_the_quarters_and_not_a_peak() {
        let stays = |samples: &[u64]| Level::of(samples).unwrap().stays();
        let steady: Vec<u64> = (0..40).map(|n| 1000 + n % 3).collect();
        assert!(stays(&steady));
        let mut peak = steady.clone();
        peak[39] = 5000;
        assert!(stays(&peak));
        let leak: Vec<u64> = (0..40).map(|n| 1000 + 5 * n).collect();
        assert!(!stays(&leak));
        let falls: Vec<u64> = leak.into_iter().rev().collect();
        assert!(stays(&falls));
        assert!(stays(&[100, 100, 100, 110]) && !stays(&[100, 100, 100, 111]));
        assert_eq!(Level { first: 100, last: 125 }.rise_percent(), 25.0);
        assert_eq!(Level::of(&[1, 2, 3]), None);
    }
}
