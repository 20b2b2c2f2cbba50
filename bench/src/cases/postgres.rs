//! Kana with PostgreSQL as its database, against PostgreSQL doing the same work for pgbench, one
//! transaction at a time. Both on one server, and everybody has both cores: to Kana, PostgreSQL is
//! what it is to pgbench.

use anyhow::Result;

use super::{Bench, available};
use crate::database::Database;
use crate::load::batch::Batches;
use crate::load::events::Events;
use crate::load::graphql::{CAN_USE_FEATURE, Operations, RECORD_USAGE, Who};
use crate::load::{Rounds, Spread, Talk};
use crate::seed::seed;
use crate::servers::kana::Kana;
use crate::servers::postgres::Postgres;
use crate::table::{Goal, GoalKind, Row};

pub(crate) const NAME: &str = "postgres";
const RECORD_GOAL: Goal = Goal { required: 1.2, aim: 2.0, kind: GoalKind::Ratio };
const BULK_GOAL: Goal = Goal { required: 3.0, aim: 6.0, kind: GoalKind::Ratio };

/// How many clients pgbench has, in one round and in the next.
const CLIENTS: [usize; 2] = [16, 50];

/// How many times as many connections there are where there are many.
const MANY: usize = 8;

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    eprintln!("{NAME}");
    bench.cores.shared(|cores| compare(&Bench { cores, ..bench.clone() }))?
}

/// One way to send load to Kana, and what it has reached.
struct Sender {
    of: String,
    talk: Box<dyn Talk>,
    connections: usize,
    goal: Option<Goal>,
    rounds: Rounds,
}

fn compare(bench: &Bench) -> Result<Vec<Row>> {
    let (sizes, stop) = (bench.sizes, &bench.stop);
    let started = Postgres::start(&bench.directory, sizes.users, sizes.events, bench.cores, stop);
    let postgres = match available(started)? {
        Ok(postgres) => postgres,
        Err(missing) => return Ok(vec![Row::missing(NAME, "PostgreSQL", &missing)]),
    };
    let kana = start_kana(bench, &postgres)?;
    let usage = kana.usage();
    let mut senders = senders(bench, &kana)?;
    let mut transactions = CLIENTS.map(|_| Vec::new());
    for _ in 0..sizes.rounds {
        for (clients, rates) in CLIENTS.into_iter().zip(&mut transactions) {
            postgres.record(clients, sizes.warm_up, stop)?;
            rates.push(postgres.record(clients, sizes.length, stop)?);
        }
        for sender in &mut senders {
            let talk = sender.talk.as_mut();
            let round = bench.closed(kana.address, talk, sender.connections, &usage)?;
            sender.rounds.add(round)?;
        }
    }
    let transactions = transactions.map(Spread::of);
    let best = transactions.into_iter().max_by(|a, b| a.median.total_cmp(&b.median));
    let mut rows: Vec<Row> = senders
        .iter()
        .map(|Sender { of, rounds, goal, .. }| {
            let row = Row::measured(NAME, of, rounds);
            match best.zip(*goal) {
                Some((best, goal)) => row.result(ratio(rounds.rate(), best), goal),
                None => row,
            }
        })
        .collect();
    for (clients, rate) in CLIENTS.into_iter().zip(transactions) {
        rows.push(Row::rate_only(NAME, &format!("pgbench, {clients} clients"), rate));
    }
    Ok(rows)
}

fn start_kana(bench: &Bench, postgres: &Postgres) -> Result<Kana> {
    let (sizes, stop) = (bench.sizes, &bench.stop);
    eprintln!("  seeding {} users and {} events", sizes.users, sizes.events);
    let database = Database::Shared(postgres.create_for_kana(stop)?);
    let key = seed(&database, sizes.users, sizes.events, stop)?;
    postgres.settle(stop)?;
    let directory = bench.new_directory(NAME)?;
    Kana::start(&bench.kana, &directory, &database, key, bench.cores, stop)
}

fn senders(bench: &Bench, kana: &Kana) -> Result<Vec<Sender>> {
    let sizes = bench.sizes;
    let mut senders = Vec::new();
    for connections in [sizes.connections, sizes.connections * MANY] {
        senders.push(Sender {
            of: format!("Kana, recordUsage on {connections} connections"),
            talk: Box::new(Operations::one(&RECORD_USAGE, &kana.key, Who::AnyOf(sizes.users))?),
            connections,
            goal: Some(RECORD_GOAL),
            rounds: Rounds::default(),
        });
    }
    // pgbench does nothing of the kind: only to know.
    senders.push(Sender {
        of: format!("Kana, canUseFeature on {} connections", sizes.connections),
        talk: Box::new(Operations::one(&CAN_USE_FEATURE, &kana.key, Who::AnyOf(sizes.users))?),
        connections: sizes.connections,
        goal: None,
        rounds: Rounds::default(),
    });
    let (batch, connections) = (sizes.bulk_batch, sizes.bulk_connections);
    senders.push(Sender {
        of: format!("Kana, recordUsageBatch, {batch} a request on {connections} connections"),
        talk: Box::new(Batches::new(&kana.key, batch, sizes.users)),
        connections,
        goal: Some(BULK_GOAL),
        rounds: Rounds::default(),
    });
    // More work than pgbench's: each event has an id that counts once.
    senders.push(Sender {
        of: format!("Kana, events with ids, {batch} a request on {connections} connections"),
        talk: Box::new(Events::new(&kana.key, batch, sizes.users)),
        connections,
        goal: Some(BULK_GOAL),
        rounds: Rounds::default(),
    });
    Ok(senders)
}

/// Of medians, and at the least and the most that the two can be apart.
fn ratio(kana: Spread, peer: Spread) -> Spread {
    Spread { median: kana.median / peer.median, min: kana.min / peer.max, max: kana.max / peer.min }
}
