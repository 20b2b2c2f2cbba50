//! The search finds an order where there is one, and none where there is none.

use crate::history::{Call, History};
use crate::linearization::linearize;
use crate::plan::START;
use kana_test_model::answer::{
    Answer, Consumption, Entitlement, Reason, Refusal, Status, Subscription, Timing, User,
};
use kana_test_model::model::Model;
use kana_test_model::request::{
    ADA, Action, Ahead, BASIC, CALLS, EXTRA, Id, NewPackage, PRO, Request, Terms, Usage,
};

/// A story in which each line is a client's call, with when it was asked and when it was answered.
/// Before it there are the user `ada` with a subscription to `basic`, which gives two `calls`, and
/// the add-on `extra`, which gives one.
fn story(lines: Vec<(usize, usize, Request, Answer)>) -> History {
    let mut calls: Vec<Call> = shop()
        .into_iter()
        .enumerate()
        .map(|(at, (request, answer))| call(0, 2 * at, 2 * at + 1, request, answer))
        .collect();
    for (client, (asked, answered, request, answer)) in lines.into_iter().enumerate() {
        calls.push(call(client + 1, 100 + asked, 100 + answered, request, answer));
    }
    History::new(calls)
}

fn call(client: usize, asked: usize, answered: usize, request: Request, answer: Answer) -> Call {
    Call { client, request, answer, now: START, asked, answered }
}

fn shop() -> Vec<(Request, Answer)> {
    let mut shop =
        vec![(Request::CreateFeature { feature: CALLS, binary: false }, Answer::Feature(CALLS))];
    for (package, addon, limit) in [(BASIC, false, 2), (PRO, false, 9), (EXTRA, true, 1)] {
        let terms =
            Terms { limit: Some(limit), reset: None, overage: false, added: false, rollover: None };
        let new =
            NewPackage { package, addon, bases: vec![], features: vec![(CALLS, Some(terms))] };
        shop.extend([
            (Request::CreatePackage(new), Answer::Package(package, Status::Draft)),
            (Request::PublishPackage(package), Answer::Package(package, Status::Published)),
        ]);
    }
    let user = User { key: Id(1), id: ADA, name: None, email: None };
    shop.extend([
        (Request::CreateUser { user: ADA, name: None, email: None }, Answer::User(user)),
        (subscribe(BASIC), Answer::Subscriptions(vec![subscription(2, BASIC)])),
    ]);
    shop
}

fn subscribe(package: &'static str) -> Request {
    Request::Subscribe {
        user: ADA,
        packages: vec![package],
        quantities: None,
        started_at: None,
        ahead: Ahead::default(),
    }
}

fn subscription(id: u128, package: &'static str) -> Subscription {
    Subscription {
        id: Id(id),
        package,
        started_at: START,
        ended_at: None,
        quantity: 1,
        timing: Timing::default(),
    }
}

fn add(delta: i64) -> Request {
    let (user, feature, action) = (ADA, CALLS, Action::Add);
    Request::RecordUsage(Usage { user, feature, action, delta, occurred_at: None, key: None })
}

const USE_ONE: Request = Request::UseFeature { user: ADA, feature: CALLS, delta: 1, key: None };
const ASK: Request = Request::CanUseFeature { user: ADA, feature: CALLS, delta: 1 };
const RECORDED: Answer = Answer::Recorded(true);

/// One more can be used, or one was, and so much is used.
fn yes(used: i64) -> Answer {
    entitlement(true, Reason::WithinLimit, used)
}

/// One more is too much, and so much is used.
fn no(used: i64) -> Answer {
    entitlement(false, Reason::OverLimit, used)
}

fn entitlement(access: bool, reason: Reason, used: i64) -> Answer {
    let consumption = Some(Consumption { used, budget: Some(2), overage: false, held: 0 });
    Answer::Entitlement(Entitlement { access, reason, consumption })
}

#[track_caller]
fn explained(lines: Vec<(usize, usize, Request, Answer)>) {
    if let Err(unexplained) = linearize(&story(lines), &Model::default()) {
        panic!("{unexplained}");
    }
}

#[track_caller]
fn unexplained(lines: Vec<(usize, usize, Request, Answer)>) {
    let order = linearize(&story(lines), &Model::default());
    assert!(order.is_err(), "explained by {order:?}");
}

#[test]
fn no_update_is_lost() {
    let both =
        |used| vec![(0, 2, add(1), RECORDED), (1, 3, add(1), RECORDED), (4, 5, ASK, no(used))];
    explained(both(2));
    unexplained(both(1));
    unexplained(both(3));
}

#[test]
fn a_write_that_was_answered_is_seen_and_one_that_is_under_way_may_be() {
    let then = |asked, answer| vec![(0, 3, add(1), RECORDED), (asked, 5, ASK, answer)];
    explained(then(4, yes(1)));
    unexplained(then(4, yes(0)));
    explained(then(2, yes(1)));
    explained(then(2, yes(0)));
}

#[test]
fn what_was_seen_stays() {
    let twice =
        |first, second| vec![(0, 9, add(1), RECORDED), (1, 2, ASK, first), (3, 4, ASK, second)];
    explained(twice(yes(0), yes(1)));
    unexplained(twice(yes(1), yes(0)));
}

#[test]
fn no_more_is_granted_than_there_is() {
    let three = |first, second, third| {
        vec![(0, 5, USE_ONE, first), (1, 6, USE_ONE, second), (2, 7, USE_ONE, third)]
    };
    explained(three(no(2), yes(2), yes(1)));
    unexplained(three(yes(1), yes(2), yes(3)));
    unexplained(three(yes(1), yes(2), yes(2)));
    unexplained(three(yes(1), yes(1), no(2)));
    // Nor less.
    unexplained(three(yes(1), no(1), no(1)));
}

#[test]
fn what_was_over_before_stands_before() {
    explained(vec![(0, 2, USE_ONE, yes(2)), (1, 3, USE_ONE, yes(1))]);
    unexplained(vec![(0, 1, USE_ONE, yes(2)), (2, 3, USE_ONE, yes(1))]);
}

#[test]
fn a_key_records_once() {
    let keyed = || add(1).under("k1");
    let twice =
        |answer| vec![(0, 2, keyed(), RECORDED), (1, 3, keyed(), RECORDED), (4, 5, ASK, answer)];
    explained(twice(yes(1)));
    unexplained(twice(no(2)));
    let both = |first, second| vec![(0, 2, keyed(), first), (1, 3, add(2).under("k1"), second)];
    let conflict = || Answer::Refused(Refusal::IdempotencyConflict);
    explained(both(RECORDED, conflict()));
    explained(both(conflict(), RECORDED));
    unexplained(both(RECORDED, RECORDED));
    unexplained(both(conflict(), conflict()));
}

#[test]
fn two_bases_are_never_had() {
    let cancelled = Subscription { ended_at: Some(START), ..subscription(2, BASIC) };
    let two = |second| {
        vec![
            (0, 1, Request::CancelSubscription(Id(2)), Answer::Subscription(ADA, cancelled)),
            (2, 4, subscribe(BASIC), Answer::Subscriptions(vec![subscription(3, BASIC)])),
            (3, 5, subscribe(PRO), second),
        ]
    };
    explained(two(Answer::Refused(Refusal::MultipleTiers)));
    unexplained(two(Answer::Subscriptions(vec![subscription(4, PRO)])));
}

#[test]
fn an_id_is_given_once() {
    let extra =
        |id| vec![(0, 1, subscribe(EXTRA), Answer::Subscriptions(vec![subscription(id, EXTRA)]))];
    explained(extra(3));
    unexplained(extra(2));
}

#[test]
fn what_is_made_later_has_the_greater_id() {
    let extra = |asked, id| {
        let made = Answer::Subscriptions(vec![subscription(id, EXTRA)]);
        story(vec![
            (0, 2, subscribe(BASIC), Answer::Subscriptions(vec![subscription(9, BASIC)])),
            (asked, 4, subscribe(EXTRA), made),
        ])
    };
    assert!(extra(3, 10).ids_grow());
    assert!(!extra(3, 8).ids_grow());
    // Of two at the same time either can be the later one.
    assert!(extra(1, 8).ids_grow());
}

#[test]
fn subscriptions_are_made_and_end_together() {
    let both = [subscription(2, BASIC), subscription(3, EXTRA)];
    let ended: Vec<Subscription> = both
        .iter()
        .rev()
        .map(|subscription| Subscription { ended_at: Some(START), ..*subscription })
        .collect();
    let while_cancelling = |seen| {
        vec![
            (0, 1, subscribe(EXTRA), Answer::Subscriptions(vec![both[1]])),
            (2, 5, Request::CancelSubscription(Id(2)), Answer::Subscription(ADA, ended[1])),
            (3, 4, Request::Subscriptions(ADA), Answer::Subscriptions(seen)),
        ]
    };
    explained(while_cancelling(vec![both[1], both[0]]));
    explained(while_cancelling(ended.clone()));
    unexplained(while_cancelling(vec![both[1], ended[1]]));
    unexplained(while_cancelling(vec![ended[0], both[0]]));
}

#[test]
fn every_event_is_kept_once() {
    let counted = |events| {
        vec![
            (0, 2, USE_ONE, yes(1)),
            (1, 3, add(5).under("k1"), RECORDED),
            (4, 6, add(5).under("k1"), RECORDED),
            (5, 7, USE_ONE, no(6)),
            (8, 9, Request::CountEvents, Answer::Count(events)),
        ]
    };
    explained(counted(2));
    unexplained(counted(1));
    unexplained(counted(3));
}

#[test]
fn an_answer_that_no_request_may_have_is_never_explained() {
    unexplained(vec![(0, 1, USE_ONE, Answer::Failed("the database failed".into()))]);
}

#[test]
fn whoever_reads_of_a_failure_sees_what_was_asked_and_what_was_expected() {
    let history = story(vec![(0, 1, add(1), RECORDED), (2, 3, ASK, yes(0))]);
    let text = linearize(&history, &Model::default()).unwrap_err().to_string();
    let (_, blocked) = text.split_once("What could come next").unwrap();
    assert!(blocked.contains("102 to 103  client 2: CanUseFeature"), "{text}");
    assert!(blocked.contains("expected: Entitlement(Entitlement { access: true"), "{text}");
    assert!(blocked.contains("consumption: Some(1 of 2)"), "{text}");
}
