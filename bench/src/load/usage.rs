//! What a process takes, as the kernel counts it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::param::clock_ticks_per_second;
use rustix::time::{ClockId, clock_gettime};

/// A process whose use of the machine is measured.
#[derive(Debug, Clone)]
pub(crate) struct Usage {
    stat: String,
    status: String,
    tasks: String,
    files: String,
}

impl Usage {
    /// Of the process with this number.
    pub(crate) fn of(process: u32) -> Self {
        let file = |name: &str| format!("/proc/{process}/{name}");
        Self { stat: file("stat"), status: file("status"), tasks: file("task"), files: file("fd") }
    }

    /// The CPU time of all its threads, those that have ended included, in user and kernel. In
    /// ticks of ten milliseconds, so that one second of load is known to two percent and five to
    /// less than half of one.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        let text = read(&self.stat)?;
        ticks(&text)
            .map(|ticks| Duration::from_millis(ticks * 1000 / clock_ticks_per_second()))
            .with_context(|| format!("{} is not readable", self.stat))
    }

    /// Its resident memory that is no file's: what only it has, and the machine cannot take back.
    pub(crate) fn anonymous_memory_bytes(&self) -> Result<u64> {
        let text = read(&self.status)?;
        anonymous_kib(&text)
            .map(|kib| kib * 1024)
            .with_context(|| format!("{} is not readable", self.status))
    }

    /// How many files and sockets it has open, without the files in the directory `except`.
    pub(crate) fn open_files(&self, except: &Path) -> Result<usize> {
        let files = std::fs::read_dir(&self.files);
        let files = files.with_context(|| format!("cannot read {}", self.files))?.flatten();
        // One that is closed meanwhile has no name any more, and is not open.
        let names = files.filter_map(|file| std::fs::read_link(file.path()).ok());
        Ok(names.filter(|name| !name.starts_with(except)).count())
    }

    /// What each of its threads is waiting for, as far as the kernel tells: a thread that waits for
    /// the disk is told from one that waits for another thread.
    pub(crate) fn threads(&self) -> String {
        let tasks = std::fs::read_dir(&self.tasks).into_iter().flatten().flatten();
        let mut threads: Vec<String> = tasks
            .map(|task| {
                let file = |name| std::fs::read_to_string(task.path().join(name));
                let [name, stat, waits] = ["comm", "stat", "wchan"]
                    .map(|name| file(name).map(|text| text.trim().to_owned()).unwrap_or_default());
                let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
                format!("{name} {} {waits}", state.unwrap_or('?'))
            })
            .collect();
        threads.sort_unstable();
        threads.dedup();
        threads.join(", ")
    }
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))
}

/// `utime` and `stime`: fields 14 and 15, where the second may hold anything, also spaces.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let kernel: u64 = fields.next()?.parse().ok()?;
    Some(user + kernel)
}

fn anonymous_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The CPU time of the thread that asks.
pub(crate) fn cpu_time_of_this_thread() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read() {
        assert_eq!(ticks("7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 25 17 0 0 20 0 9"), Some(42));
        assert_eq!(ticks("7 (a"), None);
        assert_eq!(anonymous_kib("VmRSS:\t9 kB\nRssAnon:\t     123 kB\n"), Some(123));
        assert_eq!(anonymous_kib("VmRSS:\t9 kB\n"), None);
        let own = Usage::of(std::process::id());
        assert!(own.anonymous_memory_bytes().unwrap() > 0);
        own.cpu_time().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let _open = std::fs::File::create(directory.path().join("file")).unwrap();
        let all = own.open_files(Path::new("/nowhere")).unwrap();
        assert!(own.open_files(directory.path()).unwrap() > 2 && all > 3);
        assert!(own.threads().contains(" R "), "{}", own.threads());
    }
}
