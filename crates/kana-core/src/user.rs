//! Users of the product.

use uuid::Uuid;

use crate::edit::Edit;
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

impl User {
    /// Creates a user of whom nothing is known but the id. The key is set when the user is created in
    /// an environment.
    #[must_use]
    pub fn named(id: UserId) -> Self {
        let key = UserKey(Uuid::nil());
        Self { key, id, billing_id: None, name: None, email: None, metadata: None }
    }

    /// Returns the fields that differ from `other`'s, by their names in the Admin API.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let Self { key: _, id, billing_id, name, email, metadata } = self;
        [
            ("id", *id != other.id),
            ("billingId", *billing_id != other.billing_id),
            ("name", *name != other.name),
            ("email", *email != other.email),
            ("metadata", *metadata != other.metadata),
        ]
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(name, _)| name)
        .collect()
    }
}

/// What is to change about a user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserEdit {
    /// A new id. Subscriptions and usage stay with the user.
    pub id: Option<UserId>,
    /// The id at the billing provider.
    pub billing_id: Edit<Label>,
    /// The user's name.
    pub name: Edit<Label>,
    /// The user's e-mail address.
    pub email: Edit<Label>,
    /// What the product attaches to the user.
    pub metadata: Edit<Metadata>,
}

impl UserEdit {
    /// Makes the edits.
    pub fn apply_to(self, user: &mut User) {
        let Self { id, billing_id, name, email, metadata } = self;
        if let Some(id) = id {
            user.id = id;
        }
        billing_id.apply_to(&mut user.billing_id);
        name.apply_to(&mut user.name);
        email.apply_to(&mut user.email);
        metadata.apply_to(&mut user.metadata);
    }
}
