//! The process, as Linux has it in `/proc`. What cannot be read is left out.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use super::format::{Kind, Page};

/// Ticks of the kernel's clock a second, which Linux fixes for programs on all machines.
const TICKS: u64 = 100;

pub(super) fn write(page: &mut Page) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program comes before, and may have spaces.
    let fields: Vec<&str> =
        stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    if let (Some(user), Some(system)) = (field(14), field(15)) {
        let help = "Time that the process had on processors.";
        page.family("process_cpu_seconds_total", Kind::Counter, help);
        page.sample(&[], hundredths((user + system) * 100 / TICKS));
    }
    if let Some(kilobytes) = line_of("/proc/self/status", "VmRSS:") {
        let help = "Memory of the process in RAM.";
        page.family("process_resident_memory_bytes", Kind::Gauge, help);
        page.sample(&[], kilobytes * 1024);
    }
    if let Some(open) = open_files() {
        page.family("process_open_fds", Kind::Gauge, "Open files and sockets.");
        page.sample(&[], open);
    }
    if let Some(max) = line_of("/proc/self/limits", "Max open files") {
        page.family("process_max_fds", Kind::Gauge, "How many files and sockets may be open.");
        page.sample(&[], max);
    }
    if let (Some(booted), Some(started)) = (line_of("/proc/stat", "btime"), field(22)) {
        let help = "When the process started, in Unix time.";
        page.family("process_start_time_seconds", Kind::Gauge, help);
        page.sample(&[], hundredths(booted * 100 + started * 100 / TICKS));
    }
    if let Some(threads) = field(20) {
        page.family("process_threads", Kind::Gauge, "Threads.");
        page.sample(&[], threads);
    }
}

fn hundredths(number: u64) -> String {
    format!("{}.{:02}", number / 100, number % 100)
}

/// Returns the first number in the line that begins so.
fn line_of(file: &str, start: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(start))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Newer kernels tell the number as the size of the directory. Older ones say 0.
fn open_files() -> Option<u64> {
    let told = fs::metadata("/proc/self/fd").ok()?.size();
    if told > 0 {
        return Some(told);
    }
    u64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}
