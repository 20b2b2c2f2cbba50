//! What every command has: the users it names, its checks, and its decision.

use uuid::Uuid;

use crate::catalog::Catalog;
use crate::change::{self, AuditEntry};
use crate::facts::{Obstacle, UserChange, UserFacts};
use crate::grant::Grant;
use crate::hold::{HeldFeature, Hold};
use crate::id::{IdempotencyKey, UserId, UserKey};
use crate::idempotency::Replays;
use crate::overrides::Override;
use crate::refusal::Refusal;
use crate::subjects::{Subject, Subjects};
use crate::subscription::Subscription;
use crate::timestamp::Timestamp;
use crate::usage_event::{RecordedUsage, UsedFeature, VoidedUsage};
use crate::user::User;

/// A command: something that a caller wants to change about users' facts. Each kind of command is a
/// type that implements this; [`decide`](crate::decide::decide) calls it.
pub trait Decide {
    /// Returns the users whose facts the command needs.
    fn subjects(&self) -> Subjects<Subject<'_>>;

    /// Returns the key under which the command takes effect once, however often it is sent.
    fn idempotency_key(&self) -> Option<&IdempotencyKey> {
        None
    }

    /// Returns true if the command creates something that needs an id of ours.
    fn creates(&self) -> bool {
        false
    }

    /// Sets the ids of what the command creates. Called once, before the command is decided, and only
    /// if it [`creates`](Self::creates) something. Each id is greater than those before it.
    fn set_ids(&mut self, _next_id: &mut dyn FnMut() -> Uuid) {}

    /// Checks the values that can be checked without stored facts.
    fn check(&self, _now: Timestamp) -> Result<(), Refusal> {
        Ok(())
    }

    /// Decides the command, whose values were checked.
    fn decide(&self, basis: &Basis<'_>) -> Result<Decision, Obstacle>;
}

/// What a command is decided on.
#[derive(Debug, Clone)]
pub struct Basis<'a> {
    /// The environment's features and packages.
    pub catalog: &'a Catalog,
    /// The facts of each user that the command names; `None` for a user who does not exist.
    pub users: Subjects<Option<&'a UserFacts>>,
    /// What was answered under idempotency keys.
    pub replays: &'a Replays,
    /// The time of the decision.
    pub now: Timestamp,
}

impl<'a> Basis<'a> {
    /// Returns the facts of the first user that the command names. Refuses if there is no such user.
    pub(crate) fn user(&self, command: &impl Decide) -> Result<&'a UserFacts, Refusal> {
        self.users.first.ok_or_else(|| match command.subjects().first {
            Subject::User(id) => Refusal::UserNotFound(id.clone()),
            Subject::Subscriber(id) => Refusal::SubscriptionNotFound(id.to_string()),
            Subject::Recorder(key) => Refusal::UsageNotFound(key.clone()),
        })
    }
}

/// The answer to a command, and the changes that make it true. Without changes nothing is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What the caller is told once the changes are durable.
    pub answer: Answer,
    /// What is stored, in this order, each with the user whose it is.
    pub changes: Vec<UserChange>,
    /// What goes to the changes feed, in this order. Usage adds to it only the thresholds that it
    /// reaches.
    pub feed: Vec<change::Change>,
    /// What goes to the audit log beside what the feed says.
    pub audit: Vec<AuditEntry>,
}

impl Decision {
    /// Returns true if the idempotency record that it keeps takes the place of an earlier one, which must
    /// be forgotten first.
    #[must_use]
    pub fn replaces_key(&self) -> bool {
        matches!(self.answer, Answer::Voided(_))
    }

    /// Creates a decision that the changes feed does not tell.
    pub(crate) fn untold(answer: Answer, changes: Vec<UserChange>) -> Self {
        Self::told(answer, changes, Vec::new())
    }

    /// Creates a decision that the audit log has as the changes feed tells it.
    pub(crate) fn told(
        answer: Answer,
        changes: Vec<UserChange>,
        feed: Vec<change::Change>,
    ) -> Self {
        Self { answer, changes, feed, audit: Vec::new() }
    }
}

/// The answer to a command; each command has its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To `createUser` and `updateUser`.
    User(User),
    /// To `recordUsage`.
    Recorded(RecordedUsage),
    /// To `useFeature`.
    Used(UsedFeature),
    /// To `voidUsage`.
    Voided(VoidedUsage),
    /// To `subscribe`: in the order of the packages.
    Subscribed(Vec<Subscription>),
    /// To `cancelSubscription`.
    Cancelled {
        /// Whose subscription it was.
        user: UserId,
        /// The subscription as it is now.
        subscription: Subscription,
    },
    /// To `updateSubscription`, and to `changePackage`: the new one.
    SubscriptionUpdated {
        /// Whose subscription it is.
        user: UserId,
        /// The subscription as it is now.
        subscription: Subscription,
    },
    /// To `setOverride`: as it is now.
    OverrideSet(Override),
    /// To `removeOverride`: whether one lived.
    OverrideRemoved(bool),
    /// To `createGrant` and `voidGrant`: as it is now.
    Grant(Grant),
    /// To `createHold`.
    Held(Box<HeldFeature>),
    /// To `settleHold`, `releaseHold` and `extendHold`: as it is now.
    Hold(Hold),
    /// To `deleteUser`: the key under which what was used stays.
    UserDeleted(UserKey),
    /// To [`FoldCounters`](crate::folding::FoldCounters).
    Folded,
}

impl Answer {
    /// Returns true if the answer names packages, so that the caller needs the catalog to show it.
    #[must_use]
    pub fn names_packages(&self) -> bool {
        match self {
            Self::Subscribed(_) | Self::Cancelled { .. } | Self::SubscriptionUpdated { .. } => true,
            Self::User(_)
            | Self::Recorded(_)
            | Self::Used(_)
            | Self::Voided(_)
            | Self::OverrideSet(_)
            | Self::OverrideRemoved(_)
            | Self::Grant(_)
            | Self::Held(_)
            | Self::Hold(_)
            | Self::UserDeleted(_)
            | Self::Folded => false,
        }
    }
}
