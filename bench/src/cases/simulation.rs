//! `canUseFeature` while recorded usage is counted again under a file, and how long that takes.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kana_core::Timestamp;
use kana_service::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::Bench;
use crate::load::graphql::{CAN_USE_FEATURE, Operations, Who};
use crate::load::http::{exchange_within, post};
use crate::load::{Spread, in_turn};
use crate::seed::{FEATURE, PACKAGE};
use crate::table::{Goal, GoalKind, Row};

pub(crate) const NAME: &str = "simulation";
const GOAL: Goal = Goal { required: 0.8, aim: 0.9, kind: GoalKind::Ratio };
const TIME: Goal = Goal { required: 30.0, aim: 15.0, kind: GoalKind::Seconds };

/// More than the server lets a simulation take.
const PATIENCE: Duration = Duration::from_secs(660);

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    eprintln!("{NAME}");
    let kana = bench.start_kana(NAME, bench.sizes.users, bench.sizes.events)?;
    let requests = || Operations::one(&CAN_USE_FEATURE, &kana.key, Who::AnyOf(bench.sizes.users));
    let (mut beside, mut alone) = (requests()?, requests()?);
    let (usage, connections) = (kana.usage(), bench.sizes.connections);
    let (address, key, events) = (kana.address, kana.key.as_str(), bench.sizes.events);
    let took = RefCell::new(Vec::new());
    let [beside, alone] = in_turn(
        bench.sizes.rounds,
        [
            Some(&mut || {
                std::thread::scope(|scope| {
                    let simulation = scope.spawn(|| simulate(address, key, events));
                    let round = bench.closed(kana.address, &mut beside, connections, &usage);
                    let seconds = simulation.join();
                    took.borrow_mut().push(seconds.unwrap_or_else(|_| bail!("it has panicked"))?);
                    round
                })
            }),
            Some(&mut || bench.closed(kana.address, &mut alone, connections, &usage)),
        ],
    )?;
    drop(kana);
    bench.remove_directory(NAME)?;
    let time = format!("of {events} events, beside canUseFeature");
    Ok(vec![
        Row::measured(NAME, "canUseFeature beside one", &beside)
            .result(beside.ratio_to(&alone), GOAL),
        Row::measured(NAME, "canUseFeature", &alone),
        Row::note(NAME, &time, "one after the other").result(Spread::of(took.take()), TIME),
    ])
}

/// Runs a simulation over all events, and answers how many seconds it took.
fn simulate(address: SocketAddr, key: &str, events: u32) -> Result<f64> {
    const DAY_MS: i64 = 86_400_000;
    let now = SystemClock.now().as_ms();
    let at = |days: i64| Timestamp::from_ms(now + days * DAY_MS).to_string();
    let given = json!({ "id": FEATURE, "limit": 1, "reset_period": "MONTH" });
    let package = json!({ "id": PACKAGE, "name": "Pro", "features": [given] });
    let body = json!({ "from": at(-300), "to": at(1), "configuration": {
        "version": "1.0.0", "app": "bench",
        "features": [{ "id": FEATURE, "name": "API calls", "type": "CONSUMABLE" }],
        "packages": { "draft": [], "published": [package] },
        "addons": { "draft": [], "published": [] },
    } });
    let request = post("/cli/simulate", key, "application/json", body.to_string().as_bytes());
    let since = Instant::now();
    let answer: Value = exchange_within(address, &request, PATIENCE, |response| {
        if response.status != 200 {
            bail!("the answer is {}", response.status);
        }
        serde_json::from_slice(response.body).context("the answer is no JSON")
    })?;
    if answer["events"] != json!(events) {
        bail!("not all {events} events were counted again: {answer}");
    }
    Ok(since.elapsed().as_secs_f64())
}
