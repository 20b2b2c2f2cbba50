//! A database of its own with a server on it, which can be stopped, killed and started again.

use std::cell::OnceCell;
use std::sync::{Arc, OnceLock};

use axum::Router;
use kana_core::Timestamp;
use kana_service::jobs::housekeeping;
use kana_service::{Environment, EnvironmentKind, InitialKeys, Kana, ManualClock, Settings, init};
use kana_store::feed::{AuditQuery, ChangesQuery, Feed as _, StoredChange};
use kana_store::sqlite::register_functions;
use kana_store::{EnvironmentId, SqliteStore, Store};
use kana_test_model::request::At;
use tempfile::TempDir;

use crate::directory::{FILES, directory};
use crate::faults::Faults;
use crate::faulty_store::FaultyStore;
use crate::flaw::Flaw;

/// When every simulation starts: 2024-01-31T12:00:00Z.
pub(crate) const START: At = At(1_706_702_400_000);

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A feature and a day from `?1` on, of which the log of usage and the usage by day differ. What only others
/// have drawn on has no event of its own on that day.
const DIFFERING_DAY: &str = "
    WITH
        told AS (
            SELECT environment_id, feature_id, occurred_at / 86400000 AS day,
                sum(action <> 'VOID') AS events, sum(subscription_id IS NULL) AS uncounted
            FROM events WHERE occurred_at >= ?1 * 86400000 GROUP BY 1, 2, 3),
        known AS (
            SELECT environment_id, feature_id, day, events, uncounted
            FROM current_usage_by_day WHERE day >= ?1)
    SELECT feature_id, day FROM (SELECT * FROM told EXCEPT SELECT * FROM known) WHERE events > 0
    UNION ALL
    SELECT feature_id, day FROM (SELECT * FROM known EXCEPT SELECT * FROM told) WHERE events > 0
    LIMIT 1";

/// Nothing is forgotten, whatever the clock shows.
fn settings() -> Settings {
    Settings {
        idempotency_days: 36_500,
        changes_days: 36_500,
        audit_days: 36_500,
        ..Settings::default()
    }
}

/// A database with an app and nothing in it, from which every world starts.
struct Template {
    files: Vec<(&'static str, Vec<u8>)>,
    keys: InitialKeys,
}

async fn template() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    if let Some(template) = TEMPLATE.get() {
        return template;
    }
    let directory = directory();
    let store = SqliteStore::open(directory.path()).unwrap();
    let clock = ManualClock::new(Timestamp::from_ms(START.0));
    let keys = init(&store, &clock, "simulation").await.unwrap().unwrap();
    drop(store);
    let read = |name| Some((name, std::fs::read(directory.path().join(name)).ok()?));
    let files = FILES.into_iter().filter_map(read).collect();
    TEMPLATE.get_or_init(|| Template { files, keys })
}

impl Template {
    fn copied(&self) -> TempDir {
        let copy = directory();
        for (name, bytes) in &self.files {
            std::fs::write(copy.path().join(name), bytes).unwrap();
        }
        copy
    }
}

pub(crate) struct World {
    pub(crate) faults: Arc<Faults>,
    clock: Arc<ManualClock>,
    keys: &'static InitialKeys,
    gathers: bool,
    directory: TempDir,
    running: Option<Running>,
}

struct Running {
    kana: Arc<Kana>,
    environment: Environment,
    /// Made when it is needed first: to read the schemas takes long.
    router: OnceCell<Router>,
    /// The store itself, which never fails.
    store: Arc<SqliteStore>,
    id: EnvironmentId,
    /// What another process sees.
    beside: rusqlite::Connection,
}

impl World {
    pub(crate) async fn new(gathers: bool, flaw: Option<Flaw>) -> Self {
        let template = template().await;
        let mut world = Self {
            faults: Arc::new(Faults::of(flaw)),
            clock: Arc::new(ManualClock::new(Timestamp::from_ms(START.0))),
            keys: &template.keys,
            gathers,
            directory: template.copied(),
            running: None,
        };
        world.start().await;
        world
    }

    async fn start(&mut self) {
        self.faults.set_directory(self.directory.path());
        let store = Arc::new(SqliteStore::open_for_server(self.directory.path()).unwrap());
        let faulty = FaultyStore::new(Arc::clone(&store) as _, &self.faults, self.gathers);
        let clock = Arc::clone(&self.clock) as _;
        let kana = Kana::start_in_tasks(Arc::new(faulty), clock, settings()).unwrap();
        let environment = kana.authorise_private(self.private_key()).await.unwrap();
        let access = store.client_access(EnvironmentKind::Test).await.unwrap().unwrap();
        let id = access.environment;
        let router = OnceCell::new();
        let beside = rusqlite::Connection::open(self.directory.path().join("kana.db")).unwrap();
        register_functions(&beside).unwrap();
        self.running = Some(Running { kana, environment, router, store, id, beside });
    }

    fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.running().environment
    }

    pub(crate) fn router(&self) -> Router {
        let Running { router, kana, .. } = self.running();
        router.get_or_init(|| kana_api::router(kana)).clone()
    }

    pub(crate) fn private_key(&self) -> &'static str {
        self.keys.test_private.reveal()
    }

    pub(crate) fn set_clock(&self, now: At) {
        self.clock.set(Timestamp::from_ms(now.0));
    }

    /// Does what a server does in the background.
    pub(crate) async fn keep_house(&self) {
        housekeeping(&self.running().kana).run_now().await.unwrap();
    }

    /// Stops the server as `SIGTERM` does, and starts it again.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    /// Starts a server on what the one that was killed has left.
    pub(crate) async fn start_after_crash(&mut self) {
        self.faults.crash();
        // What still runs of it finds its database gone.
        self.stop().await;
        if let Some(crashed) = self.faults.take_crashed() {
            self.directory = crashed;
        }
        self.start().await;
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(Running { kana, environment, router, store, beside, .. }) = self.running.take()
        {
            drop((environment, router, beside));
            kana.finish().await;
            drop(store);
        }
    }

    /// The changes feed after this number, read from the store itself.
    pub(crate) async fn changes_after(&self, number: i64) -> Vec<StoredChange> {
        let query = ChangesQuery { after: Some(number), limit: 1000, ..ChangesQuery::default() };
        let Running { store, id, .. } = self.running();
        store.changes(*id, &query).await.unwrap().changes
    }

    /// How many entries the audit log has.
    pub(crate) async fn audit_entries(&self) -> usize {
        let query = AuditQuery { limit: 1000, ..AuditQuery::default() };
        let Running { store, id, .. } = self.running();
        store.audit_log(*id, &query).await.unwrap().rows.len()
    }

    /// A feature and day whose usage by day is not what the log of usage adds up to, if there is one among
    /// the last 1,000 days.
    pub(crate) fn wrong_day(&self, now: At) -> Option<(String, i64)> {
        let sqlite = &self.running().beside;
        let first_day = now.0.div_euclid(DAY_MS) - 1000;
        let mut differing = sqlite.prepare_cached(DIFFERING_DAY).unwrap();
        let mut rows = differing.query([first_day]).unwrap();
        let row = rows.next().unwrap()?;
        Some((row.get(0).unwrap(), row.get(1).unwrap()))
    }

    /// How many rows the log of usage has, and the idempotency keys that were used, as another
    /// process sees them.
    pub(crate) fn events_and_keys(&self) -> (usize, Vec<String>) {
        let sqlite = &self.running().beside;
        let mut events = sqlite.prepare_cached("SELECT count(*) FROM events").unwrap();
        let events: i64 = events.query_row([], |row| row.get(0)).unwrap();
        let keys = "SELECT idempotency_key FROM replays ORDER BY idempotency_key";
        let mut keys = sqlite.prepare_cached(keys).unwrap();
        let keys = keys.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        (usize::try_from(events).unwrap(), keys)
    }
}
