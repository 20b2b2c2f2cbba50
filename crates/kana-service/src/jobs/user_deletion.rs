use std::sync::Arc;
use std::time::Duration;

use kana_core::id::UserKey;
use kana_store::jobs::Due;
use kana_store::usage_events::EventCursor;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::backoff::Backoff;
use super::kind::{Failure, JobKind, Policy, Progress, Slice};
use crate::kana::Kana;
use crate::user_deletion::{USER_DELETION, forget_metadata_before};

/// The pause after each step, in which other work goes first.
const PAUSE: Duration = Duration::from_millis(5);

/// Deletes the metadata of the usage events of a user who is deleted, whose key is the job's. It is never
/// given up.
pub(super) struct UserDeletion(pub(super) Arc<Kana>);

/// How far the walk through the log is, from the newest event back.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    after: Option<String>,
}

impl JobKind for UserDeletion {
    const NAME: &'static str = USER_DELETION;
    type State = State;

    fn policy(&self) -> Policy {
        let backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_secs(60) };
        Policy { attempts_max: None, backoff, ..Policy::ONE_OFF }
    }

    async fn run(&self, slice: &Slice, state: &mut State) -> Result<Progress, Failure> {
        let store = &*self.0.store;
        let user = UserKey(Uuid::parse_str(slice.key())?);
        let environment = slice.environment().ok_or("a deletion without an environment")?;
        while !slice.is_over() {
            let after = state.after.as_deref().map(parse).transpose()?;
            let Some(next) = forget_metadata_before(store, environment, user, after).await? else {
                return Ok(Progress::Done);
            };
            state.after = Some(next.to_string());
            slice.pause(PAUSE).await;
        }
        Ok(Progress::GoOn { due: Due::NOW })
    }
}

fn parse(cursor: &str) -> Result<EventCursor, Failure> {
    EventCursor::parse(cursor).ok_or_else(|| "the place in the log cannot be read".into())
}
