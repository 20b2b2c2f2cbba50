//! What is measured, a module for each case. A case answers its rows of the table.

pub(crate) mod bulk;
pub(crate) mod can_use_feature;
pub(crate) mod dashboard;
pub(crate) mod growth;
pub(crate) mod latency;
pub(crate) mod memory;
pub(crate) mod postgres;
pub(crate) mod recording;
pub(crate) mod simulation;
pub(crate) mod users;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::args::Sizes;
use crate::cores::Cores;
use crate::database::Database;
use crate::load::usage::Usage;
use crate::load::{Pace, Plan, Round, Talk};
use crate::seed::seed;
use crate::servers::Missing;
use crate::servers::kana::Kana;
use crate::servers::redis::Redis;
use crate::stop::Stop;

/// What every case needs.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) sizes: Sizes,
    pub(crate) cores: Cores,
    pub(crate) stop: Stop,
    /// The program `kana`.
    pub(crate) kana: PathBuf,
    /// Where data goes.
    pub(crate) directory: PathBuf,
}

impl Bench {
    /// One round in a closed loop.
    pub(crate) fn closed(
        &self,
        address: SocketAddr,
        talk: &mut dyn Talk,
        connections: usize,
        server: &Usage,
    ) -> Result<Round> {
        self.round(address, talk, connections, server, Pace::Closed)
    }

    /// One round in an open loop, a request in each interval.
    pub(crate) fn open(
        &self,
        address: SocketAddr,
        talk: &mut dyn Talk,
        interval: Duration,
        server: &Usage,
    ) -> Result<Round> {
        self.round(address, talk, self.sizes.connections, server, Pace::Open(interval))
    }

    fn round(
        &self,
        address: SocketAddr,
        talk: &mut dyn Talk,
        connections: usize,
        server: &Usage,
        pace: Pace,
    ) -> Result<Round> {
        let plan = Plan {
            connections,
            warm_up: self.sizes.warm_up,
            length: self.sizes.length,
            pace,
            own_core: self.cores.load_has_its_own(),
        };
        crate::load::run(address, talk, &plan, server, &self.stop)
    }

    /// Seeds a new directory and starts Kana on it.
    pub(crate) fn start_kana(&self, name: &str, users: u32, events: u32) -> Result<Kana> {
        eprintln!("  seeding {users} users and {events} events");
        let directory = self.new_directory(name)?;
        let database = Database::Embedded(directory.clone());
        let key = seed(&database, users, events, &self.stop)?;
        Kana::start(&self.kana, &directory, &database, key, self.cores, &self.stop)
    }

    /// A new directory on the disk that is measured.
    pub(crate) fn new_directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.directory.join(name);
        std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }

    /// Frees what a directory takes, once nothing runs on it.
    pub(crate) fn remove_directory(&self, name: &str) -> Result<()> {
        let path = self.directory.join(name);
        std::fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))
    }
}

/// Starts Redis for a case, where it is installed.
fn start_redis(bench: &Bench, case: &str) -> Result<Result<Redis, Missing>> {
    let data_dir = bench.new_directory(&format!("{case}-redis"))?;
    available(Redis::start(&data_dir, bench.cores, &bench.stop))
}

/// Tells what is missing on this machine from what has failed.
fn available<T>(started: Result<T>) -> Result<Result<T, Missing>> {
    match started {
        Ok(started) => Ok(Ok(started)),
        Err(error) => error.downcast().map(Err),
    }
}
