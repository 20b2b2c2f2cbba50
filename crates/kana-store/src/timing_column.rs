//! When a subscription is set to begin and to end, as text, the same in every engine:
//! `[starts_ahead, end_asked, end, trial_ends_at]`, like `[1,null,1704067200000,null]`, in milliseconds since 1970.
//! The anchor of its periods follows, if that is not its start. Without a text nothing was said about it.

use kana_core::Timestamp;
use kana_core::timing::Timing;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::error::StoreError;

/// Whether the start lay ahead (0 or 1), the end that was asked for, the end that holds, that of the trial, and
/// the anchor.
#[derive(Deserialize)]
pub(crate) struct StoredTiming(
    u8,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    #[serde(default, deserialize_with = "present")] Option<i64>,
);

/// Reads the last number, which is left out where there is none.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    i64::deserialize(from).map(Some)
}

/// Returns the text of the column; `None` where nothing was said.
pub(crate) fn timing_to_text(timing: &Timing) -> Option<String> {
    if timing.is_none() {
        return None;
    }
    let [asked, end, trial] =
        [timing.end_asked, timing.end, timing.trial_ends_at].map(|at| at.map(Timestamp::as_ms));
    let mut all =
        vec![json!(u8::from(timing.starts_ahead)), asked.into(), end.into(), trial.into()];
    all.extend(timing.anchored_at.map(|at| json!(at.as_ms())));
    Some(Value::from(all).to_string())
}

/// Reads the text of the column.
pub(crate) fn timing_from_text(text: Option<&str>) -> Result<Timing, StoreError> {
    match text {
        None => Ok(Timing::NONE),
        Some(text) => timing_from(serde_json::from_str(text)?),
    }
}

/// Reads what the text says.
pub(crate) fn timing_from(
    StoredTiming(starts_ahead, end_asked, end, trial_ends_at, anchored_at): StoredTiming,
) -> Result<Timing, StoreError> {
    let at = |ms: Option<i64>| ms.map(Timestamp::from_ms);
    if starts_ahead > 1 {
        let problem = format!("a timing begins with 0 or 1, not with {starts_ahead}");
        return Err(StoreError::Unreadable(problem));
    }
    Ok(Timing {
        starts_ahead: starts_ahead == 1,
        end_asked: at(end_asked),
        end: at(end),
        trial_ends_at: at(trial_ends_at),
        anchored_at: at(anchored_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timing_is_read_as_it_was_written() {
        assert_eq!(timing_to_text(&Timing::NONE), None);
        assert_eq!(timing_from_text(None).unwrap(), Timing::NONE);
        let at = |ms: i64| Some(Timestamp::from_ms(ms));
        let some = [
            Timing { starts_ahead: true, ..Timing::NONE },
            Timing { end_asked: at(-5), end: at(-5), ..Timing::NONE },
            Timing { end: at(7), trial_ends_at: at(i64::MAX), ..Timing::NONE },
            Timing { anchored_at: at(-9), ..Timing::NONE },
        ];
        let texts = some.map(|timing| timing_to_text(&timing).unwrap());
        let written = [
            "[1,null,null,null]",
            "[0,-5,-5,null]",
            "[0,null,7,253402300799999]",
            "[0,null,null,null,-9]",
        ];
        assert_eq!(texts, written);
        for (text, timing) in texts.iter().zip(some) {
            assert_eq!(timing_from_text(Some(text)).unwrap(), timing);
        }
    }

    #[test]
    fn a_timing_that_kana_has_not_written_is_an_error() {
        let bad = [
            "",
            "1",
            "[1]",
            "[2,null,null,null]",
            "[true,null,null,null]",
            "[0,1,2,3,null]",
            "[0,1,2,3,4,5]",
        ];
        for bad in bad {
            assert!(timing_from_text(Some(bad)).is_err(), "{bad}");
        }
    }
}
