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
    /// The edit after which the value is `value`.
    pub fn to(value: Option<T>) -> Self {
        value.map_or(Self::Clear, Self::Set)
    }

    /// Makes the edit.
    pub fn apply_to(self, value: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *value = None,
            Self::Set(new) => *value = Some(new),
        }
    }
}
