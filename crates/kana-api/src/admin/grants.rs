//! Grants: an extra amount of one feature for one user.

use async_graphql::{InputObject, Object};
use kana_core::Timestamp;
use kana_core::decide::CreateGrant;
use kana_core::grant::{self, GrantKey};
use kana_core::id::{FeatureId, GrantId, UserId};
use kana_core::metadata::Label;
use kana_core::refusal::InvalidValue;

use super::input::read;
use crate::counter::int;
use crate::error::ApiError;
use crate::scalars::DateTime;

/// What says how much of a grant there is when that does not fit an `Int`: it always does.
const NO_EXACT_FIELD: &str = "amount";

pub(super) struct Grant {
    user: UserId,
    known: grant::Grant,
    now: Timestamp,
}

impl Grant {
    /// `now` decides whether it has ended.
    pub(super) fn new(user: UserId, known: grant::Grant, now: Timestamp) -> Self {
        Self { user, known, now }
    }
}

/// An extra amount of one feature for one user.
#[Object(name = "Grant")]
impl Grant {
    /// The product's own id of the grant, or else one of Kana's; unique for the user
    async fn id(&self) -> &str {
        self.known.id.as_str()
    }

    /// The product's own id of the user
    async fn user_id(&self) -> &str {
        self.user.as_str()
    }

    /// The id of the feature
    async fn feature_id(&self) -> &str {
        self.known.feature.as_str()
    }

    /// The amount, in the feature's unit
    async fn amount(&self) -> Result<i32, ApiError> {
        int(self.known.amount, NO_EXACT_FIELD)
    }

    /// How much of it usage has drawn so far
    async fn used(&self) -> Result<i32, ApiError> {
        int(self.known.drawn, NO_EXACT_FIELD)
    }

    /// How much is left of it; 0 once it has ended
    async fn remaining(&self) -> Result<i32, ApiError> {
        int(self.known.remaining(self.now), NO_EXACT_FIELD)
    }

    /// Lower ones are drawn first; negative ones before the limit is used, the others after it
    async fn priority(&self) -> Result<i32, ApiError> {
        int(self.known.priority, NO_EXACT_FIELD)
    }

    /// From when on it can be drawn
    async fn starts_at(&self) -> DateTime {
        DateTime(self.known.starts_at)
    }

    /// The first instant after it; null = it has no end
    async fn expires_at(&self) -> Option<DateTime> {
        self.known.expires_at.map(DateTime)
    }

    /// When it was voided; null = it was not
    async fn voided_at(&self) -> Option<DateTime> {
        self.known.voided_at.map(DateTime)
    }

    /// Why it was given, in the product's words
    async fn reason(&self) -> Option<&str> {
        self.known.reason.as_ref().map(Label::as_str)
    }

    /// When it was created
    async fn created_at(&self) -> DateTime {
        DateTime(self.known.created_at)
    }
}

/// An extra amount of one feature for one user, to be created.
#[derive(InputObject)]
pub(super) struct CreateGrantInput {
    /// The product's own id, under which the request can be repeated; absent = Kana chooses one
    id: Option<String>,
    /// The product's own id of the user
    user_id: String,
    /// The id of a CONSUMABLE feature
    feature_id: String,
    /// The amount, 1 to 2^31-1, in the feature's unit
    amount: i32,
    /// From when on it can be drawn, past or future; absent = now
    starts_at: Option<DateTime>,
    /// The first instant after it, after now and after startsAt; absent = it has no end
    expires_at: Option<DateTime>,
    /// -100 to 100; lower ones are drawn first, and negative ones before the limit is used
    #[graphql(default_with = "Some(0)")]
    priority: Option<i32>,
    /// Why, for people; up to 255 characters
    reason: Option<String>,
}

impl CreateGrantInput {
    pub(super) fn read(self) -> Result<CreateGrant, InvalidValue> {
        Ok(CreateGrant {
            user: UserId::new("userId", &self.user_id)?,
            feature: FeatureId::new("featureId", &self.feature_id)?,
            id: read("id", self.id.as_deref(), GrantId::new)?,
            amount: self.amount.into(),
            priority: self.priority.unwrap_or(0).into(),
            starts_at: self.starts_at.map(|at| at.0),
            expires_at: self.expires_at.map(|at| at.0),
            reason: read("reason", self.reason.as_deref(), Label::new)?,
            // The writer chooses it when the command has its turn.
            new_key: GrantKey::UNCHOSEN,
        })
    }
}
