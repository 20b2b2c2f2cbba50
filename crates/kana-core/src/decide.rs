//! Every change of a user's facts is one pure decision.

use crate::catalog::Catalog;
use crate::change::{self, Effect};
use crate::facts::{Change, Obstacle, UserChange, UserFacts};
use crate::folding::{self, FoldCounters};
use crate::id::{IdempotencyKey, UserId};
use crate::idempotency::Replays;
use crate::refusal::Refusal;
use crate::subjects::{Subject, Subjects};
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
    /// What is to be stored, in this order, each with the user whose it is.
    pub changes: Vec<UserChange>,
    /// What goes to the changes feed, in this order. Usage adds nothing to it.
    pub feed: Vec<change::Change>,
}

impl Command {
    /// Returns the users whose facts the command needs. A new id names the user who has it already,
    /// if there is one.
    #[must_use]
    pub fn subjects(&self) -> Subjects<Subject<'_>> {
        match self {
            Self::CreateUser(user) => Subjects::one(Subject::User(&user.id)),
            Self::UpdateUser { user, edit } => {
                let subjects = Subjects::one(Subject::User(user));
                match edit.id.as_ref().filter(|id| *id != user) {
                    Some(id) => subjects.and(Subject::User(id)),
                    None => subjects,
                }
            }
            Self::RecordUsage(command) => Subjects::one(Subject::User(&command.user)),
            Self::UseFeature(command) => Subjects::one(Subject::User(&command.user)),
            Self::Subscribe(command) => Subjects::one(Subject::User(&command.user)),
            Self::CancelSubscription(command) => {
                Subjects::one(Subject::Subscriber(command.subscription))
            }
            Self::FoldCounters(command) => Subjects::one(Subject::Subscriber(command.subscription)),
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

/// Decides `command` on the facts of its [`subjects`](Command::subjects).
///
/// Refusals come in the contract's order: bad values, then an unknown user, then an unknown
/// feature, then whatever the stored facts forbid.
pub fn decide(basis: &Basis<'_>, command: &Command) -> Result<Decision, Obstacle> {
    let Basis { catalog, users, replays, now } = basis;
    command.check(*now)?;
    let facts = || users.first.ok_or_else(|| unknown(command.subjects().first));
    let of_usage = |answer, changes| Decision { answer, changes, feed: Vec::new() };
    match command {
        Command::CreateUser(user) if users.first.is_some() => {
            Err(Refusal::UserIdTaken(user.id.clone()).into())
        }
        Command::CreateUser(user) => Ok(Decision {
            answer: Answer::User(user.clone()),
            changes: vec![(user.key, Change::CreateUser(user.clone()))],
            feed: vec![change::Change::of_user(&user.id, Effect::UserCreated)],
        }),
        Command::UpdateUser { edit, .. } => update_user(facts()?, edit, &users.others),
        Command::RecordUsage(command) => {
            let (answer, changes) = usage::record_usage(catalog, facts()?, replays, command, *now)?;
            Ok(of_usage(Answer::Recorded(answer), changes))
        }
        Command::UseFeature(command) => {
            let (answer, changes) = usage::use_feature(catalog, facts()?, replays, command, *now)?;
            Ok(of_usage(Answer::Used(answer), changes))
        }
        Command::Subscribe(command) => {
            let facts = facts()?;
            let (answer, changes) = subscribing::subscribe(catalog, facts, command, *now)?;
            let feed = subscribing::told(catalog, facts, &changes, *now)?;
            Ok(Decision { answer: Answer::Subscribed(answer), changes, feed })
        }
        Command::CancelSubscription(command) => {
            let facts = facts()?;
            let (subscription, changes) = subscribing::cancel(catalog, facts, command, *now)?;
            let feed = subscribing::told(catalog, facts, &changes, *now)?;
            let answer = Answer::Cancelled { user: facts.id.clone(), subscription };
            Ok(Decision { answer, changes, feed })
        }
        Command::FoldCounters(command) => {
            Ok(of_usage(Answer::Folded, folding::fold(catalog, facts()?, command, *now)?))
        }
    }
}

/// Changes what is known of a user. `others` has the user who has the new id already, if any.
fn update_user(
    facts: &UserFacts,
    edit: &UserEdit,
    others: &[Option<&UserFacts>],
) -> Result<Decision, Obstacle> {
    if let Some(owner) = others.iter().flatten().next() {
        return Err(Refusal::UserIdTaken(owner.id.clone()).into());
    }
    let before = facts.profile()?;
    let mut user = before.clone();
    edit.clone().apply_to(&mut user);
    let changed = user.differences(before);
    let (mut changes, mut feed) = (Vec::new(), Vec::new());
    if !changed.is_empty() {
        let previous_id = (user.id != before.id).then(|| before.id.clone());
        let effect = Effect::UserUpdated { changed, previous_id: previous_id.clone() };
        feed.push(change::Change::of_user(&user.id, effect));
        changes.push((user.key, Change::UpdateUser { user: user.clone(), previous_id }));
    }
    Ok(Decision { answer: Answer::User(user), changes, feed })
}

fn unknown(subject: Subject<'_>) -> Refusal {
    match subject {
        Subject::User(id) => Refusal::UserNotFound(id.clone()),
        Subject::Subscriber(id) => Refusal::SubscriptionNotFound(id.to_string()),
    }
}
