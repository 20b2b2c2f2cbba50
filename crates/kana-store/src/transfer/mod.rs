//! Everything that a database holds, or one environment of it, as a stream of records: out of one
//! database and into another, of whichever engine. The format stands in `docs/export.md`.
//!
//! Each kind of record is described as data, so that an engine reads and writes all of them
//! with one piece of code. Whoever imports reads everything back before it is committed: a success
//! means that the new database holds exactly what the old one held.

pub(crate) mod batch;
mod checksum;
pub(crate) mod description;
mod file;
mod file_rules;
mod hex;
mod import;
pub(crate) mod kinds;
mod line;
mod reading;
mod row_rules;
mod run;
pub(crate) mod sql;
#[cfg(test)]
mod tests;
pub(crate) mod value;
mod writing;

pub use batch::{Batch, Batches, Counts, Export, Scope};
pub use checksum::{Checksum, Tally};
pub use import::Import;
pub use kinds::Kind;
pub use run::{ImportedBy, Progress, TransferError, export, export_user, import};
