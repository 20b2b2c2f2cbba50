//! The machine that the figures are from.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use rustix::system::uname;

use crate::load::Spread;
use crate::process::first_line;

/// How often a small write is made durable to know what that costs.
const SYNCS: usize = 200;
const SYNCED_BYTES: usize = 4096;

/// The file systems that keep nothing.
const NOT_DISKS: [&str; 2] = ["tmpfs", "ramfs"];

/// What a directory's file system is.
pub(crate) struct FileSystem {
    kind: String,
    source: String,
}

impl FileSystem {
    /// Of a directory.
    pub(crate) fn of(directory: &Path) -> Result<Self> {
        let directory = directory.canonicalize()?;
        let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
        mounts
            .lines()
            .filter_map(|line| {
                let (mount, what) = line.split_once(" - ")?;
                let at = Path::new(mount.split(' ').nth(4)?);
                let mut what = what.split(' ');
                let found = Self { kind: what.next()?.into(), source: what.next()?.into() };
                directory.starts_with(at).then_some((at.components().count(), found))
            })
            // The deepest; of several at one place, the last that was mounted.
            .max_by_key(|(depth, _)| *depth)
            .map(|(_, found)| found)
            .with_context(|| format!("cannot find the file system of {}", directory.display()))
    }

    /// Whether what is written there survives the machine.
    pub(crate) fn is_disk(&self) -> bool {
        !NOT_DISKS.contains(&self.kind.as_str())
    }
}

/// What a small write to the end of a file in `directory` costs until it is durable.
pub(crate) fn sync_ms(directory: &Path) -> Result<Spread> {
    let path = directory.join("sync");
    let mut file = File::create(&path)?;
    let block = [7; SYNCED_BYTES];
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let begin = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        times.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    std::fs::remove_file(path)?;
    Ok(Spread::of(times))
}

/// The machine, in a line.
pub(crate) fn describe() -> Result<String> {
    let system = uname();
    let usable = std::thread::available_parallelism()?.get();
    Ok(format!(
        "{}, {}; {} of memory; Linux {}",
        cpu().unwrap_or_else(|| "an unknown CPU".to_owned()),
        count(usable, "usable core"),
        memory().unwrap_or_else(|| "an unknown amount".to_owned()),
        system.release().to_string_lossy(),
    ))
}

/// The disk, in a line: what a small write cost before the cases were run, and after.
pub(crate) fn describe_disk(file_system: &FileSystem, before: Spread, after: Spread) -> String {
    let times = |spread: Spread| {
        format!("{:.2} ms ({:.2} to {:.2})", spread.median, spread.min, spread.max)
    };
    format!(
        "data on {} on {}, where {SYNCED_BYTES} bytes more in a file are durable after {} before \
         the run and {} after it (write and fdatasync, medians of {SYNCS})",
        file_system.kind,
        file_system.source,
        times(before),
        times(after),
    )
}

/// The releases that are compared, in a line.
pub(crate) fn describe_releases(kana: &Path) -> String {
    format!(
        "{}; redis-server {}; {}; {}",
        first_line(kana, "--version"),
        crate::servers::redis::version().unwrap_or_else(|_| "not there".to_owned()),
        crate::servers::postgres::version().unwrap_or_else(|_| "PostgreSQL not there".to_owned()),
        first_line(Path::new("rustc"), "--version"),
    )
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn cpu() -> Option<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn memory() -> Option<String> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(format!("{:.1} GiB", kib as f64 / 1024.0 / 1024.0))
}
