//! An instant that lies ahead, as forms ask for it: a time, or the end of a current period.

use kana_core::Timestamp;
use kana_core::period::ResetPeriod;

use super::user_changes::read_instant;
use crate::form::{FieldProblem, Form};

/// What the two fields of a form say.
pub(super) enum Ahead {
    /// Nothing.
    Unsaid,
    /// A time.
    At(Timestamp),
    /// The end of the current period of this length.
    EndOf(ResetPeriod),
}

impl Ahead {
    /// Reads the field with the choice and the one with the time. A time that `is_meant` but was not chosen
    /// is a problem.
    pub(super) fn read(
        form: &Form,
        (choice, at): (&'static str, &'static str),
        is_meant: impl Fn(&str) -> bool,
    ) -> Result<Self, FieldProblem> {
        let chosen = form.text(choice);
        if chosen == "at" {
            let missing = || FieldProblem::of(at, "Must say when.");
            return read_instant(form, at)?.map(Self::At).ok_or_else(missing);
        }
        if is_meant(form.text(at).trim()) {
            return Err(FieldProblem::of(at, "Is used only with At a time."));
        }
        match chosen {
            "" => Ok(Self::Unsaid),
            "day" => Ok(Self::EndOf(ResetPeriod::Day)),
            "week" => Ok(Self::EndOf(ResetPeriod::Week)),
            "month" => Ok(Self::EndOf(ResetPeriod::Month)),
            "year" => Ok(Self::EndOf(ResetPeriod::Year)),
            _ => Err(FieldProblem::of(choice, "Choose one of the list.")),
        }
    }
}
