use std::fmt;

/// Where in a configuration something stands, like `packages.published[0].features[1].limit`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Place(Vec<Step>);

/// One step on the way to a [`Place`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// To the value under this key.
    Key(String),
    /// To this item of a list, from 0 on.
    Item(usize),
}

/// The most characters of a key that are repeated: a file may hold anything in its place.
const KEY_CHARS_MAX: usize = 64;

impl Place {
    /// The whole configuration.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// One of the four lists of packages.
    pub(crate) fn list(is_addon: bool, is_published: bool) -> Self {
        let kind = if is_addon { "addons" } else { "packages" };
        Self::root().key(kind).key(if is_published { "published" } else { "draft" })
    }

    /// What stands here under `key`.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    /// The item with this index of the list that stands here.
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

    /// The way to it.
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

/// Something in a configuration that is wrong, and why it cannot be published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What is wrong, and what to do where that does not follow.
    pub message: String,
}

impl Problem {
    /// What is wrong at `place`.
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into() }
    }
}
