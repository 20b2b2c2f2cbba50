//! Parameters of statements: arrays with a value for each row, and counts.

use tokio_postgres::types::ToSql;

/// A parameter that owns its value.
pub(super) type Parameter = Box<dyn ToSql + Sync + Send>;

/// Collects the values of one column into an array.
pub(super) fn column<R, T: ToSql + Sync + Send + 'static>(
    rows: impl IntoIterator<Item = R>,
    value: impl Fn(R) -> T,
) -> Parameter
where
    Vec<T>: ToSql,
{
    Box::new(rows.into_iter().map(value).collect::<Vec<T>>())
}

/// Converts a count or the length of a page to the server's type.
pub(super) fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
