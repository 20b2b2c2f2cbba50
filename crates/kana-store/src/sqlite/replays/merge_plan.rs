//! Which runs are merged: a pure choice.
//!
//! Runs of one period and level are merged when there are enough of them. The runs of a period that has
//! ended are merged into one, so that few runs are asked for a key.

use std::collections::BTreeMap;

use super::run::Run;

/// The maximum number of runs that are merged at once.
const INPUTS_MAX: usize = 64;
/// How much larger than all smaller ones together a run can be that is merged with them.
const LARGER_MAX: u64 = 8;

/// Runs that are to be merged, and the level of the new one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) inputs: Vec<i64>,
    pub(super) level: u32,
}

/// Returns what is to be merged of all runs that are whole.
pub(super) fn plans<'a>(
    whole: impl Iterator<Item = &'a Run>,
    current_period: i64,
    fan_out: usize,
) -> Vec<Plan> {
    let mut periods = BTreeMap::<i64, Vec<&Run>>::new();
    for run in whole {
        periods.entry(run.period).or_default().push(run);
    }
    let of_period = |(period, runs): (i64, Vec<&Run>)| {
        if period == current_period { of_levels(&runs, fan_out) } else { of_ended(&runs) }
    };
    periods.into_iter().flat_map(of_period).collect()
}

fn of_levels(runs: &[&Run], fan_out: usize) -> Vec<Plan> {
    let mut levels = BTreeMap::<u32, Vec<i64>>::new();
    for run in runs.iter().filter(|run| run.merges_into.is_none()) {
        levels.entry(run.level).or_default().push(run.id);
    }
    let mut plans = Vec::new();
    for (level, mut ids) in levels {
        ids.sort_unstable();
        for inputs in ids.chunks_exact(fan_out) {
            plans.push(Plan { inputs: inputs.to_vec(), level: level.saturating_add(1) });
        }
    }
    plans
}

fn of_ended(runs: &[&Run]) -> Vec<Plan> {
    if runs.iter().any(|run| run.merges_into.is_some()) {
        return Vec::new();
    }
    let mut smallest_first = runs.to_vec();
    smallest_first.sort_by_key(|run| (run.keys, run.id));
    smallest_first.truncate(INPUTS_MAX);
    // A large run is not written again for a few records.
    let (mut sum, mut count) = (0, 0);
    for (at, run) in smallest_first.iter().enumerate() {
        let keys = u64::from(run.keys);
        if at > 0 && keys <= LARGER_MAX * sum {
            count = at + 1;
        }
        sum += keys;
    }
    if count < 2 {
        return Vec::new();
    }
    smallest_first.truncate(count);
    let inputs = smallest_first.iter().map(|run| run.id).collect();
    let level = smallest_first.iter().map(|run| run.level).max().unwrap_or(0);
    vec![Plan { inputs, level }]
}

#[cfg(test)]
mod tests {
    use super::super::run::State;
    use super::*;

    fn run(id: i64, period: i64, level: u32, keys: u32) -> Run {
        Run {
            id,
            state: State::Whole,
            level,
            period,
            kept: (0, 0),
            keys,
            first_block: 1,
            blocks: 1,
            first_part: 1,
            lines: 1,
            done: 0,
            merges_into: None,
        }
    }

    fn inputs(runs: &[Run], current_period: i64) -> Vec<(Vec<i64>, u32)> {
        let plans = plans(runs.iter(), current_period, 3);
        plans.into_iter().map(|plan| (plan.inputs, plan.level)).collect()
    }

    #[test]
    fn the_oldest_runs_of_a_level_are_merged_when_they_are_enough() {
        let mut runs: Vec<Run> = [4, 1, 3].map(|id| run(id, 7, 0, 10)).to_vec();
        runs.push(run(2, 7, 1, 30));
        assert_eq!(inputs(&runs, 7), [(vec![1, 3, 4], 1)]);
        runs.push(run(5, 7, 0, 10));
        assert_eq!(inputs(&runs, 7), [(vec![1, 3, 4], 1)]);
        // Those that are being merged are not merged again.
        for run in &mut runs[..2] {
            run.merges_into = Some(9);
        }
        assert_eq!(inputs(&runs, 7), []);
    }

    #[test]
    fn the_runs_of_a_period_that_is_over_become_one() {
        let mut runs = vec![run(1, 6, 2, 90), run(2, 6, 1, 30), run(3, 6, 0, 10), run(4, 7, 0, 10)];
        assert_eq!(inputs(&runs, 7), [(vec![3, 2, 1], 2)]);
        runs[0].merges_into = Some(9);
        assert_eq!(inputs(&runs, 7), []);
        assert_eq!(inputs(&[run(1, 6, 0, 10)], 7), []);
    }

    #[test]
    fn a_large_run_is_not_written_again_for_a_few_records() {
        let mut runs = vec![run(1, 6, 3, 1_000), run(2, 6, 0, 10)];
        assert_eq!(inputs(&runs, 7), []);
        runs.extend([run(3, 6, 0, 10), run(4, 6, 0, 10)]);
        assert_eq!(inputs(&runs, 7), [(vec![2, 3, 4], 0)]);
        runs.push(run(5, 6, 1, 100));
        assert_eq!(inputs(&runs, 7), [(vec![2, 3, 4, 5, 1], 3)]);
    }
}
