//! Lists, 50 rows a page, by key.

use crate::address::Address;

/// Rows of a page.
pub(crate) const ROWS: usize = 50;

/// Leads through a list.
pub(crate) struct Pages {
    /// How many rows, in which order.
    pub(crate) order: &'static str,
    /// The first page, where this is another.
    pub(crate) first: Option<Address>,
    /// The next page, where there is one.
    pub(crate) next: Option<Address>,
}

impl Pages {
    /// Cuts a page out of a whole list that is sorted by its key: the rows after the one with the key
    /// `after`, which need not be there any more.
    pub(crate) fn cut<T>(
        rows: Vec<T>,
        key: impl Fn(&T) -> &str,
        after: &str,
        list: &Address,
        order: &'static str,
    ) -> (Vec<T>, Self) {
        let start = rows.partition_point(|row| key(row) <= after);
        let start = if after.is_empty() { 0 } else { start };
        let has_more = rows.len() > start + ROWS;
        let rows: Vec<T> = rows.into_iter().skip(start).take(ROWS).collect();
        let last = rows.last().filter(|_| has_more).map(&key);
        let pages = Self {
            order,
            first: (start > 0).then(|| list.clone()),
            next: last.map(|last| list.clone().with("after", last)),
        };
        (rows, pages)
    }
}

/// The characters that a list of names may take in a cell.
const NAMES_CHARS_MAX: usize = 80;

/// Returns names with commas, as many as fit into a cell, and how many more there are.
pub(crate) fn as_many_as_fit(names: &[&str]) -> String {
    let mut text = String::new();
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        if index > 0 && text.chars().count() + name.chars().count() > NAMES_CHARS_MAX {
            return format!("{text}and {} more", names.len() - index);
        }
        text.extend(name.chars().take(NAMES_CHARS_MAX));
        if name.chars().count() > NAMES_CHARS_MAX {
            text.push('…');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use kana_service::EnvironmentKind;

    use super::*;

    #[test]
    fn a_page_goes_on_after_a_key_also_when_its_row_is_gone() {
        let names: Vec<String> = (0..120).map(|number| format!("f-{number:03}")).collect();
        let list = Address::of(EnvironmentKind::Test, "/features");
        let cut = |after: &str| {
            let rows: Vec<&str> = names.iter().map(String::as_str).collect();
            Pages::cut(rows, |row| *row, after, &list, "by name")
        };
        let (rows, pages) = cut("");
        assert_eq!((rows.len(), rows[0]), (50, "f-000"));
        assert!(pages.first.is_none());
        assert_eq!(pages.next.unwrap().as_str(), "/dashboard/test/features?after=f-049");
        let (rows, pages) = cut("f-0995");
        assert_eq!((rows.len(), rows[0]), (20, "f-100"));
        assert!(pages.first.is_some() && pages.next.is_none());
        assert!(cut("g").0.is_empty());
    }

    #[test]
    fn names_are_listed_as_far_as_they_fit() {
        let long = "x".repeat(90);
        let cut = format!("{}…", &long[..80]);
        assert_eq!(as_many_as_fit(&[]), "");
        assert_eq!(as_many_as_fit(&["Free", "Pro"]), "Free, Pro");
        assert_eq!(as_many_as_fit(&[&long]), cut);
        assert_eq!(as_many_as_fit(&[&long, "Pro", "Free"]), format!("{cut}, and 2 more"));
    }
}
