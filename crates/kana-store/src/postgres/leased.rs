use deadpool_postgres::{Object, Pool};

use super::connections::take;
use crate::error::StoreError;

/// A connection that is closed on drop unless it is given back, so that a connection that failed or
/// missed a deadline is not used again.
pub(super) struct Leased(Option<Object>);

impl Leased {
    pub(super) async fn take(pool: &Pool) -> Result<Self, StoreError> {
        Ok(Self(Some(take(pool).await?)))
    }

    pub(super) fn get(&mut self) -> Result<&mut Object, StoreError> {
        self.0.as_mut().ok_or_else(|| StoreError::Engine("a connection went astray".into()))
    }

    /// Returns the connection to its pool.
    pub(super) fn give_back(mut self) {
        self.0 = None;
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Object::take(connection));
        }
    }
}
