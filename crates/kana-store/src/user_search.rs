//! The search of users by the beginning of their id, billing id, name or e-mail, whatever the case.
//!
//! The index has a row for each different folded text of a user. The rows of a user are numbered by
//! how many characters each text shares with the user's text before it, in the order of the texts. A
//! search for a beginning of *n* characters looks only at rows that share fewer than *n*: all others
//! belong to users whom it finds by an earlier text. So it finds each user once, and reads no row in
//! vain, however many users there are.

use std::collections::BTreeSet;

use async_trait::async_trait;
use kana_core::Timestamp;
use kana_core::id::{PackageId, UserKey};
use kana_core::metadata::Label;
use kana_core::user::User;

use crate::app::EnvironmentId;
use crate::error::StoreError;

/// The maximum length of a folded text, in characters: folding makes at most three of one.
const FOLDED_CHARS_MAX: usize = 3 * kana_core::metadata::LABEL_CHARS_MAX;

/// Folds the case of a text: texts that differ only in case become the same.
///
/// Each character becomes lowercase, then uppercase, then lowercase, by the Unicode tables of Rust.
/// That way `ς`, `Σ` and `σ` are the same, and so are `ß`, `ẞ` and `SS`. Characters are folded one by
/// one, and not by [`str::to_lowercase`], which looks at the characters around a `Σ`: the folded
/// beginning of a text must be a beginning of the folded text. Accents stay.
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars()
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect()
}

/// What users' texts are to begin with, folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix {
    folded: String,
    chars: usize,
}

impl Prefix {
    /// Folds the beginning that is searched for. Returns `None` if no text can begin with it: it is
    /// longer than any, or contains U+0000.
    ///
    /// An empty one finds nobody. Use [`users_after`](crate::Transaction::users_after) for all users.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        if text.len() > 4 * FOLDED_CHARS_MAX || text.contains('\0') {
            return None;
        }
        let folded = fold(text);
        let chars = folded.chars().count();
        (chars <= FOLDED_CHARS_MAX).then_some(Self { folded, chars })
    }

    /// Returns the folded text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.folded
    }

    /// Returns the length of the folded text, in characters.
    pub(crate) fn chars(&self) -> i64 {
        i64::try_from(self.chars).unwrap_or(i64::MAX)
    }

    /// Returns the place before all texts that begin with this.
    pub(crate) fn start(&self) -> Match {
        // No user has the nil key.
        Match { text: self.folded.clone(), user: UserKey(uuid::Uuid::nil()) }
    }
}

/// A user who was found. Matches are ordered by text, then by user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Match {
    /// The first of the user's folded texts that begins with what was searched for.
    pub text: String,
    /// The user.
    pub user: UserKey,
}

/// A row of the index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// How many characters the text shares with the user's text before it; 0 for the first one.
    pub(crate) shared: i64,
    /// The folded text.
    pub(crate) text: String,
}

/// Returns the rows of a user.
pub(crate) fn entries_of(user: &User) -> Vec<Entry> {
    let User { id, billing_id, name, email, .. } = user;
    let labels = [billing_id, name, email].into_iter().flatten().map(Label::as_str);
    entries(std::iter::once(id.as_str()).chain(labels))
}

/// Returns the rows of a user with these texts. An empty text has none.
pub(crate) fn entries<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<Entry> {
    let texts: BTreeSet<String> = texts.into_iter().map(fold).collect();
    let mut before = String::new();
    let mut entries = Vec::with_capacity(texts.len());
    for text in texts.into_iter().filter(|text| !text.is_empty()) {
        let shared = before.chars().zip(text.chars()).take_while(|(a, b)| a == b).count();
        before.clone_from(&text);
        entries.push(Entry { shared: i64::try_from(shared).unwrap_or(i64::MAX), text });
    }
    entries
}

/// Finds users. What is read belongs to the snapshot of the transaction.
#[async_trait]
pub trait UserSearch: Send {
    /// Returns the first `limit` users with a text that begins with `prefix`, after the match `after`:
    /// each user once, ordered by the first such text of the user, then by key.
    async fn users_with_prefix(
        &mut self,
        environment: EnvironmentId,
        prefix: &Prefix,
        after: Option<&Match>,
        limit: usize,
    ) -> Result<Vec<Match>, StoreError>;

    /// Returns the first `limit` users to whom a subscription to the package grants something at `now`, in
    /// order of creation, after the one with the key `after`.
    async fn subscribers_after(
        &mut self,
        environment: EnvironmentId,
        package: &PackageId,
        now: Timestamp,
        after: Option<UserKey>,
        limit: usize,
    ) -> Result<Vec<UserKey>, StoreError>;

    /// Returns to which of the users a subscription to the package grants something at `now`.
    async fn are_subscribed(
        &mut self,
        environment: EnvironmentId,
        package: &PackageId,
        now: Timestamp,
        users: &[UserKey],
    ) -> Result<Vec<bool>, StoreError>;

    /// Returns the users with these keys.
    async fn users_by_key(
        &mut self,
        environment: EnvironmentId,
        keys: &[UserKey],
    ) -> Result<Vec<Option<User>>, StoreError>;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn texts_that_differ_in_case_fold_to_the_same() {
        for (one, other) in [
            ("ADA", "ada"),
            ("Straße", "STRASSE"),
            ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
            ("ẞ", "ß"),
            ("ǅ", "ǆ"),
            ("ﬁn", "FIN"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
        assert_ne!(fold("é"), fold("e"));
    }

    /// A Rust with newer Unicode tables may fold more. Then a migration fills `user_search` anew, since
    /// rows are deleted by the text that they were written with.
    #[test]
    fn every_character_folds_as_it_did_when_the_index_was_written() {
        let mut hash = Sha256::new();
        // Scripts with case are in the first two planes.
        for char in '\0'..='\u{1ffff}' {
            let text = char.to_string();
            let folded = fold(&text);
            assert_eq!(fold(&folded), folded, "{char:?}");
            assert_eq!(fold(&text.to_uppercase()), folded, "{char:?}");
            assert!(folded.chars().count() <= 3, "{char:?}");
            if folded != text {
                hash.update(format!("{text} {folded}\n"));
            }
        }
        let folding: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let known = "c658706673dba2848776a1b90a07ff45b184c7a9198b443cb7333b8f53e7e1e5";
        assert_eq!(folding, known);
    }

    #[test]
    fn a_text_that_a_shorter_beginning_finds_the_user_by_shares_it() {
        let entry = |shared, text: &str| Entry { shared, text: text.to_owned() };
        let found = entries(["cus_1", "Customer 1", "customer-1@example.com", "customer-1", ""]);
        let expected = [
            entry(0, "cus_1"),
            entry(3, "customer 1"),
            entry(8, "customer-1"),
            entry(10, "customer-1@example.com"),
        ];
        assert_eq!(found, expected);
        assert_eq!(entries(["Ada", "ADA", "ada"]), [entry(0, "ada")]);
    }

    proptest! {
        #[test]
        fn a_folded_beginning_is_a_beginning_of_the_folded_text(one in "\\PC*", other in "\\PC*") {
            let whole = format!("{one}{other}");
            prop_assert_eq!(fold(&whole), fold(&one) + &fold(&other));
        }

        #[test]
        fn folding_twice_is_folding_once_and_ignores_case(text in "\\PC*") {
            let folded = fold(&text);
            prop_assert_eq!(fold(&folded), folded.clone());
            prop_assert_eq!(fold(&text.to_uppercase()), folded.clone());
            prop_assert!(folded.chars().count() <= 3 * text.chars().count());
        }

        #[test]
        fn each_beginning_finds_a_user_by_one_text_the_first_that_begins_so(
            texts in prop::collection::vec("[aAbßS ]{0,4}", 1..4), beginning in "[aAbßS ]{1,4}"
        ) {
            let prefix = Prefix::new(&beginning).unwrap();
            let entries = entries(texts.iter().map(String::as_str));
            let begins = |entry: &&Entry| entry.text.starts_with(prefix.as_str());
            let found: Vec<_> =
                entries.iter().filter(begins).filter(|entry| entry.shared < prefix.chars()).collect();
            let first = entries.iter().find(begins);
            prop_assert_eq!(found, Vec::from_iter(first));
        }
    }
}
