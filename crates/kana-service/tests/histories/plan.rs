//! What clients are going to do, drawn at random: few names, so that everything collides.

use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::select;

use kana_test_model::request::{
    ADA, Action, Ahead, At, BASIC, BOB, CALLS, CYD, EXTRA, Edit, Giving, Holding, IMAGES, LATE,
    LATE_CALLS, LATER, Name, NewPackage, PLUS, PRO, Request, Reset, Rollover, SSO, Says, Terms,
    Usage,
};

const MINUTE_MS: i64 = 60 * 1000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// When every history starts: 2024-01-31T12:00:00Z.
pub(crate) const START: At = At(1_706_702_400_000);

/// A start a month ago, to the end of which one hour is left.
const A_MONTH_AGO: At = after(-31 * DAY_MS + HOUR_MS);

pub(crate) const fn after(ms: i64) -> At {
    At(START.0 + ms)
}

/// What happens in one history.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// What is there before: one after the other.
    pub(crate) setup: Vec<Request>,
    /// Requests with idempotency keys, to be sent often.
    pub(crate) keyed: Vec<Request>,
    /// One after the other, with the clients of each at the same time.
    pub(crate) phases: Vec<Phase>,
}

/// A time in which the clock stands still.
#[derive(Debug, Clone)]
pub(crate) struct Phase {
    /// By how much the clock is set forward before.
    pub(crate) pause_ms: i64,
    /// Whether the server is started again before.
    pub(crate) restart: bool,
    /// Whether nothing is written before each client has asked for something, so that commands
    /// meet in one batch.
    pub(crate) gather: bool,
    /// What each client does, one after the other.
    pub(crate) clients: Vec<Vec<Step>>,
}

/// What a client does next.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Ask(Request),
    /// Sends one of the plan's requests with keys, as it is or about another user.
    Keyed(usize, Option<Name>),
    /// Cancels the subscription that was the n-th to be answered so far.
    Cancel(usize),
    /// Changes the quantity of that subscription.
    Quantity(usize, i64),
    /// Changes that subscription to one to a package: when, whether with its usage, and how many.
    Change(usize, Name, (Option<At>, bool), Option<i64>),
    /// Sets the end of that subscription, or takes it back.
    End(usize, Option<At>),
    /// Asks for that subscription.
    Subscription(usize),
}

pub(crate) fn any_plan() -> impl Strategy<Value = Plan> {
    let subscribed = || weighted(0.9, any_first_packages());
    let setup = (any_shop(), subscribed(), subscribed());
    (setup, vec(any_keyed(), 3), vec(any_phase(), 1..=2)).prop_map(
        |((shop, ada, bob), keyed, phases)| Plan { setup: open(shop, ada, bob), keyed, phases },
    )
}

/// Four clients do the same at the same time, all about `ada`, who has three `calls`.
pub(crate) fn crowd(requests: &[Request]) -> Plan {
    crowd_on(THREE, &[(0, requests)])
}

/// Three in all.
pub(crate) const THREE: Terms =
    Terms { limit: Some(3), reset: None, overage: false, added: false, rollover: None };

/// The same with so much of `calls`, one time after another, each with how long the clock is set forward before.
pub(crate) fn crowd_on(terms: Terms, times: &[(i64, &[Request])]) -> Plan {
    let features = vec![(CALLS, Some(terms))];
    let basic = NewPackage { package: BASIC, addon: false, bases: vec![], features };
    let phases = times.iter().map(|(pause_ms, requests)| {
        let steps: Vec<Step> = requests.iter().cloned().map(Step::Ask).collect();
        Phase { pause_ms: *pause_ms, restart: false, gather: true, clients: vec![steps; 4] }
    });
    Plan {
        setup: open(vec![basic], Some(vec![BASIC]), None),
        keyed: Vec::new(),
        phases: phases.collect(),
    }
}

/// `ada` uses one of three `calls`, changes to a package that gives as much, with what was used, and asks.
pub(crate) fn moving_with_usage() -> Plan {
    let shop = [BASIC, PRO].map(|package| {
        let features = vec![(CALLS, Some(THREE))];
        NewPackage { package, addon: false, bases: vec![], features }
    });
    let using = Request::UseFeature { user: ADA, feature: CALLS, delta: 1, key: None };
    let asking = Request::CanUseFeature { user: ADA, feature: CALLS, delta: 1 };
    let change = Step::Change(0, PRO, (None, true), None);
    let steps = vec![Step::Ask(using), change, Step::Ask(asking)];
    Plan {
        setup: open(shop.to_vec(), Some(vec![BASIC]), None),
        keyed: Vec::new(),
        phases: vec![Phase { pause_ms: 0, restart: false, gather: true, clients: vec![steps] }],
    }
}

/// The shop opens, with two users and what they are subscribed to.
fn open(shop: Vec<NewPackage>, ada: Option<Vec<Name>>, bob: Option<Vec<Name>>) -> Vec<Request> {
    let mut setup = vec![
        Request::CreateFeature { feature: CALLS, binary: false },
        Request::CreateFeature { feature: SSO, binary: true },
        Request::SetThresholds(CALLS),
        Request::CreateDrawing { feature: IMAGES, balance: CALLS, cost: 2 },
    ];
    for package in shop {
        let id = package.package;
        setup.extend([Request::CreatePackage(package), Request::PublishPackage(id)]);
    }
    for (user, packages) in [(ADA, ada), (BOB, bob)] {
        setup.push(Request::CreateUser { user, name: Some("Ms."), email: Some("x@y.co") });
        let subscribe = |packages| Request::Subscribe {
            user,
            packages,
            quantities: None,
            started_at: Some(A_MONTH_AGO),
            ahead: Ahead::default(),
        };
        setup.extend(packages.map(subscribe));
    }
    setup
}

fn any_rollover() -> impl Strategy<Value = Option<Rollover>> {
    let rollover = (of(1..=2_i64), select(vec![1, 2, 12]));
    weighted(0.3, rollover.prop_map(|(max, periods)| Rollover { max, periods }))
}

/// Two bases and two add-ons, with limits that are reached soon and often equal.
fn any_shop() -> impl Strategy<Value = Vec<NewPackage>> {
    let limited = |overage| {
        let added = prop::bool::weighted(0.3);
        let all = (0..=3_i64, any_reset(), overage, added, any_rollover());
        all.prop_map(|(limit, reset, overage, added, rollover)| {
            let rollover = rollover.filter(|_| reset.is_some());
            Terms { limit: Some(limit), reset, overage, added, rollover }
        })
    };
    let without_limit = any_reset()
        .prop_map(|reset| Terms {
            limit: None,
            reset,
            overage: false,
            added: false,
            rollover: None,
        })
        .boxed();
    let pro = prop_oneof![without_limit, limited(Just(true).boxed())];
    let basic = limited(prop::bool::weighted(0.2).boxed());
    let extra = limited(prop::bool::weighted(0.2).boxed());
    (basic, pro, extra).prop_map(|(basic, pro, extra)| {
        let package =
            |package, addon, bases, features| NewPackage { package, addon, bases, features };
        vec![
            package(BASIC, false, vec![], vec![(CALLS, Some(basic))]),
            package(PRO, false, vec![], vec![(CALLS, Some(pro)), (SSO, None), (IMAGES, None)]),
            package(EXTRA, true, vec![], vec![(CALLS, Some(extra))]),
            package(PLUS, true, vec![PRO], vec![(SSO, None), (IMAGES, None)]),
        ]
    })
}

fn any_reset() -> impl Strategy<Value = Option<Reset>> {
    select(Reset::ALL.to_vec())
}

fn any_phase() -> impl Strategy<Value = Phase> {
    let usage = Weights { users: 4, subscriptions: 8 };
    let users = Weights { users: 20, subscriptions: 8 };
    let subscriptions = Weights { users: 4, subscriptions: 24 };
    prop_oneof![
        2 => any_phase_of(usage),
        1 => any_phase_of(users),
        1 => any_phase_of(subscriptions),
    ]
}

fn any_phase_of(weights: Weights) -> impl Strategy<Value = Phase> {
    // Over no boundary, over that of months that began a month ago, over that of days, too.
    let pause_ms = select(vec![90 * 1000, 2 * HOUR_MS, 25 * HOUR_MS]);
    let few_with_much = vec(vec(any_step(weights), 3..=6), 2..=4);
    let many_with_little = vec(vec(any_step(weights), 1..=2), 5..=8);
    let clients = prop_oneof![2 => few_with_much, 1 => many_with_little];
    (pause_ms, prop::bool::weighted(0.2), any::<bool>(), clients).prop_map(
        |(pause_ms, restart, gather, clients)| Phase { pause_ms, restart, gather, clients },
    )
}

fn any_user() -> impl Strategy<Value = Name> {
    prop_oneof![8 => Just(ADA), 2 => Just(BOB), 1 => Just(CYD)]
}

fn any_feature() -> impl Strategy<Value = Name> {
    prop_oneof![12 => Just(CALLS), 1 => Just(SSO), 1 => Just(LATE_CALLS), 3 => Just(IMAGES)]
}

/// What a user may be subscribed to at first.
fn any_first_packages() -> impl Strategy<Value = Vec<Name>> {
    select(vec![
        vec![BASIC],
        vec![PRO],
        vec![BASIC, EXTRA],
        vec![EXTRA, PRO],
        vec![PRO, EXTRA, PLUS],
    ])
}

fn any_packages() -> impl Strategy<Value = Vec<Name>> {
    prop_oneof![
        6 => any_first_packages(),
        4 => Just(vec![EXTRA]),
        1 => Just(vec![PLUS]),
        1 => Just(vec![BASIC, PLUS]),
        1 => Just(vec![EXTRA, EXTRA]),
        1 => Just(vec![BASIC, PRO]),
        1 => Just(vec![LATE]),
        1 => Just(vec![LATER]),
        1 => Just(vec![]),
    ]
}

/// Times that a request may name. None of them is ever what the clock shows, since a time that is
/// named need not be the same request as none that is.
fn any_occurred_at() -> impl Strategy<Value = Option<At>> {
    let then = prop_oneof![
        1 => Just(after(-40 * DAY_MS)),
        2 => Just(after(-10 * DAY_MS)),
        3 => Just(after(-MINUTE_MS)),
        2 => Just(after(MINUTE_MS)),
        // Too far ahead at the start, and not any more a pause later.
        1 => Just(after(6 * MINUTE_MS)),
    ];
    weighted(0.3, then)
}

fn any_usage() -> impl Strategy<Value = Usage> {
    let amount = prop_oneof![
        8 => (-2..=3_i64).prop_map(|delta| (Action::Add, delta)),
        4 => (0..=3_i64).prop_map(|delta| (Action::Set, delta)),
        1 => Just((Action::Set, -1)),
    ];
    (any_user(), any_feature(), amount, any_occurred_at()).prop_map(
        |(user, feature, (action, delta), occurred_at)| Usage {
            user,
            feature,
            action,
            delta,
            occurred_at,
            key: None,
        },
    )
}

fn any_use() -> impl Strategy<Value = Request> {
    let delta = prop_oneof![1 => Just(-1_i64), 15 => 0..=2_i64, 1 => Just(9_i64)];
    (any_user(), any_feature(), delta).prop_map(|(user, feature, delta)| Request::UseFeature {
        user,
        feature,
        delta,
        key: None,
    })
}

/// A request with one of two keys.
fn any_keyed() -> impl Strategy<Value = Request> {
    let record = any_usage().prop_map(Request::RecordUsage);
    (prop_oneof![record, any_use()], select(vec!["k1", "k2"]))
        .prop_map(|(request, key)| request.under(key))
}

fn any_change_of_a_user() -> impl Strategy<Value = Request> {
    let edit = |value| prop_oneof![Just(Edit::Keep), Just(Edit::Clear), Just(Edit::Set(value))];
    let create = (select(vec![ADA, CYD, CYD]), of(Just("Ms.")))
        .prop_map(|(user, name)| Request::CreateUser { user, name, email: None });
    let ids = select(vec![
        (ADA, CYD),
        (ADA, CYD),
        (CYD, ADA),
        (CYD, ADA),
        (ADA, BOB),
        (BOB, ADA),
        (BOB, CYD),
        (ADA, ADA),
    ]);
    let rename = ids.prop_map(|(user, new_id)| Request::UpdateUser {
        user,
        new_id: Some(new_id),
        name: Edit::Keep,
        email: Edit::Keep,
    });
    let update = (any_user(), edit("Ms."), edit("x@y.co"))
        .prop_map(|(user, name, email)| Request::UpdateUser { user, new_id: None, name, email });
    let delete = select(vec![ADA, CYD, CYD]).prop_map(Request::DeleteUser);
    prop_oneof![3 => create, 3 => rename, 3 => update, 1 => delete]
}

fn any_subscribe() -> impl Strategy<Value = Request> {
    let then = select(vec![A_MONTH_AGO, A_MONTH_AGO, after(-25 * HOUR_MS), after(DAY_MS)]);
    let started_at = weighted(0.4, then);
    // As many as there are packages, but for some.
    let quantities = weighted(0.4, vec(any_quantity(), 4));
    let as_many = prop::bool::weighted(0.9);
    let said = (started_at, any_ahead());
    (any_user(), any_packages(), quantities, as_many, said).prop_map(
        |(user, packages, quantities, as_many, (started_at, ahead))| {
            let count = if as_many { packages.len() } else { 1 };
            let quantities = quantities.map(|all| all.into_iter().take(count).collect());
            // Both are refused; mostly there is one.
            let started_at = started_at.filter(|_| ahead.starts_at.is_none() || count == 2);
            Request::Subscribe { user, packages, quantities, started_at, ahead }
        },
    )
}

/// An end of a subscription, which may come on the way.
fn any_end() -> impl Strategy<Value = Option<At>> {
    let ends = vec![after(-MINUTE_MS), after(HOUR_MS), after(HOUR_MS), after(DAY_MS)];
    weighted(0.7, select(ends))
}

/// Starts, trials and ends, of which some come on the way.
fn any_ahead() -> impl Strategy<Value = Ahead> {
    let start = select(vec![after(-MINUTE_MS), after(HOUR_MS), after(HOUR_MS), after(DAY_MS)]);
    let trial_days = weighted(0.3, select(vec![1, 1, 2, 40, 0]));
    (weighted(0.3, start), trial_days, any::<bool>()).prop_map(|(starts_at, trial_days, ends)| {
        let ends_with_trial = ends && trial_days.is_some();
        Ahead { starts_at, trial_days, ends_with_trial }
    })
}

/// Overrides, of which some end on the way.
fn any_override() -> impl Strategy<Value = Request> {
    let limit = prop_oneof![12 => 0..=4_i64, 1 => Just(-1_i64)];
    let says = prop_oneof![
        4 => (limit, of(any::<bool>())).prop_map(|(limit, overage)| Says::Limit(limit, overage)),
        1 => Just(Says::Unlimited),
        2 => Just(Says::Deny),
    ];
    let ends_at = weighted(0.4, select(vec![after(-MINUTE_MS), after(HOUR_MS), after(DAY_MS)]));
    let set =
        (any_user(), any_feature(), says, ends_at).prop_map(|(user, feature, says, ends_at)| {
            Request::SetOverride { user, feature, says, ends_at }
        });
    let remove = (any_user(), any_feature())
        .prop_map(|(user, feature)| Request::RemoveOverride { user, feature });
    prop_oneof![4 => set, 1 => remove]
}

/// Grants of which some end on the way, and some begin.
fn any_grant() -> impl Strategy<Value = Request> {
    let id = || select(vec!["g1", "g2", "g3"]);
    let amount = prop_oneof![12 => 1..=4_i64, 1 => Just(0_i64)];
    let priority = select(vec![0, 0, 0, -1, 2]);
    let starts_at = weighted(0.3, select(vec![after(-20 * DAY_MS), after(HOUR_MS)]));
    let expires_at = weighted(0.3, select(vec![after(-MINUTE_MS), after(HOUR_MS), after(DAY_MS)]));
    let create = (any_user(), any_feature(), id(), amount, priority, starts_at, expires_at)
        .prop_map(|(user, feature, id, amount, priority, starts_at, expires_at)| {
            Request::CreateGrant(Giving {
                user,
                id,
                feature,
                amount,
                priority,
                starts_at,
                expires_at,
            })
        });
    let void = (any_user(), id()).prop_map(|(user, id)| Request::VoidGrant { user, id });
    prop_oneof![4 => create, 1 => void]
}

/// Holds of which some expire on the way.
fn any_hold() -> impl Strategy<Value = Request> {
    let id = || select(vec!["h1", "h2", "h3"]);
    let amount = prop_oneof![12 => 1..=3_i64, 1 => Just(0_i64)];
    let seconds = || select(vec![1, 60, 900, 3600, 0]);
    let create = (any_user(), any_feature(), id(), amount, seconds()).prop_map(
        |(user, feature, id, amount, seconds)| {
            Request::CreateHold(Holding { user, feature, id, amount, seconds })
        },
    );
    let used = weighted(0.7, -1..=4_i64);
    let settle = (any_user(), id(), used).prop_map(|(user, id, amount)| Request::SettleHold {
        user,
        id,
        amount,
    });
    let release = (any_user(), id()).prop_map(|(user, id)| Request::ReleaseHold { user, id });
    let extend = (any_user(), id(), seconds())
        .prop_map(|(user, id, seconds)| Request::ExtendHold { user, id, seconds });
    prop_oneof![5 => create, 3 => settle, 1 => release, 1 => extend]
}

fn any_quantity() -> impl Strategy<Value = i64> {
    prop_oneof![20 => 1..=3_i64, 1 => Just(0_i64), 1 => Just(1_000_001_i64)]
}

fn any_question() -> impl Strategy<Value = Request> {
    let can_use = (any_user(), any_feature(), prop_oneof![9 => Just(1_i64), 1 => Just(-1_i64)])
        .prop_map(|(user, feature, delta)| Request::CanUseFeature { user, feature, delta });
    let show = (any_user(), any_feature())
        .prop_map(|(user, feature)| Request::ShowUsage { user, feature });
    let grants =
        (any_user(), any_feature()).prop_map(|(user, feature)| Request::Grants { user, feature });
    let holds =
        (any_user(), any_feature()).prop_map(|(user, feature)| Request::Holds { user, feature });
    prop_oneof![
        4 => can_use,
        3 => show,
        4 => grants,
        2 => holds,
        1 => any_user().prop_map(Request::User),
        1 => Just(Request::Users),
        2 => any_user().prop_map(Request::Subscriptions),
        2 => any_user().prop_map(Request::Reached),
        1 => Just(Request::AllSubscriptions),
        1 => Just(Request::Catalog),
    ]
}

fn any_change_of_the_catalog() -> impl Strategy<Value = Request> {
    let any_package = || select(vec![BASIC, EXTRA, EXTRA, LATE, LATER]);
    // What differs shows which of two that were sent at once was first.
    let late = of(0..=2_i64).prop_map(|limit| NewPackage {
        package: LATE,
        addon: false,
        bases: vec![],
        features: vec![(
            CALLS,
            Some(Terms { limit, reset: None, overage: false, added: false, rollover: None }),
        )],
    });
    let later = Just(NewPackage {
        package: LATER,
        addon: true,
        bases: vec![BASIC],
        features: vec![(LATE_CALLS, None)],
    });
    let bad = Just(NewPackage {
        package: LATE,
        addon: false,
        bases: vec![],
        features: vec![(
            SSO,
            Some(Terms { limit: None, reset: None, overage: false, added: false, rollover: None }),
        )],
    });
    prop_oneof![
        2 => Just(Request::CreateFeature { feature: LATE_CALLS, binary: false }),
        2 => late.prop_map(Request::CreatePackage),
        2 => later.prop_map(Request::CreatePackage),
        1 => bad.prop_map(Request::CreatePackage),
        2 => any_package().prop_map(Request::PublishPackage),
        4 => any_package().prop_map(Request::ArchivePackage),
        1 => (1..=3_i64).prop_map(|cost| Request::SetCost { feature: IMAGES, cost }),
    ]
}

/// How many of some 45 steps change users, and how many subscriptions.
#[derive(Clone, Copy)]
struct Weights {
    users: u32,
    subscriptions: u32,
}

fn any_step(weights: Weights) -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any_usage().prop_map(|usage| Step::Ask(Request::RecordUsage(usage))),
        6 => any_use().prop_map(Step::Ask),
        8 => (0..3_usize, weighted(0.2, any_user())).prop_map(|(n, user)| Step::Keyed(n, user)),
        3 => select(vec!["k1", "k2"]).prop_map(|key| Step::Ask(Request::VoidUsage(key))),
        weights.users => any_change_of_a_user().prop_map(Step::Ask),
        weights.subscriptions => any_change_of_subscriptions(),
        5 => any_override().prop_map(Step::Ask),
        8 => any_grant().prop_map(Step::Ask),
        8 => any_hold().prop_map(Step::Ask),
        1 => (0..4_usize).prop_map(Step::Subscription),
        10 => any_question().prop_map(Step::Ask),
        3 => any_change_of_the_catalog().prop_map(Step::Ask),
    ]
}

fn any_change_of_subscriptions() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => any_subscribe().prop_map(Step::Ask),
        3 => (0..4_usize).prop_map(Step::Cancel),
        4 => (0..4_usize, any_quantity()).prop_map(|(which, many)| Step::Quantity(which, many)),
        4 => (0..6_usize, any_end()).prop_map(|(which, at)| Step::End(which, at)),
        4 => any_change_of_a_package(),
    ]
}

fn any_change_of_a_package() -> impl Strategy<Value = Step> {
    let package = select(vec![BASIC, BASIC, PRO, PRO, EXTRA, PLUS, LATE]);
    let when = prop_oneof![
        5 => any_end().prop_map(|at| (at, false)),
        5 => Just((None, true)),
        1 => any_end().prop_map(|at| (at, true)),
    ];
    let change = (0..6_usize, package, when, weighted(0.3, any_quantity()));
    change.prop_map(|(which, package, when, quantity)| Step::Change(which, package, when, quantity))
}
