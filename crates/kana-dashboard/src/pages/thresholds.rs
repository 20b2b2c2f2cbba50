//! The thresholds of a feature as a field has them: `80 %, 10 left`.

use kana_core::refusal::InvalidValue;
use kana_core::threshold::{Threshold, Thresholds};

use crate::form::FieldProblem;

const NOT_UNDERSTOOD: &str = "Write thresholds like 80 % or 10 left, with commas between them.";

/// Writes thresholds for a field; empty if there are none.
pub(super) fn written(thresholds: &Thresholds) -> String {
    let words: Vec<String> = thresholds.as_slice().iter().map(Threshold::to_string).collect();
    words.join(", ")
}

/// Reads what somebody wrote into the field.
pub(super) fn read(text: &str) -> Result<Thresholds, FieldProblem> {
    let invalid = |invalid: InvalidValue| FieldProblem::of_value(&invalid, |_| Some("thresholds"));
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    let mut thresholds = Vec::new();
    for word in words {
        let number = |rest: Option<&str>| rest.and_then(|rest| rest.trim().parse().ok());
        let (percent, left) = (number(word.strip_suffix('%')), number(word.strip_suffix("left")));
        if percent.is_none() && left.is_none() {
            return Err(FieldProblem::of("thresholds", NOT_UNDERSTOOD));
        }
        thresholds.push(Threshold::new(percent, left).map_err(invalid)?);
    }
    Thresholds::new(thresholds).map_err(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_not_understood_is_said() {
        for text in ["", "80 %", "80 %, 100 %, 0 left"] {
            assert_eq!(written(&read(text).unwrap()), text);
        }
        assert_eq!(written(&read(" 80%,10left ,").unwrap()), "80 %, 10 left");
        for text in
            ["80", "%", "left", "eighty %", "80 % 90 %", "0 %", "1001 %", "-1 left", "1 %, 1 %"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
