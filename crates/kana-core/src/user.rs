//! Users of the product.

use crate::id::{UserId, UserKey};
use crate::metadata::{Label, Metadata};

/// Someone who uses the product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Ours, permanent.
    pub key: UserKey,
    /// The product's own id; it can change.
    pub id: UserId,
    /// The id at the billing provider.
    pub billing_id: Option<Label>,
    /// The user's name.
    pub name: Option<Label>,
    /// The user's e-mail address.
    pub email: Option<Label>,
    /// What the product attached to the user.
    pub metadata: Option<Metadata>,
}
