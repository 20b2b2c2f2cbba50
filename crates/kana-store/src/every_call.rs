//! For tests: a call of every method of a store, so that each engine can be held to its deadlines.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use kana_core::Timestamp;
use kana_core::catalog::CatalogVersion;
use kana_core::change::AuditKind;
use kana_core::day::Day;
use kana_core::facts::{Change, CounterKey};
use kana_core::id::{
    FeatureId, HoldId, IdempotencyKey, PackageId, SubscriptionId, UserId, UserKey,
};
use kana_core::metadata::Label;
use kana_core::terms::TermsNumber;
use kana_core::user::User;
use uuid::Uuid;

use crate::app::{App, EnvironmentId, EnvironmentKind, KeyHash, KeyKind, NewKey};
use crate::error::StoreError;
use crate::feed::{AuditQuery, ChangesQuery, NewAuditEntry, Records};
use crate::jobs::{Ended, JobId, Lease, NewJob, Room};
use crate::people::{AdminId, Invitee, NewAdmin, NewInvitation, Role, SecretHash, Session};
use crate::store::{Store, Transaction, WriteTransaction};
use crate::transfer::kinds::Kind;
use crate::transfer::{Batch, Import, Scope};
use crate::usage_by_user::UsageWindow;
use crate::user_imports::{UserImport, UserImportId, UserImportLine, UserImportName};
use crate::user_search::Prefix;

/// A method's name, and a call of it.
pub(crate) type Call<'a> = (&'static str, BoxFuture<'a, Result<(), StoreError>>);

/// The sources of the traits.
const STORE: &str = include_str!("store.rs");
const FEED: &str = include_str!("feed.rs");
const JOBS: &str = include_str!("jobs.rs");
const PEOPLE: &str = include_str!("people.rs");
const USER_SEARCH: &str = include_str!("user_search.rs");
const USAGE_EVENTS: &str = include_str!("usage_events.rs");
const USAGE_STATISTICS: &str = include_str!("usage_statistics.rs");
const USER_DELETION: &str = include_str!("user_deletion.rs");
const USER_IMPORTS: &str = include_str!("user_imports.rs");
const IMPORT: &str = include_str!("transfer/import.rs");

/// The kind of job that [`of_store`] claims.
pub(crate) const JOB: &str = "sync";

fn now() -> Timestamp {
    Timestamp::from_ms(1_705_320_000_000)
}

fn today() -> Day {
    Day::of(now())
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
        name: None,
        created_by: None,
        expires_at: None,
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

fn window() -> UsageWindow {
    UsageWindow { occurred: Timestamp::MIN..now(), limit: Duration::from_secs(60) }
}

fn scope() -> Scope {
    Scope { environments: vec![EnvironmentKind::Test], token_secrets: true, user: None }
}

fn user_id() -> UserId {
    UserId::new("userId", "somebody").unwrap()
}

fn user_key() -> UserKey {
    UserKey(Uuid::from_u128(77))
}

fn hold_id() -> HoldId {
    HoldId::new("id", "job").unwrap()
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

const ADMIN: AdminId = AdminId(77);

fn admin() -> NewAdmin {
    let email = "somebody@example.com".to_owned();
    NewAdmin { email_folded: email.clone(), email, role: Role::Viewer, created_at: now() }
}

fn secret() -> SecretHash {
    SecretHash([7; 32])
}

fn session() -> Session {
    Session {
        hash: secret(),
        admin: ADMIN,
        created_at: now(),
        last_seen_at: now(),
        ends_at: now(),
        address: "127.0.0.1".to_owned(),
        browser: "Firefox".to_owned(),
    }
}

fn invitation() -> NewInvitation {
    let invitee = Invitee::Anyone(Role::Owner);
    NewInvitation { hash: secret(), invitee, created_at: now(), expires_at: now() }
}

fn audit_entry() -> NewAuditEntry {
    NewAuditEntry {
        id: Uuid::from_u128(77),
        at: now(),
        actor: "somebody@example.com".to_owned(),
        action: "create",
        kind: AuditKind::Person,
        subject: None,
        before: None,
        after: None,
        request_id: None,
    }
}

const USER_IMPORT: UserImportId = UserImportId(Uuid::from_u128(77));

fn user_import() -> UserImport {
    UserImport { id: USER_IMPORT, created_at: now(), data: "{}".to_owned() }
}

fn user_import_line() -> UserImportLine {
    UserImportLine { kind: "create".to_owned(), line: 2, data: "{}".to_owned() }
}

fn user_import_name() -> UserImportName {
    UserImportName { name: user_id(), line: 2, kind: "create".to_owned() }
}

fn email() -> Label {
    Label::new("email", "somebody@example.com").unwrap()
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
        note_key_uses => store.note_key_uses(vec![(1, now())]),
        check_ready => store.check_ready(),
        forget_events => store.forget_events(now(), 10),
        forget_old_keys => store.forget_old_keys(now(), now()),
        gather_user_facts => store.gather_user_facts(10),
        make_partitions => store.make_partitions(),
        export => store.export(&scope()),
        usage_by_user => store.usage_by_user(environment, window()),
        import => store.import(),
        read => store.read(),
        read_facts => store.read_facts(),
        write => store.write(),
        changes => store.changes(environment, &ChangesQuery { limit: 1, ..Default::default() }),
        audit_log => store.audit_log(environment, &AuditQuery { limit: 1, ..Default::default() }),
        forget_changes => store.forget_changes(environment, now()..=now(), 1, 10),
        forget_audit_log => store.forget_audit_log(environment, now(), 10),
        claim_jobs => store.claim_jobs(&[Room { kind: JOB, jobs: 1 }], 1, now()),
        renew_lease => store.renew_lease(lease(), now()),
        end_attempt => store.end_attempt(lease(), Ended::Finished, now()),
        jobs => store.jobs(10),
        retry_job => store.retry_job(JobId::NONE, now()),
        admins => store.admins(),
        credentials => store.credentials("somebody@example.com"),
        session => store.session(secret()),
        sessions_of => store.sessions_of(ADMIN),
        note_seen => store.note_seen(secret(), now(), now()),
        invitation => store.invitation(secret(), now()),
        claim_form => store.claim_form(secret(), now()),
        settle_form => store.settle_form(secret(), Some("/dashboard")),
        forget_ended => store.forget_ended(now(), 10),
        audit_log_of_app => store.audit_log_of_app(&AuditQuery { limit: 1, ..Default::default() }),
        forget_audit_log_of_app => store.forget_audit_log_of_app(now(), 10),
        usage_by_day => store.usage_by_day(environment, None, today(), today()),
        top_features => store.top_features(environment, today(), today(), 1),
        usage_since => store.usage_since(environment),
        fold_usage => store.fold_usage(environment, 10),
        forget_usage_by_day => store.forget_usage_by_day(environment, today(), 10),
        forget_limit_crossings => store.forget_limit_crossings(environment, now(), 10),
        forget_threshold_events => store.forget_threshold_events(environment, now(), 10),
        forget_holds => store.forget_holds(environment, now(), 10),
    };
    let traits = [
        (STORE, "Store"),
        (FEED, "Feed"),
        (JOBS, "JobStore"),
        (PEOPLE, "People"),
        (USAGE_STATISTICS, "UsageStatistics"),
    ];
    complete(calls, &traits)
}

/// A call of every method of [`Transaction`], and of the traits that it extends.
pub(crate) fn of_transaction(
    mut next: impl FnMut() -> Box<dyn Transaction>,
    environment: EnvironmentId,
) -> Vec<Call<'static>> {
    let calls = calls_of! {
        next, transaction,
        catalog_version => transaction.catalog_version(environment),
        catalog => transaction.catalog(environment),
        have_usage => transaction.have_usage(environment, &[feature()]),
        active_subscribers => transaction.active_subscribers(environment, &[package()], now()),
        users => transaction.users(environment, &[user_id()]),
        users_after => transaction.users_after(environment, None, 1),
        facts => transaction.facts(environment, &[user_id()]),
        subscriptions => transaction.subscriptions(environment, &[subscription()]),
        subscriptions_after => transaction.subscriptions_after(environment, None, 1),
        subscriptions_of => transaction.subscriptions_of(environment, &[user_key()]),
        ended_subscriptions => transaction.ended_subscriptions(environment, &[user_key()]),
        overrides_of => transaction.overrides_of(environment, &[user_key()]),
        grants_of => transaction.grants_of(environment, &[user_key()]),
        living_holds_of =>
            transaction.living_holds_of(environment, &[(user_key(), feature())], now()),
        holds => transaction.holds(environment, &[(user_key(), hold_id())]),
        counters => transaction.counters(environment, &[counter()]),
        counters_after => transaction.counters_after(environment, None, 1),
        replays => transaction.replays(environment, &[idempotency_key()]),
        limit_crossings => transaction.limit_crossings(environment, now(), 1),
        threshold_events =>
            transaction.threshold_events(environment, Some(user_key()), None, 1),
        keys_kept_before => transaction.keys_kept_before(environment, now(), 1),
        users_with_prefix =>
            transaction.users_with_prefix(environment, &Prefix::new("some").unwrap(), None, 1),
        subscribers_after =>
            transaction.subscribers_after(environment, &package(), now(), None, 1),
        are_subscribed =>
            transaction.are_subscribed(environment, &package(), now(), &[user_key()]),
        users_by_key => transaction.users_by_key(environment, &[user_key()]),
        events_of => transaction.events_of(environment, user_key(), None, 1, Duration::ZERO),
        user_imports => transaction.user_imports(environment),
        user_import_lines =>
            transaction.user_import_lines(environment, USER_IMPORT, "create", 0, 1),
        user_import_names =>
            transaction.user_import_names(environment, USER_IMPORT, &[user_id()]),
        users_with_email => transaction.users_with_email(environment, &[email()]),
    };
    let traits = [
        (STORE, "Transaction"),
        (USER_SEARCH, "UserSearch"),
        (USAGE_EVENTS, "UsageEvents"),
        (USER_IMPORTS, "UserImports"),
    ];
    complete(calls, &traits)
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
        lock_people => transaction.lock_people(),
        locked_admins => transaction.locked_admins(),
        locked_credentials => transaction.locked_credentials(ADMIN),
        add_admin => transaction.add_admin(&admin()),
        set_password => transaction.set_password(ADMIN, None),
        set_role => transaction.set_role(ADMIN, Role::Viewer),
        remove_admin => transaction.remove_admin(ADMIN),
        note_sign_in => transaction.note_sign_in(ADMIN, now()),
        add_session => transaction.add_session(&session()),
        end_sessions => transaction.end_sessions(ADMIN, None),
        end_session => transaction.end_session(secret()),
        add_invitation => transaction.add_invitation(&invitation()),
        use_invitation => transaction.use_invitation(secret(), now()),
        withdraw_invitations => transaction.withdraw_invitations(ADMIN),
        set_app_name => transaction.set_app_name("Kana"),
        audit_app => transaction.audit_app(vec![audit_entry()]),
        forget_event_metadata =>
            transaction.forget_event_metadata(environment, user_key(), None, None),
        lock_user_imports => transaction.lock_user_imports(environment),
        put_user_import => transaction.put_user_import(environment, &user_import()),
        add_user_import_lines => transaction.add_user_import_lines(
            environment,
            USER_IMPORT,
            &[user_import_line()],
            &[user_import_name()],
        ),
        forget_user_import => transaction.forget_user_import(environment, USER_IMPORT, 10),
    };
    let traits = [
        (STORE, "WriteTransaction"),
        (JOBS, "JobTransaction"),
        (PEOPLE, "PeopleTransaction"),
        (USER_DELETION, "UserDeletionTransaction"),
        (USER_IMPORTS, "UserImportTransaction"),
    ];
    complete(calls, &traits)
}

/// A call of every method of [`Import`].
pub(crate) fn of_import(mut next: impl FnMut() -> Box<dyn Import>) -> Vec<Call<'static>> {
    let calls = calls_of! {
        next, import,
        insert => import.insert(&Batch { kind: Kind::App, rows: Vec::new() }),
        read_back => import.read_back(&scope()),
        wrong_draw => import.wrong_draw(),
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
