//! The command `compare`: all cases in one run, and one table.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::args::{Case, CompareArgs};
use crate::cases::{
    Bench, bulk, can_use_feature, dashboard, growth, latency, memory, postgres, recording,
    simulation, users,
};
use crate::cores::Cores;
use crate::machine::{self, FileSystem};
use crate::places::{find_kana, make_directory};
use crate::servers::kana::Kana;
use crate::stop::Stop;
use crate::table::Table;

/// Runs the cases and prints the table. Fails when a case has failed.
pub(crate) fn run(args: &CompareArgs) -> Result<ExitCode> {
    let stop = Stop::on_signals()?;
    let kana = find_kana(args.kana.as_deref(), &stop)?;
    let directory = make_directory(args.data.as_deref())?;
    let file_system = FileSystem::of(directory.path())?;
    ensure!(
        args.smoke || file_system.is_disk(),
        "{} is memory and not a disk: name a directory on a disk with --data",
        directory.path().display()
    );
    let (machine, releases) = (machine::describe()?, machine::describe_releases(&kana));
    let sync_before = machine::sync_ms(directory.path())?;
    let (cores, sizes) = (Cores::claim()?, args.sizes());
    let bench = Bench { sizes, cores, stop, kana, directory: directory.path().to_owned() };

    let mut table = Table::default();
    run_on_the_usual_data(args, &bench, &mut table)?;
    if args.wants(Case::Memory) {
        table.add(memory::NAME, memory::run(&bench))?;
    }
    if args.wants(Case::Users) {
        table.add(users::NAME, users::run(&bench))?;
    }
    if args.wants(Case::Simulation) {
        table.add(simulation::NAME, simulation::run(&bench))?;
    }
    if args.wants(Case::Dashboard) {
        table.add(dashboard::NAME, dashboard::run(&bench))?;
    }
    if args.wants(Case::Postgres) {
        table.add(postgres::NAME, postgres::run(&bench))?;
    }
    if args.wants(Case::Growth) {
        table.add(growth::NAME, growth::run(&bench))?;
    }
    // A case may have failed because of the interruption.
    bench.stop.check()?;
    drop(bench);
    let sync_after = machine::sync_ms(directory.path())?;
    let disk = machine::describe_disk(&file_system, sync_before, sync_after);
    directory.close().context("cannot remove the data")?;
    println!("{}", table.to_markdown());
    for line in [machine, disk, releases, cores.describe(), sizes.describe()] {
        println!("- {line}");
    }
    Ok(if table.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The cases that share one server.
fn run_on_the_usual_data(args: &CompareArgs, bench: &Bench, table: &mut Table) -> Result<()> {
    const DATA: &str = "usual";
    let record_for = [Case::RecordUsage, Case::UseFeature, Case::Latency];
    let records = record_for.iter().any(|case| args.wants(*case));
    if !records && !args.wants(Case::CanUseFeature) && !args.wants(Case::Bulk) {
        return Ok(());
    }
    eprintln!("the usual data");
    let kana = match bench.start_kana(DATA, bench.sizes.users, bench.sizes.events) {
        Ok(kana) => kana,
        Err(error) => {
            return table.add("all with the usual data", Err(error));
        }
    };
    if args.wants(Case::CanUseFeature) {
        table.add(can_use_feature::NAME, can_use_feature::run(bench, &kana))?;
    }
    if records {
        run_recording(args, bench, &kana, table)?;
    }
    if args.wants(Case::Bulk) {
        table.add(bulk::NAME, bulk::run(bench, &kana))?;
    }
    drop(kana);
    bench.remove_directory(DATA)
}

fn run_recording(args: &CompareArgs, bench: &Bench, kana: &Kana, table: &mut Table) -> Result<()> {
    let (with_redis, with_use) = (args.wants(Case::RecordUsage), args.wants(Case::UseFeature));
    let recording = match recording::run(bench, kana, with_redis, with_use) {
        Ok(recording) => recording,
        Err(error) => {
            return table.add(recording::RECORD, Err(error));
        }
    };
    table.add(recording::RECORD, Ok(recording.rows))?;
    if args.wants(Case::Latency) {
        table.add(latency::NAME, latency::run(bench, kana, &recording.record))?;
    }
    Ok(())
}
