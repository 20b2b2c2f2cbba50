use std::fmt;

use crate::configuration::{Place, Problem};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It changes, and nobody is surprised.
    Information,
    /// Something to look at twice.
    Warning,
    /// A breaking change, or something that cannot be published.
    Error,
}

/// Something that whoever is about to publish a configuration should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// Where in the configuration; `None` for what stands in the environment only.
    pub place: Option<Place>,
    /// What it is.
    pub sentence: String,
    /// Whether nothing can be published because of it, not even by force.
    pub is_refused: bool,
}

impl Finding {
    /// Of something that cannot be published.
    #[must_use]
    pub fn refused(problem: Problem) -> Self {
        let Problem { place, message } = problem;
        Self { severity: Severity::Error, place: Some(place), sentence: message, is_refused: true }
    }
}

/// As a line, whose mark old clients look for: `[ERROR]`, `[WARNING]` or none.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.severity {
            Severity::Information => "",
            Severity::Warning => "[WARNING] ",
            Severity::Error => "[ERROR] ",
        };
        // An id may look like a mark.
        let sentence =
            self.sentence.replace("[ERROR]", "[error]").replace("[WARNING]", "[warning]");
        match &self.place {
            Some(place) if self.is_refused => write!(f, "{mark}{place}: {sentence}"),
            _ => write!(f, "{mark}{sentence}"),
        }
    }
}
