//! How long the pages of the dashboard take with much data, and what they cost those who record.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use super::Bench;
use crate::load::browser::Browser;
use crate::load::graphql::{Operations, RECORD_USAGE, Who};
use crate::load::{Spread, in_turn};
use crate::process::run_to_end;
use crate::seed::{FEATURE, PACKAGE, user_id};
use crate::servers::kana::Kana;
use crate::table::{Goal, GoalKind, Row};

pub(crate) const NAME: &str = "dashboard";

/// How often each page is asked for.
const TIMES: usize = 100;
/// A page is asked for this often while others record.
const PAGE_EVERY: Duration = Duration::from_millis(100);
/// How long a page may fail before it is first answered, after the data was written.
const FIRST_LOOK_WITHIN: Duration = Duration::from_secs(60);
/// The most bytes of a full list.
const BYTES_MAX: usize = 100_000;

const MEDIAN_OF_LIST: Goal = Goal { required: 15.0, aim: 5.0, kind: GoalKind::LatencyMs };
const MEDIAN_OF_CHART: Goal = Goal { required: 25.0, aim: 10.0, kind: GoalKind::LatencyMs };
const WORST: Goal = Goal { required: 50.0, aim: 25.0, kind: GoalKind::LatencyMs };
const RATE: Goal = Goal { required: 0.95, aim: 0.98, kind: GoalKind::Ratio };
const TAIL: Goal = Goal { required: 1.1, aim: 1.0, kind: GoalKind::RatioAtMost };

/// The pages, by their paths in the test environment.
fn pages() -> Vec<(String, Goal)> {
    let user = user_id(7);
    let lists = [
        "/features".to_owned(),
        "/features/new".to_owned(),
        "/packages?status=all".to_owned(),
        format!("/package?id={PACKAGE}"),
        "/packages/new".to_owned(),
        format!("/package/edit?id={PACKAGE}"),
        "/users".to_owned(),
        "/users?search=user-00".to_owned(),
        format!("/users?search={user}"),
        "/users?search=nobody".to_owned(),
        format!("/users?package={PACKAGE}"),
        format!("/user?id={user}"),
        format!("/user/events?id={user}"),
        "/developers".to_owned(),
        "/audit".to_owned(),
    ];
    let charts = [String::new(), format!("/feature?id={FEATURE}")];
    let lists = lists.into_iter().map(|path| (path, MEDIAN_OF_LIST));
    lists.chain(charts.into_iter().map(|path| (path, MEDIAN_OF_CHART))).collect()
}

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    eprintln!("{NAME}");
    let (users, events) = (bench.sizes.memory_users, bench.sizes.memory_events);
    let kana = bench.start_kana(NAME, users, events)?;
    kana.add_to_catalog(bench.sizes.features, bench.sizes.packages)?;
    let browser = sign_in(bench, &kana, &bench.directory.join(NAME))?;
    let mut rows = look_at_pages(bench, &browser)?;
    rows.extend(record_meanwhile(bench, &kana, &browser)?);
    drop(kana);
    bench.remove_directory(NAME)?;
    Ok(rows)
}

/// Makes an admin as a stranger does, by the command line and the link that it prints.
fn sign_in(bench: &Bench, kana: &Kana, data_dir: &Path) -> Result<Browser> {
    let mut create = Command::new(&bench.kana);
    create.args(["admins", "create", "--email", "bench@example.com", "--data-dir"]).arg(data_dir);
    let printed = run_to_end("kana admins", &mut create, &bench.stop)?;
    let link = printed.lines().find(|line| line.contains("token=")).context("no welcome link")?;
    Browser::welcome(kana.address, link)
}

/// Asks for each page again and again: a row for each, and one for the slowest answer of all.
fn look_at_pages(bench: &Bench, browser: &Browser) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut worst: Option<Spread> = None;
    for (path, goal) in pages() {
        let address = format!("/dashboard/test{path}");
        wait_until_answered(bench, browser, &address)?;
        let mut times = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            bench.stop.check()?;
            let page = browser.look_at(&address)?;
            ensure!(page.bytes <= BYTES_MAX, "{address} has {} bytes", page.bytes);
            times.push(page.server_ms);
        }
        let times = Spread::of(times);
        if worst.is_none_or(|worst| times.max > worst.median) {
            worst = Some(Spread { median: times.max, ..times });
        }
        rows.push(Row::note(NAME, &address, "one after the other").result(times, goal));
    }
    let worst = worst.context("there are pages")?;
    let of = format!("the slowest of {TIMES} answers of any page");
    rows.push(Row::note(NAME, &of, "").result(worst, WORST));
    Ok(rows)
}

/// What was seeded is indexed and summed up in the background. A page that waits for that is busy.
fn wait_until_answered(bench: &Bench, browser: &Browser, address: &str) -> Result<()> {
    let since = Instant::now();
    while let Err(error) = browser.look_at(address) {
        bench.stop.check()?;
        ensure!(since.elapsed() < FIRST_LOOK_WITHIN, "{error:#}");
        std::thread::sleep(PAGE_EVERY);
    }
    Ok(())
}

/// Records at full load, alone and while pages are asked for.
fn record_meanwhile(bench: &Bench, kana: &Kana, browser: &Browser) -> Result<Vec<Row>> {
    let (users, connections) = (bench.sizes.memory_users, bench.sizes.connections);
    let usage = kana.usage();
    let mut alone = Operations::one(&RECORD_USAGE, &kana.key, Who::AnyOf(users))?;
    let mut watched = Operations::one(&RECORD_USAGE, &kana.key, Who::AnyOf(users))?;
    let [alone, watched] = in_turn(
        bench.sizes.rounds,
        [
            Some(&mut || bench.closed(kana.address, &mut alone, connections, &usage)),
            Some(&mut || {
                let is_over = AtomicBool::new(false);
                std::thread::scope(|scope| {
                    let looking = look_around(scope, browser, &is_over);
                    let round = bench.closed(kana.address, &mut watched, connections, &usage);
                    is_over.store(true, Ordering::Relaxed);
                    looking.join().map_err(|_| anyhow!("the pages were given up"))??;
                    round
                })
            }),
        ],
    )?;
    let tails = |rounds: &crate::load::Rounds| rounds.latency_ms(0.99);
    let (with, without) = (tails(&watched), tails(&alone));
    let tail = Spread {
        median: with.median / without.median,
        min: with.min / without.max,
        max: with.max / without.min,
    };
    Ok(vec![
        Row::measured(NAME, "recordUsage, ten pages a second", &watched)
            .result(watched.ratio_to(&alone), RATE),
        Row::note(NAME, "recordUsage, ten pages a second", "its p99").result(tail, TAIL),
        Row::measured(NAME, "recordUsage, no pages", &alone),
    ])
}

/// Asks for one page after the other at a fixed rate until it is over.
fn look_around<'scope>(
    scope: &'scope Scope<'scope, '_>,
    browser: &'scope Browser,
    is_over: &'scope AtomicBool,
) -> ScopedJoinHandle<'scope, Result<()>> {
    scope.spawn(move || {
        for (path, _) in pages().into_iter().cycle() {
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            let since = Instant::now();
            browser.look_at(&format!("/dashboard/test{path}"))?;
            std::thread::sleep(PAGE_EVERY.saturating_sub(since.elapsed()));
        }
        Ok(())
    })
}
