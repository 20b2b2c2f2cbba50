use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use kana_core::Timestamp;
use kana_store::jobs::{
    ClaimedJob, Due, ERROR_BYTES_MAX, Ended, Job, JobStatus, KEY_BYTES_MAX, LEASE, Lease, NewJob,
    Retried, Room, STATE_BYTES_MAX,
};
use kana_store::{EnvironmentKind, StoreError};

use crate::Engine;
use crate::world::{BEGINNING, World, create_user, time, user_key};

const SYNC: &str = "sync";
const MAIL: &str = "mail";
const ROOM_FOR_ALL: [Room; 2] = [Room { kind: SYNC, jobs: 100 }, Room { kind: MAIL, jobs: 100 }];

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// A world with a clock.
struct Clock<E: Engine> {
    world: World<E>,
    now: Timestamp,
}

impl<E: Engine> Clock<E> {
    async fn new() -> Self {
        Self { world: World::new().await, now: time(BEGINNING) }
    }

    fn pass(&mut self, time: Duration) {
        self.turn(i64::try_from(time.as_millis()).unwrap());
    }

    fn go_back(&mut self, time: Duration) {
        self.turn(-i64::try_from(time.as_millis()).unwrap());
    }

    fn turn(&mut self, milliseconds: i64) {
        self.now = self.now.saturating_add_ms(milliseconds);
        E::pass_time(&self.world.database, milliseconds);
    }

    async fn schedule(&self, jobs: impl IntoIterator<Item = NewJob>) {
        let mut writer = self.world.store.write().await.unwrap();
        writer.schedule_jobs(&jobs.into_iter().collect::<Vec<_>>(), self.now).await.unwrap();
        writer.commit().await.unwrap();
    }

    async fn claim(&self) -> Vec<ClaimedJob> {
        self.world.store.claim_jobs(&ROOM_FOR_ALL, 100, self.now).await.unwrap()
    }

    async fn claim_one(&self) -> ClaimedJob {
        let mut claimed = self.claim().await;
        assert_eq!(claimed.len(), 1, "{claimed:?}");
        claimed.remove(0)
    }

    async fn renew(&self, lease: Lease) -> Result<(), StoreError> {
        self.world.store.renew_lease(lease, self.now).await
    }

    async fn end(&self, lease: Lease, ended: Ended) -> Result<(), StoreError> {
        self.world.store.end_attempt(lease, ended, self.now).await
    }

    async fn end_well(&self, lease: Lease, due: Due, state: Option<&str>) {
        let state = state.map(str::to_owned);
        self.end(lease, Ended::GoesOn { due, state }).await.unwrap();
    }

    async fn fail(&self, lease: Lease, retry: Option<Duration>) {
        self.end(lease, failed("no answer", retry)).await.unwrap();
    }

    async fn jobs(&self) -> Vec<Job> {
        self.world.store.jobs(100).await.unwrap()
    }

    async fn only_job(&self) -> Job {
        let mut jobs = self.jobs().await;
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        jobs.remove(0)
    }
}

fn job(key: &str) -> NewJob {
    NewJob { key: key.to_owned(), ..NewJob::only(SYNC) }
}

fn later(job: NewJob, wait: Duration) -> NewJob {
    NewJob { due: Due::After(wait), ..job }
}

fn failed(error: &str, retry: Option<Duration>) -> Ended {
    Ended::Failed { error: error.to_owned(), retry }
}

fn keys(claimed: &[ClaimedJob]) -> HashSet<&str> {
    claimed.iter().map(|job| job.key.as_str()).collect()
}

fn is_lost(result: &Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::LostLease))
}

pub(crate) async fn a_job_is_claimed_by_one_when_it_is_due<E: Engine>() {
    let mut clock = Clock::<E>::new().await;
    assert_eq!(clock.claim().await, []);
    clock.schedule([later(job("ada"), HOUR)]).await;
    assert_eq!(clock.claim().await, []);
    clock.pass(HOUR - SECOND);
    assert_eq!(clock.claim().await, []);
    clock.pass(SECOND);
    let claimed = clock.claim_one().await;
    assert_eq!((claimed.kind.as_str(), claimed.key.as_str()), (SYNC, "ada"));
    assert_eq!((claimed.environment, claimed.attempts, claimed.state), (None, 1, None));
    assert_eq!(clock.claim().await, []);
    assert_eq!(clock.only_job().await.status, JobStatus::Running);
}

pub(crate) async fn a_job_that_is_not_committed_never_happened<E: Engine>() {
    let clock = Clock::<E>::new().await;
    let mut writer = clock.world.store.write().await.unwrap();
    writer.schedule_jobs(&[job("ada")], clock.now).await.unwrap();
    drop(writer);
    assert_eq!(clock.jobs().await, []);
    clock.schedule([]).await;
    assert_eq!(clock.claim().await, []);
}

pub(crate) async fn jobs_are_claimed_in_the_order_in_which_they_are_due_and_as_many_as_there_is_room_for<
    E: Engine,
>() {
    let mut clock = Clock::<E>::new().await;
    let mail = NewJob { kind: MAIL, ..job("mail") };
    let jobs = [(job("second"), 2), (job("fourth"), 4), (mail, 3), (job("first"), 1)];
    clock.schedule(jobs.map(|(job, seconds)| later(job, seconds * SECOND))).await;
    clock.pass(HOUR);
    let claim = async |room: &[Room], at_most| {
        clock.world.store.claim_jobs(room, at_most, clock.now).await.unwrap()
    };
    let room = |kind, jobs| Room { kind, jobs };

    assert_eq!(claim(&[], 9).await, []);
    assert_eq!(claim(&[room("other", 9)], 9).await, []);
    assert_eq!(claim(&[room(SYNC, 0)], 9).await, []);
    assert_eq!(claim(&ROOM_FOR_ALL, 0).await, []);
    assert_eq!(keys(&claim(&[room(SYNC, 1), room(MAIL, 1)], 1).await), HashSet::from(["first"]));
    // A kind with many jobs leaves room for the others.
    let both = claim(&[room(SYNC, 1), room(MAIL, 1)], 9).await;
    assert_eq!(keys(&both), HashSet::from(["second", "mail"]));
    assert_eq!(keys(&claim(&ROOM_FOR_ALL, 9).await), HashSet::from(["fourth"]));
}

pub(crate) async fn jobs_differ_by_kind_key_and_environment<E: Engine>() {
    let clock = Clock::<E>::new().await;
    let (test, live) = (Some(clock.world.test), Some(clock.world.live));
    let in_environment = |environment| NewJob { environment, ..job("ada") };
    let all = [
        in_environment(None),
        in_environment(test),
        in_environment(live),
        NewJob { environment: test, ..job("Ada") },
        NewJob { kind: MAIL, environment: test, ..job("ada") },
        NewJob { environment: test, ..job("") },
    ];
    clock.schedule(all.clone()).await;
    clock.schedule(all.clone().into_iter().chain(all.clone())).await;
    let claimed = clock.claim().await;
    let claimed = claimed.iter().map(|job| (job.kind.as_str(), job.key.as_str(), job.environment));
    let scheduled = all.iter().map(|job| (job.kind, job.key.as_str(), job.environment));
    assert_eq!(claimed.collect::<HashSet<_>>(), scheduled.collect());
    let listed = clock.jobs().await.into_iter().map(|job| job.environment);
    let of_test = listed.filter(|environment| *environment == Some(EnvironmentKind::Test));
    assert_eq!(of_test.count(), 4);
}

pub(crate) async fn a_job_that_is_there_is_not_made_twice_but_brought_forward<E: Engine>() {
    let mut clock = Clock::<E>::new().await;
    let begin = clock.now;
    clock.schedule([later(job("ada"), 2 * HOUR)]).await;
    let first = clock.only_job().await;
    clock.schedule([later(job("ada"), 3 * HOUR)]).await;
    assert_eq!(clock.only_job().await, first, "it is not put off");
    clock.schedule([later(job("ada"), HOUR), later(job("ada"), 4 * HOUR)]).await;
    let brought = clock.only_job().await;
    assert!(brought.due_at < first.due_at);
    assert_eq!((brought.id, brought.created_at), (first.id, first.created_at));
    clock.pass(HOUR);
    clock.claim_one().await;
    // An instant is as good as a wait.
    let mail = NewJob { kind: MAIL, due: Due::At(begin), ..job("ada") };
    clock.schedule([later(mail.clone(), HOUR)]).await;
    assert_eq!(clock.claim().await, []);
    clock.schedule([mail]).await;
    assert_eq!(clock.claim_one().await.kind, MAIL);
}

pub(crate) async fn a_job_that_is_scheduled_while_it_runs_runs_again<E: Engine>() {
    let mut clock = Clock::<E>::new().await;
    clock.schedule([job("ada")]).await;
    let first = clock.claim_one().await.lease;
    clock.schedule([job("ada")]).await;
    assert_eq!(clock.claim().await, [], "not while it runs");
    clock.end(first, Ended::Finished).await.unwrap();
    let second = clock.claim_one().await;
    assert_eq!((second.lease.id, second.attempts, second.state), (first.id, 1, None));
    assert!(second.lease.fence > first.fence);
    // Due later, then not before; and the earliest time counts.
    clock.schedule([later(job("ada"), 2 * HOUR)]).await;
    clock.schedule([later(job("ada"), HOUR)]).await;
    clock.schedule([later(job("ada"), 3 * HOUR)]).await;
    clock.end(second.lease, Ended::Finished).await.unwrap();
    assert_eq!(clock.claim().await, []);
    clock.pass(HOUR);
    let third = clock.claim_one().await.lease;
    // One that recurs is brought forward.
    clock.schedule([later(job("ada"), SECOND)]).await;
    clock.end_well(third, Due::After(HOUR), Some("1")).await;
    clock.pass(SECOND);
    let fourth = clock.claim_one().await;
    assert_eq!(fourth.state.as_deref(), Some("1"));
    // One that is given up begins anew.
    clock.schedule([job("ada")]).await;
    clock.fail(fourth.lease, None).await;
    assert_eq!(clock.claim_one().await.attempts, 1);
}

pub(crate) async fn a_lease_that_is_renewed_lasts_and_one_that_ran_out_is_lost<E: Engine>() {
    let mut clock = Clock::<E>::new().await;
    clock.schedule([job("ada")]).await;
    let first = clock.claim_one().await.lease;
    for _ in 0..3 {
        clock.pass(LEASE - SECOND);
        clock.renew(first).await.unwrap();
        assert_eq!(clock.claim().await, []);
    }
    clock.pass(LEASE);
    let second = clock.claim_one().await;
    assert_eq!((second.lease.id, second.attempts), (first.id, 2), "it counts as an attempt");
    assert!(second.lease.fence > first.fence);
    let told = clock.only_job().await.last_error.unwrap();
    assert!(told.contains("killed"), "{told}");

    assert!(is_lost(&clock.renew(first).await));
    let all = [
        Ended::Finished,
        Ended::GoesOn { due: Due::NOW, state: None },
        failed("no", Some(SECOND)),
        failed("no", None),
        Ended::GivenBack,
    ];
    let before = clock.only_job().await;
    for ended in all {
        assert!(is_lost(&clock.end(first, ended).await));
    }
    assert_eq!(clock.only_job().await, before);
    clock.end(second.lease, Ended::Finished).await.unwrap();
    assert!(is_lost(&clock.renew(second.lease).await));
    assert!(is_lost(&clock.end(second.lease, Ended::Finished).await));
}

pub(crate) async fn a_job_that_is_done_is_gone<E: Engine>() {
    let clock = Clock::<E>::new().await;
    clock.schedule([job("ada"), job("bob")]).await;
    for job in clock.claim().await {
        clock.end(job.lease, Ended::Finished).await.unwrap();
    }
    assert_eq!(clock.jobs().await, []);
    clock.schedule([job("ada")]).await;
    assert_eq!(clock.claim_one().await.key, "ada");
}

pub(crate) async fn a_job_that_goes_on_keeps_where_it_is<E: Engine>() {
    let mut clock = Clock::<E>::new().await;
    clock.schedule([job("ada")]).await;
    let first = clock.claim_one().await.lease;
    clock.end_well(first, Due::After(HOUR), Some(r#"{"after": "ünd"}"#)).await;
    let listed = clock.only_job().await;
    assert_eq!((listed.status, listed.attempts), (JobStatus::Waiting, 0));
    assert!(listed.succeeded_at.is_some());
    assert_eq!(clock.claim().await, []);
    clock.pass(HOUR);
    let second = clock.claim_one().await;
    assert_eq!(second.state.as_deref(), Some(r#"{"after": "ünd"}"#));
    assert_eq!(second.attempts, 1, "an attempt that goes well begins to count anew");
    let at = Due::At(clock.now.saturating_add_ms(-1));
    clock.end_well(second.lease, at, None).await;
    assert_eq!(clock.claim_one().await.state, None);
}

pub(crate) async fn a_job_that_fails_is_tried_again_after_its_pause<E: Engine>() {
    let mut clock = Clock::<E>::new().await;
    clock.schedule([job("ada")]).await;
    let first = clock.claim_one().await.lease;
    clock.end_well(first, Due::NOW, Some("1")).await;
    for attempt in 1..4 {
        let claimed = clock.claim_one().await;
        assert_eq!((claimed.attempts, claimed.state.as_deref()), (attempt, Some("1")));
        clock.fail(claimed.lease, Some(HOUR)).await;
        let listed = clock.only_job().await;
        assert_eq!((listed.status, listed.attempts), (JobStatus::Failing, attempt));
        assert_eq!(listed.last_error.as_deref(), Some("no answer"));
        clock.pass(HOUR - SECOND);
        assert_eq!(clock.claim().await, []);
        clock.pass(SECOND);
    }
    let claimed = clock.claim_one().await;
    clock.end_well(claimed.lease, Due::NOW, None).await;
    let listed = clock.only_job().await;
    assert_eq!((listed.status, listed.attempts, listed.last_error), (JobStatus::Waiting, 0, None));
}

pub(crate) async fn a_job_that_fails_is_not_brought_forward<E: Engine>() {
    let mut clock = Clock::<E>::new().await;
    clock.schedule([job("ada")]).await;
    let first = clock.claim_one().await.lease;
    // Neither by what is scheduled while it runs, nor by what is scheduled while it waits.
    clock.schedule([job("ada")]).await;
    clock.fail(first, Some(HOUR)).await;
    clock.schedule([job("ada")]).await;
    assert_eq!(clock.claim().await, []);
    clock.pass(HOUR);
    assert_eq!(clock.claim_one().await.attempts, 2);
}

pub(crate) async fn a_dead_job_is_tried_again_only_when_somebody_wants_it<E: Engine>() {
    let mut clock = Clock::<E>::new().await;
    let retry = async |clock: &Clock<E>, id| clock.world.store.retry_job(id, clock.now).await;
    clock.schedule([job("ada")]).await;
    let first = clock.claim_one().await.lease;
    assert_eq!(retry(&clock, first.id).await.unwrap(), Retried::Runs);
    clock.fail(first, None).await;
    clock.pass(1000 * HOUR);
    assert_eq!(clock.claim().await, []);
    let dead = clock.only_job().await;
    assert_eq!((dead.status, dead.attempts), (JobStatus::Dead, 1));
    assert_eq!(dead.last_error.as_deref(), Some("no answer"));
    assert!(dead.failed_at.is_some());

    assert_eq!(retry(&clock, dead.id).await.unwrap(), Retried::DueNow);
    let again = clock.only_job().await;
    assert_eq!((again.status, again.attempts, again.failed_at), (JobStatus::Waiting, 0, None));
    let second = clock.claim_one().await;
    assert_eq!((second.lease.id, second.attempts), (dead.id, 1));
    clock.fail(second.lease, None).await;
    clock.schedule([later(job("ada"), HOUR)]).await;
    assert_eq!(clock.claim().await, []);
    clock.pass(HOUR);
    let third = clock.claim_one().await;
    assert_eq!((third.lease.id, third.attempts), (dead.id, 1));
    // One that waits need not wait any longer.
    clock.fail(third.lease, Some(HOUR)).await;
    assert_eq!(retry(&clock, dead.id).await.unwrap(), Retried::DueNow);
    clock.end(clock.claim_one().await.lease, Ended::Finished).await.unwrap();
    assert_eq!(retry(&clock, dead.id).await.unwrap(), Retried::Unknown);
}

pub(crate) async fn a_job_that_is_given_back_can_be_claimed_at_once<E: Engine>() {
    let clock = Clock::<E>::new().await;
    clock.schedule([job("ada")]).await;
    let first = clock.claim_one().await.lease;
    clock.end_well(first, Due::NOW, Some("1")).await;
    for _ in 0..3 {
        let claimed = clock.claim_one().await;
        assert_eq!((claimed.attempts, claimed.state.as_deref()), (1, Some("1")));
        clock.end(claimed.lease, Ended::GivenBack).await.unwrap();
    }
    assert_eq!(clock.only_job().await.attempts, 0);
}

pub(crate) async fn where_a_job_is_can_be_saved_with_other_changes_under_its_lease_only<
    E: Engine,
>() {
    let mut clock = Clock::<E>::new().await;
    clock.schedule([job("ada")]).await;
    let first = clock.claim_one().await.lease;
    let save = async |clock: &Clock<E>, lease: Lease, user: u16, state: &str, commit: bool| {
        let mut writer = clock.world.store.write().await.unwrap();
        let change = (user_key(user), create_user(user_key(user), &format!("user-{user}")));
        writer.change_facts(clock.world.test, &[change]).await.unwrap();
        writer.save_job(lease, state).await?;
        if commit { writer.commit().await } else { Ok(()) }
    };
    save(&clock, first, 1, "1", true).await.unwrap();
    save(&clock, first, 2, "2", false).await.unwrap();
    clock.pass(LEASE);
    let second = clock.claim_one().await;
    assert_eq!(second.state.as_deref(), Some("1"));
    assert!(is_lost(&save(&clock, first, 3, "3", true).await));
    save(&clock, second.lease, 4, "4", true).await.unwrap();
    clock.end(second.lease, Ended::GivenBack).await.unwrap();
    assert!(is_lost(&save(&clock, second.lease, 5, "5", true).await), "it was given back");
    assert_eq!(clock.claim_one().await.state.as_deref(), Some("4"));
    for (user, is_there) in [(1, true), (2, false), (3, false), (4, true), (5, false)] {
        let user = clock.world.user(clock.world.test, &format!("user-{user}")).await;
        assert_eq!(user.is_some(), is_there);
    }
}

pub(crate) async fn the_bounds_of_what_is_kept_of_a_job_hold<E: Engine>() {
    let clock = Clock::<E>::new().await;
    let key = "é".repeat(KEY_BYTES_MAX / 2);
    let mut writer = clock.world.store.write().await.unwrap();
    let too_long = job(&format!("{key}a"));
    writer.schedule_jobs(&[too_long], clock.now).await.unwrap_err();
    drop(writer);
    clock.schedule([job(&key)]).await;
    let claimed = clock.claim_one().await;
    assert_eq!(claimed.key, key);

    let state = format!("\"{}\"", "é".repeat(STATE_BYTES_MAX / 2 - 1));
    let too_long = Ended::GoesOn { due: Due::NOW, state: Some(format!("{state} ")) };
    clock.end(claimed.lease, too_long).await.unwrap_err();
    clock.end_well(claimed.lease, Due::NOW, Some(&state)).await;
    let claimed = clock.claim_one().await;
    assert_eq!(claimed.state, Some(state));

    let error = "é".repeat(ERROR_BYTES_MAX);
    clock.end(claimed.lease, failed(&error, None)).await.unwrap();
    let kept = clock.only_job().await.last_error.unwrap();
    assert_eq!(kept.len(), ERROR_BYTES_MAX);
    assert!(error.starts_with(&kept));
}

pub(crate) async fn a_clock_that_goes_back_makes_no_wait_longer<E: Engine>() {
    let mut clock = Clock::<E>::new().await;
    let scheduled = ["leased", "recurs", "fails", "new"].map(job);
    clock.schedule(scheduled[..3].iter().cloned()).await;
    let claimed: HashMap<String, Lease> =
        clock.claim().await.into_iter().map(|job| (job.key, job.lease)).collect();
    clock.end_well(claimed["recurs"], Due::After(10 * SECOND), None).await;
    clock.fail(claimed["fails"], Some(10 * SECOND)).await;
    clock.schedule([later(scheduled[3].clone(), 10 * SECOND)]).await;
    clock.pass(5 * SECOND);

    clock.go_back(HOUR);
    assert_eq!(clock.claim().await, []);
    clock.renew(claimed["leased"]).await.unwrap();
    clock.pass(11 * SECOND);
    assert_eq!(keys(&clock.claim().await), HashSet::from(["recurs", "fails", "new"]));

    // The one whose node was killed meanwhile.
    clock.go_back(HOUR);
    assert_eq!(clock.claim().await, []);
    clock.pass(LEASE + SECOND);
    let all = clock.claim().await;
    assert_eq!(keys(&all), HashSet::from(["leased", "recurs", "fails", "new"]));
}

pub(crate) async fn what_is_due_at_an_instant_waits_for_it_though_the_clock_went_back<E: Engine>() {
    let mut clock = Clock::<E>::new().await;
    let mail = NewJob { kind: MAIL, ..job("ada") };
    // An engine with a clock of its own knows the instant by that clock.
    clock.schedule([later(mail.clone(), HOUR)]).await;
    let in_an_hour = clock.only_job().await.due_at;
    clock.schedule([NewJob { due: Due::At(in_an_hour), ..job("ada") }]).await;
    clock.schedule([later(mail, 10 * SECOND)]).await;
    clock.go_back(HOUR);
    assert_eq!(clock.claim().await, []);
    clock.pass(11 * SECOND);
    let mail = clock.claim_one().await;
    assert_eq!(mail.kind, MAIL);
    clock.end(mail.lease, Ended::Finished).await.unwrap();
    clock.pass(2 * HOUR - 12 * SECOND);
    assert_eq!(clock.claim().await, []);
    clock.pass(2 * SECOND);
    assert_eq!(clock.claim_one().await.kind, SYNC);
}

pub(crate) async fn of_many_who_claim_at_once_each_job_has_one<E: Engine>() {
    let clock = Clock::<E>::new().await;
    let names: Vec<String> = (0..60).map(|number| format!("{number}")).collect();
    clock.schedule(names.iter().map(|name| job(name))).await;
    let claiming = (0..30).map(|_| async {
        let claimed = clock.world.store.claim_jobs(&ROOM_FOR_ALL, 4, clock.now).await.unwrap();
        assert!(claimed.len() <= 4);
        claimed.into_iter().map(|job| job.key).collect::<Vec<_>>()
    });
    let claimed = join_all(claiming).await.concat();
    let once: HashSet<&String> = claimed.iter().collect();
    assert_eq!(once.len(), claimed.len(), "{claimed:?}");
    // Whoever finds a row locked leaves it to its owner, so that some may be left.
    let rest = clock.claim().await;
    assert_eq!(claimed.len() + rest.len(), names.len());
}

pub(crate) async fn jobs_are_listed_with_those_first_that_need_somebody<E: Engine>() {
    let clock = Clock::<E>::new().await;
    clock.schedule(["dead", "fails", "runs"].map(job)).await;
    for claimed in clock.claim().await {
        match claimed.key.as_str() {
            "dead" => clock.fail(claimed.lease, None).await,
            "fails" => clock.fail(claimed.lease, Some(1000 * HOUR)).await,
            _ => {}
        }
    }
    clock.schedule([later(job("later"), 2 * HOUR), later(job("sooner"), HOUR)]).await;
    let listed = clock.jobs().await;
    let listed: Vec<_> = listed.iter().map(|job| (job.key.as_str(), job.status.name())).collect();
    let expected = [
        ("dead", "dead"),
        ("fails", "failing"),
        ("runs", "running"),
        ("sooner", "waiting"),
        ("later", "waiting"),
    ];
    assert_eq!(listed, expected);
    assert_eq!(clock.world.store.jobs(2).await.unwrap().len(), 2);
}

pub(crate) async fn whoever_waits_for_jobs_is_woken_by_a_commit_that_schedules_some<E: Engine>() {
    let clock = Clock::<E>::new().await;
    let scheduled = clock.world.store.jobs_scheduled();
    clock.world.change(clock.world.test, user_key(1), [create_user(user_key(1), "ada")]).await;
    let mut writer = clock.world.store.write().await.unwrap();
    writer.schedule_jobs(&[job("ada")], clock.now).await.unwrap();
    assert!(scheduled.notified().now_or_never().is_none());
    writer.commit().await.unwrap();
    assert!(scheduled.notified().now_or_never().is_some());
    let id = clock.only_job().await.id;
    assert_eq!(clock.world.store.retry_job(id, clock.now).await.unwrap(), Retried::DueNow);
    assert!(scheduled.notified().now_or_never().is_some());
    assert!(scheduled.notified().now_or_never().is_none());
}

pub(crate) async fn jobs_are_there_after_opening_again<E: Engine>() {
    let clock = Clock::<E>::new().await;
    clock.schedule([job("ada"), job("bob")]).await;
    let [first, second] = <[_; 2]>::try_from(clock.claim().await).unwrap().map(|job| job.lease);
    clock.end_well(first, Due::NOW, Some("1")).await;
    clock.fail(second, None).await;
    let before = clock.jobs().await;
    let Clock { world, now } = clock;
    let clock = Clock { world: world.opened_again().await, now };
    assert_eq!(clock.jobs().await, before);
    let claimed = clock.claim_one().await;
    assert_eq!((claimed.lease.id, claimed.state.as_deref()), (first.id, Some("1")));
    clock.end(claimed.lease, Ended::Finished).await.unwrap();
}
