//! A batch decides several commands on the same loaded facts before anything is stored. That
//! must be the same as deciding and storing them one by one.

use kana_core::decide::{Basis, Command, decide};
use kana_core::facts::{Change, CounterKey, Need, Obstacle, UserFacts};
use kana_core::idempotency::Replays;
use kana_core::subjects::Subjects;
use kana_core::subscribing::{CancelSubscription, Subscribe};
use kana_core::subscription::Subscription;
use kana_core::terms::TermsNumber;
use proptest::prelude::*;

use crate::world::{
    Recording, Using, World, feature_id, limit, package_id, recording, switched_on, time, user_id,
    using,
};

/// A user with a base and an add-on now, and a base and an add-on that were cancelled before.
fn world() -> World {
    let mut world = World::new()
        .consumable("api-calls")
        .binary("export")
        .package("old", [("api-calls", limit(9).monthly())])
        .package("pro", [("api-calls", limit(3).daily()), ("export", switched_on())])
        .addon("boost", [], [("api-calls", limit(5).daily())])
        .user("124")
        .subscribed("124", "old")
        .subscribed("124", "boost");
    world.record(recording("124", "api-calls").add(2)).unwrap();
    world.set_clock("2024-01-10T00:00:00Z");
    world.cancel_package("124", "old");
    world = world.subscribed("124", "pro").subscribed("124", "boost");
    world.set_clock("2024-01-12T12:00:00Z");
    world
}

/// What a command about this user is decided on.
fn basis<'a>(world: &'a World, facts: &'a UserFacts, replays: &'a Replays) -> Basis<'a> {
    let users = Subjects::one(Some(facts));
    Basis { catalog: world.catalog(), users, replays, now: world.now() }
}

/// One step of a batch, before subscriptions have their ids.
#[derive(Debug, Clone)]
enum Step {
    Usage(Command),
    Subscribe(&'static str),
    Cancel(&'static str),
}

fn any_step() -> impl Strategy<Value = Step> {
    let feature = || prop_oneof![4 => Just("api-calls"), 1 => Just("export"), 1 => Just("nope")];
    let key = || proptest::option::of(prop_oneof![Just("k1"), Just("k2")]);
    let when = proptest::option::of(prop_oneof![
        Just("2023-12-31T00:00:00Z"),
        Just("2024-01-05T00:00:00Z"),
        Just("2024-01-11T00:00:00Z"),
        Just("2024-01-12T12:00:00Z"),
    ]);
    let record = (feature(), -2_i64..4, any::<bool>(), when, key()).prop_map(
        |(feature, delta, set, when, key)| {
            let mut usage = recording("124", feature);
            usage = if set { usage.set(delta) } else { usage.add(delta) };
            usage = when.into_iter().fold(usage, Recording::at);
            usage = key.into_iter().fold(usage, Recording::key);
            Step::Usage(usage.command())
        },
    );
    let check = (feature(), 0_i64..4, key()).prop_map(|(feature, delta, key)| {
        let usage = using("124", feature).delta(delta);
        Step::Usage(key.into_iter().fold(usage, Using::key).command())
    });
    let package = || prop_oneof![Just("old"), Just("pro"), Just("boost")];
    prop_oneof![
        4 => record,
        4 => check,
        1 => package().prop_map(Step::Subscribe),
        1 => package().prop_map(Step::Cancel),
    ]
}

fn command(world: &mut World, step: Step) -> Command {
    match step {
        Step::Usage(command) => command,
        Step::Subscribe(package) => {
            let packages = vec![(package_id(package), world.next_subscription_id())];
            Command::Subscribe(Subscribe::now(user_id("124"), packages))
        }
        Step::Cancel(package) => {
            let subscription = world.subscription("124", package).id;
            Command::CancelSubscription(CancelSubscription { subscription })
        }
    }
}

#[test]
fn what_a_batch_has_ended_stays_ended_when_the_ended_ones_are_loaded() {
    let mut world = world();
    let cancel = command(&mut world, Step::Cancel("boost"));
    // The event at a named moment asks for the ended subscriptions, after the end of this one.
    let late = recording("124", "api-calls").at("2024-01-12T12:00:00Z").command();
    let answers = world.run_batch("124", &[cancel, late]);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let counted = world.events().last().unwrap().subscription;
    assert_eq!(counted, Some(world.subscription("124", "pro").id));
}

#[test]
fn an_add_on_that_ended_before_keeps_its_end_when_the_batch_cancels_a_base() {
    let mut world = world();
    let ended: Vec<Subscription> = world
        .subscriptions("124")
        .iter()
        .filter(|known| known.ended_at.is_some())
        .cloned()
        .collect();
    assert_eq!(ended.len(), 2);
    // The event at a named moment loads the ended ones, which the cancelling then sees too.
    let late = recording("124", "api-calls").at("2024-01-12T12:00:00Z").command();
    let cancel = command(&mut world, Step::Cancel("pro"));
    world.run_batch("124", &[late, cancel]);
    assert!(ended.iter().all(|ended| world.subscriptions("124").contains(ended)));
}

/// The store may be read again after a batch has begun; what the batch has made comes first.
#[test]
fn what_is_loaded_does_not_undo_what_the_batch_has_made() {
    let mut world = world();
    let boost = world.subscription("124", "boost");
    let user = world.new_user("125");
    let mut facts = UserFacts::new(user.key, user.id, vec![boost.clone()]);

    let ended_at = world.now();
    facts.apply(&Change::CancelSubscription { subscription: boost.id, ended_at });
    facts.load_ended_subscriptions(vec![boost.clone()]);
    let [known] = facts.all_subscriptions().unwrap() else { panic!("one subscription") };
    assert_eq!(known.ended_at, Some(ended_at));

    let counter = CounterKey {
        subscription: boost.id,
        feature: feature_id("api-calls"),
        terms: TermsNumber::default(),
        period_start: boost.started_at,
    };
    facts.apply(&Change::SetCounter { counter: counter.clone(), value: 2.into() });
    facts.load_counter(counter.clone(), Some(1.into()));
    assert_eq!(facts.stored(&counter), Some(Some(2)));
}

#[test]
fn a_key_that_the_batch_has_used_stays_used_when_it_is_loaded() {
    let mut world = world();
    let user = world.new_user("125");
    let facts = UserFacts::new(user.key, user.id, Vec::new());
    let send = recording("125", "export").key("k1");
    let key = send.0.idempotency_key.clone().unwrap();
    let mut replays = Replays::default();
    replays.load(key.clone(), None);
    let command = send.command();
    let decision = decide(&basis(&world, &facts, &replays), &command).unwrap();
    decision.changes.iter().for_each(|(_, change)| replays.apply(change));
    replays.load(key, None);
    let again = decide(&basis(&world, &facts, &replays), &command).unwrap();
    assert_eq!(again.answer, decision.answer);
    assert_eq!(again.changes, []);
}

#[test]
fn a_fact_that_was_not_loaded_is_asked_for_and_never_taken_for_an_absent_one() {
    let mut world = world();
    let pro = world.subscription("124", "pro");
    let user = world.new_user("125");
    let mut facts = UserFacts::new(user.key, user.id, vec![pro.clone()]);
    let mut replays = Replays::default();
    let send = recording("125", "api-calls").at("2024-01-12T11:00:00Z").key("k1");
    let key = send.0.idempotency_key.clone().unwrap();
    let command = send.command();
    let next =
        |facts: &UserFacts, replays: &Replays| decide(&basis(&world, facts, replays), &command);

    let needs = |need| Err(Obstacle::Needs(need));
    assert_eq!(next(&facts, &replays), needs(Need::Replay(key.clone())));
    replays.load(key, None);
    assert_eq!(next(&facts, &replays), needs(Need::EndedSubscriptions(user.key)));
    facts.load_ended_subscriptions(Vec::new());
    let counter = CounterKey {
        subscription: pro.id,
        feature: feature_id("api-calls"),
        terms: TermsNumber::default(),
        period_start: time("2024-01-12T00:00:00Z"),
    };
    assert_eq!(next(&facts, &replays), needs(Need::Counters(user.key, vec![counter.clone()])));
    facts.load_counter(counter.clone(), Some(4.into()));
    let decision = next(&facts, &replays).unwrap();
    assert!(
        decision.changes.contains(&(user.key, Change::SetCounter { counter, value: 5.into() }))
    );
}

#[test]
fn a_key_repeats_within_a_batch() {
    let mut world = world();
    let send = recording("124", "api-calls").add(2).key("k1").command();
    let answers = world.run_batch("124", &[send.clone(), send]);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(world.used("124", "api-calls"), 2);
}

proptest! {
    #[test]
    fn a_batch_answers_and_stores_what_its_commands_do_one_by_one(
        steps in proptest::collection::vec(any_step(), 0..10),
    ) {
        let mut at_once = world();
        let commands: Vec<Command> =
            steps.into_iter().map(|step| command(&mut at_once, step)).collect();
        let mut one_by_one = world();
        let expected: Vec<_> = commands.iter().map(|command| one_by_one.run(command)).collect();
        let answers = at_once.run_batch("124", &commands);
        prop_assert_eq!(answers, expected);
        prop_assert_eq!(at_once.stored(), one_by_one.stored());
    }
}
