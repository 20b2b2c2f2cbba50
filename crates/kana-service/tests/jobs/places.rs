//! How many jobs run at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt as _;
use kana_service::jobs::{JobKinds, NewJob, Policy, Progress, Slice};

use crate::work::{Log, Other, SECOND, Step, Work};
use crate::world::{World, work};

/// Counts how many run at once.
#[derive(Default)]
struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
}

fn counted(gauges: Vec<Arc<Gauge>>) -> impl for<'a> Fn(&'a Slice, &'a mut u32) -> Step<'a> {
    move |_, _| {
        let gauges = gauges.clone();
        async move {
            for gauge in &gauges {
                let now = gauge.now.fetch_add(1, Ordering::SeqCst) + 1;
                gauge.most.fetch_max(now, Ordering::SeqCst);
            }
            // Others that may begin now do so before this one ends.
            std::thread::sleep(std::time::Duration::from_millis(20));
            for gauge in &gauges {
                gauge.now.fetch_sub(1, Ordering::SeqCst);
            }
            Ok(Progress::Done)
        }
        .boxed()
    }
}

#[tokio::test]
async fn a_few_jobs_run_at_once_and_of_each_kind_no_more_than_it_says() {
    let (world, log) = (World::new(), Log::default());
    let [all, of_work, of_other] = [(); 3].map(|()| Arc::new(Gauge::default()));
    let policy = |at_once| Policy { at_once, ..Policy::ONE_OFF };
    let few = Work::new(&log, policy(2), counted(vec![all.clone(), of_work.clone()]));
    let many = Work::new(&log, policy(100), counted(vec![all.clone(), of_other.clone()]));
    let names: Vec<String> = (0..20).map(|number| format!("{number:02}")).collect();
    let works = names.iter().map(|name| work(&format!("work-{name}")));
    let others =
        names.iter().map(|name| NewJob { kind: "other", ..work(&format!("other-{name}")) });
    world.schedule_jobs(&works.chain(others).collect::<Vec<_>>()).await;
    let runner = world.start(JobKinds::new().with(few).with(Other(many)));
    let all_done = async {
        for name in &names {
            log.ended(&format!("work-{name}"), 1).await;
            log.ended(&format!("other-{name}"), 1).await;
        }
    };
    tokio::time::timeout(60 * SECOND, all_done).await.unwrap();
    runner.stopped().await;
    let most = |gauge: &Gauge| gauge.most.load(Ordering::SeqCst);
    assert_eq!(most(&of_work), 2);
    assert_eq!(most(&all), 4);
    assert!(most(&of_other) >= 2);
    assert!(log.all().values().all(|done| done.ended == [true]));
}
