//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Kana beside its peers on one machine.
#[derive(Debug, Parser)]
#[command(name = "kana-bench", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the cases and print one table, in Markdown, on standard output
    Compare(Box<CompareArgs>),
    /// Load a server for minutes, with bad clients and crashes, and print a verdict
    Soak(SoakArgs),
    /// Serve a constant answer to every POST, on the HTTP stack that Kana uses
    #[command(hide = true)]
    Constant(ConstantArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ConstantArgs {
    /// The body of every answer
    #[arg(long)]
    pub(crate) answer: String,
    /// The media type of every answer
    #[arg(long)]
    pub(crate) media_type: String,
}

#[derive(Debug, Args)]
pub(crate) struct SoakArgs {
    /// How long there is load, 0.1 to 1440. Memory is judged from 10 on
    #[arg(long, value_parser = minutes, default_value = "10", value_name = "MINUTES")]
    pub(crate) minutes: Duration,
    /// The program `kana` [default: the one beside this program, built anew by cargo]
    #[arg(long, value_name = "FILE")]
    pub(crate) kana: Option<PathBuf>,
    /// A new directory in this one holds all data and is removed in the end [default: beside this
    /// program]
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) data: Option<PathBuf>,
    /// Repeats the random choices of an earlier run [default: a new one, which is printed]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// An empty PostgreSQL database to use instead of the embedded one. What the run writes stays
    /// there
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Case {
    /// canUseFeature against a route that answers a constant
    CanUseFeature,
    /// recordUsage against Redis with a script, not pipelined
    RecordUsage,
    /// useFeature of one hot user against recordUsage spread over users
    UseFeature,
    /// Bulk intake against the script of Redis pipelined by 16
    Bulk,
    /// The latency of recordUsage at half its greatest rate
    Latency,
    /// The memory of the server under mixed load
    Memory,
    /// canUseFeature with many users against few
    Users,
    /// canUseFeature while recorded usage is counted again
    Simulation,
    /// The pages of the dashboard with much data, and recordUsage while they are looked at
    Dashboard,
    /// recordUsage and events in bulk with PostgreSQL as the database, against pgbench on it
    Postgres,
    /// Bulk intake into a database that grows, its size, and a start with it. Takes up to an hour, and
    /// is run only if it is named, or with --smoke
    Growth,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Connections that send requests [default: 64]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=10_000), value_name = "NUMBER")]
    connections: Option<u16>,
    /// Measurements of each figure, of which the median counts [default: 5]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..), value_name = "NUMBER")]
    rounds: Option<u16>,
    /// How long one measurement takes [default: 5]
    #[arg(long, value_parser = seconds, value_name = "SECONDS")]
    seconds: Option<Duration>,
    /// How long there is load before each measurement [default: 2]
    #[arg(long, value_parser = seconds, value_name = "SECONDS")]
    warm_up: Option<Duration>,
    /// Users of most cases [default: 100000]
    #[arg(long, value_parser = users, value_name = "NUMBER")]
    users: Option<u32>,
    /// Events that are stored before most cases [default: 1000000]
    #[arg(long, value_name = "NUMBER")]
    events: Option<u32>,
    /// Users of the cases `memory` and `dashboard` [default: 1000000]
    #[arg(long, value_parser = users, value_name = "NUMBER")]
    memory_users: Option<u32>,
    /// Events that are stored before the cases `memory` and `dashboard` [default: 10000000]
    #[arg(long, value_name = "NUMBER")]
    memory_events: Option<u32>,
    /// The few users of the case `users` [default: 10000]
    #[arg(long, value_parser = users, value_name = "NUMBER")]
    small_users: Option<u32>,
    /// The many users of the case `users` [default: 10000000]
    #[arg(long, value_parser = users, value_name = "NUMBER")]
    large_users: Option<u32>,
    /// Events that the case `growth` records [default: 100000000]
    #[arg(long, value_name = "NUMBER")]
    growth_events: Option<u64>,
    /// Connections that send in bulk [default: 4]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=10_000), value_name = "NUMBER")]
    bulk_connections: Option<u16>,
    /// Events in one request in bulk [default: 1000]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000), value_name = "NUMBER")]
    bulk_batch: Option<u32>,
    /// Small sizes and short measurements, to see that everything works. The figures say nothing
    #[arg(long)]
    pub(crate) smoke: bool,
    /// Run only these cases
    #[arg(long, value_delimiter = ',', value_name = "CASE")]
    only: Vec<Case>,
    /// A directory on the disk to measure. A new directory in it holds all data and is removed in
    /// the end [default: beside this program]
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) data: Option<PathBuf>,
    /// The program `kana` [default: the one beside this program, built anew by cargo]
    #[arg(long, value_name = "FILE")]
    pub(crate) kana: Option<PathBuf>,
}

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) connections: usize,
    pub(crate) rounds: usize,
    pub(crate) length: Duration,
    pub(crate) warm_up: Duration,
    pub(crate) users: u32,
    pub(crate) events: u32,
    pub(crate) memory_users: u32,
    pub(crate) memory_events: u32,
    /// Features and packages of the case `dashboard`.
    pub(crate) features: u32,
    pub(crate) packages: u32,
    pub(crate) small_users: u32,
    pub(crate) large_users: u32,
    pub(crate) growth_events: u64,
    pub(crate) bulk_connections: usize,
    pub(crate) bulk_batch: usize,
}

impl Sizes {
    /// In words.
    pub(crate) fn describe(&self) -> String {
        format!(
            "medians of {} rounds of {:?} after {:?} of warm-up; {} connections; {} users and {} \
             events stored, unless the case says otherwise",
            self.rounds, self.length, self.warm_up, self.connections, self.users, self.events
        )
    }
}

impl CompareArgs {
    /// What was asked for, and what stands for the rest.
    pub(crate) fn sizes(&self) -> Sizes {
        let preset = if self.smoke { SMOKE } else { FULL };
        Sizes {
            connections: self.connections.map_or(preset.connections, usize::from),
            rounds: self.rounds.map_or(preset.rounds, usize::from),
            length: self.seconds.unwrap_or(preset.length),
            warm_up: self.warm_up.unwrap_or(preset.warm_up),
            users: self.users.unwrap_or(preset.users),
            events: self.events.unwrap_or(preset.events),
            memory_users: self.memory_users.unwrap_or(preset.memory_users),
            memory_events: self.memory_events.unwrap_or(preset.memory_events),
            features: preset.features,
            packages: preset.packages,
            small_users: self.small_users.unwrap_or(preset.small_users),
            large_users: self.large_users.unwrap_or(preset.large_users),
            growth_events: self.growth_events.unwrap_or(preset.growth_events),
            bulk_connections: self.bulk_connections.map_or(preset.bulk_connections, usize::from),
            bulk_batch: self.bulk_batch.map_or(preset.bulk_batch, |batch| batch as usize),
        }
    }

    /// Whether the case is to be run.
    pub(crate) fn wants(&self, case: Case) -> bool {
        let takes_long = case == Case::Growth && !self.smoke;
        self.only.contains(&case) || (self.only.is_empty() && !takes_long)
    }
}

const FULL: Sizes = Sizes {
    connections: 64,
    rounds: 5,
    length: Duration::from_secs(5),
    warm_up: Duration::from_secs(2),
    users: 100_000,
    events: 1_000_000,
    memory_users: 1_000_000,
    memory_events: 10_000_000,
    features: 1000,
    packages: 100,
    small_users: 10_000,
    large_users: 10_000_000,
    growth_events: 100_000_000,
    bulk_connections: 4,
    bulk_batch: 1000,
};

const SMOKE: Sizes = Sizes {
    connections: 4,
    rounds: 1,
    length: Duration::from_millis(200),
    warm_up: Duration::from_millis(50),
    users: 200,
    events: 1000,
    memory_users: 300,
    memory_events: 2000,
    features: 15,
    packages: 3,
    small_users: 100,
    large_users: 500,
    growth_events: 2000,
    bulk_connections: 2,
    bulk_batch: 20,
};

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(length) if (0.01..=3600.0).contains(&seconds) => Ok(length),
        _ => Err("must be 0.01 to 3600".to_owned()),
    }
}

fn minutes(text: &str) -> Result<Duration, String> {
    let minutes: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    match Duration::try_from_secs_f64(minutes * 60.0) {
        Ok(length) if (0.1..=1440.0).contains(&minutes) => Ok(length),
        _ => Err("must be 0.1 to 1440".to_owned()),
    }
}

fn users(text: &str) -> Result<u32, String> {
    let most = crate::seed::USERS_MAX;
    match text.parse() {
        Ok(users) if (1..=most).contains(&users) => Ok(users),
        _ => Err(format!("must be 1 to {most}")),
    }
}
