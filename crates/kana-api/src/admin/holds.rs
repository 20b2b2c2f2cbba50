//! Holds: an amount that is kept for a job of one user while it runs.

use async_graphql::{Enum, InputObject, Object};
use kana_core::Timestamp;
use kana_core::decide::CreateHold;
use kana_core::hold::{self, HoldState as State, TTL_SECONDS_DEFAULT};
use kana_core::id::{FeatureId, HoldId, UserId};
use kana_core::refusal::InvalidValue;
use uuid::Uuid;

use super::input::read;
use super::usage::Consumption;
use crate::counter::int;
use crate::error::ApiError;
use crate::reason_code::ReasonCode;
use crate::scalars::DateTime;

/// What says how much of a hold there is when that does not fit an `Int`: it always does.
const NO_EXACT_FIELD: &str = "amount";

pub(super) struct Hold {
    user: UserId,
    known: hold::Hold,
    now: Timestamp,
}

impl Hold {
    /// `now` decides whether it has expired.
    pub(super) fn new(user: UserId, (known, now): (hold::Hold, Timestamp)) -> Self {
        Self { user, known, now }
    }
}

/// An amount of a feature that is kept for a job of one user while it runs.
#[Object(name = "Hold")]
impl Hold {
    /// The product's own id of the hold, or else one of Kana's; unique for the user
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

    /// What it is now
    async fn state(&self) -> HoldState {
        self.known.state(self.now).into()
    }

    /// What was used of it, in the feature's unit; null = it was not settled
    async fn settled_amount(&self) -> Option<Result<i32, ApiError>> {
        self.known.settled().map(|amount| int(amount, NO_EXACT_FIELD))
    }

    /// When it was created
    async fn created_at(&self) -> DateTime {
        DateTime(self.known.created_at)
    }

    /// The first instant at which it counts no longer, unless it has ended before
    async fn expires_at(&self) -> DateTime {
        DateTime(self.known.expires_at)
    }
}

/// What a hold is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum HoldState {
    /// It counts, like usage
    Held,
    /// Its time is over: it counts no longer, and can still be settled
    Expired,
    /// It has ended with what was used
    Settled,
    /// It has ended, and nothing was used
    Released,
}

impl From<State> for HoldState {
    fn from(state: State) -> Self {
        match state {
            State::Held => Self::Held,
            State::Expired => Self::Expired,
            State::Settled => Self::Settled,
            State::Released => Self::Released,
        }
    }
}

pub(super) struct HeldFeature {
    user: UserId,
    held: hold::HeldFeature,
    now: Timestamp,
}

impl HeldFeature {
    pub(super) fn new(user: UserId, (held, now): (hold::HeldFeature, Timestamp)) -> Self {
        Self { user, held, now }
    }
}

/// Whether an amount is held, and why.
#[Object(name = "HeldFeature")]
impl HeldFeature {
    /// Whether the user may use the amount, which is held now
    async fn granted(&self) -> bool {
        self.held.hold.is_some()
    }

    /// One plain sentence that says why, for a log
    async fn reason(&self) -> &str {
        self.held.reason.sentence()
    }

    /// The reason as a word for programs; HELD when the same request came before
    async fn reason_code(&self) -> ReasonCode {
        self.held.reason.into()
    }

    /// The hold; null when it was not granted
    async fn hold(&self) -> Option<Hold> {
        let known = self.held.hold.clone();
        known.map(|known| Hold::new(self.user.clone(), (known, self.now)))
    }

    /// What is used and held of the budget now; null when nothing grants the feature
    async fn consumption(&self) -> Option<Consumption> {
        self.held.consumption.map(Consumption)
    }
}

/// An amount of a feature to be held for a job of one user.
#[derive(InputObject)]
pub(super) struct CreateHoldInput {
    /// The product's own id, under which the request can be repeated; absent = Kana chooses one
    id: Option<String>,
    /// The product's own id of the user
    user_id: String,
    /// The id of a CONSUMABLE feature
    feature_id: String,
    /// The amount, 1 to 2^31-1, in the feature's unit
    amount: i32,
    /// For how many seconds it is held, 1 to 604,800
    #[graphql(default_with = "Some(900)")]
    ttl_seconds: Option<i32>,
}

impl CreateHoldInput {
    pub(super) fn read(self) -> Result<CreateHold, InvalidValue> {
        Ok(CreateHold {
            user: UserId::new("userId", &self.user_id)?,
            feature: FeatureId::new("featureId", &self.feature_id)?,
            id: read("id", self.id.as_deref(), HoldId::new)?,
            amount: self.amount.into(),
            ttl_seconds: self.ttl_seconds.map_or(TTL_SECONDS_DEFAULT, i64::from),
            // The writer chooses it when the command has its turn.
            new_id: Uuid::nil(),
        })
    }
}
