//! `canUseFeature` against a route on the same HTTP stack that answers a constant of the same
//! length to the same bytes.

use anyhow::Result;

use super::Bench;
use crate::load::graphql::{CAN_USE_FEATURE, Operations, Who};
use crate::load::in_turn;
use crate::servers::constant::Constant;
use crate::servers::kana::Kana;
use crate::table::{Goal, GoalKind, Row};

pub(crate) const NAME: &str = "can-use-feature";
const GOAL: Goal = Goal { required: 0.65, aim: 0.85, kind: GoalKind::Ratio };

pub(crate) fn run(bench: &Bench, kana: &Kana) -> Result<Vec<Row>> {
    eprintln!("{NAME}");
    let (media_type, answer) = kana.answer_to(&CAN_USE_FEATURE, 0)?;
    let constant = Constant::start(&answer, &media_type, bench.cores, &bench.stop)?;
    let connections = bench.sizes.connections;
    let requests = || Operations::one(&CAN_USE_FEATURE, &kana.key, Who::AnyOf(bench.sizes.users));
    let (mut to_kana, mut to_constant) = (requests()?, requests()?);
    let (kana_usage, constant_usage) = (kana.usage(), constant.usage());
    let [kana, constant] = in_turn(
        bench.sizes.rounds,
        [
            Some(&mut || bench.closed(kana.address, &mut to_kana, connections, &kana_usage)),
            Some(&mut || {
                bench.closed(constant.address, &mut to_constant, connections, &constant_usage)
            }),
        ],
    )?;
    Ok(vec![
        Row::measured(NAME, "Kana", &kana).result(kana.ratio_to(&constant), GOAL),
        Row::measured(NAME, "constant route", &constant),
    ])
}
