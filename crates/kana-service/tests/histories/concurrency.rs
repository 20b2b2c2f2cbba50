//! Many clients at once, on every engine.

use std::sync::Mutex;

use proptest::prop_assert;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use tokio::runtime::{Builder, Runtime};

use crate::engine::{Engine, PooledPostgres, Postgres, Sqlite, SqliteOfUsers};
use crate::flaw::Server;
use crate::linearization::linearize;
use crate::plan::{Plan, THREE, after, any_plan, crowd, crowd_on, moving_with_usage};
use crate::run::run;
use kana_test_model::mistake::Mistake;
use kana_test_model::model::Model;
use kana_test_model::request::{
    ADA, Action, CALLS, Giving, Holding, Name, Request, Reset, Rollover, Says, Terms, Usage,
};

/// Plans that are tried until what is wrong is noticed; few of them are needed.
const PLANS_MAX: usize = 400;

/// The same for crowds, of which the first should do.
const CROWDS_MAX: usize = 20;

#[test]
fn what_many_clients_are_answered_is_an_order_of_one_by_one_on_the_embedded_engine() {
    every_history_is_linearizable::<Sqlite>();
}

#[test]
fn what_many_clients_are_answered_is_an_order_of_one_by_one_with_three_users_in_memory() {
    every_history_is_linearizable::<SqliteOfUsers<3>>();
}

#[test]
fn what_many_clients_are_answered_is_an_order_of_one_by_one_with_nobody_in_memory() {
    every_history_is_linearizable::<SqliteOfUsers<0>>();
}

#[test]
fn what_many_clients_are_answered_is_an_order_of_one_by_one_on_two_servers_with_postgresql() {
    if kana_test_postgres::is_here() {
        every_history_is_linearizable::<Postgres>();
    }
}

#[test]
fn what_many_clients_are_answered_is_an_order_of_one_by_one_through_a_pooler() {
    if PooledPostgres::is_here() {
        every_history_is_linearizable::<PooledPostgres>();
    }
}

fn every_history_is_linearizable<E: Engine>() {
    let runtime = threads();
    let outcome = TestRunner::new(config(E::PLANS)).run(&any_plan(), |plan| {
        for history in runtime.block_on(run::<E>(&plan, || Server::AsItIs)) {
            prop_assert!(history.ids_grow(), "{}", history);
            linearize(&history, &Model::default())
                .map_err(|unexplained| TestCaseError::fail(unexplained.to_string()))?;
        }
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, plan)) => panic!("{why}\nThe plan was {plan:?}"),
        Err(aborted) => panic!("{aborted}"),
    }
}

fn config(plans: u32) -> Config {
    let many = std::env::var_os("PROPTEST_CASES").is_some();
    let default = Config::default();
    Config {
        cases: if many { default.cases } else { plans },
        // The same plan need not fail again; what counts is the history, which is printed.
        failure_persistence: None,
        max_shrink_iters: 200,
        ..default
    }
}

#[test]
fn no_model_that_is_wrong_in_one_thing_explains_what_kana_answers() {
    let runtime = threads();
    let mut unnoticed = Mistake::ALL.to_vec();
    for plan in crafted().into_iter().chain(plans(PLANS_MAX)) {
        for history in runtime.block_on(run::<Sqlite>(&plan, || Server::AsItIs)) {
            unnoticed.retain(|mistake| linearize(&history, &Model::with(*mistake)).is_ok());
        }
        if unnoticed.is_empty() {
            return;
        }
    }
    panic!("nobody noticed {unnoticed:?}");
}

/// Plans that chance rarely makes.
fn crafted() -> Vec<Plan> {
    // Between two grants only their age decides.
    let two_grants = crowd(&[give("g1"), give("g2"), record(2), GRANTS]);
    // An override ends, and somebody asks.
    let says = Says::Limit(9, None);
    let ends_at = Some(after(60_000));
    let setting = Request::SetOverride { user: ADA, feature: CALLS, says, ends_at };
    let ending = crowd_on(THREE, &[(0, &[setting]), (120_000, &[ASK])]);
    // A hold expires, and somebody asks.
    let hold = Holding { user: ADA, feature: CALLS, id: "h1", amount: 2, seconds: 60 };
    let expiring = crowd_on(THREE, &[(0, &[Request::CreateHold(hold)]), (120_000, &[ASK])]);
    // What is left of two months, of which one is too old, or too much.
    let carrying = |rollover| {
        let monthly = Terms { reset: Some(Reset::Month), rollover: Some(rollover), ..THREE };
        let month_ms = 31 * 86_400_000;
        crowd_on(monthly, &[(0, &[ASK]), (month_ms, &[ASK]), (month_ms, &[ASK])])
    };
    let capped = carrying(Rollover { max: Some(1), periods: 1 });
    let uncapped = carrying(Rollover { max: None, periods: 1 });
    vec![two_grants, ending, expiring, uncapped, capped, moving_with_usage()]
}

#[test]
fn a_server_that_checks_first_and_records_then_is_noticed() {
    is_noticed(|| Server::ChecksThenRecords, &[USE, USE]);
}

#[test]
fn a_server_that_sets_by_adding_is_noticed() {
    let (user, feature, action) = (ADA, CALLS, Action::Set);
    let usage = Usage { user, feature, action, delta: 2, occurred_at: None, key: None };
    is_noticed(|| Server::SetsByAdding, &[Request::RecordUsage(usage), ASK]);
}

#[test]
fn a_server_that_answers_from_memory_is_noticed() {
    is_noticed(|| Server::AnswersFromMemory(Mutex::default()), &[ASK, USE, ASK]);
}

const USE: Request = Request::UseFeature { user: ADA, feature: CALLS, delta: 1, key: None };
const GRANTS: Request = Request::Grants { user: ADA, feature: CALLS };

fn give(id: Name) -> Request {
    Request::CreateGrant(Giving {
        user: ADA,
        id,
        feature: CALLS,
        amount: 3,
        priority: 0,
        starts_at: None,
        expires_at: None,
    })
}

fn record(delta: i64) -> Request {
    let (user, feature, action) = (ADA, CALLS, Action::Add);
    Request::RecordUsage(Usage { user, feature, action, delta, occurred_at: None, key: None })
}

const ASK: Request = Request::CanUseFeature { user: ADA, feature: CALLS, delta: 1 };

/// A crowd that sends these requests notices what is wrong with the server, and nothing wrong with
/// Kana as it is.
fn is_noticed(server: fn() -> Server, requests: &[Request]) {
    let runtime = threads();
    let explained = |server| {
        let histories = runtime.block_on(run::<Sqlite>(&crowd(requests), server));
        histories.iter().all(|history| linearize(history, &Model::default()).is_ok())
    };
    assert!(explained(|| Server::AsItIs));
    assert!((0..CROWDS_MAX).any(|_| !explained(server)));
}

/// Threads enough for clients to overtake each other.
pub(crate) fn threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap()
}

/// The same plans each time.
fn plans(number: usize) -> Vec<Plan> {
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &[21; 32]);
    let mut runner = TestRunner::new_with_rng(config(Sqlite::PLANS), random);
    (0..number).map(|_| any_plan().new_tree(&mut runner).unwrap().current()).collect()
}
