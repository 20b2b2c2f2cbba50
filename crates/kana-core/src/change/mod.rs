//! The changes feed: what happened, for other programs (contract: `changes.md`, "The log").
//!
//! A [`Change`] describes an effect, not how it is stored. The rules return changes beside what to
//! store; the store numbers them and stores them in the same transaction. Of usage, only the thresholds
//! that it reaches are changes.

mod audit;
mod catalog;
mod data;
mod effect;
mod entitlements;

pub use audit::{AuditEntry, AuditKind, audit_of_catalog, audit_of_user, deletes_user};
pub(crate) use audit::{audit_of_grant, audit_of_override};
pub use catalog::{of_catalog, packages_to_count};
pub use data::DATA_BYTES_MAX;
pub use effect::{
    Change, Effect, EntitlementDifference, Grant, KeyName, PublishedCounts, TYPES, types_named,
};
pub(crate) use entitlements::{Known, differences_of_features, entitlement_differences};
