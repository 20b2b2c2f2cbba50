//! 64-bit counters in the 32-bit fields that GraphQL has (contract: `admin-api.md`, "Values").

use crate::error::ApiError;

/// A counter in a 32-bit field, or the error that names the field that has it exactly.
pub(crate) fn int(value: i64, exact_field: &'static str) -> Result<i32, ApiError> {
    i32::try_from(value).map_err(|_| ApiError::ValueTooLarge { exact_field })
}
