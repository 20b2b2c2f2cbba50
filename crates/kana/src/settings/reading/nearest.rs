//! The known name that a wrong one probably means.

use strsim::damerau_levenshtein;

/// Returns the name that takes the fewest changes to write, the first of several in the order of the
/// alphabet.
pub(super) fn nearest<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    known.into_iter().min_by_key(|name| (damerau_levenshtein(wrong, name), *name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_nearest_to_what_was_meant() {
        let known = ["data_dir", "listen", "events_days", "changes_days"];
        for (wrong, meant) in
            [("listne", "listen"), ("datadir", "data_dir"), ("event_days", "events_days")]
        {
            assert_eq!(nearest(wrong, known), Some(meant));
        }
        assert_eq!(nearest("listen", []), None);
    }
}
