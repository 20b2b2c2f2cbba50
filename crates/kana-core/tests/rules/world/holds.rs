//! Holds in stories.

use kana_core::Refusal;
use kana_core::decide::{Answer, Command, CreateHold, ExtendHold, ReleaseHold, SettleHold};
use kana_core::hold::{HeldFeature, Hold};
use kana_core::id::HoldId;
use uuid::Uuid;

use super::{Person, World, feature_id, user_id};

/// A hold that a story asks for.
#[derive(Debug, Clone)]
pub(crate) struct Holding(CreateHold);

pub(crate) fn hold_id(text: &str) -> HoldId {
    HoldId::new("id", text).unwrap()
}

pub(crate) fn holding(user: &str, feature: &str, amount: i64) -> Holding {
    Holding(CreateHold {
        user: user_id(user),
        feature: feature_id(feature),
        id: None,
        amount,
        ttl_seconds: 900,
        new_id: Uuid::nil(),
    })
}

impl Holding {
    pub(crate) fn id(mut self, text: &str) -> Self {
        self.0.id = Some(hold_id(text));
        self
    }

    pub(crate) fn seconds(mut self, ttl_seconds: i64) -> Self {
        self.0.ttl_seconds = ttl_seconds;
        self
    }

    pub(crate) fn command(self) -> Command {
        Command::CreateHold(self.0)
    }
}

pub(crate) fn settling(user: &str, id: &str, amount: Option<i64>) -> Command {
    Command::SettleHold(SettleHold { user: user_id(user), id: hold_id(id), amount })
}

pub(crate) fn releasing(user: &str, id: &str) -> Command {
    Command::ReleaseHold(ReleaseHold { user: user_id(user), id: hold_id(id) })
}

impl Person {
    pub(super) fn put_hold(&mut self, new: Hold) {
        match self.holds.iter_mut().find(|known| known.id == new.id) {
            Some(known) => *known = new,
            None => self.holds.push(new),
        }
    }
}

impl World {
    pub(crate) fn hold(&mut self, holding: Holding) -> Result<HeldFeature, Refusal> {
        let mut command = holding.command();
        if command.creates() {
            command.set_ids(&mut || self.next_id());
        }
        match self.run(&command)? {
            Answer::Held(held) => Ok(*held),
            other => panic!("not an answer to createHold: {other:?}"),
        }
    }

    pub(crate) fn settle(
        &mut self,
        user: &str,
        id: &str,
        amount: Option<i64>,
    ) -> Result<Hold, Refusal> {
        self.run_hold(&settling(user, id, amount))
    }

    pub(crate) fn release(&mut self, user: &str, id: &str) -> Result<Hold, Refusal> {
        self.run_hold(&releasing(user, id))
    }

    pub(crate) fn extend(&mut self, user: &str, id: &str, seconds: i64) -> Result<Hold, Refusal> {
        let (user, id) = (user_id(user), hold_id(id));
        self.run_hold(&Command::ExtendHold(ExtendHold { user, id, ttl_seconds: seconds }))
    }

    fn run_hold(&mut self, command: &Command) -> Result<Hold, Refusal> {
        match self.run(command)? {
            Answer::Hold(hold) => Ok(hold),
            other => panic!("not an answer about a hold: {other:?}"),
        }
    }

    /// All that are stored of a user.
    pub(crate) fn holds(&self, user: &str) -> &[Hold] {
        &self.person(user).holds
    }
}
