use std::fmt;

/// An id that the product chose, a name or a key: one of the few in `NAMES`.
pub type Name = &'static str;

/// Every name that a history can speak of.
const NAMES: [Name; 22] = [
    DELETED, ADA, BOB, CYD, CALLS, SSO, IMAGES, LATE_CALLS, BASIC, PRO, EXTRA, PLUS, LATE, LATER,
    "Ms.", "x@y.co", "g1", "g2", "g3", "h1", "h2", "h3",
];

/// Stands for the random id of a user who was deleted.
pub const DELETED: Name = "deleted";
pub const ADA: Name = "ada";
pub const BOB: Name = "bob";
pub const CYD: Name = "cyd";
/// A consumable feature.
pub const CALLS: Name = "calls";
/// A binary feature.
pub const SSO: Name = "sso";
/// A feature that draws on [`CALLS`].
pub const IMAGES: Name = "images";
/// A consumable feature that is made on the way.
pub const LATE_CALLS: Name = "late-calls";
pub const BASIC: Name = "basic";
pub const PRO: Name = "pro";
/// An add-on to any base.
pub const EXTRA: Name = "extra";
/// An add-on to `pro` alone.
pub const PLUS: Name = "plus";
/// Packages that are made on the way.
pub const LATE: Name = "late";
pub const LATER: Name = "later";

/// The name that Kana answered with.
pub fn name(text: &str) -> Name {
    let text = if text.starts_with("deleted-") { DELETED } else { text };
    NAMES.into_iter().find(|name| *name == text).unwrap_or_else(|| panic!("who is {text}?"))
}

/// An instant, in milliseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At(pub i64);

impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", jiff::Timestamp::from_millisecond(self.0).unwrap())
    }
}

/// An id that Kana chose, for a subscription or as the key of a user. In a history that is over
/// they are numbered in their order; 0 is nothing's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u128);

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// What is said ahead of time of subscriptions that are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Ahead {
    pub starts_at: Option<At>,
    pub trial_days: Option<i64>,
    pub ends_with_trial: bool,
}

/// What a client asks of Kana, or tells it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Request {
    CreateUser {
        user: Name,
        name: Option<Name>,
        email: Option<Name>,
    },
    UpdateUser {
        user: Name,
        new_id: Option<Name>,
        name: Edit,
        email: Edit,
    },
    DeleteUser(Name),
    Subscribe {
        user: Name,
        packages: Vec<Name>,
        /// How many of each; without, one of each.
        quantities: Option<Vec<i64>>,
        started_at: Option<At>,
        ahead: Ahead,
    },
    /// Sets the end of a subscription, or takes it back.
    SetEnd {
        id: Id,
        at: Option<At>,
    },
    CancelSubscription(Id),
    UpdateSubscription {
        id: Id,
        quantity: i64,
    },
    /// Changes a subscription to one to another package: now, with its usage or without, or at a time.
    ChangePackage {
        id: Id,
        package: Name,
        at: Option<At>,
        carries: bool,
        quantity: Option<i64>,
    },
    SetOverride {
        user: Name,
        feature: Name,
        says: Says,
        ends_at: Option<At>,
    },
    RemoveOverride {
        user: Name,
        feature: Name,
    },
    CreateGrant(Giving),
    VoidGrant {
        user: Name,
        id: Name,
    },
    Grants {
        user: Name,
        feature: Name,
    },
    CreateHold(Holding),
    /// Without an amount, what was held was used.
    SettleHold {
        user: Name,
        id: Name,
        amount: Option<i64>,
    },
    ReleaseHold {
        user: Name,
        id: Name,
    },
    ExtendHold {
        user: Name,
        id: Name,
        seconds: i64,
    },
    Holds {
        user: Name,
        feature: Name,
    },
    RecordUsage(Usage),
    UseFeature {
        user: Name,
        feature: Name,
        delta: i64,
        key: Option<Name>,
    },
    /// Takes back what was recorded under a key.
    VoidUsage(Name),
    /// Gives a feature the [`THRESHOLDS`].
    SetThresholds(Name),
    /// Which thresholds the usage of a user has reached.
    Reached(Name),
    CanUseFeature {
        user: Name,
        feature: Name,
        delta: i64,
    },
    ShowUsage {
        user: Name,
        feature: Name,
    },
    User(Name),
    Users,
    Subscription(Id),
    Subscriptions(Name),
    AllSubscriptions,
    Catalog,
    CreateFeature {
        feature: Name,
        binary: bool,
    },
    /// Creates a feature that draws on another.
    CreateDrawing {
        feature: Name,
        balance: Name,
        cost: i64,
    },
    SetCost {
        feature: Name,
        cost: i64,
    },
    CreatePackage(NewPackage),
    PublishPackage(Name),
    ArchivePackage(Name),
    /// Publishes the catalog as a file, with every draft on offer.
    PublishDrafts,
    /// How many rows the stored log of usage has.
    CountEvents,
}

/// What an override says. None of them counts in periods of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Says {
    /// A limit, and whether usage may go over it; without, as the package says.
    Limit(i64, Option<bool>),
    Unlimited,
    Deny,
}

/// An amount that is to be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Holding {
    pub user: Name,
    pub feature: Name,
    pub id: Name,
    pub amount: i64,
    pub seconds: i64,
}

/// A grant, to be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Giving {
    pub user: Name,
    pub id: Name,
    pub feature: Name,
    pub amount: i64,
    pub priority: i64,
    pub starts_at: Option<At>,
    pub expires_at: Option<At>,
}

/// What usage can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Threshold {
    /// Of the limit.
    Percent(i64),
    Left(i64),
}

/// The thresholds of a feature that has some.
pub const THRESHOLDS: [Threshold; 3] =
    [Threshold::Percent(50), Threshold::Percent(150), Threshold::Left(1)];

/// What an update does to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Edit {
    Keep,
    Clear,
    Set(Name),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Usage {
    pub user: Name,
    pub feature: Name,
    pub action: Action,
    pub delta: i64,
    pub occurred_at: Option<At>,
    pub key: Option<Name>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    Add,
    Set,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NewPackage {
    pub package: Name,
    pub addon: bool,
    /// For an add-on, the bases it may be added to; empty means any.
    pub bases: Vec<Name>,
    /// Without terms a feature is unlimited.
    pub features: Vec<(Name, Option<Terms>)>,
}

/// How much of a feature a package gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Terms {
    pub limit: Option<i64>,
    pub reset: Option<Reset>,
    pub overage: bool,
    /// Whether the limit is added to others.
    pub added: bool,
    /// Only with a limit and a reset.
    pub rollover: Option<Rollover>,
}

/// For how many periods what is left of one stays usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rollover {
    /// The most that is carried into a period.
    pub max: Option<i64>,
    pub periods: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reset {
    Hour,
    Day,
    Week,
    Month,
    CalendarWeek,
    CalendarMonth,
}

impl Reset {
    /// Every one, and none.
    pub const ALL: [Option<Self>; 7] = [
        None,
        Some(Self::Hour),
        Some(Self::Day),
        Some(Self::Week),
        Some(Self::Month),
        Some(Self::CalendarWeek),
        Some(Self::CalendarMonth),
    ];
}

impl Request {
    /// The same request about another user, or of another name for the same one.
    pub fn about(&self, user: Name) -> Self {
        match self {
            Self::RecordUsage(usage) => Self::RecordUsage(Usage { user, ..*usage }),
            Self::UseFeature { feature, delta, key, .. } => {
                Self::UseFeature { user, feature, delta: *delta, key: *key }
            }
            other => other.clone(),
        }
    }

    /// The same request under an idempotency key.
    pub fn under(self, key: Name) -> Self {
        match self {
            Self::RecordUsage(usage) => Self::RecordUsage(Usage { key: Some(key), ..usage }),
            Self::UseFeature { user, feature, delta, .. } => {
                Self::UseFeature { user, feature, delta, key: Some(key) }
            }
            other => other,
        }
    }
}
