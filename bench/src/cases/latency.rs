//! The latency of `recordUsage` at half its greatest rate, in an open loop.

use std::time::Duration;

use anyhow::Result;

use super::Bench;
use crate::load::graphql::{Operations, RECORD_USAGE, Who};
use crate::load::{Rounds, in_turn};
use crate::servers::kana::Kana;
use crate::table::{Goal, GoalKind, Row};

pub(crate) const NAME: &str = "latency";
const GOAL: Goal = Goal { required: 5.0, aim: 3.0, kind: GoalKind::LatencyMs };

/// `greatest` are the rounds of `recordUsage` in a closed loop.
pub(crate) fn run(bench: &Bench, kana: &Kana, greatest: &Rounds) -> Result<Vec<Row>> {
    let rate = greatest.rate().median / 2.0;
    eprintln!("{NAME}: {rate:.0} a second");
    let interval = Duration::from_secs_f64(1.0 / rate);
    let usage = kana.usage();
    let mut recording = Operations::one(&RECORD_USAGE, &kana.key, Who::AnyOf(bench.sizes.users))?;
    let mut record = || bench.open(kana.address, &mut recording, interval, &usage);
    let [record] = in_turn(bench.sizes.rounds, [Some(&mut record)])?;
    let row = Row::measured(NAME, "Kana, recordUsage at half its rate", &record);
    let row = if bench.cores.load_has_its_own() { row.spinning() } else { row };
    Ok(vec![row.result(record.latency_ms(0.99), GOAL)])
}
