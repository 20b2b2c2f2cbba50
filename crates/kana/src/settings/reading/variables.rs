//! Environment variables that look like settings.

use std::ffi::OsString;

use super::nearest::nearest;

/// How the name of each variable of ours begins.
const PREFIX: &str = "KANA_";
/// Variables that are no settings: what `kana init` prints, and what the commands for pricing as code
/// read.
const OTHERS: [&str; 6] = [
    "KANA_URL",
    "KANA_DEV_URL",
    "KANA_DEV_KEY",
    "KANA_DEV_PUBLIC_KEY",
    "KANA_LIVE_KEY",
    "KANA_LIVE_PUBLIC_KEY",
];
/// The maximum number of warnings, and of characters of a name in one.
const WARNINGS_MAX: usize = 20;
const NAME_CHARS_MAX: usize = 100;

/// Returns a warning for each variable that has a name like ours and is not known, in the order of their
/// names. Such a variable is no error: for a service called `kana`, Kubernetes sets `KANA_PORT`.
pub(super) fn unknown(set: impl Iterator<Item = OsString>, settings: &[String]) -> Vec<String> {
    let known = || settings.iter().map(String::as_str).chain(OTHERS);
    let names = set.map(|name| name.to_string_lossy().into_owned());
    let mut unknown: Vec<String> = names
        .filter(|name| name.starts_with(PREFIX) && known().all(|known| known != name))
        .collect();
    unknown.sort_unstable();
    let warnings = unknown.iter().take(WARNINGS_MAX).map(|name| {
        let nearest = nearest(name, known()).unwrap_or_default();
        let name: String = name.chars().take(NAME_CHARS_MAX).collect();
        let name = name.escape_debug();
        format!(
            "the environment variable {name} is not known, and ignored; the nearest is {nearest}"
        )
    });
    warnings.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_with_a_slip_is_named_with_what_was_meant() {
        let settings = ["KANA_LISTEN".to_owned(), "KANA_EVENTS_DAYS".to_owned()];
        let set =
            ["KANA_LISTNE", "PATH", "KANA_LISTEN", "KANA_URL", "KANA_EVENT_DAYS", "kana_listen"];
        let warnings = unknown(set.into_iter().map(OsString::from), &settings);
        assert_eq!(
            warnings,
            [
                "the environment variable KANA_EVENT_DAYS is not known, and ignored; the nearest is \
                 KANA_EVENTS_DAYS",
                "the environment variable KANA_LISTNE is not known, and ignored; the nearest is \
                 KANA_LISTEN",
            ]
        );
    }

    #[test]
    fn many_or_strange_names_make_few_and_short_warnings() {
        let set = (0..100).map(|number| format!("KANA_{number}\n{}", "x".repeat(1000)));
        let warnings = unknown(set.map(OsString::from), &[]);
        assert_eq!(warnings.len(), WARNINGS_MAX);
        assert!(warnings.iter().all(|warning| warning.len() < 300 && !warning.contains('\n')));
    }
}
