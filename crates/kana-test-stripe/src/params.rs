use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::error::ApiError;

/// The deepest nesting of names that is read.
const DEPTH_MAX: usize = 8;
/// The most parameters that one request may have.
const PARAMETERS_MAX: usize = 1000;

/// A form or query as Stripe reads it: `items[0][price]=…` is nested, `expand[]=…` a list.
#[derive(Debug, Default, Clone)]
pub(crate) struct Params {
    /// What stands before the names in messages: `items[0]`.
    prefix: String,
    fields: IndexMap<String, Field>,
}

#[derive(Debug, Clone)]
enum Field {
    Text(String),
    Nested(IndexMap<String, Field>),
}

impl Params {
    /// Reads an encoded form. Fails if a name is malformed, nested too deeply, or both a text and a list.
    pub(crate) fn decode(encoded: &[u8]) -> Result<Params, ApiError> {
        let mut fields = IndexMap::new();
        for (count, (name, value)) in form_urlencoded::parse(encoded).enumerate() {
            let path =
                path_of(&name).filter(|path| path.len() <= DEPTH_MAX && count < PARAMETERS_MAX);
            let Some(path) = path else {
                return Err(ApiError::invalid_request(format!("Invalid parameter name: {name}")));
            };
            if !put(&mut fields, &path, &value) {
                return Err(ApiError::invalid(&name, None, format!("Invalid {name}")));
            }
        }
        Ok(Params { prefix: String::new(), fields })
    }

    /// Fails if there is a parameter that is neither among `known` nor `expand`.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), ApiError> {
        match self.fields.keys().find(|name| *name != "expand" && !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => {
                let name = self.full_name(name);
                let message = format!("Received unknown parameter: {name}");
                Err(ApiError::invalid(&name, Some("parameter_unknown"), message))
            }
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    pub(crate) fn full_name(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}[{name}]", self.prefix) }
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        match self.fields.get(name) {
            None => Ok(None),
            Some(Field::Text(text)) => Ok(Some(text)),
            Some(Field::Nested(_)) => Err(self.invalid(name, "string")),
        }
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, ApiError> {
        let text = self.text(name)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| self.missing(name))
    }

    pub(crate) fn missing(&self, name: &str) -> ApiError {
        let name = self.full_name(name);
        ApiError::invalid(
            &name,
            Some("parameter_missing"),
            format!("Missing required param: {name}."),
        )
    }

    /// A whole number; an empty text is none.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let text = self.text(name)?.filter(|text| !text.is_empty());
        text.map(|text| text.parse().map_err(|_| self.invalid(name, "integer"))).transpose()
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.text(name)? {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(self.invalid(name, "boolean")),
        }
    }

    /// One of the words of `known`.
    pub(crate) fn word(&self, name: &str, known: &[&str]) -> Result<Option<&str>, ApiError> {
        let Some(word) = self.text(name)? else { return Ok(None) };
        if known.contains(&word) {
            return Ok(Some(word));
        }
        let message = format!("Invalid {name}: must be one of {}", known.join(", "));
        Err(ApiError::invalid(&self.full_name(name), None, message))
    }

    /// The parameters nested under `name`; `None` if there are none.
    pub(crate) fn nested(&self, name: &str) -> Result<Option<Params>, ApiError> {
        match self.fields.get(name) {
            None => Ok(None),
            Some(Field::Nested(fields)) => {
                Ok(Some(Params { prefix: self.full_name(name), fields: fields.clone() }))
            }
            Some(Field::Text(_)) => Err(self.invalid(name, "object")),
        }
    }

    /// The objects of a list in the order of their indexes as sent.
    pub(crate) fn objects(&self, name: &str) -> Result<Vec<Params>, ApiError> {
        let Some(list) = self.nested(name)? else { return Ok(Vec::new()) };
        list.fields.keys().map(|index| list.nested(index).map(Option::unwrap_or_default)).collect()
    }

    /// The texts of a list.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, ApiError> {
        let Some(list) = self.nested(name)? else { return Ok(Vec::new()) };
        let texts =
            list.fields.keys().map(|index| list.text(index).map(|text| text.map(str::to_owned)));
        texts.filter_map(Result::transpose).collect()
    }

    /// All parameters as JSON, whose values are texts.
    pub(crate) fn json(&self) -> Value {
        json_of(&self.fields)
    }

    /// Lays `metadata` over what an object has: an empty value takes a key out, an empty text all keys.
    pub(crate) fn merge_metadata(&self, metadata: &Value) -> Result<Value, ApiError> {
        let mut merged = metadata.as_object().cloned().unwrap_or_default();
        match self.fields.get("metadata") {
            None => {}
            Some(Field::Text(text)) if text.is_empty() => merged.clear(),
            Some(_) => {
                let Some(given) = self.nested("metadata")? else { return Ok(merged.into()) };
                for name in given.fields.keys() {
                    match given.text(name)? {
                        None | Some("") => drop(merged.shift_remove(name)),
                        Some(text) => drop(merged.insert(name.clone(), text.into())),
                    }
                }
            }
        }
        Ok(merged.into())
    }

    /// Copies texts into `object`: an empty one becomes null.
    pub(crate) fn copy_texts(&self, names: &[&str], object: &mut Value) -> Result<(), ApiError> {
        for name in names {
            if let Some(text) = self.text(name)? {
                object[*name] = if text.is_empty() { Value::Null } else { text.into() };
            }
        }
        Ok(())
    }

    fn invalid(&self, name: &str, wanted: &str) -> ApiError {
        let name = self.full_name(name);
        let code = (wanted == "integer").then_some("parameter_invalid_integer");
        ApiError::invalid(&name, code, format!("Invalid {wanted}: {name}"))
    }
}

/// `a[b][]` is `a`, `b` and an empty name. `None` if brackets do not match.
fn path_of(name: &str) -> Option<Vec<&str>> {
    let (first, mut rest) = name.split_at(name.find('[').unwrap_or(name.len()));
    let mut path = vec![first];
    while !rest.is_empty() {
        let (segment, after) = rest.strip_prefix('[')?.split_once(']')?;
        path.push(segment);
        rest = after;
    }
    (!first.is_empty()).then_some(path)
}

/// Puts a value where `path` says. Answers false if a text is in the way.
fn put(fields: &mut IndexMap<String, Field>, path: &[&str], value: &str) -> bool {
    let Some((name, rest)) = path.split_first() else { return false };
    // `[]` is the next index.
    let name = if name.is_empty() { fields.len().to_string() } else { (*name).to_owned() };
    if rest.is_empty() {
        return !matches!(
            fields.insert(name, Field::Text(value.to_owned())),
            Some(Field::Nested(_))
        );
    }
    match fields.entry(name).or_insert_with(|| Field::Nested(IndexMap::new())) {
        Field::Nested(nested) => put(nested, rest, value),
        Field::Text(_) => false,
    }
}

fn json_of(fields: &IndexMap<String, Field>) -> Value {
    let value = |field: &Field| match field {
        Field::Text(text) => Value::from(text.as_str()),
        Field::Nested(nested) => json_of(nested),
    };
    fields.iter().map(|(name, field)| (name.clone(), value(field))).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Params;

    #[test]
    fn names_in_brackets_are_nested() {
        let form =
            b"items[0][price]=price_1&items[0][quantity]=2&expand[]=a&expand[]=b&email=a%40b.c";
        let read = Params::decode(form).unwrap();
        let json = json!({
            "items": { "0": { "price": "price_1", "quantity": "2" } },
            "expand": { "0": "a", "1": "b" },
            "email": "a@b.c",
        });
        assert_eq!(read.json(), json);
        assert_eq!(read.objects("items").unwrap()[0].integer("quantity").unwrap(), Some(2));
    }

    #[test]
    fn malformed_names_are_refused() {
        for form in ["a[b=1", "[a]=1", "a=1&a[b]=2", "a[b]=1&a=2", "a[1][2][3][4][5][6][7][8]=1"] {
            assert_eq!(Params::decode(form.as_bytes()).unwrap_err().status, 400, "{form}");
        }
    }

    #[test]
    fn metadata_is_merged_key_by_key() {
        let before = json!({ "kept": "1", "gone": "2" });
        let merged =
            |form: &str| Params::decode(form.as_bytes()).unwrap().merge_metadata(&before).unwrap();
        assert_eq!(merged("metadata[gone]=&metadata[new]=3"), json!({ "kept": "1", "new": "3" }));
        assert_eq!(merged("metadata="), json!({}));
        assert_eq!(merged("other=1"), before);
    }
}
