use async_trait::async_trait;

use super::batch::{Batch, Batches, Scope};
use crate::check::Finding;
use crate::error::StoreError;

/// An import that has begun. Until [`commit`](Import::commit) nothing has happened; dropped, it
/// leaves the database as empty as it was.
#[async_trait]
pub trait Import: Send {
    /// Adds records. The app comes first.
    async fn insert(&mut self, batch: &Batch) -> Result<(), StoreError>;

    /// Reads back what the database now holds of this scope.
    async fn read_back(&mut self, scope: &Scope) -> Result<Batches, StoreError>;

    /// Returns what is wrong with a grant of which another amount is drawn than the counters say that they
    /// drew; `None` if there is no such grant. All records must be there.
    async fn wrong_draw(&mut self) -> Result<Option<Finding>, StoreError>;

    /// Makes everything durable.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}
