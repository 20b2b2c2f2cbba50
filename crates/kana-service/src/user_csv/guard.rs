//! A spreadsheet must not run what a user is called: what it would take for a formula is written with a
//! `'` before it, and read without.

/// What begins a formula in a spreadsheet.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Returns what is written before a cell: `'` if it matches `^'*[=+\-@\t\r]`.
pub(super) fn before(cell: &str) -> &'static str {
    if cell.trim_start_matches('\'').starts_with(FORMULA) { "'" } else { "" }
}

/// Returns a cell as it was before it was written: without one `'` if it matches `^'+[=+\-@\t\r]`.
pub(super) fn without(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.trim_start_matches('\'').starts_with(FORMULA) => rest,
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_spreadsheet_would_run_gets_one_quote_and_loses_it_again() {
        for (cell, written) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@a", "'@a"),
            ("\ta", "'\ta"),
            ("\ra", "'\ra"),
            ("'=1", "''=1"),
            ("''@a", "'''@a"),
            ("'t Hooft", "'t Hooft"),
            ("'", "'"),
            ("''", "''"),
            ("a=1", "a=1"),
            ("", ""),
        ] {
            assert_eq!(format!("{}{cell}", before(cell)), written);
            assert_eq!(without(written), cell);
        }
        // What a person wrote without the guard is read as it is.
        assert_eq!(without("=1+1"), "=1+1");
    }

    proptest! {
        #[test]
        fn every_cell_is_read_as_it_was_written(cell in "['=+@\t\r a-]{0,6}") {
            let written = format!("{}{cell}", before(&cell));
            prop_assert_eq!(without(&written), cell);
        }
    }
}
