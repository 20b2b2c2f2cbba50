//! The file of settings, `kana.toml`. Its keys are the flags' names with underscores.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;

use super::nearest::nearest;

/// The file in the working directory.
const DEFAULT: &str = "kana.toml";

/// Reads a file's text.
pub(super) type ReadText<'a> = &'a dyn Fn(&Path) -> std::io::Result<String>;

/// The settings of a file, each in the form of a flag's value.
#[derive(Debug, Default)]
pub(super) struct SettingsFile {
    /// The file's name in messages.
    pub(super) name: String,
    pub(super) values: HashMap<String, String>,
}

/// Reads the file `chosen` by a setting, which must exist, else the one in the working directory.
/// `known` are the settings that a file may have. Returns a message for each thing that is wrong.
pub(super) fn read(
    chosen: Option<&Path>,
    read_text: ReadText<'_>,
    known: &[&str],
) -> Result<SettingsFile, Vec<String>> {
    let path = chosen.unwrap_or_else(|| Path::new(DEFAULT));
    let name: String = path.display().to_string().escape_debug().collect();
    let text = match read_text(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && chosen.is_none() => String::new(),
        Err(error) => {
            return Err(vec![format!("the settings file {name} cannot be read: {error}")]);
        }
    };
    let values = parse(&text, &name, known)?;
    Ok(SettingsFile { name, values })
}

fn parse(text: &str, file: &str, known: &[&str]) -> Result<HashMap<String, String>, Vec<String>> {
    // The parser's whole message quotes a line of the file, which may have a password.
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let message = error.message().lines().next().unwrap_or_default();
        vec![format!("{file}, line {line}: it is not valid TOML: {message}")]
    })?;
    let mut values = HashMap::new();
    let mut wrong = Vec::new();
    for (name, value) in &table {
        if !known.contains(&name.as_str()) {
            let nearest = nearest(name, known.iter().copied()).unwrap_or_default();
            wrong.push(format!(
                "{file}: there is no setting {name:?}; the nearest is {nearest}. See kana serve --help"
            ));
        } else if let Some(value) = as_flag(value) {
            values.insert(name.clone(), value);
        } else {
            wrong.push(format!(
                "{file}: {name} must be a string, a number, true, false or a list of strings"
            ));
        }
    }
    wrong.sort_unstable();
    if wrong.is_empty() { Ok(values) } else { Err(wrong) }
}

/// Converts a value of the file to the form of a flag's value.
fn as_flag(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Array(items) => {
            let items: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            items.map(|items| items.join(","))
        }
        _ => None,
    }
}
