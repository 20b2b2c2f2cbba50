//! Whether two sets of records are the same, in whatever order they come.

use std::fmt;

use sha2::{Digest, Sha256};

use super::batch::Counts;
use super::hex;
use super::kinds::Kind;

/// The sum of the records' SHA-256 hashes, each taken as four numbers of 64 bits, little-endian,
/// which are added one by one and wrap around.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checksum([u64; 4]);

impl Checksum {
    fn add(&mut self, line: &[u8]) {
        let hash = Sha256::digest(line);
        for (lane, part) in self.0.iter_mut().zip(hash.as_chunks::<8>().0) {
            *lane = lane.wrapping_add(u64::from_le_bytes(*part));
        }
    }

    /// Reads a checksum as it is shown.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = hex::parse(text)?;
        let mut lanes = [0; 4];
        let (parts, rest) = bytes.as_chunks::<8>();
        if parts.len() != lanes.len() || !rest.is_empty() {
            return None;
        }
        for (lane, part) in lanes.iter_mut().zip(parts) {
            *lane = u64::from_le_bytes(*part);
        }
        Some(Self(lanes))
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<u8> = self.0.iter().flat_map(|lane| lane.to_le_bytes()).collect();
        f.write_str(&hex::write(&bytes))
    }
}

/// What records come to: two databases with the same tally hold the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many records.
    pub counts: Counts,
    /// Which.
    pub checksum: Checksum,
}

impl Tally {
    /// Adds a record by its line, without the line's end.
    pub(crate) fn add(&mut self, kind: Kind, line: &[u8]) {
        self.counts.add(kind, 1);
        self.checksum.add(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_knows_every_record_and_no_order() {
        let tally = |lines: &[&str]| {
            let mut tally = Tally::default();
            lines.iter().for_each(|line| tally.add(Kind::User, line.as_bytes()));
            tally
        };
        assert_eq!(tally(&["a", "b", "c"]), tally(&["c", "a", "b"]));
        for other in [&["a", "b"][..], &["a", "b", "b"], &["a", "b", "c", "c"], &["a", "bc"]] {
            assert_ne!(tally(&["a", "b", "c"]).checksum, tally(other).checksum, "{other:?}");
        }
    }

    #[test]
    fn a_checksum_is_read_as_it_is_shown() {
        let mut tally = Tally::default();
        // SHA-256 of "abc", as everybody knows it.
        tally.add(Kind::User, b"abc");
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(tally.checksum.to_string(), text);
        assert_eq!(Checksum::parse(text), Some(tally.checksum));
        for other in ["", &text[1..], &text[2..], &text.to_uppercase(), &text.replace('b', "x")] {
            assert_eq!(Checksum::parse(other), None, "{other}");
        }
    }
}
