//! The hash of a key, by which runs are sorted.

use siphasher::sip::SipHasher13;

/// The number of bytes of a seed.
pub(super) const SEED_BYTES: usize = 16;

/// Hashes keys with the database's seed, so that nobody can choose keys that meet in one block. The
/// result is stored, and must never change.
#[derive(Clone, Copy)]
pub(super) struct Hasher(SipHasher13);

impl Hasher {
    pub(super) fn new(seed: &[u8; SEED_BYTES]) -> Self {
        Self(SipHasher13::new_with_key(seed))
    }

    pub(super) fn hash(&self, bytes: &[u8]) -> u64 {
        self.0.hash(bytes)
    }
}

/// Returns in which of `places` equal parts of all hashes this one is, from 0.
pub(super) fn place(hash: u64, places: u32) -> u32 {
    // Less than `places`, so it fits.
    ((u128::from(hash) * u128::from(places)) >> 64) as u32
}

/// Returns the smallest hash that is in the given one of `places` parts; `None` behind the last part.
pub(super) fn first_hash(place: u32, places: u32) -> Option<u64> {
    if place >= places {
        return None;
    }
    let parts = u128::from(place) << 64;
    u64::try_from(parts.div_ceil(u128::from(places))).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_hash_of_a_seed_is_what_it_always_was() {
        let hasher = Hasher::new(b"0123456789abcdef");
        assert_eq!(hasher.hash(b"key"), 12_698_401_381_539_321_064);
    }

    proptest! {
        #[test]
        fn a_part_begins_with_its_first_hash(hash: u64, places in 1..u32::MAX) {
            let place_of = place(hash, places);
            prop_assert!(place_of < places);
            let first = first_hash(place_of, places).unwrap();
            prop_assert!(first <= hash);
            prop_assert_eq!(place(first, places), place_of);
            if let Some(before) = first.checked_sub(1) {
                prop_assert_eq!(place(before, places), place_of - 1);
            }
            if let Some(next) = first_hash(place_of + 1, places) {
                prop_assert!(hash < next);
            }
        }
    }
}
