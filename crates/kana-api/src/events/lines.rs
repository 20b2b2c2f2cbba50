use axum::body::Bytes;
use memchr::memchr;

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Whole(&'a [u8]),
    /// It is longer than a line may be, and was not kept.
    TooLong,
}

/// Cuts what arrives in pieces into lines. Most lines are lent from the piece that they stand in;
/// of one that goes on in the next piece, no more is kept than a line may have.
pub(super) struct Lines {
    bytes_max: usize,
    piece: Bytes,
    /// Where the next line of the piece starts.
    position: usize,
    /// The start of a line that was not yet ended.
    start: Vec<u8>,
    /// Whether `start` has been handed out as a whole line.
    start_is_done: bool,
    /// Whether the line that was not yet ended is too long already.
    is_too_long: bool,
}

impl Lines {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            piece: Bytes::new(),
            position: 0,
            start: Vec::new(),
            start_is_done: false,
            is_too_long: false,
        }
    }

    /// Takes the next piece. Call it when [`next`](Self::next) has no more lines.
    pub(super) fn feed(&mut self, piece: Bytes) {
        self.piece = piece;
        self.position = 0;
    }

    /// The next line that has its end.
    pub(super) fn next(&mut self) -> Option<Line<'_>> {
        if self.start_is_done {
            self.start.clear();
            self.start_is_done = false;
        }
        let rest = &self.piece[self.position..];
        let Some(length) = memchr(b'\n', rest) else {
            self.position = self.piece.len();
            self.is_too_long |= self.start.len() + rest.len() > self.bytes_max;
            if self.is_too_long {
                self.start = Vec::new();
            } else {
                self.start.extend_from_slice(rest);
            }
            return None;
        };
        self.position += length + 1;
        if std::mem::take(&mut self.is_too_long) || self.start.len() + length > self.bytes_max {
            self.start_is_done = true;
            return Some(Line::TooLong);
        }
        if self.start.is_empty() {
            return Some(Line::Whole(&rest[..length]));
        }
        self.start.extend_from_slice(&rest[..length]);
        self.start_is_done = true;
        Some(Line::Whole(&self.start))
    }

    /// After the last piece: the line that has no end, if there is one.
    pub(super) fn last(&mut self) -> Option<Line<'_>> {
        if self.is_too_long {
            return Some(Line::TooLong);
        }
        let is_blank = self.start_is_done || self.start.trim_ascii().is_empty();
        (!is_blank).then_some(Line::Whole(&self.start))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 8;

    /// The lines of a text that arrives in these pieces; `None` for one that is too long.
    fn lines(pieces: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
        let keep = |line: Line<'_>| match line {
            Line::Whole(text) => Some(text.to_vec()),
            Line::TooLong => None,
        };
        let mut lines = Lines::new(MAX);
        let mut found = Vec::new();
        for piece in pieces {
            lines.feed(Bytes::copy_from_slice(piece));
            while let Some(line) = lines.next() {
                found.push(keep(line));
            }
            assert!(lines.start.len() <= MAX, "no more is kept than a line may have");
        }
        found.extend(lines.last().map(keep));
        found
    }

    #[test]
    fn lines_are_whole_wherever_the_pieces_end() {
        let expected = [Some(b"ab".to_vec()), Some(b"".to_vec()), Some(b"c".to_vec())];
        for pieces in [
            &[b"ab\n\nc\n".as_slice()][..],
            &[b"ab\n\nc"],
            &[b"a", b"b", b"\n", b"\n", b"c"],
            &[b"", b"ab\n", b"", b"\nc\n", b""],
        ] {
            assert_eq!(lines(pieces), expected, "{pieces:?}");
        }
        assert_eq!(lines(&[]), []);
        assert_eq!(lines(&[b"  "]), []);
    }

    #[test]
    fn a_line_that_is_too_long_takes_nothing_with_it() {
        let fits = Some(b"12345678".to_vec());
        for pieces in [
            &[b"12345678\n123456789\n12345678\n".as_slice()][..],
            &[b"1234", b"5678\n1234", b"56789", b"0", b"\n", b"12345678"],
            &[b"12345678", b"\n12345678", b"9\n", b"12345678\n"],
        ] {
            assert_eq!(lines(pieces), [fits.clone(), None, fits.clone()], "{pieces:?}");
        }
        assert_eq!(lines(&[b"12345678", b"9"]), [None]);
    }

    proptest! {
        #[test]
        fn the_pieces_do_not_matter(
            text in "[ab\n]{0,60}",
            cuts in prop::collection::vec(0_usize..60, 0..10),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < text.len()).collect();
            cuts.sort_unstable();
            let (mut pieces, mut from) = (Vec::new(), 0);
            for cut in cuts.into_iter().chain([text.len()]) {
                pieces.push(&text.as_bytes()[from..cut]);
                from = cut;
            }
            let fits = |line: &str| (line.len() <= MAX).then(|| line.as_bytes().to_vec());
            let mut expected: Vec<_> = text.split('\n').map(fits).collect();
            if text.is_empty() || text.ends_with('\n') {
                expected.pop();
            }
            prop_assert_eq!(lines(&pieces), expected);
        }
    }
}
