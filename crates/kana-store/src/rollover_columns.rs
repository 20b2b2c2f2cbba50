//! How what is left of a period stays usable, in two columns. Without rollover both are null.

use kana_core::rollover::Rollover;

use crate::error::StoreError;

/// Reads the columns `rollover_periods` and `rollover_max`.
pub(crate) fn read_rollover(
    periods: Option<i64>,
    max: Option<i64>,
) -> Result<Option<Rollover>, StoreError> {
    let Some(periods) = periods else { return Ok(None) };
    Ok(Some(Rollover::new(max, Some(periods))?))
}

/// Returns what the columns hold.
pub(crate) fn rollover_columns(rollover: Option<Rollover>) -> (Option<i64>, Option<i64>) {
    let periods = rollover.map(|rollover| rollover.periods().into());
    (periods, rollover.and_then(Rollover::max))
}
