use super::Model;
use super::grants::Counter;
use crate::answer::{Subscription, User};
use crate::request::{At, Name};

impl Model {
    /// Moves what counts of the running periods of one subscription to those of the next. `before` is the model
    /// with the first one still running.
    pub(super) fn carry(
        &mut self,
        (user, before): (&User, &Self),
        (old, new): (Subscription, Subscription),
        now: At,
    ) {
        let counted = before
            .features
            .iter()
            .filter(|(name, is_binary)| !is_binary && !before.draws.contains_key(name));
        let features: Vec<Name> = counted.map(|(name, _)| *name).collect();
        for feature in features {
            let from = before.running_counter(before.whole(user.key, old), feature, now);
            let to = self.running_counter(new, feature, now);
            if let (Some(from), Some(to)) = (from, to) {
                self.move_counter(from, to, now);
            }
        }
    }

    fn move_counter(&mut self, from: Counter, to: Counter, now: At) {
        let used = self.used.get(&from).copied().unwrap_or(0);
        let sets = self.sets.get(&from).copied().unwrap_or(0);
        self.carried.insert(to, from);
        self.used.insert(to, used);
        self.sets.insert(to, sets);
        let moved: Vec<(usize, i64)> = self.take_draws(from);
        self.drawn.extend(moved.into_iter().map(|(n, amount)| ((to, n), amount)));
        self.move_holds((from, to), now);
    }

    /// Takes away what a counter drew from which grant.
    fn take_draws(&mut self, counter: Counter) -> Vec<(usize, i64)> {
        let of_it = self.drawn.iter().filter(|((by, _), _)| *by == counter);
        let taken = of_it.map(|((_, n), amount)| (*n, *amount)).collect();
        self.drawn.retain(|(by, _), _| *by != counter);
        taken
    }

    /// Whether the usage of a counter goes on elsewhere.
    pub(super) fn has_moved(&self, counter: Counter) -> bool {
        self.carried.values().any(|from| *from == counter)
    }

    /// The counter, and those whose usage it goes on with.
    pub(super) fn with_carried(&self, counter: Counter) -> impl Iterator<Item = Counter> {
        std::iter::successors(Some(counter), |known| self.carried.get(known).copied())
    }
}
