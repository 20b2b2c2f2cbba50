//! Imports of users: a file becomes a preview that waits in the database, and a preview becomes changes
//! (contract: `dashboard.md`, "CSV").
//!
//! Here is what an import is and what a line of it would do, without I/O. The file arrives through
//! [`UserImportUpload`](crate::UserImportUpload); the writer applies it, a slice at a time.

mod data;
mod error;
mod line;
mod plan;

pub(crate) use data::{ImportActor, ImportData, SHOWN_MAX, WHOLE_MAX};
pub use data::{UserImportCounts, UserImportResult, UserImportState};
pub use error::UserImportError;
pub use line::{UserImportLine, UserImportLineKind};
pub(crate) use plan::{Planned, plan};
