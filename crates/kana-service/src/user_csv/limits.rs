//! How large a file, and a part of it, can be.

/// The most bytes of a file.
pub(crate) const FILE_BYTES_MAX: u64 = 50_000_000;

/// The most lines of a file that are about users.
pub(crate) const USERS_MAX: u32 = 500_000;

/// The most bytes of a record: a user with the longest values, every character of them quoted, and some
/// hundred packages fit.
pub(crate) const RECORD_BYTES_MAX: usize = 1024 * 1024;
