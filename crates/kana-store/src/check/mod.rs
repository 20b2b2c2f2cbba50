//! Checks what a database holds, as it is at one instant (contract: `operations.md`, "Backup, restore,
//! check, doctor").
//!
//! The statements are the same for both engines but for a few words, and answer with findings. Some
//! checks need the rules of usage: they read sorted rows, one after the other, and keep only what belongs
//! to one counter, one user's grants or one key. So memory stays flat however many events there are; the
//! database sorts them on disk.

mod counter_group;
mod counters;
mod draws;
mod finding;
mod kept_events;
mod references;
mod replays;
mod run;
mod snapshot;
mod statements;
mod subscription_columns;

pub use finding::Finding;
pub(crate) use run::{run, wrong_draw};
pub(crate) use snapshot::{Cell, Dialect, Row, Snapshot, Visit};
