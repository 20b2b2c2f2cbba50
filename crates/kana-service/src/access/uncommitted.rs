use kana_store::{StoreError, WriteTransaction};

/// New keys or links that are not committed yet. Dropping this discards them.
///
/// A secret is shown only once, so it is shown before it is committed. If it cannot be shown, it does
/// not exist.
#[must_use]
pub struct Uncommitted<T> {
    /// What to show.
    pub secrets: T,
    transaction: Box<dyn WriteTransaction>,
}

impl<T> Uncommitted<T> {
    pub(crate) fn new(secrets: T, transaction: Box<dyn WriteTransaction>) -> Self {
        Self { secrets, transaction }
    }

    /// Commits the secrets, which makes them valid.
    pub async fn commit(self) -> Result<T, StoreError> {
        self.transaction.commit().await?;
        Ok(self.secrets)
    }
}
