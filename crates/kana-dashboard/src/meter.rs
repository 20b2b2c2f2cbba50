//! How much of a budget was used, as a bar.

use crate::number::grouped;

/// The width of the whole bar, in tenths of the drawing's unit.
const WIDTH: i128 = 1200;

/// How much of a budget was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meter {
    pub(crate) used: i64,
    pub(crate) budget: i64,
}

impl Meter {
    /// Returns the name for who does not see it.
    pub(crate) fn name(self) -> String {
        format!("{} of {} used", grouped(self.used), grouped(self.budget))
    }

    /// Returns the class: `warn` from 80 % on, `bad` from 100 %.
    pub(crate) fn class(self) -> &'static str {
        let (used, budget) = (i128::from(self.used), i128::from(self.budget));
        match used {
            used if used >= budget => "bad",
            used if used * 10 >= budget * 8 => "warn",
            _ => "",
        }
    }

    /// Returns the width of the used part: at most 120.
    pub(crate) fn width(self) -> String {
        let (used, budget) = (i128::from(self.used), i128::from(self.budget));
        let tenths = if used >= budget { WIDTH } else { used.max(0) * WIDTH / budget };
        format!("{}.{}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_turns_amber_at_80_percent_and_red_at_100() {
        for (used, budget, class, width) in [
            (0, 1_000, "", "0.0"),
            (600, 1_000, "", "72.0"),
            (799, 1_000, "", "95.8"),
            (800, 1_000, "warn", "96.0"),
            (1_000, 1_000, "bad", "120.0"),
            (2_000, 1_000, "bad", "120.0"),
            (0, 0, "bad", "120.0"),
            (i64::MAX - 1, i64::MAX, "warn", "119.9"),
        ] {
            let meter = Meter { used, budget };
            assert_eq!((meter.class(), meter.width().as_str()), (class, width), "{meter:?}");
        }
        assert_eq!(Meter { used: 600, budget: 1_000 }.name(), "600 of 1,000 used");
    }
}
