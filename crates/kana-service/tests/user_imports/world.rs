//! A Kana with an editor.

use std::sync::Arc;
use std::time::Duration;

use kana_core::Timestamp;
use kana_core::id::UserId;
use kana_core::user::User;
use kana_service::jobs::{JobRunner, housekeeping};
use kana_service::{
    Actor, AuditQuery, AuditRow, ChangesQuery, Environment, EnvironmentKind, Kana, ManualClock,
    Role, UserImportCounts, UserImportError, UserImportId, UserImportLine, UserImportLineKind,
    UserImportState, UserImportStatus, Visitor, create_admin, init,
};
use kana_store::Store;

use crate::engine::Engine;

pub(crate) const EMAIL: &str = "editor@example.com";
const PASSWORD: &str = "correct horse battery";

pub(crate) struct World<E: Engine> {
    pub(crate) kana: Arc<Kana>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) test: Environment,
    pub(crate) live: Environment,
    // Last, so that the store is closed before its database goes away.
    database: E::Database,
}

impl<E: Engine> World<E> {
    pub(crate) async fn new() -> Self {
        let (database, clock) = (E::empty().await, Arc::new(ManualClock::new(at(0))));
        let store = E::open(&database).await;
        init(store.as_ref(), clock.as_ref(), "story").await.unwrap().unwrap();
        let actor = &Actor::CommandLine;
        let editor = (EMAIL, Role::Editor);
        create_admin(store.as_ref(), clock.as_ref(), actor, editor, PASSWORD).await.unwrap();
        Self::start(database, store, clock).await
    }

    async fn start(database: E::Database, store: Arc<dyn Store>, clock: Arc<ManualClock>) -> Self {
        let kana = Kana::start(Arc::clone(&store), Arc::clone(&clock) as _).unwrap();
        let visitor = Visitor { address: [192, 0, 2, 1].into(), browser: String::new() };
        let Ok(secret) = kana.sign_in(&visitor, EMAIL, PASSWORD).await else {
            panic!("signed out")
        };
        let session = kana.admin_session(secret.reveal()).await.unwrap().unwrap();
        let [test, live] = EnvironmentKind::ALL.map(|kind| session.editor(kind).unwrap());
        Self { kana, store, clock, test, live, database }
    }

    /// The same database with another server, after the one before was gone.
    pub(crate) async fn restart(self) -> Self {
        let Self { kana, store, clock, test, live, database } = self;
        drop((test, live, store));
        kana.finish().await;
        let store = E::open(&database).await;
        Self::start(database, store, clock).await
    }

    /// Makes a file a preview in test.
    pub(crate) async fn preview(&self, file: &str) -> UserImportId {
        preview(&self.test, file, false).await.unwrap()
    }

    pub(crate) async fn status(&self, id: UserImportId) -> UserImportStatus {
        self.test.user_import(id).await.unwrap()
    }

    /// How many lines there are of each kind: created, updated, unchanged, conflicts, errors, warnings.
    pub(crate) async fn counts(&self, id: UserImportId) -> [u32; 6] {
        let UserImportCounts { create, update, unchanged, conflict, error, warning } =
            self.status(id).await.counts;
        [create, update, unchanged, conflict, error, warning]
    }

    /// What was done: created, updated, unchanged, left alone.
    pub(crate) async fn result(&self, id: UserImportId) -> [u32; 4] {
        let status = self.status(id).await;
        assert_eq!(status.state, UserImportState::Done);
        let result = status.result;
        [result.created, result.updated, result.unchanged, result.left_alone]
    }

    pub(crate) async fn lines(
        &self,
        id: UserImportId,
        kind: UserImportLineKind,
    ) -> Vec<UserImportLine> {
        self.test.user_import_lines(id, kind, 0, 10_000).await.unwrap()
    }

    /// Each line of a kind with its sentence.
    pub(crate) async fn said(&self, id: UserImportId, kind: UserImportLineKind) -> Vec<String> {
        let lines = self.lines(id, kind).await;
        lines.iter().map(|line| format!("{}: {}", line.line, line.message)).collect()
    }

    pub(crate) async fn user(&self, id: &str) -> Option<User> {
        self.test.user(&user_id(id)).await.ok()
    }

    /// The entries of the audit log in test, newest first.
    pub(crate) async fn audit(&self) -> Vec<AuditRow> {
        let query = AuditQuery { limit: 100, ..AuditQuery::default() };
        self.test.audit_log(&query).await.unwrap().rows
    }

    /// The types of the changes in test with the user's id, oldest first.
    pub(crate) async fn changes(&self) -> Vec<String> {
        let query = ChangesQuery { limit: 1000, ..ChangesQuery::default() };
        let page = self.test.changes(&query).await.unwrap();
        let change = |change: &kana_service::StoredChange| {
            let user = change.user_id.as_deref().unwrap_or_default();
            format!("{} {user}", change.type_name)
        };
        page.changes.iter().map(change).collect()
    }

    pub(crate) fn run_jobs(&self) -> JobRunner {
        JobRunner::start(&self.kana, housekeeping(&self.kana))
    }

    /// Waits until an import has applied so many lines at least.
    pub(crate) async fn until_applied(&self, id: UserImportId, lines: u32) {
        let applied = async {
            loop {
                let result = self.status(id).await.result;
                if result.created + result.updated + result.left_alone >= lines {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), applied).await.unwrap();
    }
}

/// Makes a file a preview.
pub(crate) async fn preview(
    environment: &Environment,
    file: impl AsRef<[u8]>,
    clears_empty: bool,
) -> Result<UserImportId, UserImportError> {
    let mut import = environment.begin_user_import(clears_empty).await?;
    let pushed = async {
        for piece in file.as_ref().chunks(1000) {
            import.push(piece).await?;
        }
        import.end().await
    };
    match pushed.await {
        Ok(()) => import.finish().await,
        Err(error) => {
            import.discard().await;
            Err(error)
        }
    }
}

pub(crate) fn user_id(id: &str) -> UserId {
    UserId::new("id", id).unwrap()
}

/// So many seconds after the beginning.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::parse("now", "2026-11-29T09:00:00.000Z").unwrap().saturating_add_ms(seconds * 1000)
}
