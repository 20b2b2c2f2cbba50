//! Small changes of a file, made in place, so that its comments and its order stay.

use kana_core::configuration::Configuration;
use saphyr_parser::ScalarStyle;
use serde_json::{Map, Value};

use super::file::{File, said};
use super::writing;
use super::yaml::{Kind, Node};

/// Keys that the file may have with their default, which is not written. With another value they cannot
/// stay: then the result, which is read back, is not right.
const MAY_STAY: &[&str] = &["periods"];

/// A range of the text and its replacement.
struct Change {
    bytes: std::ops::Range<usize>,
    text: String,
}

/// The byte offset of each character.
struct Text<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

/// Edits the text of `file` so that it says `value`, which is `configuration`. Returns `None` if that
/// takes more than changing values, removing items, and appending items to lists.
pub(super) fn edited(file: &File, value: &Value, configuration: &Configuration) -> Option<String> {
    let before = file.read.as_ref().ok()?;
    let starts = file.text.char_indices().map(|(start, _)| start).chain([file.text.len()]);
    let text = Text { text: &file.text, starts: starts.collect() };
    let mut changes = Vec::new();
    let mut wanted = value.as_object()?.clone();
    // Lists that the file may leave out or write in its own way.
    for key in ["app", "version"] {
        wanted.shift_remove(key);
    }
    text.object(&before.node, &wanted, &["app", "version"], &mut changes)?;
    changes.sort_by_key(|change| change.bytes.start);
    let mut edited = String::with_capacity(file.text.len());
    let mut done = 0;
    for change in changes {
        edited.push_str(file.text.get(done..change.bytes.start)?);
        edited.push_str(&change.text);
        done = change.bytes.end;
    }
    edited.push_str(file.text.get(done..)?);
    // YAML may have cases that were not thought of here, so the result is read back.
    let is_right = said(&edited).is_ok_and(|it| it.configuration.says_the_same_as(configuration));
    is_right.then_some(edited)
}

impl Text<'_> {
    fn object(
        &self,
        node: &Node,
        wanted: &Map<String, Value>,
        may_stay: &[&str],
        changes: &mut Vec<Change>,
    ) -> Option<()> {
        let Kind::Object(entries) = &node.kind else { return None };
        for (key, position, value) in entries {
            match wanted.get(key) {
                Some(wanted) => self.value(value, position.column, wanted, changes)?,
                None if may_stay.contains(&key.as_str()) || says_nothing(value) => {}
                None => return None,
            }
        }
        let is_there = |key: &String| entries.iter().any(|(known, _, _)| known == key);
        let are_there = wanted.iter().all(|(key, value)| is_there(key) || is_nothing(value));
        are_there.then_some(())
    }

    /// `key_column` is the column of its key, from 1.
    fn value(
        &self,
        node: &Node,
        key_column: usize,
        wanted: &Value,
        changes: &mut Vec<Change>,
    ) -> Option<()> {
        match (&node.kind, wanted) {
            (Kind::Scalar(Value::Null, _), wanted) if is_nothing(wanted) => Some(()),
            (Kind::Scalar(value, _), wanted) if value == wanted => Some(()),
            (
                Kind::Scalar(_, style),
                Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null,
            ) => {
                if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
                    return None;
                }
                let text = match wanted {
                    Value::String(text) => writing::scalar(text),
                    other => other.to_string(),
                };
                changes.push(Change { bytes: self.bytes(node)?, text });
                Some(())
            }
            (Kind::Object(_), Value::Object(wanted)) => {
                self.object(node, wanted, MAY_STAY, changes)
            }
            (Kind::List(_), Value::Array(wanted)) => self.list(node, key_column, wanted, changes),
            _ => None,
        }
    }

    fn list(
        &self,
        node: &Node,
        key_column: usize,
        wanted: &[Value],
        changes: &mut Vec<Change>,
    ) -> Option<()> {
        let Kind::List(items) = &node.kind else { return None };
        if items.iter().any(|item| id_of_node(item).is_none()) {
            return self.list_without_ids(node, wanted, changes);
        }
        let mut left: Vec<&Value> = wanted.iter().collect();
        let mut gone = Vec::new();
        for item in items {
            let id = id_of_node(item)?;
            match left.iter().position(|wanted| id_of(wanted) == Some(id)) {
                Some(index) => self.value(item, key_column, left.remove(index), changes)?,
                None => gone.push(item),
            }
        }
        if !gone.is_empty() && gone.len() == items.len() {
            return None;
        }
        for item in gone {
            let start = self.line_of_item(item)?;
            let bytes = start..self.after_line_of(self.end_of(item)?);
            changes.push(Change { bytes, text: String::new() });
        }
        let Some(last) = items.last() else {
            return self.fill(node, key_column, &left, changes);
        };
        if left.is_empty() {
            return Some(());
        }
        let line = self.text.get(self.line_of_item(last)?..)?;
        let indent = line.len() - line.trim_start_matches(' ').len();
        let end = self.after_line_of(self.end_of(last)?);
        let line_end = if self.text.get(..end)?.ends_with('\n') { "" } else { "\n" };
        let text = format!("{line_end}{}", items_as_text(indent, &left));
        changes.push(Change { bytes: end..end, text });
        Some(())
    }

    /// Changes a list whose items have no ids, like thresholds, as a whole: one that stands in one line.
    fn list_without_ids(
        &self,
        node: &Node,
        wanted: &[Value],
        changes: &mut Vec<Change>,
    ) -> Option<()> {
        let wanted = Value::Array(wanted.to_vec());
        if node.to_value().is_ok_and(|value| value == wanted) {
            return Some(());
        }
        let bytes = self.bytes(node)?;
        // What the parser takes for it ends after the comment behind it.
        let list = self.text.get(bytes.clone())?;
        let length = list.find(']')? + 1;
        let (list, rest) = list.split_at(length);
        let rest = rest.trim_start();
        if !list.starts_with('[')
            || list.contains('\n')
            || !(rest.is_empty() || rest.starts_with('#'))
        {
            return None;
        }
        let bytes = bytes.start..bytes.start + length;
        changes.push(Change { bytes, text: writing::inline(&wanted) });
        Some(())
    }

    /// Puts items into a list that is written as `[]`.
    fn fill(
        &self,
        node: &Node,
        key_column: usize,
        wanted: &[&Value],
        changes: &mut Vec<Change>,
    ) -> Option<()> {
        if wanted.is_empty() {
            return Some(());
        }
        let start = *self.starts.get(node.characters.start)?;
        let rest = self.text.get(start..)?.strip_prefix('[')?;
        let length = 2 + rest.len() - rest.trim_start_matches(' ').len();
        self.text.get(start..start + length)?.strip_suffix(']')?;
        let before = self.text.get(..start)?;
        let bytes = before.trim_end_matches(' ').len()..start + length;
        changes.push(Change { bytes, text: String::new() });
        let end = self.after_line_of(start + length);
        let line_end = if self.text.get(..end)?.ends_with('\n') { "" } else { "\n" };
        let text = format!("{line_end}{}", items_as_text(key_column + 1, wanted));
        changes.push(Change { bytes: end..end, text });
        Some(())
    }

    /// Returns the start of the line with the dash of an item of a block.
    fn line_of_item(&self, item: &Node) -> Option<usize> {
        let start = self.line_of(*self.starts.get(item.characters.start)?);
        self.text.get(start..)?.trim_start_matches(' ').starts_with("- ").then_some(start)
    }

    fn bytes(&self, node: &Node) -> Option<std::ops::Range<usize>> {
        let start = *self.starts.get(node.characters.start)?;
        let end = *self.starts.get(node.characters.end)?;
        let text = self.text.get(start..end)?;
        let length = match &node.kind {
            // The parser includes what is between a quote and the end of its line.
            Kind::Scalar(_, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted) => {
                quoted_length(text)?
            }
            _ => text.trim_end().len(),
        };
        Some(start..start + length)
    }

    /// Returns the end of the last scalar of a node.
    fn end_of(&self, node: &Node) -> Option<usize> {
        match &node.kind {
            Kind::List(items) if !items.is_empty() => self.end_of(items.last()?),
            Kind::Object(entries) if !entries.is_empty() => {
                self.end_of(entries.last().map(|(_, _, value)| value)?)
            }
            _ => self.bytes(node).map(|bytes| bytes.end),
        }
    }

    fn line_of(&self, byte: usize) -> usize {
        self.text.get(..byte).and_then(|text| text.rfind('\n')).map_or(0, |end| end + 1)
    }

    fn after_line_of(&self, byte: usize) -> usize {
        let rest = self.text.get(byte..).and_then(|text| text.find('\n'));
        rest.map_or(self.text.len(), |end| byte + end + 1)
    }
}

fn items_as_text(indent: usize, items: &[&Value]) -> String {
    let mut text = String::new();
    for item in items {
        writing::item(&mut text, indent, item);
    }
    text
}

/// Returns the length in bytes of the quoted scalar at the start of `text`.
fn quoted_length(text: &str) -> Option<usize> {
    let mut characters = text.char_indices();
    let (_, quote) = characters.next()?;
    while let Some((index, c)) = characters.next() {
        if c == '\\' && quote == '"' {
            characters.next()?;
        } else if c == quote {
            let is_doubled = quote == '\'' && text.get(index + 1..)?.starts_with('\'');
            if !is_doubled {
                return Some(index + 1);
            }
            characters.next()?;
        }
    }
    None
}

fn id_of(value: &Value) -> Option<&str> {
    match value {
        Value::String(id) => Some(id),
        other => other["id"].as_str(),
    }
}

fn id_of_node(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar(Value::String(id), _) => Some(id),
        Kind::Object(entries) => {
            let (_, _, id) = entries.iter().find(|(key, _, _)| key == "id")?;
            match &id.kind {
                Kind::Scalar(Value::String(id), _) => Some(id),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Returns true if leaving the value out means the same.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(object) => object.values().all(is_nothing),
        other => other.is_null(),
    }
}

fn says_nothing(node: &Node) -> bool {
    match &node.kind {
        Kind::Scalar(value, _) => matches!(value, Value::Null | Value::Bool(false)),
        Kind::List(items) => items.is_empty(),
        Kind::Object(_) | Kind::Alias(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FILE: &str = "# Ours\nversion: 1.0.0 # form\n\nfeatures:\n  # the dear one\n  - id: api-calls # id\n    name: 'API Calls'   # name\n    type: CONSUMABLE\n  - {id: sso, type: BINARY, name: SSO}\n\n# What we sell\npackages:\n  published:\n    - features: # first\n        - id: api-calls\n          limit: 1_0\n      id: pro\n      name: Prö # é\n";

    fn file() -> File {
        let text = FILE.replace("1_0", "10");
        let read = said(&text);
        assert!(read.is_ok());
        File { text, read }
    }

    fn edit(change: impl FnOnce(&mut Value)) -> Option<String> {
        let file = file();
        let mut value = file.read.as_ref().ok().unwrap().configuration.to_json("app");
        change(&mut value);
        let configuration = Configuration::read(&value).unwrap();
        edited(&file, &value, &configuration)
    }

    #[test]
    fn a_scalar_ends_with_its_closing_quote() {
        for (text, length) in [
            ("'a' # b'", Some(3)),
            ("'it''s' x", Some(7)),
            (r#""a\"b" # c"#, Some(6)),
            (r#""a\\" "b""#, Some(5)),
            ("'a", None),
        ] {
            assert_eq!(quoted_length(text), length, "{text}");
        }
    }

    #[test]
    fn values_are_changed_where_they_stand() {
        let text = edit(|value| {
            value["features"][0]["name"] = json!("Calls: all");
            value["features"][1]["name"] = json!("Sign-on");
            value["packages"]["published"][0]["features"][0]["limit"] = json!(2000);
            value["packages"]["published"][0]["name"] = json!("Pro");
        });
        let expected = FILE
            .replace("'API Calls'", "\"Calls: all\"")
            .replace("name: SSO", "name: Sign-on")
            .replace("1_0", "2000")
            .replace("Prö", "Pro");
        assert_eq!(text.unwrap(), expected);
        let unlimited = edit(|value| {
            value["packages"]["published"][0]["features"][0]["limit"] = json!(null);
        });
        assert_eq!(unlimited.unwrap(), FILE.replace("1_0", "null"));
    }

    #[test]
    fn items_are_added_at_the_end_of_their_list() {
        let text = edit(|value| {
            let features = value["features"].as_array_mut().unwrap();
            features.push(json!({ "id": "seats", "name": "Seats", "type": "CONSUMABLE" }));
            let inside = value["packages"]["published"][0]["features"].as_array_mut().unwrap();
            inside.push(json!({ "id": "sso" }));
        });
        let expected = FILE
            .replace(
                "name: SSO}\n",
                "name: SSO}\n  - id: seats\n    name: Seats\n    type: CONSUMABLE\n",
            )
            .replace("1_0\n", "10\n        - id: sso\n");
        assert_eq!(text.unwrap(), expected);
    }

    #[test]
    fn items_go_and_move_to_other_lists() {
        let text = "features: # all\n  - id: a\n    name: A\n    type: BINARY\n  # second\n  - id: b\n    name: B\n    type: BINARY # switch\n  - {id: c, name: C, type: BINARY}\npackages:\n  draft:\n    - id: p # soon\n      name: P\n      features: [{id: a}]\n    - id: q\n      name: Q\n      features: []\n  published: [] # none yet\naddons: {}\n";
        let file = File { text: text.to_owned(), read: said(text) };
        let mut value = file.read.as_ref().ok().unwrap().configuration.to_json("app");
        value["features"].as_array_mut().unwrap().remove(1);
        let p = value["packages"]["draft"].as_array_mut().unwrap().remove(0);
        value["packages"]["published"] = json!([p]);
        let configuration = Configuration::read(&value).unwrap();
        let expected = text
            .replace("  - id: b\n    name: B\n    type: BINARY # switch\n", "")
            .replace("    - id: p # soon\n      name: P\n      features: [{id: a}]\n", "")
            .replace(
                "  published: [] # none yet\n",
                "  published: # none yet\n    - id: p\n      name: P\n      features:\n        - id: a\n",
            );
        assert_eq!(edited(&file, &value, &configuration).unwrap(), expected);
    }

    #[test]
    fn a_list_whose_items_have_no_ids_is_changed_as_a_whole() {
        let text = "features:\n  - id: a\n    name: A # ours\n    type: CONSUMABLE\n    thresholds: [{percent: 80}, {left: 10}] # mail\n  - id: b\n    name: B\n    type: CONSUMABLE\n    thresholds:\n      - percent: 50 # half\npackages: {draft: []}\n";
        let file = File { text: text.to_owned(), read: said(text) };
        let before = file.read.as_ref().ok().unwrap().configuration.to_json("app");
        let edit = |change: &dyn Fn(&mut Value)| {
            let mut value = before.clone();
            change(&mut value);
            let configuration = Configuration::read(&value).unwrap();
            edited(&file, &value, &configuration)
        };
        let renamed = edit(&|value| value["features"][1]["name"] = json!("Bee"));
        assert_eq!(renamed.unwrap(), text.replace("name: B\n", "name: Bee\n"));
        let changed = edit(&|value| value["features"][0]["thresholds"] = json!([{ "left": 3 }]));
        let expected = text.replace("[{percent: 80}, {left: 10}]", "[{left: 3}]");
        assert_eq!(changed.unwrap(), expected);
        let in_a_block = edit(&|value| value["features"][1]["thresholds"] = json!([{ "left": 3 }]));
        assert_eq!(in_a_block, None);
    }

    #[test]
    fn what_is_carried_is_changed_in_place() {
        let text = |name, max, periods| {
            format!(
                "features: [{{id: a, name: {name}, type: CONSUMABLE}}]\npackages:\n  draft:\n    - id: p\n      name: P\n      features:\n        - {{id: a, limit: 9, reset_period: DAY, rollover: {{max: {max}, periods: {periods}}}}} # a day's\n"
            )
        };
        let edit = |text: &str, change: &dyn Fn(&mut Value)| {
            let file = File { text: text.to_owned(), read: said(text) };
            let mut value = file.read.as_ref().ok().unwrap().configuration.to_json("app");
            change(&mut value);
            edited(&file, &value, &Configuration::read(&value).unwrap())
        };
        let max = |value: &mut Value| {
            value["packages"]["draft"][0]["features"][0]["rollover"]["max"] = json!(7);
        };
        assert_eq!(edit(&text("A", 500, 2), &max), Some(text("A", 7, 2)));
        // A default that stands there stays.
        assert_eq!(edit(&text("A", 500, 1), &max), Some(text("A", 7, 1)));
        let periods = |value: &mut Value| {
            value["packages"]["draft"][0]["features"][0]["rollover"] = json!({ "max": 500 });
        };
        assert_eq!(edit(&text("A", 500, 2), &periods), None);
    }

    #[test]
    fn what_takes_more_is_not_edited() {
        assert_eq!(edit(|value| value["packages"]["published"] = json!([])), None);
        let order = |value: &mut Value| {
            value["packages"]["published"][0]["features"] =
                json!([{ "id": "sso" }, { "id": "api-calls", "limit": 10 }]);
        };
        assert_eq!(edit(order), None);
        assert_eq!(
            edit(|value| {
                value["packages"]["published"][0]["features"][0]["reset_period"] = json!("DAY");
            }),
            None
        );
    }
}
