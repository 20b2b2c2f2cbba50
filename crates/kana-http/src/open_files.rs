//! The operating system's limit on open files. Each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are open beside connections: those of a database, logs, locks, the runtime's own.
const OTHERS: u64 = 256;

/// Raises the limit of open files as far as `connections_max` needs and the operating system
/// allows. Returns how many connections can be open.
#[must_use]
pub fn raise_for_connections(connections_max: u32) -> u32 {
    let wanted = u64::from(connections_max) + OTHERS;
    let limit = getrlimit(Resource::Nofile);
    let mut allowed = limit.current.unwrap_or(u64::MAX);
    if allowed < wanted {
        let current = wanted.min(limit.maximum.unwrap_or(u64::MAX));
        let raised = Rlimit { current: Some(current), maximum: limit.maximum };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => allowed = current,
            Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
        }
    }
    let possible = connections(allowed, connections_max);
    if possible < connections_max {
        tracing::warn!(
            connections_max,
            "the limit of open files, {allowed}, lets only {possible} connections be open; \
             raise it with ulimit -n or LimitNOFILE"
        );
    }
    possible
}

/// Returns how many connections can be open if the limit of open files is raised as far as the operating
/// system allows. Raises nothing.
#[must_use]
pub fn possible_connections(connections_max: u32) -> u32 {
    let maximum = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    connections(maximum, connections_max)
}

/// Returns how many connections fit into a limit of open files. They get at least half of it.
fn connections(allowed: u64, connections_max: u32) -> u32 {
    let room = allowed.saturating_sub(OTHERS).max(allowed / 2).max(1);
    u32::try_from(room).unwrap_or(u32::MAX).min(connections_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_left_for_the_database() {
        assert_eq!(connections(u64::MAX, 10_000), 10_000);
        assert_eq!(connections(10_000, 10_000), 10_000 - 256);
        assert_eq!(connections(1024, 10_000), 1024 - 256);
        assert_eq!(connections(64, 10_000), 32);
        assert_eq!(connections(0, 10_000), 1);
        assert_eq!(connections(1024, 100), 100);
    }
}
