//! How the fields of inputs are read.

use async_graphql::MaybeUndefined;
use kana_core::edit::Edit;
use kana_core::metadata::{Label, Metadata};
use kana_core::refusal::InvalidValue;
use kana_graphql::Json;

/// What an update does to a value that it can clear: absent leaves it, null clears it.
pub(super) fn read_edit<T, U>(
    field: &'static str,
    value: MaybeUndefined<T>,
    constructor: impl FnOnce(&'static str, T) -> Result<U, InvalidValue>,
) -> Result<Edit<U>, InvalidValue> {
    Ok(match value {
        MaybeUndefined::Undefined => Edit::Keep,
        MaybeUndefined::Null => Edit::Clear,
        MaybeUndefined::Value(value) => Edit::Set(constructor(field, value)?),
    })
}

/// What an update does to a value that is always there: null is an error.
pub(super) fn read_change<T, U>(
    field: &'static str,
    value: MaybeUndefined<T>,
    constructor: impl FnOnce(&'static str, T) -> Result<U, InvalidValue>,
) -> Result<Option<U>, InvalidValue> {
    match value {
        MaybeUndefined::Undefined => Ok(None),
        MaybeUndefined::Null => Err(InvalidValue::new(field, "cannot be cleared: leave it out")),
        MaybeUndefined::Value(value) => constructor(field, value).map(Some),
    }
}

/// A label as it arrives.
#[expect(clippy::needless_pass_by_value, reason = "a constructor for `read_edit`")]
pub(super) fn label(field: &'static str, text: String) -> Result<Label, InvalidValue> {
    Label::new(field, &text)
}

/// Metadata as it arrives.
pub(super) fn metadata(field: &'static str, json: Json) -> Result<Metadata, InvalidValue> {
    Metadata::new(field, json.0)
}

/// An optional field read by one of the constructors that name it in their error.
pub(super) fn read<T, U, E>(
    field: &'static str,
    value: Option<T>,
    constructor: impl FnOnce(&'static str, T) -> Result<U, E>,
) -> Result<Option<U>, E> {
    value.map(|value| constructor(field, value)).transpose()
}
