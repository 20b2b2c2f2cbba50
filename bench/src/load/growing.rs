//! Usage in bulk of which a part has ids: CloudEvents, and `recordUsageBatch` without keys, in turn.

use anyhow::Result;

use super::batch::Batches;
use super::events::Events;
use super::talk::{Answer, Talk};

/// Of so many requests, this many have events with ids.
const TURNS: u64 = 10;
const WITH_IDS: u64 = 3;

/// The kinds of requests.
const EVENTS: usize = 0;
const BATCHES: usize = 1;

/// Requests of many events, each of some user.
pub(crate) struct Growing {
    events: Events,
    batches: Batches,
    requests: u64,
}

impl Growing {
    /// Requests of `batch` events of any of `users` users.
    pub(crate) fn new(key: &str, batch: usize, users: u32) -> Self {
        let (events, batches) = (Events::new(key, batch, users), Batches::new(key, batch, users));
        Self { events, batches, requests: 0 }
    }

    /// The events in all requests until now.
    pub(crate) fn asked(&self) -> u64 {
        self.requests * u64::from(self.units())
    }

    /// Those of them that have ids.
    pub(crate) fn asked_with_ids(&self) -> u64 {
        let turns = self.requests / TURNS * WITH_IDS + (self.requests % TURNS).min(WITH_IDS);
        turns * u64::from(self.units())
    }
}

impl Talk for Growing {
    fn ask(&mut self, out: &mut Vec<u8>) -> usize {
        let has_ids = self.requests % TURNS < WITH_IDS;
        self.requests += 1;
        if has_ids {
            self.events.ask(out);
            EVENTS
        } else {
            self.batches.ask(out);
            BATCHES
        }
    }

    fn read(&mut self, kind: usize, input: &[u8]) -> Result<Option<Answer>> {
        match kind {
            EVENTS => self.events.read(kind, input),
            _ => self.batches.read(kind, input),
        }
    }

    fn units(&self) -> u32 {
        self.events.units()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_of_ten_requests_have_ids() {
        let mut growing = Growing::new("key", 5, 3);
        let kinds: Vec<usize> = (0..25).map(|_| growing.ask(&mut Vec::new())).collect();
        let with_ids = kinds.iter().filter(|kind| **kind == EVENTS).count() as u64;
        assert_eq!((growing.asked(), growing.asked_with_ids()), (125, with_ids * 5));
        assert_eq!(with_ids, 9);
    }
}
