//! `canUseFeature` with many users against few.

use anyhow::Result;

use super::Bench;
use crate::load::graphql::{CAN_USE_FEATURE, Operations, Who};
use crate::load::in_turn;
use crate::table::{Goal, GoalKind, Row};

pub(crate) const NAME: &str = "users";
const GOAL: Goal = Goal { required: 0.8, aim: 0.95, kind: GoalKind::Ratio };

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    eprintln!("{NAME}");
    let (many, few) = (bench.sizes.large_users, bench.sizes.small_users);
    let (of_many, of_few) = (bench.start_kana("many", many, 0)?, bench.start_kana("few", few, 0)?);
    let mut ask_many = Operations::one(&CAN_USE_FEATURE, &of_many.key, Who::AnyOf(many))?;
    let mut ask_few = Operations::one(&CAN_USE_FEATURE, &of_few.key, Who::AnyOf(few))?;
    let (many_usage, few_usage) = (of_many.usage(), of_few.usage());
    let connections = bench.sizes.connections;
    let [among_many, among_few] = in_turn(
        bench.sizes.rounds,
        [
            Some(&mut || bench.closed(of_many.address, &mut ask_many, connections, &many_usage)),
            Some(&mut || bench.closed(of_few.address, &mut ask_few, connections, &few_usage)),
        ],
    )?;
    drop((of_many, of_few));
    bench.remove_directory("many")?;
    bench.remove_directory("few")?;
    Ok(vec![
        Row::measured(NAME, &format!("Kana, {many} users"), &among_many)
            .result(among_many.ratio_to(&among_few), GOAL),
        Row::measured(NAME, &format!("Kana, {few} users"), &among_few),
    ])
}
