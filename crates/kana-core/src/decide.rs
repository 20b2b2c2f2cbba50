//! Every change of a user's facts is one pure decision.

use uuid::Uuid;

pub use crate::command::{Answer, Basis, Decide, Decision};
use crate::facts::Obstacle;
use crate::folding::FoldCounters;
pub use crate::grant_commands::{CreateGrant, VoidGrant};
pub use crate::hold_commands::{CreateHold, ExtendHold, ReleaseHold, SettleHold};
use crate::id::IdempotencyKey;
pub use crate::override_commands::{OVERRIDES_MAX, OverrideInput, RemoveOverride, SetOverride};
pub use crate::package_change::ChangePackage;
use crate::subjects::{Subject, Subjects};
use crate::subscribing::{CancelSubscription, Subscribe};
pub use crate::subscription_update::UpdateSubscription;
use crate::usage::{RecordUsage, UseFeature, VoidUsage};
pub use crate::user_commands::{CreateUser, UpdateUser};
pub use crate::user_deletion::DeleteUser;

/// Any command. Each variant holds a type that implements [`Decide`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Creates a user.
    CreateUser(CreateUser),
    /// Changes what is known of a user.
    UpdateUser(UpdateUser),
    /// Deletes a user.
    DeleteUser(DeleteUser),
    /// Records usage.
    RecordUsage(RecordUsage),
    /// Checks and records usage in one step.
    UseFeature(UseFeature),
    /// Takes back recorded usage.
    VoidUsage(VoidUsage),
    /// Subscribes the user to packages.
    Subscribe(Subscribe),
    /// Cancels a subscription.
    CancelSubscription(CancelSubscription),
    /// Changes a subscription that runs.
    UpdateSubscription(UpdateSubscription),
    /// Changes a subscription to one to another package.
    ChangePackage(ChangePackage),
    /// Sets the user's override of a feature.
    SetOverride(SetOverride),
    /// Removes the user's override of a feature.
    RemoveOverride(RemoveOverride),
    /// Gives the user an extra amount of a feature.
    CreateGrant(CreateGrant),
    /// Ends a grant.
    VoidGrant(VoidGrant),
    /// Holds an amount for a job, if the user may use it.
    CreateHold(CreateHold),
    /// Ends a hold with what was used.
    SettleHold(SettleHold),
    /// Ends a hold of which nothing was used.
    ReleaseHold(ReleaseHold),
    /// Lets a hold expire at another time.
    ExtendHold(ExtendHold),
    /// Folds a subscription's old counters into one sum.
    FoldCounters(FoldCounters),
}

impl Command {
    /// Returns the users whose facts the command needs.
    #[must_use]
    pub fn subjects(&self) -> Subjects<Subject<'_>> {
        self.kind().subjects()
    }

    /// Returns the key under which the command takes effect once, however often it is sent.
    #[must_use]
    pub fn idempotency_key(&self) -> Option<&IdempotencyKey> {
        self.kind().idempotency_key()
    }

    /// Returns true if the command creates something that needs an id of ours.
    #[must_use]
    pub fn creates(&self) -> bool {
        self.kind().creates()
    }

    /// Sets the ids of what the command creates, if it creates anything.
    pub fn set_ids(&mut self, next_id: &mut dyn FnMut() -> Uuid) {
        self.kind_mut().set_ids(next_id);
    }

    /// The command behind its trait. This costs what a `match` for each method would: one jump.
    fn kind(&self) -> &dyn Decide {
        match self {
            Self::CreateUser(command) => command,
            Self::UpdateUser(command) => command,
            Self::DeleteUser(command) => command,
            Self::RecordUsage(command) => command,
            Self::UseFeature(command) => command,
            Self::VoidUsage(command) => command,
            Self::Subscribe(command) => command,
            Self::CancelSubscription(command) => command,
            Self::UpdateSubscription(command) => command,
            Self::ChangePackage(command) => command,
            Self::SetOverride(command) => command,
            Self::RemoveOverride(command) => command,
            Self::CreateGrant(command) => command,
            Self::VoidGrant(command) => command,
            Self::CreateHold(command) => command,
            Self::SettleHold(command) => command,
            Self::ReleaseHold(command) => command,
            Self::ExtendHold(command) => command,
            Self::FoldCounters(command) => command,
        }
    }

    fn kind_mut(&mut self) -> &mut dyn Decide {
        match self {
            Self::CreateUser(command) => command,
            Self::UpdateUser(command) => command,
            Self::DeleteUser(command) => command,
            Self::RecordUsage(command) => command,
            Self::UseFeature(command) => command,
            Self::VoidUsage(command) => command,
            Self::Subscribe(command) => command,
            Self::CancelSubscription(command) => command,
            Self::UpdateSubscription(command) => command,
            Self::ChangePackage(command) => command,
            Self::SetOverride(command) => command,
            Self::RemoveOverride(command) => command,
            Self::CreateGrant(command) => command,
            Self::VoidGrant(command) => command,
            Self::CreateHold(command) => command,
            Self::SettleHold(command) => command,
            Self::ReleaseHold(command) => command,
            Self::ExtendHold(command) => command,
            Self::FoldCounters(command) => command,
        }
    }
}

/// Decides `command` on the facts of its [`subjects`](Command::subjects).
///
/// Refusals come in the contract's order: bad values, then an unknown user, then an unknown
/// feature, then whatever the stored facts forbid.
pub fn decide(basis: &Basis<'_>, command: &Command) -> Result<Decision, Obstacle> {
    let command = command.kind();
    command.check(basis.now)?;
    command.decide(basis)
}
