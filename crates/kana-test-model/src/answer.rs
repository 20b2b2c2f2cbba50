use std::cmp::Reverse;
use std::fmt;

use crate::request::{At, Id, Name, Says, Threshold};

/// What Kana answers, as far as a client can tell.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Answer {
    Refused(Refusal),
    User(User),
    UserDeleted,
    /// In order of creation, each with the subscriptions.
    Users(Vec<(User, Vec<Subscription>)>),
    /// A subscription with the id of its user.
    Subscription(Name, Subscription),
    Subscriptions(Vec<Subscription>),
    AllSubscriptions(Vec<(Name, Subscription)>),
    Override(Override),
    Grant(Grant),
    Grants(Vec<Grant>),
    /// To `createHold`.
    Held {
        granted: bool,
        reason: Reason,
        consumption: Option<Consumption>,
    },
    Hold(Hold),
    /// The ids and the amounts of those that live.
    Holds(Vec<(Name, i64)>),
    /// Whether an override lived that was removed.
    Removed(bool),
    Recorded(bool),
    /// To `voidUsage`: whether nothing of it counts any more.
    Voided(bool),
    /// To `canUseFeature` and `useFeature`.
    Entitlement(Entitlement),
    Usage {
        current: Option<UsageInPeriod>,
        past: Vec<UsageInPeriod>,
    },
    /// In any order, as long as it is always the same.
    Reached(Vec<Reached>),
    Catalog {
        features: Vec<Name>,
        packages: Vec<(Name, Status)>,
    },
    Feature(Name),
    Package(Name, Status),
    Count(usize),
    /// What no request may be answered with.
    Failed(String),
}

/// Why a request was refused: a row of the contract's table of errors.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Refusal {
    BadValue(&'static str),
    NoSuchUser,
    NoSuchFeature,
    NoSuchPackage,
    NoSuchSubscription,
    NoSuchUsage,
    NoSuchGrant,
    NoSuchHold,
    /// A hold does not become what was asked for any more.
    HoldIsOver,
    IdTaken,
    IdempotencyConflict,
    /// "Package Id not found for app"
    PackageIdNotFoundForApp,
    NotPublished(Name, Status),
    /// "Cannot subscribe to multiple tiers"
    MultipleTiers,
    /// "Cannot subscribe to addon. Missing live tier subscription."
    MissingLiveTier,
    AddonOfOtherBase {
        addon: Name,
        base: Name,
    },
    HasItAlready(Name),
    /// "Subscription has ended"
    HasEnded,
    /// "Subscription has not started"
    HasNotStarted,
    /// "Subscription ends before the change"
    EndsBeforeChange,
    /// "A base changes to a base, an add-on to an add-on"
    OtherKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    Draft,
    Published,
    Archived,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct User {
    /// Never shown over HTTP; it tells users apart that have had the same id.
    pub key: Id,
    pub id: Name,
    pub name: Option<Name>,
    pub email: Option<Name>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subscription {
    pub id: Id,
    pub package: Name,
    pub started_at: At,
    /// Cancelled then.
    pub ended_at: Option<At>,
    pub quantity: i64,
    pub timing: Timing,
}

/// What was said about a subscription ahead of time, as it is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Timing {
    /// Of one that is not cancelled.
    pub stage: Stage,
    pub cancel_at: Option<At>,
    pub trial_ends_at: Option<At>,
}

/// Where a subscription stands that is not cancelled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Stage {
    #[default]
    Active,
    Trialing,
    Incomplete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Override {
    pub says: Says,
    pub starts_at: At,
    /// The first instant after it.
    pub ends_at: Option<At>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Grant {
    pub id: Name,
    pub amount: i64,
    pub used: i64,
    pub remaining: i64,
    pub voided_at: Option<At>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hold {
    pub id: Name,
    pub amount: i64,
    pub state: HoldState,
    pub settled: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HoldState {
    Held,
    Expired,
    Settled,
    Released,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entitlement {
    pub access: bool,
    pub reason: Reason,
    pub consumption: Option<Consumption>,
}

/// The rows of the contract's table of access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    NothingGrantsIt,
    Denied,
    Binary,
    Unlimited,
    WithinLimit,
    Overage,
    OverLimit,
    /// It was held before.
    Held,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Consumption {
    pub used: i64,
    pub budget: Option<i64>,
    pub overage: bool,
    /// For jobs that run.
    pub held: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UsageInPeriod {
    pub start: At,
    pub end: Option<At>,
    pub consumption: Consumption,
}

/// Usage has reached a threshold of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reached {
    pub at: At,
    pub feature: Name,
    pub threshold: Threshold,
    /// The period and the usage of then.
    pub usage: UsageInPeriod,
}

impl Answer {
    /// The ids that Kana has chosen in this answer, in their places.
    pub fn ids_mut(&mut self) -> Vec<&mut Id> {
        match self {
            Self::User(user) => vec![&mut user.key],
            Self::Users(users) => users
                .iter_mut()
                .flat_map(|(user, subscriptions)| {
                    let ids = subscriptions.iter_mut().map(|subscription| &mut subscription.id);
                    std::iter::once(&mut user.key).chain(ids)
                })
                .collect(),
            Self::Subscription(_, subscription) => vec![&mut subscription.id],
            Self::Subscriptions(subscriptions) => {
                subscriptions.iter_mut().map(|subscription| &mut subscription.id).collect()
            }
            Self::AllSubscriptions(subscriptions) => {
                subscriptions.iter_mut().map(|(_, subscription)| &mut subscription.id).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The ids that Kana has chosen in this answer.
    pub fn ids(&self) -> Vec<Id> {
        self.clone().ids_mut().into_iter().map(|id| *id).collect()
    }
}

/// The most periods that `showUsage` lists.
pub const PAST_MAX: usize = 100;

/// Takes out of a list of past periods what the contract leaves open: the order of those that
/// start together and, where there are more than fit, which of the oldest ones still do. What is
/// not newest first stays so.
pub fn settle(mut past: Vec<UsageInPeriod>) -> Vec<UsageInPeriod> {
    for together in past.chunk_by_mut(|one, other| one.start == other.start) {
        together.sort_by_key(|period| Reverse(*period));
    }
    if past.len() == PAST_MAX {
        let oldest = past[PAST_MAX - 1].start;
        past.retain(|period| period.start != oldest);
    }
    past
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, package, started_at, ended_at, quantity, timing } = self;
        write!(f, "{id:?} to {quantity} {package} since {started_at:?}")?;
        if *timing != Timing::default() {
            write!(f, " {timing:?}")?;
        }
        ended_at.map_or(Ok(()), |ended_at| write!(f, " until {ended_at:?}"))
    }
}

impl fmt::Debug for Consumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.budget {
            Some(budget) => write!(f, "{} of {budget}", self.used)?,
            None => write!(f, "{} without a limit", self.used)?,
        }
        f.write_str(if self.overage { " or more" } else { "" })?;
        if self.held == 0 { Ok(()) } else { write!(f, ", {} held", self.held) }
    }
}

impl fmt::Debug for UsageInPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, end, consumption } = self;
        write!(f, "{consumption:?} since {start:?}")?;
        end.map_or(Ok(()), |end| write!(f, " until {end:?}"))
    }
}
