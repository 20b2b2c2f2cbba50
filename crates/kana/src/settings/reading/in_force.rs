//! The settings that are in force, and where each came from.

use std::collections::HashMap;

use clap::{Arg, ArgMatches};
use serde::Serialize;

use crate::settings::without_passwords;

/// Where a setting's value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    Flag,
    Variable,
    File,
    Default,
}

/// A setting with its value in force (contract: `operations.md`, "Settings").
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SettingInForce {
    /// The flag's name, without the dashes.
    pub(crate) name: String,
    /// With passwords hidden. `None` if there is none.
    pub(crate) value: Option<String>,
    pub(crate) source: Source,
    /// The flag, the variable, or the file.
    pub(crate) from: Option<String>,
    /// What a number may be.
    #[serde(skip)]
    pub(crate) range: Option<String>,
}

/// Returns the settings of a command. `matches` are those of the last parse; `given` says where a value
/// came from that is not the default.
pub(super) fn in_force(
    settings: &[&Arg],
    matches: &ArgMatches,
    given: &HashMap<String, (Source, String)>,
) -> Vec<SettingInForce> {
    let in_force = settings.iter().map(|arg| {
        let id = arg.get_id().as_str();
        let (source, from) = match given.get(id) {
            Some((source, from)) => (*source, Some(from.clone())),
            None => (Source::Default, None),
        };
        let value = value_of(matches, id).map(|value| without_passwords(&value, [value.as_str()]));
        let name = arg.get_long().unwrap_or(id).to_owned();
        SettingInForce { name, value, source, from, range: range(arg) }
    });
    in_force.collect()
}

/// Returns a value as it was given, wherever in the chain of subcommands it stands.
fn value_of(matches: &ArgMatches, id: &str) -> Option<String> {
    if let Some((_, below)) = matches.subcommand()
        && let Some(value) = value_of(below, id)
    {
        return Some(value);
    }
    let mut values = matches.try_get_raw(id).ok()??;
    Some(values.next()?.to_string_lossy().into_owned())
}

/// Returns the range that the help of a number gives: `1 to 3650`.
pub(super) fn range(arg: &Arg) -> Option<String> {
    let help = arg.get_long_help().or_else(|| arg.get_help())?.to_string();
    let words: Vec<&str> =
        help.split_whitespace().map(|word| word.trim_matches(['.', ','])).collect();
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    words.windows(3).find_map(|words| match words {
        [from, "to", to] if is_number(from) && is_number(to) => Some(format!("{from} to {to}")),
        _ => None,
    })
}
