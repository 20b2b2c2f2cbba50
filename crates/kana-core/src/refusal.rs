//! Why a request is refused. Each surface maps refusals to its own codes; the messages are here.

use crate::catalog::PackageStatus;
use crate::configuration::Problem;
use crate::hold::HoldState;
use crate::id::{FeatureId, GrantId, HoldId, IdempotencyKey, PackageId, UserId};
pub use crate::invalid::InvalidValue;

/// Why a command, a plan or a question was refused. A refused request changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A value is invalid, whatever is stored.
    #[error(transparent)]
    Invalid(#[from] InvalidValue),
    /// No such feature in this environment.
    #[error("Feature not found: {0}")]
    FeatureNotFound(FeatureId),
    /// No such package in this environment.
    #[error("Package not found: {0}")]
    PackageNotFound(PackageId),
    /// No such user in this environment.
    #[error("User not found: {0}")]
    UserNotFound(UserId),
    /// No such subscription in this environment.
    #[error("Subscription not found: {0}")]
    SubscriptionNotFound(String),
    /// Nothing was recorded under this key, or that was so long ago that it is forgotten.
    #[error(
        "Usage not found: nothing that is still known was recorded under the idempotency key {0}"
    )]
    UsageNotFound(IdempotencyKey),
    /// The user has no such grant.
    #[error("Grant not found: {0}")]
    GrantNotFound(GrantId),
    /// The user has no such hold, or it was over so long ago that it is forgotten.
    #[error("Hold not found: {0}")]
    HoldNotFound(HoldId),
    /// A hold that is over does not become anything else, except that one that expired can be settled.
    #[error("{} cannot be {wanted}", hold_that(*.state))]
    HoldIsOver {
        /// What it is.
        state: HoldState,
        /// What was to be done with it, as a participle.
        wanted: &'static str,
    },
    /// A hold was settled with another amount.
    #[error("The hold was settled before, with the amount {0}")]
    HoldSettledOtherwise(i64),
    /// The id of a new thing was used for one with other content.
    #[error("id was already used for a request with other content; a new request needs a new id")]
    IdConflict,
    /// Another feature has this id.
    #[error("A feature with the id {0} exists already")]
    FeatureIdTaken(FeatureId),
    /// Another package has this id.
    #[error("A package with the id {0} exists already")]
    PackageIdTaken(PackageId),
    /// Another user has this id.
    #[error("A user with the id {0} exists already")]
    UserIdTaken(UserId),
    /// The idempotency key was used for a request with other content.
    #[error(
        "idempotencyKey was already used for a request with other content; \
         a new request needs a new key"
    )]
    IdempotencyConflict,
    /// `subscribe` names a package that does not exist. The message is fixed by the contract.
    #[error("Package Id not found for app")]
    SubscribePackageNotFound(PackageId),
    /// A subscription link needs a billing provider.
    #[error("A subscription link cannot be made: no billing provider is linked")]
    NoBillingProvider,
    /// There is more than fits into one answer.
    #[error("There are more than {max} {what}: ask for them in pages, with {instead}")]
    TooMany {
        /// What was asked for.
        what: &'static str,
        /// The maximum number in an answer.
        max: usize,
        /// The field that returns pages.
        instead: &'static str,
    },
    /// The configuration cannot be published.
    #[error("The configuration cannot be published: {}", summary(.0))]
    Configuration(Vec<Problem>),
    /// The catalog has changed since the caller read it.
    #[error(
        "The features and packages have changed since they were pulled: pull them, and make your \
         change again"
    )]
    StaleCatalog,
    /// Changes that were asked for have been deleted from the changes feed.
    #[error(
        "The changes after this number are no longer kept: the oldest that is kept is {oldest}. \
         Read everything anew, and go on with the changes that follow"
    )]
    ChangesGone {
        /// The number of the oldest change that is kept.
        oldest: i64,
    },
    /// Another row of the contract's table "Subscribing".
    #[error(transparent)]
    Subscribe(#[from] SubscribeRefusal),
}

/// Names a hold by what has become of it.
fn hold_that(state: HoldState) -> &'static str {
    match state {
        HoldState::Held => "A hold that lives",
        HoldState::Expired => "A hold that has expired",
        HoldState::Settled => "A hold that was settled",
        HoldState::Released => "A hold that was released",
    }
}

/// Returns the first problem and the number of others.
fn summary(problems: &[Problem]) -> String {
    let Some(first) = problems.first() else { return String::new() };
    match problems.len() - 1 {
        0 => first.to_string(),
        more => format!("{first} (and {more} more)"),
    }
}

/// Why `subscribe` is refused although every package exists (contract: `entitlements.md`,
/// "Subscribing"), or `updateSubscription` or `changePackage` (`beyond.md`, "Trials, schedules, changes").
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeRefusal {
    /// Only published packages take new subscriptions.
    #[error("Package {package} is {status}: only a PUBLISHED package can be subscribed to")]
    NotPublished {
        /// The package that was asked for.
        package: PackageId,
        /// Its status.
        status: PackageStatus,
    },
    /// More than one base package, counting the one that the user has. Fixed message.
    #[error("Cannot subscribe to multiple tiers")]
    MultipleBases,
    /// An add-on needs a base package. Fixed message.
    #[error("Cannot subscribe to addon. Missing live tier subscription.")]
    AddonWithoutBase,
    /// The add-on is meant for other base packages.
    #[error("Add-on {addon} cannot be added to package {base}: it is not one of its base packages")]
    AddonForOtherBase {
        /// The add-on that was asked for.
        addon: PackageId,
        /// The base package that the user has or would have.
        base: PackageId,
    },
    /// A subscription that has ended never changes. Fixed message.
    #[error("Subscription has ended")]
    HasEnded,
    /// Its package can be changed only once it has begun. Fixed message.
    #[error("Subscription has not started")]
    HasNotStarted,
    /// It ends before its package would change. Fixed message.
    #[error("Subscription ends before the change")]
    EndsBeforeChange,
    /// A subscription keeps its kind. Fixed message.
    #[error("A base changes to a base, an add-on to an add-on")]
    OtherKind,
    /// The user has a granting subscription to the package already.
    #[error("The user is already subscribed to package {package}")]
    AlreadySubscribed {
        /// The package that was asked for.
        package: PackageId,
    },
}
