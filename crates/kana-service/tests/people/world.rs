//! A Kana whose people are about to come in.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use kana_core::Timestamp;
use kana_service::{
    Actor, AdminSession, AuditQuery, AuditRow, EnvironmentKind, InitialKeys, Kana, ManualClock,
    Role, SessionSecret, SignInError, Visitor, create_admin, init,
};
use kana_store::people::People as _;
use kana_store::{SqliteStore, Store};
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const COMMAND_LINE: &Actor = &Actor::CommandLine;

pub(crate) struct World {
    pub(crate) kana: Arc<Kana>,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) keys: InitialKeys,
    pub(crate) directory: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(at(0)));
        let store = Arc::new(SqliteStore::open_for_server(directory.path()).unwrap());
        let keys = init(store.as_ref(), clock.as_ref(), "story").await.unwrap().unwrap();
        let kana = Kana::start(Arc::clone(&store) as Arc<dyn Store>, Arc::clone(&clock) as _);
        Self { kana: kana.unwrap(), store, clock, keys, directory }
    }

    /// Sets the clock to so many seconds after the beginning.
    pub(crate) fn set(&self, seconds: i64) {
        self.clock.set(at(seconds));
    }

    /// Adds somebody with [`PASSWORD`].
    pub(crate) async fn admin(&self, email: &str, role: Role) {
        let (store, clock) = (self.store.as_ref(), self.clock.as_ref());
        create_admin(store, clock, COMMAND_LINE, (email, role), PASSWORD).await.unwrap();
    }

    pub(crate) async fn sign_in(
        &self,
        email: &str,
        password: &str,
    ) -> Result<SessionSecret, SignInError> {
        self.kana.sign_in(&visitor(1), email, password).await
    }

    pub(crate) async fn session(&self, secret: &SessionSecret) -> Option<AdminSession> {
        self.kana.admin_session(secret.reveal()).await.unwrap()
    }

    /// Somebody new with this role, signed in.
    pub(crate) async fn person(&self, role: Role) -> AdminSession {
        let email = format!("{}@example.com", role.name());
        self.admin(&email, role).await;
        self.signed_in(&email).await
    }

    /// A new session of somebody with [`PASSWORD`].
    pub(crate) async fn signed_in(&self, email: &str) -> AdminSession {
        let Ok(secret) = self.sign_in(email, PASSWORD).await else { panic!("{email}: wrong") };
        self.session(&secret).await.unwrap()
    }

    /// The audit log's entries of no environment, oldest first.
    pub(crate) async fn entries(&self) -> Vec<AuditRow> {
        entries(&self.store).await
    }

    /// Those of one action, once there are so many: they are written in the background.
    pub(crate) async fn entries_of(&self, action: &str, count: usize) -> Vec<AuditRow> {
        loop {
            let mut entries = self.entries().await;
            entries.retain(|entry| entry.action == action);
            if entries.len() >= count {
                return entries;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// The audit log's entries of no environment, oldest first.
pub(crate) async fn entries(store: &SqliteStore) -> Vec<AuditRow> {
    let query = AuditQuery { limit: 1000, ..AuditQuery::default() };
    let mut rows = store.audit_log_of_app(&query).await.unwrap().rows;
    rows.reverse();
    rows
}

/// So many seconds after the beginning.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::parse("now", "2026-11-29T09:00:00.000Z").unwrap().saturating_add_ms(seconds * 1000)
}

/// Whoever comes from the address with this number.
pub(crate) fn visitor(number: u8) -> Visitor {
    Visitor {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, number)),
        browser: format!("browser {number}"),
    }
}

pub(crate) const BOTH: [EnvironmentKind; 2] = EnvironmentKind::ALL;
