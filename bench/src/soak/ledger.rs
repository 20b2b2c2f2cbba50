//! Usage that was sent under idempotency keys, and what the database holds of it in the end.

use std::collections::BTreeMap;

/// The seeded users whose usage is in the ledger: the first so many.
pub(super) const USERS: u32 = 40;

/// How many credits each of them has in a month. Few, so that calls are refused in a long run.
pub(super) const CREDITS: i64 = 2000;

/// What was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Feature {
    /// There are more of them than any run can use.
    Calls,
    /// There are [`CREDITS`] for each user.
    Credits,
}

/// What was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing, so that it may count, once.
    Unanswered,
    /// It counts.
    Counted,
    /// It does not: too few credits were left.
    Refused,
}

/// Usage that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) user: u32,
    pub(super) feature: Feature,
    pub(super) delta: i64,
    pub(super) standing: Standing,
}

/// The number of who sent it, and its own number with them: what the idempotency key says.
pub(super) type Key = (usize, usize);

/// An event in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    /// `None`: a key that nobody sent.
    pub(super) key: Option<Key>,
    pub(super) user: u32,
    pub(super) feature: Feature,
    pub(super) delta: i64,
}

/// Sums by user and feature.
pub(super) type Sums = BTreeMap<(u32, Feature), i64>;

/// What was sent and what is stored, compared.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Audit {
    /// Usage whose answer says whether it counts.
    pub(super) acknowledged: u64,
    /// Usage without an answer, and how much of it counts.
    pub(super) unanswered: u64,
    pub(super) unanswered_that_count: u64,
    /// Usage that the answer says counts, and that is not there.
    pub(super) lost: Vec<String>,
    /// Usage that is there more than once.
    pub(super) doubled: Vec<String>,
    /// Usage that is there and was never sent so, or that is there and was refused.
    pub(super) invented: Vec<String>,
    /// Usage that was refused although credits were left.
    pub(super) wrongly_refused: Vec<String>,
    /// Users of whom the server says another sum than that of their events, or too many credits.
    pub(super) wrong_sums: Vec<String>,
}

/// Compares what was sent, by sender and number, with the events in the database, and with what the
/// server says that each user has used.
pub(super) fn audit(sent: &[Vec<Entry>], events: &[Event], used: &Sums) -> Audit {
    let mut audit = Audit::default();
    let mut stored: Vec<Vec<u32>> = sent.iter().map(|sent| vec![0; sent.len()]).collect();
    let mut sums = Sums::new();
    for event in events {
        *sums.entry((event.user, event.feature)).or_default() += event.delta;
        let entry = event.key.and_then(|(sender, number)| sent.get(sender)?.get(number));
        match (event.key, entry) {
            (Some((sender, number)), Some(entry)) if entry.is(event) => stored[sender][number] += 1,
            _ => audit.invented.push(format!("{event:?}")),
        }
    }
    for (sender, entries) in sent.iter().enumerate() {
        for (number, entry) in entries.iter().enumerate() {
            let left = CREDITS - used.get(&(entry.user, entry.feature)).copied().unwrap_or(0);
            audit.add(entry, (sender, number), stored[sender][number], left);
        }
    }
    for user in 0..USERS {
        for feature in [Feature::Calls, Feature::Credits] {
            let of = |sums: &Sums| sums.get(&(user, feature)).copied().unwrap_or(0);
            let (said, summed) = (of(used), of(&sums));
            if said != summed || (feature == Feature::Credits && said > CREDITS) {
                audit.wrong_sums.push(format!("user {user}, {feature:?}: {said} and not {summed}"));
            }
        }
    }
    audit
}

impl Audit {
    /// Adds usage that was sent and is stored so many times. `left`: credits of its user.
    fn add(&mut self, entry: &Entry, key: Key, stored: u32, left: i64) {
        let what = || format!("{key:?}, {entry:?}: stored {stored} times");
        match entry.standing {
            Standing::Unanswered => {
                self.unanswered += 1;
                self.unanswered_that_count += u64::from(stored > 0);
            }
            Standing::Counted | Standing::Refused => self.acknowledged += 1,
        }
        if stored > 1 {
            self.doubled.push(what());
        }
        match entry.standing {
            Standing::Counted if stored == 0 => self.lost.push(what()),
            Standing::Refused if stored > 0 => self.invented.push(what()),
            // Credits only become fewer, so there were at least as many when it was refused.
            Standing::Refused if entry.feature == Feature::Calls || left >= entry.delta => {
                self.wrongly_refused.push(what());
            }
            _ => {}
        }
    }
}

impl Entry {
    fn is(&self, event: &Event) -> bool {
        (self.user, self.feature, self.delta) == (event.user, event.feature, event.delta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(standing: Standing, feature: Feature) -> Entry {
        Entry { user: 1, feature, delta: 2, standing }
    }

    fn event(number: usize) -> Event {
        Event { key: Some((0, number)), user: 1, feature: Feature::Calls, delta: 2 }
    }

    fn sums(calls: i64, credits: i64) -> Sums {
        Sums::from([((1, Feature::Calls), calls), ((1, Feature::Credits), credits)])
    }

    fn three() -> Vec<Vec<Entry>> {
        let counted = entry(Standing::Counted, Feature::Calls);
        vec![vec![counted, counted, entry(Standing::Unanswered, Feature::Calls)]]
    }

    #[test]
    fn what_was_acknowledged_and_is_there_once_is_right() {
        let without = audit(&three(), &[event(0), event(1)], &sums(4, 0));
        assert_eq!(without, Audit { acknowledged: 2, unanswered: 1, ..Audit::default() });
        // What was not answered may count.
        let with = audit(&three(), &[event(0), event(1), event(2)], &sums(6, 0));
        assert_eq!(with, Audit { unanswered_that_count: 1, ..without });
    }

    #[test]
    fn a_lost_key_is_found_also_if_another_one_makes_up_for_it() {
        let found = audit(&three(), &[event(1), event(2)], &sums(4, 0));
        assert_eq!(found.lost.len(), 1, "{found:?}");
        assert!(found.lost[0].starts_with("(0, 0)"), "{found:?}");
        assert!(found.wrong_sums.is_empty() && found.doubled.is_empty(), "{found:?}");
    }

    #[test]
    fn a_doubled_key_is_found_also_if_it_was_not_answered() {
        let found = audit(&three(), &[event(0), event(1), event(1)], &sums(6, 0));
        assert_eq!((found.doubled.len(), found.lost.len()), (1, 0), "{found:?}");
        let found = audit(&three(), &[event(0), event(1), event(2), event(2)], &sums(8, 0));
        assert_eq!((found.doubled.len(), found.lost.len()), (1, 0), "{found:?}");
    }

    #[test]
    fn what_was_never_sent_so_is_found() {
        let never = Event { key: None, ..event(0) };
        let other_delta = Event { delta: 3, ..event(1) };
        let other_user = Event { user: 2, ..event(1) };
        let beyond = event(3);
        for wrong in [never, other_delta, other_user, beyond] {
            let found = audit(&three(), &[event(0), wrong], &sums(4, 0));
            assert_eq!(found.invented.len(), 1, "{wrong:?}: {found:?}");
            assert_eq!(found.lost.len(), 1, "{wrong:?}: {found:?}");
        }
    }

    #[test]
    fn a_counter_that_differs_from_its_events_is_found() {
        for said in [2, 6] {
            let found = audit(&three(), &[event(0), event(1)], &sums(said, 0));
            assert_eq!(found.wrong_sums.len(), 1, "{found:?}");
        }
    }

    #[test]
    fn refusals_are_right_only_without_credits() {
        let refused = vec![vec![entry(Standing::Refused, Feature::Credits)]];
        let spent = |number, delta| Event { feature: Feature::Credits, delta, ..event(number) };
        // Spent by somebody whom this ledger does not know.
        let others = |delta| Event { key: None, ..spent(9, delta) };
        let found = audit(&refused, &[others(CREDITS - 1)], &sums(0, CREDITS - 1));
        assert!(found.wrongly_refused.is_empty(), "{found:?}");
        let found = audit(&refused, &[others(CREDITS - 2)], &sums(0, CREDITS - 2));
        assert_eq!(found.wrongly_refused.len(), 1, "{found:?}");
        let found = audit(&refused, &[spent(0, 2)], &sums(0, 2));
        assert_eq!(found.invented.len(), 1, "{found:?}");
        let found = audit(&refused, &[others(CREDITS + 1)], &sums(0, CREDITS + 1));
        assert_eq!(found.wrong_sums.len(), 1, "{found:?}");
    }
}
