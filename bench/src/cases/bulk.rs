//! Bulk intake: events a second through `POST /events`, against calls of the script in Redis that
//! are pipelined.

use anyhow::{Result, bail};

use super::{Bench, start_redis};
use crate::load::events::{Events, PATH};
use crate::load::http::exchange;
use crate::load::redis::ScriptCalls;
use crate::load::{Talk, in_turn};
use crate::servers::Missing;
use crate::servers::kana::Kana;
use crate::table::{Goal, GoalKind, Row};

pub(crate) const NAME: &str = "bulk";
const GOAL: Goal = Goal { required: 0.3, aim: 0.5, kind: GoalKind::Ratio };

/// Calls in one request to Redis.
const PIPELINED: usize = 16;

pub(crate) fn run(bench: &Bench, kana: &Kana) -> Result<Vec<Row>> {
    eprintln!("{NAME}");
    let sizes = bench.sizes;
    let mut events = Events::new(&kana.key, sizes.bulk_batch, sizes.users);
    check_available(kana, &mut events)?;
    let usage = kana.usage();
    let mut send = || bench.closed(kana.address, &mut events, sizes.bulk_connections, &usage);

    let redis = start_redis(bench, NAME)?;
    let mut script = redis.as_ref().ok().map(|redis| {
        let calls = ScriptCalls::new(&redis.script, sizes.users, PIPELINED);
        (redis.address, calls, redis.usage())
    });
    let mut call = script
        .as_mut()
        .map(|(address, calls, usage)| || bench.closed(*address, calls, sizes.connections, usage));
    let [sent, called] =
        in_turn(sizes.rounds, [Some(&mut send), call.as_mut().map(|call| call as _)])?;

    let of =
        format!("Kana, {} a request on {} connections", sizes.bulk_batch, sizes.bulk_connections);
    let row = Row::measured(NAME, &of, &sent);
    let of_redis = format!("Redis, a script, pipelined by {PIPELINED}");
    Ok(match redis {
        Ok(_) => {
            vec![row.result(sent.ratio_to(&called), GOAL), Row::measured(NAME, &of_redis, &called)]
        }
        Err(missing) => vec![row, Row::missing(NAME, &of_redis, &missing)],
    })
}

/// Sends one request to see that there is a route, and that it takes what is sent.
fn check_available(kana: &Kana, events: &mut Events) -> Result<()> {
    let mut request = Vec::new();
    events.ask(&mut request);
    exchange(kana.address, &request, |response| match response.status {
        200 => Ok(()),
        404 | 405 => Err(Missing(format!("this kana has no POST {PATH}")).into()),
        status => bail!("the answer is {status} {}", String::from_utf8_lossy(response.body)),
    })
}
