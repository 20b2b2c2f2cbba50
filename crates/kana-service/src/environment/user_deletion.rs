use std::sync::Arc;
use std::time::{Duration, Instant};

use kana_core::Refusal;
use kana_core::decide::{Answer, Command, DeleteUser};
use kana_core::id::{UserId, UserKey};
use kana_store::{Actor, EnvironmentKind, Store};

use super::{ANSWERED_AS_ANOTHER, Environment};
use crate::clock::Clock;
use crate::error::Error;
use crate::ids;
use crate::kana::Kana;
use crate::retry::retry;
use crate::user_deletion::forget_metadata_before;

/// How long a deletion goes on with the metadata of usage events before it leaves the rest to its job.
const PATIENCE: Duration = Duration::from_secs(5);

impl Environment {
    /// Deletes a user, and what the metadata of the user's usage events says. Where that takes long, the
    /// rest of it is left to a job.
    pub async fn delete_user(&self, user: UserId) -> Result<(), Error> {
        let key = self.submit_deletion(user).await?;
        self.forget_metadata(key).await;
        Ok(())
    }

    /// Deletes a user. Returns the key under which what was used stays.
    async fn submit_deletion(&self, user: UserId) -> Result<UserKey, Error> {
        let deletion = DeleteUser::new(user, ids::next(self.now())).map_err(Refusal::from)?;
        match self.submit(Command::DeleteUser(deletion)).await?.answer {
            Answer::UserDeleted(key) => Ok(key),
            _ => Err(ANSWERED_AS_ANOTHER),
        }
    }

    /// Deletes the metadata of a deleted user's usage events, as far as that goes at once. What cannot be
    /// deleted now, the job does.
    async fn forget_metadata(&self, user: UserKey) {
        let (store, begun_at) = (&*self.kana().store, Instant::now());
        let mut after = None;
        while begun_at.elapsed() < PATIENCE {
            match forget_metadata_before(store, self.id(), user, after).await {
                Ok(Some(next)) => after = Some(next),
                Ok(None) | Err(_) => return,
            }
        }
    }
}

/// Deletes a user for whoever has the database, also while servers run on it. On return everything is
/// deleted, also what a server deletes in the background. There must be an app.
pub async fn delete_user(
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
    kind: EnvironmentKind,
    user: UserId,
) -> Result<(), Error> {
    let started = Kana::start(Arc::clone(store), Arc::clone(clock));
    let kana = started.map_err(|_| Error::Bug("the writer cannot start"))?;
    let deleted = delete_in(&kana, kind, user).await;
    kana.finish().await;
    deleted
}

async fn delete_in(kana: &Arc<Kana>, kind: EnvironmentKind, user: UserId) -> Result<(), Error> {
    let id = kana.access.environment_id(kind).await?;
    let actor = Arc::new(Actor::CommandLine);
    let key = Environment::new(Arc::clone(kana), id, kind, actor).submit_deletion(user).await?;
    let mut after = None;
    loop {
        let next =
            retry(|| async { Ok(forget_metadata_before(&*kana.store, id, key, after).await?) });
        match next.await? {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

/// Returns the key of a user. Refuses if there is no such user. There must be an app.
pub async fn find_user(
    store: &dyn Store,
    kind: EnvironmentKind,
    user: &UserId,
) -> Result<UserKey, Error> {
    let access = store.client_access(kind).await?.ok_or(Error::Bug("there is no app"))?;
    let ids = std::slice::from_ref(user);
    let found = store.read().await?.users(access.environment, ids).await?.pop().flatten();
    Ok(found.ok_or_else(|| Refusal::UserNotFound(user.clone()))?.key)
}
