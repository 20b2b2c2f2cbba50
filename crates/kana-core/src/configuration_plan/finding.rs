use std::fmt;

use crate::configuration::{Place, Problem};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// A change that surprises nobody.
    Information,
    /// Something to look at twice.
    Warning,
    /// A breaking change, or something that cannot be published.
    Error,
}

/// Something to know before a configuration is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The place in the configuration; `None` if it is about something that the file omits.
    pub place: Option<Place>,
    /// What changes, or what is wrong.
    pub sentence: String,
    /// Whether it prevents publishing, even by force.
    pub is_refused: bool,
}

impl Finding {
    /// Creates the finding for something that cannot be published.
    #[must_use]
    pub fn refused(problem: Problem) -> Self {
        let Problem { place, message } = problem;
        Self { severity: Severity::Error, place: Some(place), sentence: message, is_refused: true }
    }
}

/// Writes a line with the mark that old clients look for: `[ERROR]`, `[WARNING]` or none.
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
