//! Deleting a user (contract: `operations.md`, "A user's own data").

use uuid::Uuid;

use crate::change::{self, Effect};
use crate::command::{Answer, Basis, Decide, Decision};
use crate::facts::{Change, Obstacle};
use crate::id::UserId;
use crate::refusal::{InvalidValue, Refusal};
use crate::subjects::{Subject, Subjects};
use crate::subscribing::{end_all, feed_of};
use crate::user::User;

/// Deletes a user: subscriptions that run are cancelled, and nothing is known of the user any more.
///
/// What was used stays, so that sums hold, under an id that tells nothing. The earlier id is free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteUser {
    /// The id of the user who is deleted.
    pub user: UserId,
    /// The id that takes the place of the user's own. It is random, so that nobody has it.
    pub new_id: UserId,
}

impl DeleteUser {
    /// A command that deletes `user`. The id that is left is made of `random`, which is no other user's.
    pub fn new(user: UserId, random: Uuid) -> Result<Self, InvalidValue> {
        Ok(Self { user, new_id: UserId::new("id", &format!("deleted-{random}"))? })
    }
}

impl Decide for DeleteUser {
    /// The second subject is the user who has the new id already: nobody.
    fn subjects(&self) -> Subjects<Subject<'_>> {
        Subjects::one(Subject::User(&self.user)).and(Subject::User(&self.new_id))
    }

    fn decide(&self, basis: &Basis<'_>) -> Result<Decision, Obstacle> {
        let facts = basis.user(self)?;
        if let Some(owner) = basis.users.others.iter().flatten().next() {
            return Err(Refusal::UserIdTaken(owner.id.clone()).into());
        }
        let mut changes = end_all(facts, basis.now);
        let left = User { key: facts.key, ..User::named(self.new_id.clone()) };
        changes.push((facts.key, Change::DeleteUser { user: left, previous_id: facts.id.clone() }));
        let mut feed = feed_of(basis.catalog, facts, &changes, basis.now)?;
        for change in &mut feed {
            change.user = Some(self.new_id.clone());
        }
        feed.push(change::Change::of_user(&self.new_id, Effect::UserDeleted));
        Ok(Decision::told(Answer::UserDeleted(facts.key), changes, feed))
    }
}
