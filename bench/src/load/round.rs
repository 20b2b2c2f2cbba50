//! What was measured: one round, several rounds, and rounds in turn.

use std::time::Duration;

use anyhow::{Result, bail};
use hdrhistogram::Histogram;

/// What one round of load has shown.
pub(crate) struct Round {
    /// Things that are counted in one answer.
    units: u32,
    /// How long was counted.
    pub(super) length: Duration,
    /// How long answers took, in nanoseconds.
    latency: Histogram<u64>,
    wrong: u64,
    first_wrong: Option<String>,
    /// CPU time of the server and of the generator meanwhile.
    pub(super) server_cpu: Duration,
    pub(super) load_cpu: Duration,
    /// The most anonymous resident memory of the server.
    pub(super) memory_bytes_max: u64,
}

/// Latencies are known to three digits, up to a minute.
const LATENCY_NS_MAX: u64 = 60_000_000_000;
const DIGITS: u8 = 3;

impl Round {
    pub(super) fn new(units: u32, length: Duration) -> Result<Self> {
        Ok(Self {
            units,
            length,
            latency: Histogram::new_with_max(LATENCY_NS_MAX, DIGITS)?,
            wrong: 0,
            first_wrong: None,
            server_cpu: Duration::ZERO,
            load_cpu: Duration::ZERO,
            memory_bytes_max: 0,
        })
    }

    pub(super) fn count(&mut self, latency: Duration) {
        self.latency.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(super) fn note_wrong(&mut self, answer: String) {
        self.wrong += 1;
        self.first_wrong.get_or_insert(answer);
    }

    /// How many things were done in the time that was counted.
    pub(crate) fn units(&self) -> u64 {
        self.latency.len() * u64::from(self.units)
    }

    /// How many answers took longer.
    #[cfg(test)]
    pub(super) fn slower_than(&self, latency: Duration) -> u64 {
        let ns = u64::try_from(latency.as_nanos()).unwrap();
        self.latency.count_between(ns, LATENCY_NS_MAX)
    }

    /// An error when there were wrong answers, or none: the round then says nothing.
    fn check(self) -> Result<Self> {
        if let Some(answer) = &self.first_wrong {
            bail!("{} answers were wrong, the first: {answer}", self.wrong);
        }
        if self.latency.is_empty() {
            bail!("there was no answer in {:?}", self.length);
        }
        Ok(self)
    }

    /// Things a second.
    fn rate(&self) -> f64 {
        self.units() as f64 / self.length.as_secs_f64()
    }

    fn cpu_us_each(&self) -> f64 {
        self.server_cpu.as_secs_f64() * 1e6 / self.units() as f64
    }

    fn latency_ms(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1e6
    }
}

/// The rounds of one contestant.
#[derive(Default)]
pub(crate) struct Rounds(Vec<Round>);

/// The median of some figures, and the least and the greatest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of figures of which there is at least one.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let (low, high) = (sorted.len().saturating_sub(1) / 2, sorted.len() / 2);
        Self {
            median: (at(low) + at(high)) / 2.0,
            min: at(0),
            max: at(sorted.len().saturating_sub(1)),
        }
    }
}

impl Rounds {
    /// Adds a round that was run. One that says nothing is an error.
    pub(crate) fn add(&mut self, round: Round) -> Result<()> {
        self.0.push(round.check()?);
        Ok(())
    }

    fn spread(&self, figure: impl Fn(&Round) -> f64) -> Spread {
        Spread::of(self.0.iter().map(figure))
    }

    /// Things a second.
    pub(crate) fn rate(&self) -> Spread {
        self.spread(Round::rate)
    }

    /// The server's CPU time for one thing, in microseconds.
    pub(crate) fn cpu_us_each(&self) -> Spread {
        self.spread(Round::cpu_us_each)
    }

    /// The latency that this part of the answers, from 0 to 1, stayed within, in milliseconds.
    pub(crate) fn latency_ms(&self, quantile: f64) -> Spread {
        self.spread(|round| round.latency_ms(quantile))
    }

    /// The part of one core that the server took.
    pub(crate) fn server_share(&self) -> f64 {
        self.spread(|round| round.server_cpu.as_secs_f64() / round.length.as_secs_f64()).median
    }

    /// The part of one core that the generator took.
    pub(crate) fn load_share(&self) -> f64 {
        self.spread(|round| round.load_cpu.as_secs_f64() / round.length.as_secs_f64()).median
    }

    /// The most anonymous memory of the server, in millions of bytes.
    pub(crate) fn memory_mb_max(&self) -> Spread {
        self.spread(|round| round.memory_bytes_max as f64 / 1e6)
    }

    /// All things that were done and counted.
    pub(crate) fn units(&self) -> u64 {
        self.0.iter().map(Round::units).sum()
    }

    /// This rate by that one: the ratio of the medians, with the least and the greatest ratio of
    /// two rounds that were run one after the other.
    pub(crate) fn ratio_to(&self, other: &Self) -> Spread {
        let pairs = self.0.iter().zip(&other.0);
        let paired = Spread::of(pairs.map(|(one, other)| one.rate() / other.rate()));
        Spread { median: self.rate().median / other.rate().median, ..paired }
    }
}

/// What runs one round; `None` for a contestant that is not there.
pub(crate) type Contestant<'a> = Option<&'a mut dyn FnMut() -> Result<Round>>;

/// Runs several contestants in turn, A, B, A, B, so that a machine that changes its speed changes
/// it for all of them. Who is not there has no rounds.
pub(crate) fn in_turn<const N: usize>(
    rounds: usize,
    mut contestants: [Contestant<'_>; N],
) -> Result<[Rounds; N]> {
    let mut all = std::array::from_fn(|_| Rounds::default());
    for _ in 0..rounds {
        for (rounds, contestant) in all.iter_mut().zip(&mut contestants) {
            if let Some(contestant) = contestant {
                rounds.0.push(contestant()?.check()?);
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(answers: u64, seconds: u64) -> Round {
        let mut round = Round::new(2, Duration::from_secs(seconds)).unwrap();
        for _ in 0..answers {
            round.count(Duration::from_millis(3));
        }
        round
    }

    #[test]
    fn a_spread_is_the_median_with_its_bounds() {
        let spread = |median, min, max| Spread { median, min, max };
        assert_eq!(Spread::of([3.0]), spread(3.0, 3.0, 3.0));
        assert_eq!(Spread::of([9.0, 1.0, 4.0]), spread(4.0, 1.0, 9.0));
        assert_eq!(Spread::of([9.0, 1.0, 4.0, 2.0]), spread(3.0, 1.0, 9.0));
        assert!(Spread::of([]).median.is_nan());
    }

    #[test]
    fn contestants_run_in_turn_and_are_compared_in_pairs() {
        let order = std::cell::RefCell::new(String::new());
        let mut fast = || {
            order.borrow_mut().push('A');
            Ok(round(20, 2))
        };
        let mut slow = || {
            order.borrow_mut().push('B');
            Ok(round(if order.borrow().len() == 2 { 5 } else { 10 }, 2))
        };
        let [fast, none, slow] = in_turn(3, [Some(&mut fast), None, Some(&mut slow)]).unwrap();
        assert_eq!(*order.borrow(), "ABABAB");
        assert_eq!(fast.rate(), Spread { median: 20.0, min: 20.0, max: 20.0 });
        assert_eq!(fast.ratio_to(&slow), Spread { median: 2.0, min: 2.0, max: 4.0 });
        assert_eq!((slow.units(), none.units()), (50, 0));
        assert!((slow.latency_ms(0.99).median - 3.0).abs() < 0.01);
    }

    #[test]
    fn a_round_with_a_wrong_answer_or_none_fails() {
        let mut wrong = || {
            let mut round = round(5, 1);
            round.note_wrong("first".to_owned());
            round.note_wrong("second".to_owned());
            Ok(round)
        };
        let error = in_turn(1, [Some(&mut wrong)]).err().unwrap().to_string();
        assert_eq!(error, "2 answers were wrong, the first: first");
        assert!(in_turn(1, [Some(&mut || Ok(round(0, 1)))]).is_err());
    }
}
