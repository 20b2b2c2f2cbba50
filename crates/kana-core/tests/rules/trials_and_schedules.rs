//! Subscriptions that are set to begin and to end, trials, and add-ons that end with their bases.

use kana_core::Timestamp;
use kana_core::decide::{Command, UpdateSubscription};
use kana_core::id::SubscriptionId;
use kana_core::period::ResetPeriod;
use kana_core::subscribing::Subscribe;
use kana_core::subscription::{AsOf, Subscription, SubscriptionStatus};
use proptest::prelude::*;

use crate::world::{World, limit, package_id, recording, switched_on, time};

const START: &str = "2024-03-01T00:00:00Z";
const NO_BASE: &str = "Cannot subscribe to addon. Missing live tier subscription.";
const TWO_BASES: &str = "Cannot subscribe to multiple tiers";

/// Two bases, an add-on for any, one for each, and the user 124, on 1 March 2024.
fn shop() -> World {
    let calls = || [("api-calls", limit(3).monthly())];
    World::new()
        .clock(START)
        .consumable("api-calls")
        .binary("sso")
        .package("basic", calls())
        .package("pro", [("api-calls", limit(100).monthly()), ("sso", switched_on())])
        .addon("boost", [], [("api-calls", limit(7).monthly())])
        .addon("for-basic", ["basic"], calls())
        .addon("for-pro", ["pro"], calls())
        .user("124")
}

fn day(day: i64) -> Timestamp {
    time(START).saturating_add_ms((day - 1) * 86_400_000)
}

fn subscribe<const N: usize>(world: &mut World, packages: [&str; N]) -> Subscribe {
    world.subscribe_command("124", packages, None)
}

fn schedule<const N: usize>(
    world: &mut World,
    packages: [&str; N],
    from: i64,
) -> Result<Vec<Subscription>, String> {
    let command = Subscribe { starts_at: Some(day(from)), ..subscribe(world, packages) };
    world.run_subscribe(command).map_err(|refusal| refusal.to_string())
}

fn trial(world: &mut World, package: &str, days: i64, ends: bool) -> Subscription {
    let command = subscribe(world, [package]);
    let command = Subscribe { trial_days: Some(days), cancel_at_trial_end: ends, ..command };
    world.run_subscribe(command).unwrap().remove(0)
}

fn cancel_at(id: SubscriptionId, at: Option<i64>) -> UpdateSubscription {
    UpdateSubscription { cancel_at: Some(at.map(day)), ..UpdateSubscription::nothing(id) }
}

fn set_end(world: &mut World, package: &str, at: Option<i64>) -> Result<Subscription, String> {
    let id = world.subscription("124", package).id;
    world.update(cancel_at(id, at)).map_err(|refusal| refusal.to_string())
}

/// The newest subscription to the package, as it is shown now.
fn shown(world: &World, package: &str) -> Subscription {
    world.subscription("124", package).as_of(world.now())
}

fn end_of(world: &World, package: &str) -> Option<Timestamp> {
    shown(world, package).cancel_at()
}

fn go_to(world: &mut World, at: i64) {
    let ms = day(at).as_ms() - world.now().as_ms();
    world.wait_ms(ms);
}

#[test]
fn a_scheduled_subscription_grants_from_its_start_on() {
    let mut world = shop();
    let made = schedule(&mut world, ["pro"], 10).unwrap().remove(0);
    assert_eq!(made.status, SubscriptionStatus::Incomplete);
    assert_eq!((made.started_at, made.ended_at), (day(10), None));
    assert!(!world.can_use("124", "sso", 1).unwrap().access);
    assert!(!world.record(recording("124", "api-calls")).unwrap().recorded());
    assert!(world.usage("124", "api-calls").past.is_empty());

    let end = day(10).saturating_add_ms(-1).as_ms() - world.now().as_ms();
    world.wait_ms(end);
    assert!(!world.can_use("124", "sso", 1).unwrap().access);
    world.wait_ms(1);
    assert!(world.can_use("124", "sso", 1).unwrap().access);
    assert_eq!(shown(&world, "pro").status, SubscriptionStatus::Active);
    assert!(world.record(recording("124", "api-calls")).unwrap().recorded());
    let current = world.usage("124", "api-calls").current.unwrap();
    assert_eq!((current.period.start, current.consumption.used), (day(10), 1));
}

#[test]
fn a_start_that_was_scheduled_is_compared_with_the_clock_and_another_is_not() {
    let mut world = shop();
    schedule(&mut world, ["pro"], 3).unwrap();
    go_to(&mut world, 3);
    let pro = world.subscription("124", "pro");
    let plain = Subscription { timing: kana_core::timing::Timing::NONE, ..pro.clone() };
    for clock in [day(2), day(3)] {
        assert_eq!(pro.grants_as_of(AsOf::Now(clock)), clock == day(3));
        assert!(plain.grants_as_of(AsOf::Now(clock)));
        assert_eq!(plain.status_at(clock), SubscriptionStatus::Active);
    }
}

#[test]
fn a_trial_is_a_name_and_a_trial_that_ends_is_an_end() {
    let mut world = shop();
    let made = trial(&mut world, "basic", 14, false);
    assert_eq!(made.status, SubscriptionStatus::Trialing);
    assert_eq!((made.timing.trial_ends_at, made.cancel_at()), (Some(day(15)), None));
    world.record(recording("124", "api-calls")).unwrap();
    go_to(&mut world, 15);
    assert_eq!(shown(&world, "basic").status, SubscriptionStatus::Active);
    assert_eq!(world.used("124", "api-calls"), 1);

    let mut world = shop();
    let made = trial(&mut world, "basic", 14, true);
    assert_eq!((made.ended_at, made.cancel_at()), (None, Some(day(15))));
    world.record(recording("124", "api-calls")).unwrap();
    schedule(&mut world, ["pro"], 15).unwrap();
    go_to(&mut world, 15);
    let basic = shown(&world, "basic");
    assert_eq!(basic.status, SubscriptionStatus::Cancelled);
    assert_eq!((basic.ended_at, basic.cancel_at()), (Some(day(15)), None));
    assert_eq!(world.budget("124", "api-calls"), Some(100));
    let past = world.usage("124", "api-calls").past;
    assert_eq!((past[0].period.end, past[0].consumption.used), (Some(day(15)), 1));
    // Usage of before the end still counts there.
    let late = recording("124", "api-calls").at_time(day(14));
    assert!(world.record(late).unwrap().recorded());
    assert_eq!(world.usage("124", "api-calls").past[0].consumption.used, 2);
}

#[test]
fn values_are_checked_before_anything_that_is_stored() {
    let mut world = shop();
    let nobody = Subscribe::now(
        kana_core::id::UserId::new("userId", "nobody").unwrap(),
        vec![(package_id("nope"), world.next_subscription_id())],
    );
    let now = world.now();
    let cases = [
        (Some(now), None, None, false, "startsAt must be in the future"),
        (Some(day(2)), Some(now), None, false, "startsAt cannot be given together with startedAt"),
        (None, None, Some(0), false, "trialDays must be from 1 to 730"),
        (None, None, Some(731), false, "trialDays must be from 1 to 730"),
        (None, None, None, true, "cancelAtTrialEnd needs trialDays"),
        (
            None,
            Some(day(-13)),
            Some(14),
            true,
            "cancelAtTrialEnd must not be given where the trial has ended already",
        ),
    ];
    for (starts_at, started_at, trial_days, cancel_at_trial_end, expected) in cases {
        let command =
            Subscribe { starts_at, started_at, trial_days, cancel_at_trial_end, ..nobody.clone() };
        let refusal = world.run(&Command::Subscribe(command)).unwrap_err();
        assert_eq!(refusal.to_string(), expected);
    }
    let nothing = UpdateSubscription::nothing(world.next_subscription_id());
    let both = UpdateSubscription {
        cancel_at: Some(None),
        cancel_at_end_of: Some(ResetPeriod::Day),
        ..nothing.clone()
    };
    let past = UpdateSubscription { trial_ends_at: Some(Some(now)), ..nothing.clone() };
    let refusals =
        [both, past, nothing].map(|update| world.update(update).unwrap_err().to_string());
    assert_eq!(refusals[0], "cancelAtEndOf cannot be given together with cancelAt");
    assert_eq!(refusals[1], "trialEndsAt must be in the future");
    assert!(refusals[2].starts_with("Subscription not found: "), "{}", refusals[2]);
}

#[test]
fn bases_never_overlap_and_may_follow_each_other() {
    let mut world = shop().subscribed("124", "basic");
    assert_eq!(schedule(&mut world, ["pro"], 10).unwrap_err(), TWO_BASES);
    set_end(&mut world, "basic", Some(10)).unwrap();
    assert_eq!(schedule(&mut world, ["pro"], 9).unwrap_err(), TWO_BASES);
    schedule(&mut world, ["pro"], 10).unwrap();
    assert_eq!(set_end(&mut world, "basic", Some(11)).unwrap_err(), TWO_BASES);
    assert_eq!(set_end(&mut world, "basic", None).unwrap_err(), TWO_BASES);
    assert_eq!(end_of(&world, "basic"), Some(day(10)));
    set_end(&mut world, "basic", Some(5)).unwrap();
    // There is room for a trial in between, of exactly five days.
    let between = Subscribe {
        starts_at: Some(day(5)),
        trial_days: Some(6),
        cancel_at_trial_end: true,
        ..subscribe(&mut world, ["basic"])
    };
    assert_eq!(world.run_subscribe(between.clone()).unwrap_err().to_string(), TWO_BASES);
    world.run_subscribe(Subscribe { trial_days: Some(5), ..between }).unwrap();
}

#[test]
fn two_subscriptions_to_a_package_do_not_overlap() {
    let mut world = shop().subscribed("124", "basic").subscribed("124", "boost");
    let refusal = schedule(&mut world, ["boost"], 10).unwrap_err();
    assert_eq!(refusal, "The user is already subscribed to package boost");
    set_end(&mut world, "boost", Some(10)).unwrap();
    let boost = world.subscription("124", "boost").id;
    schedule(&mut world, ["boost"], 10).unwrap();
    let refusal = world.update(cancel_at(boost, None)).unwrap_err().to_string();
    assert_eq!(refusal, "The user is already subscribed to package boost");
}

#[test]
fn an_add_on_needs_a_base_at_its_start_that_it_fits() {
    let mut world = shop();
    assert_eq!(schedule(&mut world, ["boost"], 10).unwrap_err(), NO_BASE);
    schedule(&mut world, ["pro"], 10).unwrap();
    assert_eq!(schedule(&mut world, ["boost"], 9).unwrap_err(), NO_BASE);
    assert_eq!(world.subscribe("124", ["boost"]).unwrap_err().to_string(), NO_BASE);
    assert_eq!(
        schedule(&mut world, ["for-basic"], 11).unwrap_err(),
        "Add-on for-basic cannot be added to package pro: it is not one of its base packages"
    );
    schedule(&mut world, ["boost", "for-pro"], 10).unwrap();
}

#[test]
fn add_ons_end_with_their_bases_and_that_is_taken_back_with_it() {
    let mut world = shop();
    world.subscribe("124", ["basic", "boost", "for-basic"]).unwrap();
    set_end(&mut world, "boost", Some(5)).unwrap();
    let before = world.stored();
    set_end(&mut world, "basic", Some(10)).unwrap();
    assert_eq!(end_of(&world, "boost"), Some(day(5)));
    assert_eq!(end_of(&world, "for-basic"), Some(day(10)));
    set_end(&mut world, "basic", Some(4)).unwrap();
    assert_eq!(end_of(&world, "boost"), Some(day(4)));
    // The add-on's own end can be moved, but it does not outlive its base.
    set_end(&mut world, "boost", Some(8)).unwrap();
    assert_eq!(end_of(&world, "boost"), Some(day(4)));
    set_end(&mut world, "boost", Some(5)).unwrap();
    set_end(&mut world, "basic", None).unwrap();
    assert_eq!(world.stored(), before);
}

#[test]
fn an_add_on_goes_on_with_a_base_that_it_fits_and_that_begins_at_that_instant() {
    let mut world = shop();
    world.subscribe("124", ["basic", "boost", "for-basic"]).unwrap();
    set_end(&mut world, "basic", Some(10)).unwrap();
    schedule(&mut world, ["pro"], 10).unwrap();
    assert_eq!(end_of(&world, "boost"), None);
    assert_eq!(end_of(&world, "for-basic"), Some(day(10)));
    set_end(&mut world, "pro", Some(20)).unwrap();
    assert_eq!(end_of(&world, "boost"), Some(day(20)));
    // The bases no longer touch each other.
    set_end(&mut world, "basic", Some(9)).unwrap();
    assert_eq!(end_of(&world, "boost"), Some(day(9)));
    set_end(&mut world, "basic", Some(10)).unwrap();
    assert_eq!(end_of(&world, "boost"), Some(day(20)));
    // The next base is cancelled before it begins.
    let cancelled = world.cancel_package("124", "pro");
    assert_eq!(cancelled.status, SubscriptionStatus::Cancelled);
    assert_eq!(cancelled.ended_at, Some(world.now()));
    assert_eq!(end_of(&world, "boost"), Some(day(10)));
    go_to(&mut world, 9);
    assert_eq!(world.budget("124", "api-calls"), Some(7));
    go_to(&mut world, 10);
    assert!(!world.can_use("124", "api-calls", 1).unwrap().access);
}

#[test]
fn an_add_on_that_has_not_begun_is_cancelled_when_it_would_have_no_base() {
    let mut world = shop();
    schedule(&mut world, ["pro", "for-pro"], 10).unwrap();
    schedule(&mut world, ["boost"], 15).unwrap();
    let feed = world.take_feed();
    set_end(&mut world, "pro", Some(15)).unwrap();
    assert_eq!(shown(&world, "boost").status, SubscriptionStatus::Cancelled);
    assert_eq!(shown(&world, "boost").ended_at, Some(world.now()));
    assert_eq!(end_of(&world, "for-pro"), Some(day(15)));
    world.cancel_package("124", "pro");
    assert_eq!(shown(&world, "for-pro").status, SubscriptionStatus::Cancelled);
    assert_ne!(world.take_feed(), feed);
}

#[test]
fn cancelling_a_base_ends_its_add_ons_now_and_leaves_what_is_scheduled_on_another() {
    let mut world = shop();
    world.subscribe("124", ["basic", "boost"]).unwrap();
    set_end(&mut world, "basic", Some(10)).unwrap();
    schedule(&mut world, ["pro", "for-pro"], 12).unwrap();
    world.wait_ms(7);
    world.cancel_package("124", "basic");
    let now = world.now();
    for package in ["basic", "boost"] {
        assert_eq!(world.subscription("124", package).ended_at, Some(now), "{package}");
    }
    for package in ["pro", "for-pro"] {
        assert_eq!(shown(&world, package).status, SubscriptionStatus::Incomplete, "{package}");
    }
}

#[test]
fn an_end_comes_with_the_end_of_a_period_that_is_counted_from_the_start() {
    let mut world = shop();
    world.subscribe_since("124", ["basic"], "2024-01-31T12:00:00Z").unwrap();
    let id = world.subscription("124", "basic").id;
    let mut end = |period| {
        let nothing = UpdateSubscription::nothing(id);
        let update = UpdateSubscription { cancel_at_end_of: Some(period), ..nothing };
        world.update(update).unwrap().cancel_at().unwrap()
    };
    assert_eq!(end(ResetPeriod::Day), time("2024-03-01T12:00:00Z"));
    assert_eq!(end(ResetPeriod::Month), time("2024-03-31T12:00:00Z"));
    assert_eq!(end(ResetPeriod::Year), time("2025-01-31T12:00:00Z"));
    assert_eq!(end(ResetPeriod::Minute), time("2024-03-01T00:01:00Z"));

    // Of one that has not begun it is the first.
    let mut world = shop();
    let id = schedule(&mut world, ["basic"], 10).unwrap()[0].id;
    let nothing = UpdateSubscription::nothing(id);
    let update = UpdateSubscription { cancel_at_end_of: Some(ResetPeriod::Week), ..nothing };
    assert_eq!(world.update(update).unwrap().cancel_at(), Some(day(17)));
    let refusal = world.update(cancel_at(id, Some(10))).unwrap_err().to_string();
    assert_eq!(
        refusal,
        "cancelAt must be after the subscription's start, 2024-03-10T00:00:00.000Z"
    );
}

#[test]
fn a_trial_can_be_moved_and_ended() {
    let mut world = shop();
    let id = trial(&mut world, "basic", 14, false).id;
    let to = |at: Option<i64>| UpdateSubscription {
        trial_ends_at: Some(at.map(day)),
        ..UpdateSubscription::nothing(id)
    };
    assert_eq!(world.update(to(Some(20))).unwrap().timing.trial_ends_at, Some(day(20)));
    let over = world.update(to(None)).unwrap();
    assert_eq!((over.status, over.timing.trial_ends_at), (SubscriptionStatus::Active, None));
    let again = world.update(to(Some(3))).unwrap();
    assert_eq!(again.status, SubscriptionStatus::Trialing);
}

#[test]
fn a_subscription_whose_end_has_come_is_cancelled_like_any_other() {
    let mut world = shop();
    let id = trial(&mut world, "basic", 1, true).id;
    go_to(&mut world, 2);
    world.take_feed();
    assert_eq!(
        world.update(cancel_at(id, None)).unwrap_err().to_string(),
        "Subscription has ended"
    );
    let (_, cancelled) = world.cancel(id).unwrap();
    assert_eq!(cancelled.status, SubscriptionStatus::Cancelled);
    assert_eq!(cancelled.ended_at, Some(day(2)));
    assert!(world.take_feed().is_empty());

    // A later command writes down that it ended, and tells nobody.
    world.subscribe("124", ["pro"]).unwrap();
    assert_eq!(world.subscription("124", "basic").ended_at, None);
    world.cancel_package("124", "pro");
    world.wait_ms(5 * 60 * 1000);
    world.take_feed();
    world.subscribe("124", ["basic"]).unwrap();
    let first = world.subscriptions("124").iter().find(|known| known.id == id).unwrap();
    assert_eq!(first.ended_at, Some(day(2)));
    assert!(world.take_feed().iter().all(|change| !change.contains("subscription.ended")));
    assert_eq!(world.cancel(id).unwrap().1, cancelled);
}

#[test]
fn a_user_who_is_deleted_leaves_what_had_ended_as_it_ended() {
    let mut world = shop();
    trial(&mut world, "basic", 1, true);
    schedule(&mut world, ["pro"], 10).unwrap();
    go_to(&mut world, 3);
    let now = world.now();
    let command = kana_core::decide::DeleteUser::new(
        kana_core::id::UserId::new("id", "124").unwrap(),
        uuid::Uuid::from_u128(7),
    );
    let changes = world.changes(&Command::DeleteUser(command.unwrap()));
    let ends: Vec<Timestamp> = changes
        .iter()
        .filter_map(|change| match change {
            kana_core::facts::Change::CancelSubscription { ended_at, .. } => Some(*ended_at),
            _ => None,
        })
        .collect();
    assert_eq!(ends, [day(2), now]);
}

#[test]
fn at_most_ten_are_scheduled() {
    let mut world = shop();
    for n in 0..5 {
        let command = Subscribe {
            starts_at: Some(day(10 + n)),
            trial_days: Some(1),
            cancel_at_trial_end: true,
            ..subscribe(&mut world, ["pro", "boost"])
        };
        world.run_subscribe(command).unwrap();
    }
    assert_eq!(
        schedule(&mut world, ["basic"], 20).unwrap_err(),
        "startsAt would give the user 11 subscriptions that have not begun: at most 10 are possible. \
         Cancel one, or wait until one begins"
    );
    // What begins now is none of them.
    trial(&mut world, "basic", 1, true);
    go_to(&mut world, 10);
    schedule(&mut world, ["basic"], 20).unwrap();
}

#[test]
fn the_feed_tells_what_was_set_and_nothing_when_it_comes() {
    let mut world = shop();
    world.subscribe("124", ["basic", "boost"]).unwrap();
    world.take_feed();
    set_end(&mut world, "basic", Some(10)).unwrap();
    let feed = world.take_feed();
    assert_eq!(feed.len(), 2, "{feed:?}");
    for change in &feed {
        assert!(change.contains("subscription.updated"), "{change}");
        assert!(change.contains(r#""cancelAt":"2024-03-10T00:00:00.000Z""#), "{change}");
    }
    set_end(&mut world, "basic", Some(10)).unwrap();
    assert!(world.take_feed().is_empty());
    go_to(&mut world, 20);
    world.record(recording("124", "api-calls")).unwrap();
    assert!(world.take_feed().is_empty());
}

/// What a program may ask for, at a time.
#[derive(Debug, Clone)]
enum Step {
    Subscribe { package: usize, start: i64, days: Option<i64> },
    End { which: usize, at: Option<i64> },
    Cancel(usize),
    Wait(i64),
}

const PACKAGES: [&str; 5] = ["basic", "pro", "boost", "for-basic", "for-pro"];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..PACKAGES.len(), 0_i64..12, proptest::option::of(1_i64..8))
            .prop_map(|(package, start, days)| Step::Subscribe { package, start, days }),
        2 => (0_usize..8, proptest::option::of(1_i64..20)).prop_map(|(which, at)| Step::End { which, at }),
        1 => (0_usize..8).prop_map(Step::Cancel),
        1 => (0_i64..4).prop_map(Step::Wait),
    ]
}

fn run(world: &mut World, step: &Step) {
    let now = (world.now().as_ms() - day(1).as_ms()) / 86_400_000 + 1;
    let nth = |world: &World, which: usize| {
        let all = world.subscriptions("124");
        all.get(which % all.len().max(1)).map(|one| one.id)
    };
    match *step {
        Step::Subscribe { package, start, days } => {
            let command = Subscribe {
                starts_at: (start > 0).then(|| day(now + start)),
                trial_days: days,
                cancel_at_trial_end: days.is_some(),
                ..subscribe(world, [PACKAGES[package]])
            };
            let _ = world.run_subscribe(command);
        }
        Step::End { which, at } => {
            if let Some(id) = nth(world, which) {
                let _ = world.update(cancel_at(id, at.map(|at| now + at)));
            }
        }
        Step::Cancel(which) => {
            if let Some(id) = nth(world, which) {
                world.cancel(id).unwrap();
            }
        }
        Step::Wait(days) => world.wait_ms(days * 86_400_000),
    }
}

/// What must hold of all subscriptions on every day to come.
fn check(world: &World) {
    let today = (world.now().as_ms() - day(1).as_ms()) / 86_400_000 + 1;
    let all = world.subscriptions("124");
    for at in (today..today + 60).map(day) {
        let granting: Vec<&Subscription> =
            all.iter().filter(|one| one.grants_as_of(AsOf::Now(at))).collect();
        for one in all {
            // The status says the same as what is granted.
            let status = one.status_at(at);
            let grants =
                matches!(status, SubscriptionStatus::Active | SubscriptionStatus::Trialing);
            assert_eq!(grants, one.grants_as_of(AsOf::Now(at)), "{one:?} at {at}");
            // So does a question about that moment that is asked later.
            assert_eq!(grants, one.grants_as_of(AsOf::Moment(at)), "{one:?} at {at}");
        }
        let base = |one: &&&Subscription| ["basic", "pro"].contains(&one.package.as_str());
        let bases: Vec<&&Subscription> = granting.iter().filter(base).collect();
        assert!(bases.len() <= 1, "{bases:?}");
        for (n, one) in granting.iter().enumerate() {
            assert!(!granting[..n].iter().any(|other| other.package == one.package));
            let fits = |base: &&&Subscription| match one.package.as_str() {
                "for-basic" => base.package.as_str() == "basic",
                "for-pro" => base.package.as_str() == "pro",
                _ => true,
            };
            assert!(bases.iter().any(fits), "{one:?} at {at}");
        }
    }
    let ahead = all.iter().filter(|one| one.ended_at.is_none() && !one.has_begun(world.now()));
    assert!(ahead.count() <= 10);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn bases_never_overlap_and_add_ons_never_outlive_them(
        steps in proptest::collection::vec(step(), 0..14),
    ) {
        let mut world = shop();
        for step in &steps {
            run(&mut world, step);
            check(&world);
        }
    }

    #[test]
    fn an_end_that_is_taken_back_leaves_everything_as_it_was(
        steps in proptest::collection::vec(step(), 0..10),
        at in 1_i64..30,
    ) {
        let mut world = shop();
        for step in &steps {
            run(&mut world, step);
        }
        let now = (world.now().as_ms() - day(1).as_ms()) / 86_400_000 + 1;
        // What is over for long is written down by the first command that changes anything.
        for one in world.subscriptions("124").to_vec() {
            let before = world.subscriptions("124").to_vec();
            let asked = one.timing.end_asked;
            if world.update(cancel_at(one.id, Some(now + at))).is_err() {
                continue;
            }
            let cancelled = |all: &[Subscription]| {
                all.iter().filter(|one| one.ended_at.is_some()).count()
            };
            if cancelled(world.subscriptions("124")) > cancelled(&before) {
                // An add-on that had not begun was cancelled, and stays so; or an end was written down.
                continue;
            }
            let back = UpdateSubscription {
                cancel_at: Some(asked),
                ..UpdateSubscription::nothing(one.id)
            };
            world.update(back).unwrap();
            prop_assert_eq!(world.subscriptions("124"), before.as_slice());
        }
    }

    #[test]
    fn ends_of_two_subscriptions_can_be_set_in_either_order(
        base in 1_i64..20,
        addon in 1_i64..20,
        quantity in 1_i64..5,
    ) {
        let made = || {
            let mut world = shop();
            world.subscribe("124", ["basic", "boost"]).unwrap();
            world
        };
        let (mut one, mut other) = (made(), made());
        set_end(&mut one, "basic", Some(base + 1)).unwrap();
        set_end(&mut one, "boost", Some(addon + 1)).unwrap();
        one.set_quantity("124", "boost", quantity);
        other.set_quantity("124", "boost", quantity);
        set_end(&mut other, "boost", Some(addon + 1)).unwrap();
        set_end(&mut other, "basic", Some(base + 1)).unwrap();
        prop_assert_eq!(one.stored(), other.stored());
    }
}
