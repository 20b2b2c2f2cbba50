//! Updates tell "leave it" from "clear it" from "make it this".

/// What an update does to a value that may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Edit<T> {
    /// Leaves it as it is.
    #[default]
    Keep,
    /// Removes it.
    Clear,
    /// Replaces it.
    Set(T),
}

impl<T> Edit<T> {
    /// Makes the edit.
    pub fn apply_to(self, value: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *value = None,
            Self::Set(new) => *value = Some(new),
        }
    }
}
