use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::params::Params;

/// Objects in one list; Stripe answers 10 unless asked otherwise.
const PAGE_DEFAULT: i64 = 10;
const PAGE_MAX: i64 = 100;

/// The parameters of every list.
const LIST_PARAMS: [&str; 3] = ["limit", "starting_after", "ending_before"];

/// The objects of one kind by their ids, in the order in which they were created.
#[derive(Debug, Default, Clone)]
pub(crate) struct Table {
    rows: IndexMap<String, Value>,
}

impl Table {
    pub(crate) fn get(&self, id: &str) -> Option<&Value> {
        self.rows.get(id)
    }

    /// Stores an object under its `id`, which may be there already.
    pub(crate) fn put(&mut self, object: Value) {
        let id = object["id"].as_str().unwrap_or_default().to_owned();
        self.rows.insert(id, object);
    }

    pub(crate) fn remove(&mut self, id: &str) {
        self.rows.shift_remove(id);
    }

    /// Forgets the oldest `count` objects.
    pub(crate) fn forget_oldest(&mut self, count: usize) {
        self.rows.drain(..count.min(self.rows.len()));
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The objects that `keep` answers true for, the newest first.
    pub(crate) fn newest_first(
        &self,
        keep: impl Fn(&Value) -> Result<bool, ApiError>,
    ) -> Result<Vec<Value>, ApiError> {
        let mut kept = Vec::new();
        for row in self.rows.values().rev() {
            if keep(row)? {
                kept.push(row.clone());
            }
        }
        Ok(kept)
    }

    /// In the order in which they were created.
    pub(crate) fn rows(&self) -> impl DoubleEndedIterator<Item = &Value> {
        self.rows.values()
    }
}

/// Fails if there are other parameters than those of every list and `filters`.
pub(crate) fn only_filters(params: &Params, filters: &[&str]) -> Result<(), ApiError> {
    params.only(&[LIST_PARAMS.as_slice(), filters].concat())
}

/// Answers one page of `rows`, which are in the order of the answer, at the address `url`. `what` names
/// one of them in the message about an unknown cursor.
pub(crate) fn page(
    rows: &[Value],
    params: &Params,
    url: &str,
    what: &str,
) -> Result<Value, ApiError> {
    let limit = params.integer("limit")?.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        let message = format!("Invalid limit: must be between 1 and {PAGE_MAX}.");
        return Err(ApiError::invalid("limit", Some("parameter_invalid_integer"), message));
    }
    let limit = usize::try_from(limit).unwrap_or_default();
    let place = |name: &str| -> Result<Option<usize>, ApiError> {
        let Some(id) = params.text(name)? else { return Ok(None) };
        let place = rows.iter().position(|row| row["id"] == id);
        place.map(Some).ok_or_else(|| ApiError::no_such_named(name, what, id))
    };
    let (data, has_more) = match (place("starting_after")?, place("ending_before")?) {
        (Some(_), Some(_)) => {
            let message = "You can only provide one of starting_after and ending_before.";
            return Err(ApiError::invalid("ending_before", None, message));
        }
        (None, Some(end)) => {
            let start = end.saturating_sub(limit);
            (&rows[start..end], start > 0)
        }
        (after, None) => {
            let start = after.map_or(0, |place| place + 1);
            let end = rows.len().min(start + limit);
            (&rows[start..end], end < rows.len())
        }
    };
    Ok(json!({ "object": "list", "data": data, "has_more": has_more, "url": url }))
}

/// Whether an object's `created` is what the parameter `created` asks for, as a number or as bounds.
pub(crate) fn created_in(params: &Params, object: &Value) -> Result<bool, ApiError> {
    let created = object["created"].as_i64().unwrap_or_default();
    if !params.has("created") {
        return Ok(true);
    }
    if let Ok(exactly) = params.integer("created") {
        return Ok(exactly == Some(created));
    }
    let bounds = params.nested("created")?.unwrap_or_default();
    bounds.only(&["gt", "gte", "lt", "lte"])?;
    let holds = |name, holds: fn(&i64, &i64) -> bool| -> Result<bool, ApiError> {
        Ok(bounds.integer(name)?.is_none_or(|bound| holds(&created, &bound)))
    };
    Ok(holds("gt", i64::gt)?
        && holds("gte", i64::ge)?
        && holds("lt", i64::lt)?
        && holds("lte", i64::le)?)
}
