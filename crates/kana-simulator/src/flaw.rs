//! Servers and stores that are wrong in one thing, to see that it is noticed.

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// `subscribe` and `cancelSubscription` read the catalog after their commit, and answer with an
    /// error if they cannot.
    ReadsAfterCommit,
    /// An answer that cannot be written as a whole has the request carried out again.
    CarriesOutAgain,
    /// A question that fails is asked again, and once more.
    AsksAgain,
    /// The store takes a commit for done that did not happen.
    TakesLostCommitsForDone,
    /// The store takes a commit for failed that happened.
    TakesCommitsForLost,
}
