use std::fmt;

/// A place in a configuration, like `packages.published[0].features[1].limit`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Place(Vec<Step>);

/// One step of a [`Place`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// The value under this key.
    Key(String),
    /// The item of a list with this index, from 0.
    Item(usize),
}

/// The maximum number of characters of a key that are shown, since a file may have any key.
const KEY_CHARS_MAX: usize = 64;

impl Place {
    /// Returns the place of the whole configuration.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// Returns the place of one of the four lists of packages.
    pub(crate) fn list(is_addon: bool, is_published: bool) -> Self {
        let kind = if is_addon { "addons" } else { "packages" };
        Self::root().key(kind).key(if is_published { "published" } else { "draft" })
    }

    /// Returns the place under `key`.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    /// Returns the place of the item with this index.
    #[must_use]
    pub fn item(&self, index: usize) -> Self {
        self.with(Step::Item(index))
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = Vec::with_capacity(self.0.len() + 1);
        steps.extend_from_slice(&self.0);
        steps.push(step);
        Self(steps)
    }

    /// Returns the steps from the root to the place.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the file");
        }
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Item(item) => write!(f, "[{item}]")?,
                Step::Key(key) => {
                    if index > 0 {
                        f.write_str(".")?;
                    }
                    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
                    if !key.is_empty() && key.len() <= KEY_CHARS_MAX && key.chars().all(is_plain) {
                        f.write_str(key)?;
                    } else {
                        let shown: String = key.chars().take(KEY_CHARS_MAX).collect();
                        write!(f, "{shown:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Something wrong in a configuration, which prevents publishing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct Problem {
    /// Where it is.
    pub place: Place,
    /// What is wrong and, if that is not obvious, what to do.
    pub message: String,
}

impl Problem {
    /// Creates a problem at `place`.
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into() }
    }
}
