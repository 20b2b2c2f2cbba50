//! For tests: a call of every method of a store, so that each engine can be held to its deadlines.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use kana_core::Timestamp;
use kana_core::catalog::CatalogVersion;
use kana_core::facts::{Change, CounterKey};
use kana_core::id::{FeatureId, IdempotencyKey, PackageId, SubscriptionId, UserId, UserKey};
use kana_core::terms::TermsNumber;
use kana_core::user::User;
use uuid::Uuid;

use crate::app::{App, EnvironmentId, EnvironmentKind, KeyHash, KeyKind, NewKey};
use crate::error::StoreError;
use crate::feed::{AuditQuery, ChangesQuery, Records};
use crate::jobs::{Ended, JobId, Lease, NewJob, Room};
use crate::store::{Store, Transaction, WriteTransaction};
use crate::transfer::kinds::Kind;
use crate::transfer::{Batch, Import, Scope};

/// A method's name, and a call of it.
pub(crate) type Call<'a> = (&'static str, BoxFuture<'a, Result<(), StoreError>>);

/// The sources of the traits.
const STORE: &str = include_str!("store.rs");
const FEED: &str = include_str!("feed.rs");
const JOBS: &str = include_str!("jobs.rs");
const IMPORT: &str = include_str!("transfer/import.rs");

/// The kind of job that [`of_store`] claims.
pub(crate) const JOB: &str = "sync";

fn now() -> Timestamp {
    Timestamp::from_ms(1_705_320_000_000)
}

macro_rules! calls {
    ($($name:ident => $call:expr),* $(,)?) => {
        vec![$((stringify!($name), async move { $call.await.map(drop) }.boxed())),*]
    };
}

/// Calls of which each takes the next transaction.
macro_rules! calls_of {
    ($next:ident, $transaction:ident, $($name:ident => $call:expr),* $(,)?) => {
        vec![$({
            #[allow(unused_mut, reason = "a commit takes it")]
            let mut $transaction = $next();
            (stringify!($name), async move { $call.await.map(drop) }.boxed())
        }),*]
    };
}

fn app() -> App {
    App { name: "Kana".to_owned() }
}

fn key() -> NewKey {
    NewKey {
        environment: EnvironmentKind::Test,
        kind: KeyKind::Private,
        hash: KeyHash([7; 32]),
        last_four: "abcd".to_owned(),
        created_at: now(),
    }
}

fn lease() -> Lease {
    Lease { id: JobId::NONE, fence: 1 }
}

fn scope() -> Scope {
    Scope { environments: vec![EnvironmentKind::Test], token_secrets: true }
}

fn user_id() -> UserId {
    UserId::new("userId", "somebody").unwrap()
}

fn user_key() -> UserKey {
    UserKey(Uuid::from_u128(77))
}

fn feature() -> FeatureId {
    FeatureId::new("featureId", "api-calls").unwrap()
}

fn package() -> PackageId {
    PackageId::new("packageId", "pro").unwrap()
}

fn subscription() -> SubscriptionId {
    SubscriptionId(Uuid::from_u128(77))
}

fn counter() -> (UserKey, CounterKey) {
    let (subscription, feature) = (subscription(), feature());
    let terms = TermsNumber::default();
    (user_key(), CounterKey { subscription, feature, terms, period_start: now() })
}

fn idempotency_key() -> IdempotencyKey {
    IdempotencyKey::new("idempotencyKey", "once").unwrap()
}

/// A call of every method of [`Store`], and of the traits that it extends.
pub(crate) fn of_store(store: &dyn Store, environment: EnvironmentId) -> Vec<Call<'_>> {
    let calls = calls! {
        app => store.app(),
        begin_app => store.begin_app(app(), vec![key()], now()),
        create_app => store.create_app(app(), vec![key()], now()),
        keys => store.keys(),
        find_key => store.find_key(KeyHash([1; 32])),
        client_access => store.client_access(EnvironmentKind::Test),
        provide_token_secret => store.provide_token_secret(environment, vec![1], now()),
        check_ready => store.check_ready(),
        forget_events => store.forget_events(now(), 10),
        forget_old_keys => store.forget_old_keys(now(), now()),
        make_partitions => store.make_partitions(),
        export => store.export(&scope()),
        import => store.import(),
        read => store.read(),
        write => store.write(),
        changes => store.changes(environment, &ChangesQuery { limit: 1, ..Default::default() }),
        audit_log => store.audit_log(environment, &AuditQuery { limit: 1, ..Default::default() }),
        forget_changes => store.forget_changes(environment, now(), 1, 10),
        forget_audit_log => store.forget_audit_log(environment, now(), 10),
        claim_jobs => store.claim_jobs(&[Room { kind: JOB, jobs: 1 }], 1, now()),
        renew_lease => store.renew_lease(lease(), now()),
        end_attempt => store.end_attempt(lease(), Ended::Finished, now()),
        jobs => store.jobs(10),
        retry_job => store.retry_job(JobId::NONE, now()),
    };
    complete(calls, &[(STORE, "Store"), (FEED, "Feed"), (JOBS, "JobStore")])
}

/// A call of every method of [`Transaction`].
pub(crate) fn of_transaction(
    mut next: impl FnMut() -> Box<dyn Transaction>,
    environment: EnvironmentId,
) -> Vec<Call<'static>> {
    let calls = calls_of! {
        next, transaction,
        catalog_version => transaction.catalog_version(environment),
        catalog => transaction.catalog(environment),
        have_usage => transaction.have_usage(environment, &[feature()]),
        active_subscribers => transaction.active_subscribers(environment, &[package()]),
        users => transaction.users(environment, &[user_id()]),
        users_after => transaction.users_after(environment, None, 1),
        facts => transaction.facts(environment, &[user_id()]),
        subscriptions => transaction.subscriptions(environment, &[subscription()]),
        subscriptions_after => transaction.subscriptions_after(environment, None, 1),
        subscriptions_of => transaction.subscriptions_of(environment, &[user_key()]),
        ended_subscriptions => transaction.ended_subscriptions(environment, &[user_key()]),
        counters => transaction.counters(environment, &[counter()]),
        counters_after => transaction.counters_after(environment, None, 1),
        replays => transaction.replays(environment, &[idempotency_key()]),
        keys_kept_before => transaction.keys_kept_before(environment, now(), 1),
    };
    complete(calls, &[(STORE, "Transaction")])
}

/// A call of every method of [`WriteTransaction`], and of the trait for jobs that it extends.
pub(crate) fn of_write_transaction(
    mut next: impl FnMut() -> Box<dyn WriteTransaction>,
    environment: EnvironmentId,
) -> Vec<Call<'static>> {
    let user =
        || (user_key(), Change::CreateUser(User { key: user_key(), ..User::named(user_id()) }));
    let calls = calls_of! {
        next, transaction,
        change_facts => transaction.change_facts(environment, &[user()]),
        forget_keys => transaction.forget_keys(environment, &[idempotency_key()]),
        change_catalog => transaction.change_catalog(environment, CatalogVersion(0), &[]),
        add_key => transaction.add_key(&key()),
        revoke_key => transaction.revoke_key(1, now()),
        rotate_token_secret =>
            transaction.rotate_token_secret(EnvironmentKind::Test, vec![1], now(), now()),
        set_simple_mode => transaction.set_simple_mode(EnvironmentKind::Test, true),
        append => transaction.append(environment, Records::default()),
        commit => transaction.commit(),
        schedule_jobs => transaction.schedule_jobs(&[NewJob::only(JOB)], now()),
        save_job => transaction.save_job(lease(), "{}"),
    };
    complete(calls, &[(STORE, "WriteTransaction"), (JOBS, "JobTransaction")])
}

/// A call of every method of [`Import`].
pub(crate) fn of_import(mut next: impl FnMut() -> Box<dyn Import>) -> Vec<Call<'static>> {
    let calls = calls_of! {
        next, import,
        insert => import.insert(&Batch { kind: Kind::App, rows: Vec::new() }),
        read_back => import.read_back(&scope()),
        commit => import.commit(),
    };
    complete(calls, &[(IMPORT, "Import")])
}

/// Asserts that a call ended within `limit`.
pub(crate) async fn ends_within<T>(
    name: &str,
    limit: Duration,
    call: impl Future<Output = T>,
) -> T {
    let ended = tokio::time::timeout(limit, call).await;
    ended.unwrap_or_else(|_| panic!("{name} goes on for more than {limit:?}"))
}

/// Asserts that there is a call of each async method of the traits, given with their sources. So a
/// method that is added is held to a deadline, too.
fn complete<'a>(calls: Vec<Call<'a>>, traits: &[(&'static str, &str)]) -> Vec<Call<'a>> {
    let names: Vec<&str> = calls.iter().map(|(name, _)| *name).collect();
    let expected: Vec<&str> =
        traits.iter().flat_map(|(source, name)| async_methods(source, name)).collect();
    assert_eq!(names, expected, "the calls of this file, and the methods that there are");
    calls
}

fn async_methods(source: &'static str, of_trait: &str) -> Vec<&'static str> {
    let (_, body) = source.split_once(&format!("pub trait {of_trait}:")).unwrap();
    let (body, _) = body.split_once("\n}\n").unwrap();
    let names = body.split("\n    async fn ").skip(1);
    names.map(|after| after.split(['(', '<']).next().unwrap()).collect()
}
