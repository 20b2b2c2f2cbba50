//! Numbers for the names that many users have in common.

use std::borrow::Borrow;
use std::hash::Hash;

use foldhash::HashMap;
use kana_core::id::{FeatureId, PackageId};

/// What a name takes in memory beside its text: its number, its place in the list, and the counts of what
/// shares the text.
const NAME_BYTES: usize = 80;

/// Ids of packages or features, each with a number.
pub(super) struct Names<Id> {
    numbers: HashMap<Id, u32>,
    ids: Vec<Id>,
    bytes: usize,
}

impl<Id> Default for Names<Id> {
    fn default() -> Self {
        Self { numbers: HashMap::default(), ids: Vec::new(), bytes: 0 }
    }
}

impl<Id: Clone + Eq + Hash + Borrow<str>> Names<Id> {
    /// Returns the number of an id. Gives it one if it has none.
    pub(super) fn number(&mut self, id: &Id) -> Option<u32> {
        if let Some(number) = self.known(id) {
            return Some(number);
        }
        let number = u32::try_from(self.ids.len()).ok()?;
        self.numbers.insert(id.clone(), number);
        self.ids.push(id.clone());
        self.bytes += NAME_BYTES + Borrow::<str>::borrow(id).len();
        Some(number)
    }

    /// Returns the number of an id that has one.
    pub(super) fn known(&self, id: &Id) -> Option<u32> {
        self.numbers.get(Borrow::<str>::borrow(id)).copied()
    }

    /// Returns the id with a number.
    pub(super) fn id(&self, number: u32) -> Option<&Id> {
        self.ids.get(usize::try_from(number).ok()?)
    }

    /// Returns how much memory this takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The names that entries refer to by number.
#[derive(Default)]
pub(super) struct EntryNames {
    pub(super) packages: Names<PackageId>,
    pub(super) features: Names<FeatureId>,
}

impl EntryNames {
    /// Returns how much memory this takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.packages.bytes() + self.features.bytes()
    }
}
