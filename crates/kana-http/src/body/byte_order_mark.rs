//! Strips the UTF-8 byte order mark that some clients write before their JSON. It is not part of
//! JSON, and a reader may ignore it (RFC 8259, section 8.1).

use axum::body::Bytes;

const MARK: &[u8] = b"\xEF\xBB\xBF";

/// Removes a byte order mark from the start of a body.
fn strip(body: Bytes) -> Bytes {
    if body.starts_with(MARK) { body.slice(MARK.len()..) } else { body }
}

/// Removes a byte order mark from the start of a body that arrives in pieces.
#[derive(Debug, Default)]
pub(crate) struct MarkStripper {
    /// How many bytes were held back because they may be part of a mark.
    held: usize,
    is_done: bool,
}

impl MarkStripper {
    /// Returns the piece without the mark. Holds back bytes that may turn out to be part of it.
    pub(crate) fn strip(&mut self, piece: Bytes) -> Bytes {
        if self.is_done {
            return piece;
        }
        let piece = match self.held {
            0 => piece,
            held => [&MARK[..held], &piece].concat().into(),
        };
        if piece.len() < MARK.len() && MARK.starts_with(&piece) {
            self.held = piece.len();
            return Bytes::new();
        }
        self.held = 0;
        self.is_done = true;
        strip(piece)
    }

    /// Returns the bytes that are still held back after the last piece, if any.
    pub(crate) fn rest(&mut self) -> Option<Bytes> {
        let held = std::mem::take(&mut self.held);
        (held > 0).then(|| Bytes::from_static(&MARK[..held]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Strips the pieces and returns the result as a whole.
    fn stripped(pieces: &[&'static [u8]]) -> Vec<u8> {
        let mut stripper = MarkStripper::default();
        let mut all = Vec::new();
        for piece in pieces {
            all.extend_from_slice(&stripper.strip(Bytes::from_static(piece)));
        }
        all.extend_from_slice(&stripper.rest().unwrap_or_default());
        all
    }

    #[test]
    fn the_mark_is_taken_from_the_beginning_wherever_the_pieces_end() {
        for pieces in [
            &[b"\xEF\xBB\xBFa\xEF\xBB\xBFb".as_slice()][..],
            &[b"\xEF", b"\xBB\xBFa\xEF\xBB\xBFb"],
            &[b"\xEF\xBB", b"\xBF", b"a\xEF\xBB\xBFb"],
            &[b"", b"\xEF", b"", b"\xBB", b"\xBF", b"a", b"\xEF\xBB\xBFb"],
            &[b"a", b"\xEF\xBB\xBF", b"b"],
        ] {
            assert_eq!(stripped(pieces), b"a\xEF\xBB\xBFb", "{pieces:?}");
        }
    }

    #[test]
    fn what_only_begins_like_the_mark_is_kept() {
        for pieces in
            [&[b"\xEF\xBBa".as_slice()][..], &[b"\xEF", b"\xBB", b"a"], &[b"\xEF", b"\xBBa"]]
        {
            assert_eq!(stripped(pieces), b"\xEF\xBBa", "{pieces:?}");
        }
        assert_eq!(stripped(&[b"\xEF", b"\xBB"]), b"\xEF\xBB");
        assert_eq!(stripped(&[b"\xEF\xBB\xBF"]), b"");
        assert_eq!(stripped(&[]), b"");
    }
}
