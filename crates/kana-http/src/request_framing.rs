//! Follows the bytes of a connection, to find heads that give the length of their body twice.
//!
//! hyper takes a `Content-Length` beside `Transfer-Encoding`, and two equal ones, and removes one of them
//! before a handler sees the request. A proxy in front of the server may go by the other, and would then
//! disagree about where the next request begins (request smuggling). So lines of heads are looked at as they
//! arrive. Bodies are skipped by their length, so what they contain does not matter.
//!
//! A request that hyper accepts ends here where it ends for hyper. What hyper refuses closes the connection, so
//! it does not matter what is made of the bytes that follow.

use memchr::memchr_iter;

/// How much of a line is kept until its end arrives: enough for each name and number that counts.
const KEPT_BYTES_MAX: usize = 64;

/// What the bytes that come next are part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The first line of a head. Empty lines may precede it.
    RequestLine,
    HeaderLine,
    /// A body of which so many bytes are left.
    Body(u64),
    ChunkSize,
    /// A chunk of which so many bytes are left, with the end of its line.
    Chunk(u64),
    Trailer,
    /// Nothing that is looked at: something was found.
    Over,
}

/// What was found. Nothing is found after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The head of this request gives the length of its body twice. The first request is 1.
    TwoLengths { request: u64 },
    /// It is not known where the request ends that arrives, so those after it cannot be checked.
    EndUnknown,
}

/// Where the requests of a connection begin and end.
#[derive(Debug)]
pub(crate) struct RequestFraming {
    place: Place,
    /// Heads that have ended.
    heads: u64,
    /// `Content-Length` lines of this head.
    lengths: u32,
    /// The value of the last of them, if it is a number.
    length: Option<u64>,
    /// Whether this head has a `Transfer-Encoding`. The only one that hyper accepts is `chunked`.
    is_chunked: bool,
    kept: KeptLine,
}

impl Default for RequestFraming {
    fn default() -> Self {
        Self {
            place: Place::RequestLine,
            heads: 0,
            lengths: 0,
            length: None,
            is_chunked: false,
            kept: KeptLine::EMPTY,
        }
    }
}

impl RequestFraming {
    /// Takes the bytes that were read next.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) -> Option<Finding> {
        while !bytes.is_empty() {
            match self.place {
                Place::Over => return None,
                Place::Body(left) => {
                    let left = skip(&mut bytes, left);
                    self.place = if left == 0 { Place::RequestLine } else { Place::Body(left) };
                }
                Place::Chunk(left) => {
                    let left = skip(&mut bytes, left);
                    self.place = if left == 0 { Place::ChunkSize } else { Place::Chunk(left) };
                }
                Place::RequestLine | Place::HeaderLine | Place::ChunkSize | Place::Trailer => {
                    let found = self.read_lines(&mut bytes);
                    if found.is_some() {
                        self.place = Place::Over;
                        return found;
                    }
                }
            }
        }
        None
    }

    /// Takes the bytes up to the end of the last line before a body, or all of them.
    fn read_lines(&mut self, bytes: &mut &[u8]) -> Option<Finding> {
        let all = *bytes;
        let mut start = 0;
        for end in memchr_iter(b'\n', all) {
            let line = all.get(start..end).unwrap_or_default();
            start = end + 1;
            if self.place == Place::HeaderLine && self.kept.length == 0 && is_of_no_interest(line) {
                continue;
            }
            if let Some(found) = self.end_line(line) {
                return Some(found);
            }
            if matches!(self.place, Place::Body(_) | Place::Chunk(_)) {
                *bytes = all.get(start..).unwrap_or_default();
                return None;
            }
        }
        self.kept.push(all.get(start..).unwrap_or_default());
        *bytes = &[];
        None
    }

    /// Takes the rest of a line.
    fn end_line(&mut self, rest: &[u8]) -> Option<Finding> {
        if self.kept.length == 0 {
            return self.take(Line::of(rest));
        }
        self.kept.push(rest);
        let kept = std::mem::replace(&mut self.kept, KeptLine::EMPTY);
        self.take(kept.line())
    }

    fn take(&mut self, line: Line<'_>) -> Option<Finding> {
        match self.place {
            Place::RequestLine => {
                if !line.is_empty() {
                    self.place = Place::HeaderLine;
                }
            }
            Place::HeaderLine if line.is_empty() => return self.end_head(),
            Place::HeaderLine => self.take_header(&line),
            Place::ChunkSize => {
                self.place = match line.chunk_size() {
                    Some(0) => Place::Trailer,
                    // The end of the line after the chunk.
                    Some(size) => Place::Chunk(size.saturating_add(2)),
                    None => return Some(Finding::EndUnknown),
                };
            }
            Place::Trailer if !line.has_return => return Some(Finding::EndUnknown),
            Place::Trailer => {
                if line.is_empty() {
                    self.place = Place::RequestLine;
                }
            }
            Place::Body(_) | Place::Chunk(_) | Place::Over => {}
        }
        None
    }

    fn take_header(&mut self, line: &Line<'_>) {
        match line.start.first() {
            Some(b'c' | b'C') => {
                if let Some(value) = line.value_of(b"content-length") {
                    self.lengths += 1;
                    self.length = if line.is_whole { number(value) } else { None };
                }
            }
            Some(b't' | b'T') => {
                self.is_chunked |= line.value_of(b"transfer-encoding").is_some();
            }
            _ => {}
        }
    }

    fn end_head(&mut self) -> Option<Finding> {
        self.heads += 1;
        let (lengths, length) = (self.lengths, self.length);
        let is_chunked = self.is_chunked;
        (self.lengths, self.length, self.is_chunked) = (0, None, false);
        self.place = match (is_chunked, lengths, length) {
            (true, 0, _) => Place::ChunkSize,
            (false, 0, _) | (false, 1, Some(0)) => Place::RequestLine,
            (false, 1, Some(length)) => Place::Body(length),
            (false, 1, None) => return Some(Finding::EndUnknown),
            _ => return Some(Finding::TwoLengths { request: self.heads }),
        };
        None
    }
}

/// Returns true for most lines of a head, at one look: they are neither empty nor do they give a length.
fn is_of_no_interest(line: &[u8]) -> bool {
    line.first().is_some_and(|first| !matches!(first, b'c' | b'C' | b't' | b'T' | b'\r'))
}

/// Skips up to `left` bytes. Returns how many are left to skip.
fn skip(bytes: &mut &[u8], left: u64) -> u64 {
    let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    *bytes = bytes.get(count..).unwrap_or_default();
    left - count as u64
}

/// Reads a number in digits alone, with spaces and tabs around it.
fn number(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    let add = |number: u64, digit: &u8| {
        let digit = u64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
        number.checked_mul(10)?.checked_add(digit)
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, add) }
}

/// A line without its end.
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    start: &'a [u8],
    /// Whether `start` is all of it.
    is_whole: bool,
    /// Whether it ended with `\r\n`, and not with `\n` alone.
    has_return: bool,
}

impl<'a> Line<'a> {
    fn of(line: &'a [u8]) -> Self {
        let without = line.strip_suffix(b"\r");
        Self { start: without.unwrap_or(line), is_whole: true, has_return: without.is_some() }
    }

    fn is_empty(&self) -> bool {
        self.start.is_empty()
    }

    /// Returns what follows `name` and a colon, if the line begins with these, in any case.
    fn value_of(&self, name: &[u8]) -> Option<&'a [u8]> {
        // One look tells most names apart: few have the colon at the same place.
        if self.start.get(name.len()) != Some(&b':') {
            return None;
        }
        let (start, value) = self.start.split_at_checked(name.len())?;
        start.eq_ignore_ascii_case(name).then(|| value.get(1..)).flatten()
    }

    fn chunk_size(&self) -> Option<u64> {
        let digits = self.start.iter().take_while(|digit| digit.is_ascii_hexdigit()).count();
        // A line that is cut off within its number is longer than any number.
        let digits = std::str::from_utf8(self.start.get(..digits)?).ok()?;
        self.has_return.then_some(digits).and_then(|digits| u64::from_str_radix(digits, 16).ok())
    }
}

/// The start of a line whose end has not arrived.
#[derive(Debug)]
struct KeptLine {
    start: [u8; KEPT_BYTES_MAX],
    /// The length of all of it.
    length: usize,
    last: u8,
}

impl KeptLine {
    const EMPTY: Self = Self { start: [0; KEPT_BYTES_MAX], length: 0, last: 0 };

    fn push(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        let room = self.start.get_mut(self.length..).unwrap_or_default();
        for (place, byte) in room.iter_mut().zip(bytes) {
            *place = *byte;
        }
        self.length = self.length.saturating_add(bytes.len());
        self.last = *last;
    }

    fn line(&self) -> Line<'_> {
        match self.start.get(..self.length) {
            Some(line) => Line::of(line),
            None => Line { start: &self.start, is_whole: false, has_return: self.last == b'\r' },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns what is found if the bytes arrive in pieces of this size.
    fn found_in_pieces(bytes: &[u8], size: usize) -> Option<Finding> {
        let mut framing = RequestFraming::default();
        bytes.chunks(size).find_map(|piece| framing.read(piece))
    }

    fn found(text: &str) -> Option<Finding> {
        let found = found_in_pieces(text.as_bytes(), usize::MAX);
        for size in 1..text.len() {
            assert_eq!(found_in_pieces(text.as_bytes(), size), found, "{size} bytes: {text:?}");
        }
        found
    }

    fn two_lengths(request: u64) -> Option<Finding> {
        Some(Finding::TwoLengths { request })
    }

    #[test]
    fn a_head_with_two_lengths_is_found() {
        for lines in [
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            "content-length:1\r\nA: b\r\nCONTENT-LENGTH:  1 \r\n",
            "Content-Length: 1\nContent-Length: 2\n",
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
            "transfer-encoding:gzip\r\ntransfer-encoding:chunked\r\nContent-Length: x\r\n",
            "Content-Length: 1\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
        ] {
            let head = format!("POST / HTTP/1.1\r\nHost: kana\r\n{lines}\r\n");
            assert_eq!(found(&head), two_lengths(1), "{lines}");
            let later = format!("GET / HTTP/1.1\r\n\r\n\r\n\n{head}");
            assert_eq!(found(&later), two_lengths(2), "{lines}");
        }
    }

    #[test]
    fn a_request_with_one_length_or_none_is_followed_whatever_its_body_holds() {
        let two = "\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n";
        let (length, last) = (two.len(), format!("{two}x"));
        for request in [
            "GET / HTTP/1.1\r\nHost: kana\r\n\r\n".to_owned(),
            "GET / HTTP/1.1\nHost: kana\n\n".to_owned(),
            "GET /content-length:1 HTTP/1.1\r\nX-Content-Length: 1\r\nContent-Lengths: 1\r\n\
             Content-Length: 0\r\nTE: trailers\r\nTransfer-Encodings: a\r\n\r\n"
                .to_owned(),
            format!("POST / HTTP/1.1\r\nContent-Length: \t{length} \t\r\n\r\n{two}"),
            format!("POST / HTTP/1.1\r\nContent-Length: 000{length}\r\n\r\n{two}"),
            format!(
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{length:X};a=\"b\"\r\n{two}\r\n\
                 0001 \t\r\n\r\r\n00\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"
            ),
        ] {
            assert_eq!(found(&request.repeat(2)), None, "{request}");
            assert_eq!(found(&format!("{request}{request}{last}")), two_lengths(3), "{request}");
        }
    }

    #[test]
    fn where_a_request_ends_is_unknown_only_if_hyper_refuses_it_or_it_is_absurd() {
        for request in [
            "POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length:\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\na: b\n\r\n",
        ] {
            assert_eq!(found(request), Some(Finding::EndUnknown), "{request:?}");
        }
        // Of a line that arrives in pieces, not all is kept.
        let wide = format!("POST / HTTP/1.1\r\nContent-Length: {}0\r\n\r\n", " ".repeat(64));
        assert_eq!(found_in_pieces(wide.as_bytes(), usize::MAX), None);
        assert_eq!(found_in_pieces(wide.as_bytes(), 50), Some(Finding::EndUnknown));
        let long = format!("0;{}\r\n{}: a\r\n\r\n", "x".repeat(100), "y".repeat(100));
        let long = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{long}");
        assert_eq!(found(&long.repeat(2)), None);
    }

    /// Bodies that look like heads, among others.
    fn body() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "Content-Length: 1\r\n",
            "Transfer-Encoding: chunked\r\n",
            "\r\n",
            "\n",
            "\r",
            "0\r\n\r\n",
            "POST / HTTP/1.1\r\n",
            "x",
        ]);
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    fn header() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "Host: kana\r\n",
            "cookie: content-length: 1\r\n",
            "Content-Type: a\n",
            "Te: trailers\r\n",
            "x-content-length: 1\r\n",
        ])
    }

    /// Requests that are valid, but for an end of line without `\r`.
    fn request() -> impl Strategy<Value = String> {
        let headers = prop::collection::vec(header(), 0..4);
        let framing = (0..3, prop::collection::vec(body(), 1..4), 0..3_usize);
        (headers, framing, body()).prop_map(|(headers, (kind, chunks, blanks), trailer)| {
            let start = format!("{}POST / HTTP/1.1\r\n{}", "\r\n".repeat(blanks), headers.concat());
            let body = chunks.concat();
            match kind {
                0 => format!("{start}\r\n"),
                1 => format!("{start}conTent-length: {}\r\n\r\n{body}", body.len()),
                _ => {
                    let mut request = format!("{start}transfer-encoding: chunked\r\n\r\n");
                    for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
                        request.push_str(&format!("{:x}\r\n{chunk}\r\n", chunk.len()));
                    }
                    format!("{request}0\r\nA: {}\r\n\r\n", trailer.replace(['\r', '\n'], ""))
                }
            }
        })
    }

    proptest! {
        #[test]
        fn only_the_request_with_two_lengths_is_found(
            requests in prop::collection::vec(request(), 0..5),
            cuts in prop::collection::vec(1..60_usize, 0..30),
        ) {
            let bad = "GET / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n";
            let (good, number) = (requests.concat(), requests.len() as u64 + 1);
            for (text, expected) in [(good.clone(), None), (good + bad, two_lengths(number))] {
                let (mut framing, mut rest) = (RequestFraming::default(), text.as_bytes());
                let mut finding = None;
                for cut in &cuts {
                    let (piece, left) = rest.split_at(rest.len().min(*cut));
                    finding = finding.or(framing.read(piece));
                    rest = left;
                }
                prop_assert_eq!(finding.or_else(|| framing.read(rest)), expected);
            }
        }

        #[test]
        fn how_bytes_are_cut_does_not_matter(text in body(), size in 1..9_usize) {
            let head = format!("POST / HTTP/1.1\r\n{text}");
            let whole = found_in_pieces(head.as_bytes(), usize::MAX);
            prop_assert_eq!(found_in_pieces(head.as_bytes(), size), whole);
        }
    }
}
