//! Durable recording: `recordUsage` spread over users against Redis, and `useFeature` of one hot
//! user against `recordUsage`.

use anyhow::{Result, ensure};

use super::{Bench, start_redis};
use crate::load::graphql::{Operations, RECORD_USAGE, USE_FEATURE, Who};
use crate::load::redis::ScriptCalls;
use crate::load::{Rounds, in_turn};
use crate::servers::kana::Kana;
use crate::table::{Goal, GoalKind, Row};

pub(crate) const RECORD: &str = "record-usage";
pub(crate) const USE: &str = "use-feature";
const RECORD_GOAL: Goal = Goal { required: 0.75, aim: 1.0, kind: GoalKind::Ratio };
const USE_GOAL: Goal = Goal { required: 0.8, aim: 1.0, kind: GoalKind::Ratio };

const REDIS: &str = "Redis, a script";

/// The user whom all connections are about.
const HOT: u32 = 0;

/// What `recordUsage` has reached, for the cases that build on it, and the rows.
pub(crate) struct Recording {
    pub(crate) record: Rounds,
    pub(crate) rows: Vec<Row>,
}

pub(crate) fn run(
    bench: &Bench,
    kana: &Kana,
    with_redis: bool,
    with_use: bool,
) -> Result<Recording> {
    eprintln!("{RECORD}{}", if with_use { format!(", {USE}") } else { String::new() });
    let redis = if with_redis { Some(start_redis(bench, RECORD)?) } else { None };
    let (connections, users) = (bench.sizes.connections, bench.sizes.users);
    let usage = kana.usage();
    let mut recording = Operations::one(&RECORD_USAGE, &kana.key, Who::AnyOf(users))?;
    let mut record = || bench.closed(kana.address, &mut recording, connections, &usage);
    let mut using = Operations::one(&USE_FEATURE, &kana.key, Who::Only(HOT))?;
    let mut use_hot = || bench.closed(kana.address, &mut using, connections, &usage);
    let mut script = redis.as_ref().and_then(|redis| redis.as_ref().ok()).map(|redis| {
        let calls = ScriptCalls::new(&redis.script, users, 1);
        (redis.address, calls, redis.usage())
    });
    let mut call = script
        .as_mut()
        .map(|(address, calls, usage)| || bench.closed(*address, calls, connections, usage));
    let used_before = kana.used(HOT)?;
    let [record, called, used] = in_turn(
        bench.sizes.rounds,
        [
            Some(&mut record),
            call.as_mut().map(|call| call as _),
            if with_use { Some(&mut use_hot) } else { None },
        ],
    )?;
    // recordUsage may have picked the hot user, too: it is one of all users.
    let counted = kana.used(HOT)? - used_before;
    ensure!(
        counted >= used.units(),
        "the hot user was granted {} and more, but only {counted} were counted",
        used.units()
    );

    let row = Row::measured(RECORD, "Kana", &record);
    let mut rows = match redis {
        None => vec![row],
        Some(Ok(_)) => vec![
            row.result(record.ratio_to(&called), RECORD_GOAL),
            Row::measured(RECORD, REDIS, &called),
        ],
        Some(Err(missing)) => vec![row, Row::missing(RECORD, REDIS, &missing)],
    };
    if with_use {
        let row = Row::measured(USE, "Kana, one hot user", &used);
        rows.push(row.result(used.ratio_to(&record), USE_GOAL));
    }
    Ok(Recording { record, rows })
}
