//! PostgreSQL doing the work of `recordUsage`, driven by pgbench: for comparison, with no goal.

use anyhow::Result;

use super::{Bench, available};
use crate::load::{Rounds, Spread};
use crate::servers::postgres::Postgres;
use crate::table::{GoalKind, Row};

pub(crate) const NAME: &str = "postgres";

/// How many clients there are, in one measurement after the other.
const CLIENTS: [usize; 2] = [16, 50];

/// `record` are the rounds of `recordUsage`.
pub(crate) fn run(bench: &Bench, record: Option<&Rounds>) -> Result<Vec<Row>> {
    eprintln!("{NAME}");
    let (sizes, stop) = (bench.sizes, &bench.stop);
    let started = Postgres::start(&bench.directory, sizes.users, sizes.events, bench.cores, stop);
    let postgres = match available(started)? {
        Ok(postgres) => postgres,
        Err(missing) => return Ok(vec![Row::missing(NAME, "PostgreSQL", &missing)]),
    };
    let mut rows = Vec::new();
    for clients in CLIENTS {
        postgres.record(clients, sizes.warm_up, stop)?;
        let mut rates = Vec::new();
        for _ in 0..sizes.rounds {
            rates.push(postgres.record(clients, sizes.length, stop)?);
        }
        let rate = Spread::of(rates);
        let row = Row::rate_only(NAME, &format!("PostgreSQL, {clients} clients of pgbench"), rate);
        rows.push(match record.map(Rounds::rate) {
            Some(kana) => row.figure(ratio(kana, rate), GoalKind::KanaToThis),
            None => row,
        });
    }
    Ok(rows)
}

/// Of medians, and at the least and the most that the two can be apart: their rounds were not run
/// in turn.
fn ratio(kana: Spread, peer: Spread) -> Spread {
    Spread { median: kana.median / peer.median, min: kana.min / peer.max, max: kana.max / peer.min }
}
