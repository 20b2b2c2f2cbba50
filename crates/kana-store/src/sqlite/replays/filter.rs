//! The filter of a run: says of most keys that are not in it that they are not (a blocked Bloom filter).
//!
//! A hash belongs to one line, which is a cache line; the lines stand in the order of the hashes. So a
//! filter is written along with its run, in parts.

use super::hash::place;

/// The number of bits for each key. Of the keys that are not in a run, about one in 400 seems to be.
const BITS_PER_KEY: u64 = 14;
const WORDS: usize = 8;
/// The number of bytes of a line.
pub(super) const LINE_BYTES: usize = WORDS * 8;
/// The number of lines that are stored in a row, which so fills a page.
pub(super) const PART_LINES: u32 = 62;

/// What a hash is multiplied by for each word of its line, as in Parquet's filters, but odd numbers of
/// 64 bits.
const SALTS: [u64; WORDS] = [
    0x9e37_79b9_7f4a_7c15,
    0xc2b2_ae3d_27d4_eb4f,
    0x1656_67b1_9e37_79f9,
    0x85eb_ca77_c2b2_ae63,
    0x27d4_eb2f_1656_67c5,
    0xff51_afd7_ed55_8ccd,
    0xc4ce_b9fe_1a85_ec53,
    0xd6e8_feb8_6659_fd93,
];

/// A line: one bit in each word for each of its keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(align(64))]
pub(super) struct Line([u64; WORDS]);

impl Line {
    /// Returns what a key sets in its line.
    pub(super) fn of(hash: u64) -> Self {
        // The upper bits say which line it is, and are the same for all in it.
        let low = hash.rotate_left(32);
        Self(SALTS.map(|salt| 1 << (low.wrapping_mul(salt) >> 58)))
    }

    fn add(&mut self, bits: Self) {
        for (word, bits) in self.0.iter_mut().zip(bits.0) {
            *word |= bits;
        }
    }

    fn has(&self, bits: Self) -> bool {
        let missing =
            self.0.iter().zip(bits.0).fold(0, |missing, (word, bits)| missing | (bits & !word));
        missing == 0
    }

    pub(super) fn to_bytes(self, out: &mut Vec<u8>) {
        for word in self.0 {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }

    /// Reads the lines of a part. What is missing at its end has no keys.
    pub(super) fn read_all(bytes: &[u8]) -> impl Iterator<Item = Self> {
        let (words, _) = bytes.as_chunks::<8>();
        let (lines, _) = words.as_chunks::<WORDS>();
        lines.iter().map(|words| Self(words.map(u64::from_le_bytes)))
    }
}

/// Returns how many lines the filter of so many keys has.
pub(super) fn lines_of(keys: u32) -> u32 {
    let bits = u64::from(keys) * BITS_PER_KEY;
    u32::try_from(bits.div_ceil(LINE_BYTES as u64 * 8)).unwrap_or(u32::MAX).max(1)
}

/// Returns in how many parts so many lines are stored.
pub(super) fn parts_of(lines: u32) -> u32 {
    lines.div_ceil(PART_LINES)
}

/// A filter in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    lines: Vec<Line>,
    count: u32,
}

impl Filter {
    /// Returns a filter of so many lines that has no key.
    pub(super) fn new(lines: u32) -> Self {
        Self { lines: vec![Line::default(); lines as usize], count: lines }
    }

    pub(super) fn set_part(&mut self, part: u32, bytes: &[u8]) {
        let from = part as usize * PART_LINES as usize;
        let lines = self.lines.get_mut(from..).unwrap_or_default();
        for (line, read) in lines.iter_mut().zip(Line::read_all(bytes)) {
            *line = read;
        }
    }

    /// Adds a hash, and what it sets in its line.
    pub(super) fn add(&mut self, hash: u64, bits: Line) {
        if let Some(line) = self.lines.get_mut(place(hash, self.count) as usize) {
            line.add(bits);
        }
    }

    /// Returns false if the key is not in the run.
    pub(super) fn may_have(&self, hash: u64, bits: Line) -> bool {
        self.lines.get(place(hash, self.count) as usize).is_some_and(|line| line.has(bits))
    }

    pub(super) fn bytes(&self) -> usize {
        self.lines.len() * LINE_BYTES
    }
}

/// The part of a filter that is being written.
#[derive(Debug, Clone)]
pub(super) struct OpenPart {
    pub(super) number: u32,
    lines: Vec<Line>,
}

impl OpenPart {
    pub(super) fn new(number: u32) -> Self {
        Self { number, lines: vec![Line::default(); PART_LINES as usize] }
    }

    pub(super) fn read(number: u32, bytes: &[u8]) -> Self {
        let mut part = Self::new(number);
        for (line, read) in part.lines.iter_mut().zip(Line::read_all(bytes)) {
            *line = read;
        }
        part
    }

    /// Returns in which part of `lines` a hash is.
    pub(super) fn number_of(hash: u64, lines: u32) -> u32 {
        place(hash, lines) / PART_LINES
    }

    /// Adds a hash that is in this part, and what it sets in its line.
    pub(super) fn add(&mut self, (hash, bits): (u64, Line), lines: u32) {
        if let Some(line) = self.lines.get_mut((place(hash, lines) % PART_LINES) as usize) {
            line.add(bits);
        }
    }

    /// Returns false if the key is not in the run.
    pub(super) fn may_have(&self, (hash, bits): (u64, Line), lines: u32) -> bool {
        let line = self.lines.get((place(hash, lines) % PART_LINES) as usize);
        line.is_some_and(|line| line.has(bits))
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.lines.len() * LINE_BYTES);
        for line in &self.lines {
            line.to_bytes(&mut bytes);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes as good as a keyed hash makes them.
    fn hashes(from: u64) -> impl Iterator<Item = u64> {
        let mut state = from;
        std::iter::repeat_with(move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        })
    }

    #[test]
    fn few_keys_that_are_not_there_seem_to_be() {
        let keys = 100_000;
        let mut filter = Filter::new(lines_of(keys));
        hashes(1).take(keys as usize).for_each(|hash| filter.add(hash, Line::of(hash)));
        assert!(hashes(1).take(keys as usize).all(|hash| filter.may_have(hash, Line::of(hash))));
        let wrong = hashes(u64::MAX / 3)
            .take(100_000)
            .filter(|hash| filter.may_have(*hash, Line::of(*hash)))
            .count();
        assert!(wrong < 300, "{wrong} of 100,000");
        assert!(filter.bytes() <= keys as usize * 14 / 8 + LINE_BYTES);
    }

    #[test]
    fn a_filter_is_the_same_after_it_was_stored() {
        for keys in [1, 40, 3_000, 9_000] {
            let lines = lines_of(keys);
            let mut all: Vec<u64> = hashes(keys.into()).take(keys as usize).collect();
            all.sort_unstable();
            let mut filter = Filter::new(lines);
            let mut loaded = Filter::new(lines);
            let mut open = OpenPart::new(0);
            for (at, hash) in all.into_iter().enumerate() {
                filter.add(hash, Line::of(hash));
                let number = OpenPart::number_of(hash, lines);
                if number != open.number {
                    loaded.set_part(open.number, &open.to_bytes());
                    open = OpenPart::new(number);
                }
                open.add((hash, Line::of(hash)), lines);
                assert!(open.may_have((hash, Line::of(hash)), lines));
                if at % 100 == 0 {
                    // As after a restart.
                    open = OpenPart::read(open.number, &open.to_bytes());
                }
            }
            loaded.set_part(open.number, &open.to_bytes());
            assert!(open.number < parts_of(lines));
            assert_eq!(filter, loaded);
        }
    }
}
