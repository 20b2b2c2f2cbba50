//! Grants in stories.

use kana_core::Refusal;
use kana_core::decide::{Answer, Command, CreateGrant, VoidGrant};
use kana_core::facts::Change;
use kana_core::grant::{Grant, GrantKey};
use kana_core::id::GrantId;

use super::{Person, World, feature_id, label, time, user_id};

/// A grant that a story creates.
#[derive(Debug, Clone)]
pub(crate) struct Giving(CreateGrant);

fn grant_id(text: &str) -> GrantId {
    GrantId::new("id", text).unwrap()
}

pub(crate) fn giving(user: &str, feature: &str, amount: i64) -> Giving {
    Giving(CreateGrant {
        user: user_id(user),
        feature: feature_id(feature),
        id: None,
        amount,
        priority: 0,
        starts_at: None,
        expires_at: None,
        reason: None,
        new_key: GrantKey::UNCHOSEN,
    })
}

impl Giving {
    pub(crate) fn id(mut self, text: &str) -> Self {
        self.0.id = Some(grant_id(text));
        self
    }

    pub(crate) fn priority(mut self, priority: i64) -> Self {
        self.0.priority = priority;
        self
    }

    pub(crate) fn from(mut self, text: &str) -> Self {
        self.0.starts_at = Some(time(text));
        self
    }

    pub(crate) fn until(mut self, text: &str) -> Self {
        self.0.expires_at = Some(time(text));
        self
    }

    pub(crate) fn reason(mut self, text: &str) -> Self {
        self.0.reason = Some(label(text));
        self
    }

    pub(crate) fn command(self) -> Command {
        Command::CreateGrant(self.0)
    }
}

impl Person {
    pub(super) fn change_grant(&mut self, change: Change) {
        match change {
            Change::SetDrawn { grant, drawn } => {
                let known = self.grants.iter_mut().find(|known| known.key == grant).unwrap();
                assert!((0..=known.amount).contains(&drawn), "no more than there is is drawn");
                known.drawn = drawn;
            }
            Change::PutGrant(new) => {
                self.grants.retain(|known| known.key != new.key);
                self.grants.push(new);
            }
            Change::DeleteGrant { grant } => self.grants.retain(|known| known.key != grant),
            other => panic!("no change of a grant: {other:?}"),
        }
    }
}

impl World {
    pub(crate) fn give(&mut self, giving: Giving) -> Result<Grant, Refusal> {
        let mut command = giving.command();
        command.set_ids(&mut || self.next_id());
        self.run_grant(&command)
    }

    pub(crate) fn void_grant(&mut self, user: &str, id: &str) -> Result<Grant, Refusal> {
        let command = VoidGrant { user: user_id(user), id: grant_id(id) };
        self.run_grant(&Command::VoidGrant(command))
    }

    fn run_grant(&mut self, command: &Command) -> Result<Grant, Refusal> {
        match self.run(command)? {
            Answer::Grant(grant) => Ok(grant),
            other => panic!("not an answer about a grant: {other:?}"),
        }
    }

    /// All that are stored of a user.
    pub(crate) fn grants(&self, user: &str) -> &[Grant] {
        &self.person(user).grants
    }

    /// How much was drawn from the user's grant with this id.
    pub(crate) fn drawn(&self, user: &str, id: &str) -> i64 {
        let found = self.grants(user).iter().find(|grant| grant.id.as_str() == id);
        found.unwrap().drawn
    }

    /// What each of the user's counters holds, and how much of that it drew from grants.
    pub(crate) fn draws(&self, user: &str) -> Vec<(i64, i64)> {
        let counters = self.person(user).counters.values();
        counters.map(|value| (value.used, value.marks.draws().total())).collect()
    }
}
