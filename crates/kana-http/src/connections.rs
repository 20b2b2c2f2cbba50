//! The open connections, and the limit on their number.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use kana_telemetry::metrics::connections::{self, Closed};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::activity::Activity;
use crate::idle_sweep::Waits;
use crate::limits::Limits;
use crate::log_throttle::LogThrottle;

/// How often idle connections are closed while a client waits to be admitted.
const ADMIT_RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// All open connections.
pub(crate) struct Connections {
    limits: Limits,
    /// By the connections' numbers.
    entries: Mutex<HashMap<u64, Entry>>,
    permits: Arc<Semaphore>,
    /// No more requests are taken.
    finishing: AtomicBool,
    /// Connections end without finishing their requests.
    abandoned: AtomicBool,
    full: LogThrottle,
    late: LogThrottle,
}

struct Entry {
    activity: Arc<Activity>,
    /// Of the connection's task, once that has begun.
    waker: Option<Waker>,
    waits: Waits,
}

impl Entry {
    /// Wakes the connection's task to see what was decided. A task that has not begun sees it
    /// anyway.
    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

/// An open connection's entry. Dropping it removes the entry.
pub(crate) struct Slot {
    number: u64,
    connections: Arc<Connections>,
}

impl Slot {
    /// Sets the waker of the task that serves the connection, which is always the same.
    pub(crate) fn set_waker(&self, waker: &Waker) {
        if let Some(entry) = self.connections.entries().get_mut(&self.number) {
            entry.waker = Some(waker.clone());
        }
    }

    pub(crate) fn connections(&self) -> &Connections {
        &self.connections
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.entries().remove(&self.number);
        connections::OPEN.add(-1);
    }
}

impl Connections {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        connections::MAX.add(limits.connections_max.into());
        Arc::new(Self {
            limits,
            entries: Mutex::default(),
            permits: Arc::new(Semaphore::new(limits.connections_max as usize)),
            finishing: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            full: LogThrottle::default(),
            late: LogThrottle::default(),
        })
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<u64, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until one more connection may open. If all are open, closes those that have waited
    /// longest for a request, so that a flood of silent clients keeps nobody out.
    pub(crate) async fn admit(&self) -> OwnedSemaphorePermit {
        loop {
            let permits = Arc::clone(&self.permits);
            if let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
                return permit;
            }
            if self.full.is_due() {
                tracing::warn!(
                    connections_max = self.limits.connections_max,
                    "no more connections are allowed: those that have waited longest for a \
                     request are closed"
                );
            }
            self.close_idle();
            let freed = tokio::time::timeout(ADMIT_RETRY_INTERVAL, permits.acquire_owned()).await;
            if let Ok(Ok(permit)) = freed {
                return permit;
            }
        }
    }

    /// Closes some of the connections that wait for a request: first unused ones, then those that
    /// have waited longest. Closes a hundredth at once, so that a flood of new connections does not
    /// search through all of them for each.
    pub(crate) fn close_idle(&self) {
        let mut entries = self.entries();
        let mut waiting: Vec<_> = entries
            .iter_mut()
            .filter_map(|(number, entry)| {
                let now = entry.activity.snapshot();
                entry.waits.note_turn(now);
                let rank = (!now.is_unused(), Reverse(entry.waits.for_request()), *number);
                now.awaits_request().then_some((rank, now.turn))
            })
            .collect();
        let enough = (self.limits.connections_max as usize).div_ceil(100);
        if waiting.len() > enough {
            waiting.select_nth_unstable(enough);
        }
        for ((_, _, number), turn) in waiting.into_iter().take(enough) {
            if let Some(entry) = entries.get(&number) {
                entry.activity.note_closed(Closed::Full);
                entry.activity.end_reading(turn);
                entry.wake();
            }
        }
    }

    /// Adds an open connection. Connections are numbered in the order in which they were accepted.
    pub(crate) fn open_slot(self: &Arc<Self>, number: u64, activity: &Arc<Activity>) -> Slot {
        let activity = Arc::clone(activity);
        let entry = Entry { activity, waker: None, waits: Waits::default() };
        self.entries().insert(number, entry);
        connections::OPEN.add(1);
        Slot { number, connections: Arc::clone(self) }
    }

    /// Sweeps over all connections at the interval of the limits. Never returns.
    pub(crate) async fn sweep_regularly(&self) {
        let interval = self.limits.sweep_interval();
        let mut swept_at = Instant::now();
        loop {
            tokio::time::sleep(interval).await;
            // If the whole process was held up, that is no client's fault.
            let passed = swept_at.elapsed().min(interval * 2);
            swept_at = Instant::now();
            self.sweep(passed);
        }
    }

    /// Ends what takes too long on each connection.
    fn sweep(&self, passed: Duration) {
        let mut late = 0_u32;
        for entry in self.entries().values_mut() {
            let now = entry.activity.snapshot();
            let overdue = entry.waits.sweep(now, passed, &self.limits);
            if overdue.discarding {
                entry.activity.end_discarding();
            }
            if overdue.reading || overdue.writing {
                let is_idle = now.awaits_request() && now.read == 0 && !overdue.writing;
                // Who was answered last and does not close is as good as gone.
                let reason = match (now.lingering, is_idle) {
                    (true, _) => Closed::Client,
                    (false, true) => Closed::Idle,
                    (false, false) => Closed::Slow,
                };
                entry.activity.note_closed(reason);
            }
            if overdue.reading {
                entry.activity.end_reading(now.turn);
            }
            if overdue.writing {
                entry.activity.end_writing();
            }
            if overdue.handling {
                entry.activity.end_handling(now.turn);
                late += 1;
            }
            if overdue.discarding || overdue.reading || overdue.writing || overdue.handling {
                entry.wake();
            }
        }
        if late > 0 && self.late.is_due() {
            let seconds = self.limits.response.as_secs();
            tracing::warn!(requests = late, "not answered within {seconds} seconds, and given up");
        }
    }

    /// Ends each connection after the request that it serves, and cuts off those that have not
    /// ended after `drain_time`. Returns true if all ended by themselves.
    pub(crate) async fn finish(&self, drain_time: Duration) -> bool {
        self.finishing.store(true, Ordering::Relaxed);
        self.wake_all();
        let drained = tokio::time::timeout(drain_time, async {
            tokio::select! {
                () = self.all_closed() => {}
                () = self.sweep_regularly() => {}
            }
        });
        let drained = drained.await.is_ok();
        if !drained {
            self.abandoned.store(true, Ordering::Relaxed);
            self.wake_all();
        }
        drained
    }

    /// Waits until no connection is open.
    async fn all_closed(&self) {
        let _all = self.permits.acquire_many(self.limits.connections_max).await;
    }

    /// Wakes every connection's task. A task that begins later sees what was decided, since the
    /// lock of the entries comes between.
    fn wake_all(&self) {
        for entry in self.entries().values() {
            entry.wake();
        }
    }

    pub(crate) fn finishing(&self) -> bool {
        self.finishing.load(Ordering::Relaxed)
    }

    pub(crate) fn abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }
}
