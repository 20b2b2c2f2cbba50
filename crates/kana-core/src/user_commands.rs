//! Creating and updating users.

use uuid::Uuid;

use crate::change::{self, Effect};
use crate::command::{Answer, Basis, Decide, Decision};
use crate::facts::{Change, Obstacle};
use crate::id::{UserId, UserKey};
use crate::refusal::Refusal;
use crate::subjects::{Subject, Subjects};
use crate::user::{User, UserEdit};

/// Creates a user; the id must be free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateUser(pub User);

impl Decide for CreateUser {
    fn subjects(&self) -> Subjects<Subject<'_>> {
        Subjects::one(Subject::User(&self.0.id))
    }

    fn creates(&self) -> bool {
        true
    }

    fn set_ids(&mut self, next_id: &mut dyn FnMut() -> Uuid) {
        self.0.key = UserKey(next_id());
    }

    fn decide(&self, basis: &Basis<'_>) -> Result<Decision, Obstacle> {
        let Self(user) = self;
        if basis.users.first.is_some() {
            return Err(Refusal::UserIdTaken(user.id.clone()).into());
        }
        Ok(Decision::told(
            Answer::User(user.clone()),
            vec![(user.key, Change::CreateUser(user.clone()))],
            vec![change::Change::of_user(&user.id, Effect::UserCreated)],
        ))
    }
}

/// Changes what is known of a user; a new id must be free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateUser {
    /// The user's id until now.
    pub user: UserId,
    /// What changes.
    pub edit: UserEdit,
}

impl Decide for UpdateUser {
    /// The second subject is the user who has the new id already, if there is one.
    fn subjects(&self) -> Subjects<Subject<'_>> {
        let subjects = Subjects::one(Subject::User(&self.user));
        match self.edit.id.as_ref().filter(|id| **id != self.user) {
            Some(id) => subjects.and(Subject::User(id)),
            None => subjects,
        }
    }

    fn decide(&self, basis: &Basis<'_>) -> Result<Decision, Obstacle> {
        let facts = basis.user(self)?;
        if let Some(owner) = basis.users.others.iter().flatten().next() {
            return Err(Refusal::UserIdTaken(owner.id.clone()).into());
        }
        let before = facts.profile()?;
        let mut user = before.clone();
        self.edit.clone().apply_to(&mut user);
        let changed = user.differences(before);
        let (mut changes, mut feed) = (Vec::new(), Vec::new());
        if !changed.is_empty() {
            let previous_id = (user.id != before.id).then(|| before.id.clone());
            let effect = Effect::UserUpdated { changed, previous_id: previous_id.clone() };
            feed.push(change::Change::of_user(&user.id, effect));
            changes.push((user.key, Change::UpdateUser { user: user.clone(), previous_id }));
        }
        Ok(Decision::told(Answer::User(user), changes, feed))
    }
}
