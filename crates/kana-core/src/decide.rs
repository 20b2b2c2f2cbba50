//! Every change of a user's facts is one pure decision.

use crate::catalog::Catalog;
use crate::change::{self, Effect};
use crate::facts::{Change, Obstacle, UserFacts};
use crate::folding::{self, FoldCounters};
use crate::id::{IdempotencyKey, UserId};
use crate::idempotency::Replays;
use crate::refusal::Refusal;
use crate::subscribing::{self, CancelSubscription, Subscribe};
use crate::subscription::Subscription;
use crate::timestamp::Timestamp;
use crate::usage::{self, RecordUsage, RecordedUsage, UseFeature, UsedFeature};
use crate::user::{User, UserEdit};

/// A change of one user's facts that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Makes a user; the id must be free.
    CreateUser(User),
    /// Changes what the product knows of a user.
    UpdateUser {
        /// The user's id until now.
        user: UserId,
        /// What is to change.
        edit: UserEdit,
    },
    /// Records usage.
    RecordUsage(RecordUsage),
    /// Checks and records usage in one step.
    UseFeature(UseFeature),
    /// Subscribes the user to packages.
    Subscribe(Subscribe),
    /// Cancels a subscription.
    CancelSubscription(CancelSubscription),
    /// Folds a subscription's old counters into one sum.
    FoldCounters(FoldCounters),
}

/// Whose facts a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// The user with this id.
    User(&'a UserId),
    /// The user who has this subscription.
    Subscriber(crate::id::SubscriptionId),
}

/// The answer to a command; each command has its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Command::CreateUser`] and [`Command::UpdateUser`].
    User(User),
    /// To [`Command::RecordUsage`].
    Recorded(RecordedUsage),
    /// To [`Command::UseFeature`].
    Used(UsedFeature),
    /// To [`Command::Subscribe`]: in the order of the packages.
    Subscribed(Vec<Subscription>),
    /// To [`Command::CancelSubscription`].
    Cancelled {
        /// Whose subscription it was.
        user: UserId,
        /// The subscription as it is now.
        subscription: Subscription,
    },
    /// The answer to [`Command::FoldCounters`].
    Folded,
}

/// An answer, and the changes that make it true. Without changes nothing needs to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What the caller is told once the changes are durable.
    pub answer: Answer,
    /// What is to be stored, in this order.
    pub changes: Vec<Change>,
    /// What goes to the changes feed, in this order. Usage adds nothing to it.
    pub feed: Vec<change::Change>,
}

impl Command {
    /// Whose facts the command needs.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        match self {
            Self::CreateUser(user) => Subject::User(&user.id),
            Self::UpdateUser { user, .. } => Subject::User(user),
            Self::RecordUsage(command) => Subject::User(&command.user),
            Self::UseFeature(command) => Subject::User(&command.user),
            Self::Subscribe(command) => Subject::User(&command.user),
            Self::CancelSubscription(command) => Subject::Subscriber(command.subscription),
            Self::FoldCounters(command) => Subject::Subscriber(command.subscription),
        }
    }

    /// The key under which the command is done once, however often it is sent.
    #[must_use]
    pub fn idempotency_key(&self) -> Option<&IdempotencyKey> {
        match self {
            Self::RecordUsage(command) => command.idempotency_key.as_ref(),
            Self::UseFeature(command) => command.idempotency_key.as_ref(),
            Self::CreateUser(_)
            | Self::UpdateUser { .. }
            | Self::Subscribe(_)
            | Self::CancelSubscription(_)
            | Self::FoldCounters(_) => None,
        }
    }

    /// Whether the command must be decided and stored by itself. A new id touches two names of
    /// which other commands in the same batch may speak.
    #[must_use]
    pub fn stands_alone(&self) -> bool {
        matches!(self, Self::UpdateUser { edit: UserEdit { id: Some(_), .. }, .. })
    }

    /// Refuses values that are wrong whatever is stored.
    fn check(&self, now: Timestamp) -> Result<(), Refusal> {
        match self {
            Self::RecordUsage(command) => command.check(now)?,
            Self::UseFeature(command) => command.check()?,
            Self::Subscribe(command) => command.check(now)?,
            Self::CreateUser(_)
            | Self::UpdateUser { .. }
            | Self::CancelSubscription(_)
            | Self::FoldCounters(_) => {}
        }
        Ok(())
    }
}

/// Decides `command` on the facts of its [`subject`](Command::subject); `None` means that there
/// is no such user.
///
/// Refusals come in the contract's order: bad values, then an unknown user, then an unknown
/// feature, then whatever the stored facts forbid.
pub fn decide(
    catalog: &Catalog,
    facts: Option<&UserFacts>,
    replays: &Replays,
    command: &Command,
    now: Timestamp,
) -> Result<Decision, Obstacle> {
    command.check(now)?;
    let known = || facts.ok_or_else(|| unknown(command.subject()));
    let of_usage = |answer, changes| Decision { answer, changes, feed: Vec::new() };
    match command {
        Command::CreateUser(user) if facts.is_some() => {
            Err(Refusal::UserIdTaken(user.id.clone()).into())
        }
        Command::CreateUser(user) => Ok(Decision {
            answer: Answer::User(user.clone()),
            changes: vec![Change::CreateUser(user.clone())],
            feed: vec![change::Change::of_user(&user.id, Effect::UserCreated)],
        }),
        Command::UpdateUser { edit, .. } => update_user(known()?, edit),
        Command::RecordUsage(command) => {
            let (answer, changes) = usage::record_usage(catalog, known()?, replays, command, now)?;
            Ok(of_usage(Answer::Recorded(answer), changes))
        }
        Command::UseFeature(command) => {
            let (answer, changes) = usage::use_feature(catalog, known()?, replays, command, now)?;
            Ok(of_usage(Answer::Used(answer), changes))
        }
        Command::Subscribe(command) => {
            let facts = known()?;
            let (answer, changes) = subscribing::subscribe(catalog, facts, command, now)?;
            let feed = subscribing::told(catalog, facts, &changes, now)?;
            Ok(Decision { answer: Answer::Subscribed(answer), changes, feed })
        }
        Command::CancelSubscription(command) => {
            let facts = known()?;
            let (subscription, changes) = subscribing::cancel(catalog, facts, command, now)?;
            let feed = subscribing::told(catalog, facts, &changes, now)?;
            let answer = Answer::Cancelled { user: facts.id.clone(), subscription };
            Ok(Decision { answer, changes, feed })
        }
        Command::FoldCounters(command) => {
            Ok(of_usage(Answer::Folded, folding::fold(catalog, known()?, command, now)?))
        }
    }
}

/// Changes what is known of a user; a new id must be free.
fn update_user(facts: &UserFacts, edit: &UserEdit) -> Result<Decision, Obstacle> {
    if let Some(id) = edit.id.as_ref().filter(|id| **id != facts.id)
        && facts.is_id_taken(id)?
    {
        return Err(Refusal::UserIdTaken(id.clone()).into());
    }
    let before = facts.profile()?;
    let mut user = before.clone();
    edit.clone().apply_to(&mut user);
    let changed = user.differences(before);
    let (mut changes, mut feed) = (Vec::new(), Vec::new());
    if !changed.is_empty() {
        let previous_id = (user.id != before.id).then(|| before.id.clone());
        feed.push(change::Change::of_user(&user.id, Effect::UserUpdated { changed, previous_id }));
        changes.push(Change::UpdateUser(user.clone()));
    }
    Ok(Decision { answer: Answer::User(user), changes, feed })
}

fn unknown(subject: Subject<'_>) -> Refusal {
    match subject {
        Subject::User(id) => Refusal::UserNotFound(id.clone()),
        Subject::Subscriber(id) => Refusal::SubscriptionNotFound(id.to_string()),
    }
}
