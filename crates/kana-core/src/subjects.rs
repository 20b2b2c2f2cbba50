//! The users that a command is about.

use crate::id::{IdempotencyKey, SubscriptionId, UserId};

/// The most users that a command can name. Their facts are loaded and locked together.
pub const SUBJECTS_MAX: usize = 2;

/// A user, as a command names one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// The user with this id; nobody if the id is free.
    User(&'a UserId),
    /// The user who has this subscription.
    Subscriber(SubscriptionId),
    /// The user whose usage was recorded under this key.
    Recorder(&'a IdempotencyKey),
}

/// A value for each user that a command names. There is at least one. For one user, which is the
/// usual case, this allocates nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subjects<T> {
    /// The value for the first user, whom the command changes.
    pub first: T,
    /// The values for the other users, in the order of the command.
    pub others: Vec<T>,
}

impl<T> Subjects<T> {
    /// Creates the list for one user.
    #[must_use]
    pub const fn one(first: T) -> Self {
        Self { first, others: Vec::new() }
    }

    /// Adds the value for one more user.
    #[must_use]
    pub fn and(mut self, other: T) -> Self {
        self.others.push(other);
        debug_assert!(self.others.len() < SUBJECTS_MAX, "a command names few users");
        self
    }

    /// Returns all values in the order of the command.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Computes another value for each user.
    #[must_use]
    pub fn map<'a, U>(&'a self, mut value: impl FnMut(&'a T) -> U) -> Subjects<U> {
        Subjects { first: value(&self.first), others: self.others.iter().map(value).collect() }
    }
}
