//! Checks of the file system of the data directory: free space, and its kind.

use std::path::Path;

use rustix::fs::{statfs, statvfs};

use super::report::Check;

/// A server refuses writes below 64 MiB.
const LEAST_FREE_BYTES: u64 = 256 << 20;

/// File systems on which locks and durable writes of SQLite cannot be relied on, by their magic numbers.
const OF_NETWORKS: &[(u64, &str)] =
    &[(0x6969, "NFS"), (0x517B, "SMB"), (0xFF53_4D42, "CIFS"), (0xFE53_4D42, "SMB 2")];

/// Checks the file system of an existing directory.
pub(super) fn check(directory: &Path) -> Vec<Check> {
    vec![free_space(directory), kind(directory)]
}

fn free_space(directory: &Path) -> Check {
    match statvfs(directory) {
        Ok(of) => {
            let bytes = |blocks: u64| blocks.saturating_mul(of.f_frsize);
            judge(bytes(of.f_bavail), bytes(of.f_blocks))
        }
        Err(error) => {
            let text = format!("cannot be found out for {}: {error}", directory.display());
            Check::warn("free space", text, "look at the file system")
        }
    }
}

fn judge(free: u64, all: u64) -> Check {
    let (free_mib, all_mib) = (free >> 20, all >> 20);
    let text = format!("{free_mib} of {all_mib} MiB are free");
    let advice = "make room or move the data directory; --events-days limits how much is kept";
    if free < LEAST_FREE_BYTES {
        Check::fail("free space", text, advice)
    } else if free < all / 10 {
        Check::warn("free space", text, advice)
    } else {
        Check::ok("free space", text)
    }
}

fn kind(directory: &Path) -> Check {
    let Ok(of) = statfs(directory) else {
        let text = format!("cannot be found out for {}", directory.display());
        return Check::warn("file system", text, "look at the file system");
    };
    kind_of(magic(of.f_type))
}

/// Returns a magic number, which has 32 bits and on some machines a sign.
fn magic(number: impl TryInto<i64>) -> u64 {
    let number: i64 = number.try_into().unwrap_or(0);
    u64::from_ne_bytes(number.to_ne_bytes()) & 0xFFFF_FFFF
}

fn kind_of(magic: u64) -> Check {
    match OF_NETWORKS.iter().find(|(known, _)| *known == magic) {
        Some((_, name)) => Check::fail(
            "file system",
            format!("it is {name}, on which the embedded database is not safe"),
            "use a local disk, or PostgreSQL with --database-url",
        ),
        None => Check::ok("file system", "it is local"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Status;
    use super::*;

    #[test]
    fn free_space_is_judged_by_bytes_and_by_share() {
        let gib = 1 << 30;
        for (free, all, status) in [
            ((256 << 20) - 1, gib, Status::Fail),
            (256 << 20, gib, Status::Ok),
            (gib, 20 * gib, Status::Warn),
            (2 * gib, 20 * gib, Status::Ok),
        ] {
            assert_eq!(judge(free, all).status, status, "{free} of {all}");
        }
    }

    #[test]
    fn file_systems_of_networks_fail() {
        for (magic, name) in OF_NETWORKS {
            let check = kind_of(*magic);
            assert_eq!(check.status, Status::Fail);
            assert!(check.detail.contains(name), "{check:?}");
        }
        assert_eq!(magic(-11_317_950_i64), 0xFF53_4D42, "with a sign");
        // ext4
        assert_eq!(kind_of(0xEF53).status, Status::Ok);
    }
}
