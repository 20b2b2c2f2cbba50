//! A database that grows: bulk intake from the first event to the last, the size of what is stored, and
//! a start with all of it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Bench;
use crate::database::Database;
use crate::load::Rounds;
use crate::load::growing::Growing;
use crate::load::http::exchange;
use crate::seed::seed;
use crate::servers::kana::Kana;
use crate::table::{Goal, GoalKind, Row};

pub(crate) const NAME: &str = "growth";
const GOAL: Goal = Goal { required: 0.8, aim: 0.95, kind: GoalKind::Ratio };

/// How often is looked whether a server is ready.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What was measured of the first and of the last tenth.
#[derive(Default)]
struct Tenths {
    first: Rounds,
    last: Rounds,
}

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    eprintln!("{NAME}");
    let directory = bench.new_directory(NAME)?;
    let database = Database::Embedded(directory.clone());
    let key = seed(&database, bench.sizes.users, 0, &bench.stop)?;
    let start = |key: String| {
        Kana::serve(&bench.kana, &directory, &database, key, bench.cores, &bench.stop)
    };
    let kana = start(key.clone())?;
    kana.make_catalog()?;
    let mut growing = Growing::new(&key, bench.sizes.bulk_batch, bench.sizes.users);
    let tenths = grow(bench, &kana, &mut growing)?;
    drop(kana);
    let bytes = bytes_in(&directory)?;

    let begun = Instant::now();
    let kana = start(key)?;
    let ready = ready_after(bench, &kana, begun)?;
    drop(kana);
    bench.remove_directory(NAME)?;

    let (events, with_ids) = (growing.asked(), growing.asked_with_ids());
    let of =
        |tenth: &str| format!("Kana, the {tenth} tenth of {events} events, {with_ids} with ids");
    let ratio = tenths.last.ratio_to(&tenths.first);
    let stored = format!(
        "{} MB, {} bytes an event; ready {} ms after a start",
        bytes / 1_000_000,
        bytes / events.max(1),
        ready.as_millis()
    );
    Ok(vec![
        Row::measured(NAME, &of("last"), &tenths.last).result(ratio, GOAL),
        Row::measured(NAME, &of("first"), &tenths.first),
        Row::note(NAME, "Kana, all of it", &stored),
    ])
}

/// Records until there are as many events as are wanted.
fn grow(bench: &Bench, kana: &Kana, growing: &mut Growing) -> Result<Tenths> {
    let wanted = bench.sizes.growth_events;
    let (usage, connections) = (kana.usage(), bench.sizes.bulk_connections);
    let mut tenths = Tenths::default();
    let mut rounds = 0_u32;
    loop {
        let before = growing.asked();
        let round = bench.closed(kana.address, growing, connections, &usage)?;
        rounds += 1;
        let after = growing.asked();
        // Where there are few events, the first round is the first tenth, and the last one the last.
        let is_last = after >= wanted && rounds > 1;
        if rounds == 1 || after <= wanted / 10 {
            tenths.first.add(round)?;
        } else if is_last || before >= wanted - wanted / 10 {
            tenths.last.add(round)?;
        }
        if rounds.is_multiple_of(10) {
            eprintln!("    {after} of {wanted} events");
        }
        if is_last {
            return Ok(tenths);
        }
    }
}

/// The bytes of all files in a directory.
fn bytes_in(directory: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory).context("cannot list the data")? {
        let about = entry?.metadata()?;
        if about.is_file() {
            bytes += about.len();
        }
    }
    Ok(bytes)
}

/// Waits until a server that was started at `begun` is ready, and returns how long that took.
fn ready_after(bench: &Bench, kana: &Kana, begun: Instant) -> Result<Duration> {
    const REQUEST: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    loop {
        bench.stop.check()?;
        if exchange(kana.address, REQUEST, |response| Ok(response.status == 200))? {
            return Ok(begun.elapsed());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
