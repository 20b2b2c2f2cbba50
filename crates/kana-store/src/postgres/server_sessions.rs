//! Recognises a pooler in transaction mode that Kana was not told of: it gives our connections the
//! sessions of the server by turns, and so another program's prepared statements in place of ours.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio_postgres::{Client, Error, SimpleQueryMessage};

use crate::error::StoreError;

/// How long a recognised pooler keeps calls from its connections. Connections that are opened
/// later are looked at anew.
const REMEMBERED: Duration = Duration::from_secs(10);

const OWN_SESSION: &str = "SELECT pg_backend_pid(), (SELECT extract(epoch FROM backend_start)
    FROM pg_stat_get_activity(pg_backend_pid()))";

/// A session of the server. No other that is open at the same time has the same number, and none on
/// any server the same number and start.
#[derive(Debug, PartialEq, Eq, Hash)]
struct SessionId {
    number: i32,
    started_at: String,
}

/// The server's sessions as our connections found them when they were opened.
#[derive(Debug, Default)]
pub(super) struct ServerSessions(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The sessions of our open connections. An entry is dead once its connection is closed.
    open: HashMap<SessionId, Weak<()>>,
    pooler: Option<Recognised>,
}

impl State {
    fn recognise(&mut self, by: &str) {
        self.pooler = Some(Recognised { at: Instant::now(), by: by.to_owned() });
    }
}

/// A pooler that was recognised.
#[derive(Debug)]
struct Recognised {
    at: Instant,
    by: String,
}

impl ServerSessions {
    /// Asks for the session of a new connection, which is open for as long as `alive` is there. Two
    /// open connections with the same session prove a pooler.
    pub(super) async fn add(&self, client: &Client, alive: &Arc<()>) -> Result<(), Error> {
        let messages = client.simple_query(OWN_SESSION).await?;
        let session = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(SessionId {
                number: row.get(0)?.parse().ok()?,
                started_at: row.get(1).unwrap_or_default().to_owned(),
            }),
            _ => None,
        });
        if let Some(session) = session {
            self.add_session(session, alive);
        }
        Ok(())
    }

    fn add_session(&self, session: SessionId, alive: &Arc<()>) {
        let mut state = self.state();
        state.open.retain(|_, alive| alive.strong_count() > 0);
        match state.open.entry(session) {
            Entry::Vacant(free) => {
                free.insert(Arc::downgrade(alive));
            }
            Entry::Occupied(_) => {
                state.recognise("two connections have the same session of the server");
            }
        }
    }

    /// Looks at what was answered to a statement: it can be an error that only a pooler explains.
    pub(super) fn note<T>(&self, answer: &Result<T, StoreError>) {
        if let Err(StoreError::SessionDiffers { problem }) = answer {
            self.state().recognise(problem);
        }
    }

    /// Looks at the number of the session that a connection has now.
    pub(super) fn look_at(&self, number: i32) {
        let mut state = self.state();
        if !state.open.keys().any(|session| session.number == number) {
            state.recognise("a connection has another session of the server than before");
        }
    }

    /// Fails with [`SessionDiffers`](StoreError::SessionDiffers) if a pooler was recognised within
    /// the last seconds.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match &self.state().pooler {
            Some(pooler) if pooler.at.elapsed() < REMEMBERED => {
                Err(StoreError::SessionDiffers { problem: pooler.by.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Returns true if a pooler was recognised after a connection was opened.
    pub(super) fn distrust(&self, opened_at: Instant) -> bool {
        self.state().pooler.as_ref().is_some_and(|pooler| pooler.at >= opened_at)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(number: i32, started_at: &str) -> SessionId {
        SessionId { number, started_at: started_at.to_owned() }
    }

    #[test]
    fn a_session_of_two_open_connections_is_a_poolers() {
        let sessions = ServerSessions::default();
        let [one, two, three] = [(); 3].map(Arc::new);
        sessions.add_session(session(1, "10.5"), &one);
        sessions.add_session(session(2, "10.5"), &two);
        // Another server's, or the same number again once the earlier session has ended.
        sessions.add_session(session(1, "11.5"), &three);
        sessions.check().unwrap();
        drop(two);
        let opened_at = Instant::now();
        let four = Arc::new(());
        sessions.add_session(session(2, "10.5"), &four);
        sessions.check().unwrap();
        assert!(!sessions.distrust(opened_at));
        sessions.add_session(session(2, "10.5"), &Arc::new(()));
        assert!(matches!(sessions.check(), Err(StoreError::SessionDiffers { .. })));
        assert!(sessions.distrust(opened_at) && !sessions.distrust(Instant::now()));
    }

    #[test]
    fn a_connection_with_another_session_than_at_first_is_a_poolers() {
        let sessions = ServerSessions::default();
        let alive = Arc::new(());
        sessions.add_session(session(1, "10.5"), &alive);
        sessions.look_at(1);
        sessions.check().unwrap();
        sessions.look_at(2);
        assert!(matches!(sessions.check(), Err(StoreError::SessionDiffers { .. })));
    }
}
