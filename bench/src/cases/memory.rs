//! The anonymous resident memory of the server under mixed load, with much data.

use anyhow::Result;

use super::Bench;
use crate::load::graphql::{CAN_USE_FEATURE, Operations, RECORD_USAGE, USE_FEATURE, Who};
use crate::load::in_turn;
use crate::table::{Goal, GoalKind, Row};

pub(crate) const NAME: &str = "memory";
const GOAL: Goal = Goal { required: 300.0, aim: 100.0, kind: GoalKind::Megabytes };

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    eprintln!("{NAME}");
    let (users, events) = (bench.sizes.memory_users, bench.sizes.memory_events);
    let kana = bench.start_kana(NAME, users, events)?;
    let parts = [(70, &CAN_USE_FEATURE), (25, &RECORD_USAGE), (5, &USE_FEATURE)];
    let mut mixed = Operations::mix(&parts, &kana.key, Who::AnyOf(users))?;
    let usage = kana.usage();
    let mut load = || bench.closed(kana.address, &mut mixed, bench.sizes.connections, &usage);
    let [rounds] = in_turn(bench.sizes.rounds, [Some(&mut load)])?;
    drop(kana);
    bench.remove_directory(NAME)?;
    let row =
        Row::measured(NAME, "Kana, 70% canUseFeature, 25% recordUsage, 5% useFeature", &rounds);
    Ok(vec![row.result(rounds.memory_mb_max(), GOAL)])
}
