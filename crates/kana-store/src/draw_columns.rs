//! What a feature draws on, in two columns that are null together.

use kana_core::credits::{Cost, Draw};
use kana_core::id::FeatureId;

use crate::error::StoreError;

/// Reads the columns `draws_on` and `cost`.
pub(crate) fn read_draw(
    draws_on: Option<&str>,
    cost: Option<i64>,
) -> Result<Option<Draw>, StoreError> {
    let Some(balance) = draws_on else { return Ok(None) };
    let balance = FeatureId::new("stored feature id", balance)?;
    Ok(Some(Draw { balance, cost: cost.map_or(Ok(Cost::ONE), Cost::new)? }))
}

/// Returns what the columns hold.
pub(crate) fn draw_columns(draw: Option<&Draw>) -> (Option<&str>, Option<i64>) {
    (draw.map(|draw| draw.balance.as_str()), draw.map(|draw| draw.cost.get()))
}
