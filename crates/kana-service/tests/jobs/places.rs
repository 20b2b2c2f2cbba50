//! How many jobs run at the same time.

use std::sync::Arc;

use futures_util::FutureExt as _;
use kana_service::jobs::{JobKinds, NewJob, Policy, Progress};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::work::{Log, Other, SECOND, Work};
use crate::world::{World, work};

/// How many run, and the most that ever did.
type Gauge = watch::Sender<(usize, usize)>;

/// Each waits until so many have run at once.
fn waiting_for(log: &Log, at_once: usize, gauge: &Arc<Gauge>, enough: usize) -> Work {
    let gauge = Arc::clone(gauge);
    Work::new(log, Policy { at_once, ..Policy::ONE_OFF }, move |_, _| {
        let gauge = Arc::clone(&gauge);
        async move {
            gauge.send_modify(|(now, most)| {
                *now += 1;
                *most = (*most).max(*now);
            });
            gauge.subscribe().wait_for(|(_, most)| *most >= enough).await.unwrap();
            gauge.send_modify(|(now, _)| *now -= 1);
            Ok(Progress::Done)
        }
        .boxed()
    })
}

async fn until_all_are_done(log: &Log, jobs: &[NewJob]) {
    let all = async {
        for job in jobs {
            log.ended(&job.key, 1).await;
        }
    };
    timeout(60 * SECOND, all).await.unwrap();
    assert!(log.all().values().all(|done| done.ended == [true]));
}

#[tokio::test]
async fn a_node_runs_a_few_jobs_at_once() {
    let (world, log) = (World::new(), Log::default());
    let gauge = Arc::new(Gauge::new((0, 0)));
    let kinds = JobKinds::new()
        .with(waiting_for(&log, 100, &gauge, 4))
        .with(Other(waiting_for(&log, 100, &gauge, 4)));
    let names = |kind: &str| (0..10).map(|n| format!("{kind}-{n}")).collect::<Vec<_>>();
    let works = names("work").into_iter().map(|name| work(&name));
    let others = names("other").into_iter().map(|name| NewJob { kind: "other", ..work(&name) });
    let jobs: Vec<NewJob> = works.chain(others).collect();
    world.schedule_jobs(&jobs).await;
    let runner = world.start(kinds);
    until_all_are_done(&log, &jobs).await;
    runner.stopped().await;
    assert_eq!(*gauge.borrow(), (0, 4));
}

#[tokio::test]
async fn a_node_runs_no_more_jobs_of_a_kind_than_that_says() {
    let (world, log) = (World::new(), Log::default());
    let gauge = Arc::new(Gauge::new((0, 0)));
    let jobs: Vec<NewJob> = (0..10).map(|n| work(&n.to_string())).collect();
    world.schedule_jobs(&jobs).await;
    let runner = world.start(JobKinds::new().with(waiting_for(&log, 2, &gauge, 2)));
    until_all_are_done(&log, &jobs).await;
    runner.stopped().await;
    assert_eq!(*gauge.borrow(), (0, 2));
}
