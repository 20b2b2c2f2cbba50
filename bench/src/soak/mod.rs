//! The command `soak`: minutes of mixed load on one server, with clients that behave badly, and the
//! server ended again and again. In the end, everything that was acknowledged must be there once.

mod administrator;
mod books;
mod client;
mod course;
mod faults;
mod garbage;
mod gate;
mod idle;
mod ledger;
mod level;
mod reader;
mod reset;
mod scribe;
mod server;
mod slow;
mod verdict;
mod writer;

use std::process::ExitCode;
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use crate::args::SoakArgs;
use crate::database::Database;
use crate::places::{find_kana, make_directory};
use crate::seed::seed;
use crate::servers::kana::Kana;
use crate::stop::Stop;
use administrator::Administrator;
use course::Course;
use faults::Faults;
use gate::Gate;
use ledger::Entry;
use scribe::Scribe;
use server::{Place, count_panics, kill, make_catalog, terminate, used};
use verdict::Findings;
use writer::Writer;

/// Users beside those of the ledger make answers large.
const SEEDED_USERS: u32 = 3000;

/// How many clients there are of each kind.
const WRITERS: usize = 6;
const RESETTERS: usize = 2;
const SLOW: usize = 6;
const READERS: usize = 3;
const GARBAGE: usize = 2;

/// How long clients may take to let go of the server.
const LEAVE_WITHIN: Duration = Duration::from_secs(60);

/// How long a server may take to close the connections of clients that have left.
const SETTLE_WITHIN: Duration = Duration::from_secs(30);

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Runs all of it and prints the verdict. Fails if that is bad.
pub(crate) fn run(args: &SoakArgs) -> Result<ExitCode> {
    let stop = Stop::on_signals()?;
    let program = find_kana(args.kana.as_deref(), &stop)?;
    let directory = make_directory(args.data.as_deref())?;
    let database = match &args.database_url {
        Some(url) => Database::Shared(url.clone()),
        None => Database::Embedded(directory.path().join("data")),
    };
    let seed_number = args.seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("--seed {seed_number} repeats the random choices");
    let key = seed(&database, SEEDED_USERS, 0, &stop)?;
    let place = Place { program, directory: directory.path().canonicalize()?, database, key, stop };
    let findings = soak(&place, &Course::of(args.minutes), seed_number)?;
    directory.close().context("cannot remove the data")?;
    println!("{}", findings.to_markdown());
    println!("- {} minutes, --seed {seed_number}", args.minutes.as_secs_f64() / 60.0);
    Ok(if findings.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn soak(place: &Place, course: &Course, seed: u64) -> Result<Findings> {
    let (gate, faults) = (Gate::default(), Faults::default());
    let mut findings = Findings { judges_memory: course.judges_memory(), ..Findings::default() };
    let (kana, load) = std::thread::scope(|scope| {
        // Lets the clients end, also after a failure.
        let ends = EndsLoad(&gate);
        let load = Load::start(scope, &place.key, seed, &gate, &faults);
        unrest(place, course, seed, &gate, &mut findings)?;
        let kana = calm(place, course, &gate, &mut findings)?;
        drop(ends);
        anyhow::Ok((kana, load.join()?))
    })?;
    findings.faults = faults.into_kinds();
    finish(place, kana, &load, findings)
}

/// Ends the load when it goes.
struct EndsLoad<'a>(&'a Gate);

impl Drop for EndsLoad<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// All clients, while they run.
struct Load<'scope> {
    scribes: Vec<ScopedJoinHandle<'scope, Vec<Entry>>>,
    administrator: ScopedJoinHandle<'scope, Administrator>,
}

/// What was acknowledged.
struct Acknowledged {
    sent: Vec<Vec<Entry>>,
    administrator: Administrator,
}

impl<'scope> Load<'scope> {
    fn start<'a: 'scope>(
        scope: &'scope Scope<'scope, '_>,
        key: &'a str,
        seed: u64,
        gate: &'a Gate,
        faults: &'a Faults,
    ) -> Self {
        let random = |number: u64| fastrand::Rng::with_seed(seed.wrapping_add(1000 + number));
        let scribes = (0..WRITERS + RESETTERS + SLOW).map(|sender| {
            let scribe = Scribe::new(sender, seed, key);
            scope.spawn(move || match sender {
                0..WRITERS => Writer::new(scribe).run(gate, faults),
                _ if sender < WRITERS + RESETTERS => reset::run(scribe, gate),
                _ => slow::run(scribe, key, gate, faults),
            })
        });
        let scribes = scribes.collect();
        for number in 0..READERS as u64 {
            let random = random(number);
            scope.spawn(move || reader::run(random, key, gate, faults));
        }
        for number in 0..GARBAGE as u64 {
            let random = random(100 + number);
            scope.spawn(move || garbage::run(random, key, gate, faults));
        }
        scope.spawn(move || idle::run(key, gate, faults));
        scope.spawn(move || reader::scrape(gate));
        let administrator = Administrator::new(random(200), key);
        let administrator = scope.spawn(move || administrator.run(gate, faults));
        Self { scribes, administrator }
    }

    fn join(self) -> Result<Acknowledged> {
        let failed = |_| anyhow!("a client has panicked");
        let sent = self.scribes.into_iter().map(|scribe| scribe.join().map_err(failed));
        let sent = sent.collect::<Result<_>>()?;
        Ok(Acknowledged { sent, administrator: self.administrator.join().map_err(failed)? })
    }
}

/// Ends the server in turn by `SIGTERM` and by `kill -9`, under load.
fn unrest(
    place: &Place,
    course: &Course,
    seed: u64,
    gate: &Gate,
    findings: &mut Findings,
) -> Result<()> {
    let mut random = fastrand::Rng::with_seed(seed);
    let started = Instant::now();
    let mut by_signal = random.bool();
    let least = course.life.start.as_millis() as u64;
    let most = course.life.end.as_millis() as u64;
    while started.elapsed() < course.unrest {
        let mut kana = start(place, findings)?;
        gate.open(kana.address, false);
        wait(Duration::from_millis(random.u64(least..=most)), &place.stop)?;
        kana.process().check_runs()?;
        findings.panics += count_panics(&kana)?;
        if by_signal {
            let ending = terminate(&mut kana)?;
            eprintln!("SIGTERM: ended within {:?}", ending.took);
            findings.endings.push(ending);
        } else {
            kill(&mut kana)?;
            eprintln!("kill -9");
            findings.kills += 1;
        }
        gate.close();
        by_signal = !by_signal;
    }
    Ok(())
}

/// Loads one server that nobody ends, and returns it without load.
fn calm(place: &Place, course: &Course, gate: &Gate, findings: &mut Findings) -> Result<Kana> {
    let mut kana = start(place, findings)?;
    gate.open(kana.address, true);
    wait(course.warm_up, &place.stop)?;
    let before = without_clients(place, &kana, gate, None)?;
    gate.open(kana.address, true);
    eprintln!("calm from now on, for {:?}", course.calm);
    let started = Instant::now();
    while started.elapsed() < course.calm {
        wait(course.sample_every, &place.stop)?;
        kana.process().check_runs()?;
        findings.memory.push(kana.usage().anonymous_memory_bytes()?);
    }
    let after = without_clients(place, &kana, gate, Some(before))?;
    findings.open_files = (before, after);
    eprintln!("comparing");
    Ok(kana)
}

/// Starts a server.
fn start(place: &Place, findings: &mut Findings) -> Result<Kana> {
    let (kana, took) = place.start()?;
    eprintln!("started within {took:?}");
    if findings.starts.is_empty() {
        make_catalog(&kana)?;
    }
    findings.starts.push(took);
    Ok(kana)
}

/// Sends all clients away and returns how many files the server still has open: once that is no more
/// than wanted, or once it stays as it is.
fn without_clients(
    place: &Place,
    kana: &Kana,
    gate: &Gate,
    wanted: Option<usize>,
) -> Result<usize> {
    // Connections to the embedded database are kept for later: as many as were ever busy at once,
    // and a bounded number.
    let data = place.directory.as_path();
    gate.close();
    ensure!(gate.wait_until_empty(LEAVE_WITHIN), "clients do not let go of the server");
    let deadline = Instant::now() + SETTLE_WITHIN;
    let mut least = kana.usage().open_files(data)?;
    let mut since = Instant::now();
    loop {
        let quiet = since.elapsed() > Duration::from_secs(2);
        let enough = wanted.map_or(quiet, |wanted| least <= wanted);
        if enough || Instant::now() > deadline {
            return Ok(least);
        }
        std::thread::sleep(LOOK_EVERY);
        let open = kana.usage().open_files(data)?;
        if open < least {
            (least, since) = (open, Instant::now());
        }
    }
}

/// Compares what was acknowledged with what is there, and ends the server.
fn finish(
    place: &Place,
    mut kana: Kana,
    load: &Acknowledged,
    mut findings: Findings,
) -> Result<Findings> {
    let used = used(&kana)?;
    (findings.guests, findings.guests_differ) = load.administrator.compare(kana.address)?;
    findings.panics += count_panics(&kana)?;
    findings.endings.push(terminate(&mut kana)?);
    drop(kana);
    findings.check = place.check()?;
    let export = place.directory.join("export.jsonl");
    place.export(&export)?;
    findings.audit = ledger::audit(&load.sent, &books::read(&export)?, &used);
    Ok(findings)
}

/// Waits for so long, or until the run is asked to end.
fn wait(time: Duration, stop: &Stop) -> Result<()> {
    let deadline = Instant::now() + time;
    loop {
        stop.check()?;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(LOOK_EVERY));
    }
}
