//! The users that a command is about.

use crate::id::{SubscriptionId, UserId};

/// How many users a command names at most. Their facts are loaded and locked together.
pub const SUBJECTS_MAX: usize = 2;

/// A user, as a command names one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// The user with this id, or nobody as long as the id is free.
    User(&'a UserId),
    /// The user who has this subscription.
    Subscriber(SubscriptionId),
}

/// A value for each user that a command names: at least one, and nearly always only one, which
/// takes no allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subjects<T> {
    /// For the user that is named first, whom the command changes.
    pub first: T,
    /// For the others, in the order in which they are named.
    pub others: Vec<T>,
}

impl<T> Subjects<T> {
    /// For one user.
    #[must_use]
    pub const fn one(first: T) -> Self {
        Self { first, others: Vec::new() }
    }

    /// For one user more.
    #[must_use]
    pub fn and(mut self, other: T) -> Self {
        self.others.push(other);
        debug_assert!(self.others.len() < SUBJECTS_MAX, "a command names few users");
        self
    }

    /// The values in the order in which the users are named.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Another value for each user.
    #[must_use]
    pub fn map<'a, U>(&'a self, mut value: impl FnMut(&'a T) -> U) -> Subjects<U> {
        Subjects { first: value(&self.first), others: self.others.iter().map(value).collect() }
    }
}
