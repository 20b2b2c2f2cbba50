//! When a subscription is set to begin and to end, and what its periods are counted from (contract: `beyond.md`,
//! "Trials, schedules, changes").

use crate::timestamp::Timestamp;

/// What was said about a subscription's start, end and trial ahead of time, and its anchor. Nothing runs at
/// these instants: what they mean is computed from the time of a question.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// Whether the start lay ahead when the subscription was created. Only such a start is compared with
    /// the clock. Any other has come, also by a clock that runs behind.
    pub starts_ahead: bool,
    /// The end that was asked for, exclusive; `None` if there is none.
    pub end_asked: Option<Timestamp>,
    /// The end that holds, exclusive: the one that was asked for or, of an add-on, that of its base if that
    /// is earlier. `None` if there is none.
    pub end: Option<Timestamp>,
    /// The end of the trial, exclusive; `None` if there is none.
    pub trial_ends_at: Option<Timestamp>,
    /// What its periods are counted from; `None` if that is its start.
    pub anchored_at: Option<Timestamp>,
}

impl Timing {
    /// Nothing was said: the subscription has begun and has no end.
    pub const NONE: Self = Self {
        starts_ahead: false,
        end_asked: None,
        end: None,
        trial_ends_at: None,
        anchored_at: None,
    };

    /// Returns true if nothing was said.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }
}
