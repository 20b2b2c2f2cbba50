//! Failed sign-ins and refusals for the audit log. They are counted by the minute, so that nobody can
//! fill it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kana_store::feed::NewAuditEntry;
use kana_store::people::{AdminId, Role};
use kana_store::{Actor, EnvironmentKind, Store, StoreError};
use serde_json::json;
use tokio::runtime::Handle;
use tokio::time::sleep;

use super::entries;
use crate::clock::Clock;

const MINUTE: Duration = Duration::from_secs(60);

/// How many different things are counted in a minute. There are more only if hundreds of admins fail at
/// once.
const KINDS_MAX: usize = 1000;

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Counted {
    /// A wrong password of an admin, or an e-mail that no admin has. The latter is not told: people
    /// type passwords into the wrong field.
    FailedSignIn {
        /// The admin's.
        email: Option<String>,
    },
    /// An admin asked for what the role does not allow.
    Refused {
        /// Who asked.
        admin: AdminId,
        /// The admin's.
        email: String,
        /// The admin's role.
        role: Role,
        /// The least powerful role that may.
        needs: Role,
        /// Where it was asked for.
        environment: Option<EnvironmentKind>,
    },
}

/// Counts within the current minute.
pub(crate) struct Tally {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// How often each thing happened since its first entry; `None` between minutes.
    minute: Mutex<Option<HashMap<Counted, u64>>>,
}

impl Tally {
    pub(super) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, minute: Mutex::default() }
    }

    /// Counts one. The first of its kind in a minute gets an entry at once, in the background, so that
    /// nobody can tell by the time it takes; those after it share one at the end of the minute.
    pub(super) fn count(self: &Arc<Self>, counted: Counted) {
        let Ok(runtime) = Handle::try_current() else { return };
        let mut minute = self.lock();
        let counts = minute.get_or_insert_with(|| {
            let tally = Arc::downgrade(self);
            runtime.spawn(async move {
                sleep(MINUTE).await;
                if let Some(tally) = tally.upgrade() {
                    tally.flush().await;
                }
            });
            HashMap::new()
        });
        if let Some(count) = counts.get_mut(&counted) {
            *count += 1;
        } else if counts.len() < KINDS_MAX {
            counts.insert(counted.clone(), 0);
            let tally = Arc::clone(self);
            runtime.spawn(async move { tally.write(&[(counted, 1)]).await });
        }
    }

    /// Writes what has no entry yet.
    pub(crate) async fn flush(&self) {
        let counts = self.lock().take().unwrap_or_default();
        let waiting: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
        if !waiting.is_empty() {
            self.write(&waiting).await;
        }
    }

    /// A failure here must not change the answer of anything else.
    async fn write(&self, counts: &[(Counted, u64)]) {
        let entries = counts.iter().map(|(counted, count)| self.entry(counted, *count)).collect();
        if let Err(error) = self.append(entries).await {
            tracing::warn!(%error, "failed sign-ins or refusals are missing in the audit log");
        }
    }

    async fn append(&self, entries: Vec<NewAuditEntry>) -> Result<(), StoreError> {
        let mut transaction = self.store.write().await?;
        transaction.audit_app(entries).await?;
        transaction.commit().await
    }

    fn entry(&self, counted: &Counted, count: u64) -> NewAuditEntry {
        let now = self.clock.now();
        match counted {
            Counted::FailedSignIn { email } => {
                let after = Some(json!({ "failures": count }));
                let email = email.as_deref();
                entries::of_person(&Actor::Job, now, "failSignIn", email, (None, after))
            }
            Counted::Refused { admin, email, role, needs, environment } => {
                let actor = Actor::Person { id: *admin, email: email.as_str().into() };
                let after = json!({
                    "role": role.name(),
                    "needs": needs.name(),
                    "environment": environment.map(EnvironmentKind::name),
                    "times": count,
                });
                entries::of_person(&actor, now, "refuse", Some(email), (None, Some(after)))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<Counted, u64>>> {
        self.minute.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
