//! What usage under an idempotency key has counted, so that it can be taken back (contract: `beyond.md`,
//! "Corrections").

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::{OverrideId, SubscriptionId};
use crate::terms::TermsNumber;
use crate::timestamp::Timestamp;

/// What usage under an idempotency key has counted. Usage that nothing counted has none, and neither has
/// a SET, which is not taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The counter.
    #[serde(rename = "at")]
    pub counter: CountedAt,
    /// By how much the counter changed, where that is not the amount that was asked for: a counter never
    /// goes below 0 nor above the largest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<i64>,
    /// How often the counter had been SET, and those that include its usage.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sets: u32,
    /// Whether it was taken back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub voided: bool,
}

/// Names a counter of a known user and feature.
///
/// Kana keeps hundreds of millions of idempotency records of some fifty bytes each. So the counter of a
/// subscription is named by four bytes, which tell it from the user's other counters for the feature at
/// that time. The counters of an override must be found when it is gone, and so are named in full,
/// like those of grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum CountedAt {
    /// A hash of it: a counter of a subscription.
    Digest(u32),
    /// What counted, the terms number, and the start of the period.
    Whole(SubscriptionId, TermsNumber, Timestamp),
}

/// A [`CountedAt`] in JSON.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Digest(u32),
    Whole(Uuid, u32, i64),
}

impl From<Written> for CountedAt {
    fn from(written: Written) -> Self {
        match written {
            Written::Digest(digest) => Self::Digest(digest),
            Written::Whole(source, terms, start) => {
                Self::Whole(SubscriptionId(source), TermsNumber(terms), Timestamp::from_ms(start))
            }
        }
    }
}

impl From<CountedAt> for Written {
    fn from(at: CountedAt) -> Self {
        match at {
            CountedAt::Digest(digest) => Self::Digest(digest),
            CountedAt::Whole(source, terms, start) => Self::Whole(source.0, terms.0, start.as_ms()),
        }
    }
}

impl CountedAt {
    /// Names a counter.
    #[must_use]
    pub fn new(source: SubscriptionId, terms: TermsNumber, period_start: Timestamp) -> Self {
        if source.is_of_grants() || OverrideId::in_place_of(source).is_some() {
            return Self::Whole(source, terms, period_start);
        }
        Self::Digest(Self::digest(source, terms, period_start))
    }

    /// Returns four bytes that name a counter among those of a user and feature. They are stored, and so
    /// never change for a counter.
    fn digest(source: SubscriptionId, terms: TermsNumber, period_start: Timestamp) -> u32 {
        let (high, low) = source.0.as_u64_pair();
        let words = [high, low, u64::from(terms.0), period_start.as_ms().cast_unsigned()];
        // The finalizer of SplitMix64, over each word.
        let mixed = words.into_iter().fold(0_u64, |state, word| {
            let mut mixed = (state ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        });
        (mixed >> 32) as u32
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(sets: &u32) -> bool {
    *sets == 0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_counter_has_the_same_name_in_every_release() {
        let id = Uuid::from_u128(0x0189_0a5d_ac96_774b_bcce_b302_099a_8057);
        let at = |id, terms, ms| {
            CountedAt::new(SubscriptionId(id), TermsNumber(terms), Timestamp::from_ms(ms))
        };
        assert_eq!(at(id, 0, 1_705_320_000_000), CountedAt::Digest(3_792_896_451));
        let whole = OverrideId::of(id);
        assert_eq!(
            at(whole.0, 3, 7),
            CountedAt::Whole(SubscriptionId(whole.0), TermsNumber(3), Timestamp::from_ms(7))
        );
    }

    #[test]
    fn counters_that_differ_in_anything_have_other_names() {
        let mut names = BTreeSet::new();
        for (source, terms, day) in all_of(20) {
            let id = SubscriptionId(Uuid::from_u128(0x7000 << 64 | source));
            let start = Timestamp::from_ms(day * 86_400_000);
            names.insert(CountedAt::digest(id, TermsNumber(terms), start));
        }
        assert_eq!(names.len(), 20 * 20 * 20);
    }

    fn all_of(count: u32) -> impl Iterator<Item = (u128, u32, i64)> {
        let days = move |source, terms| (0..i64::from(count)).map(move |day| (source, terms, day));
        let terms = move |source| (0..count).flat_map(move |terms| days(source, terms));
        (0..u128::from(count)).flat_map(terms)
    }

    #[test]
    fn it_is_written_as_short_as_it_can_be() {
        let counted =
            Counted { counter: CountedAt::Digest(7), added: None, sets: 0, voided: false };
        let json = |counted: &Counted| serde_json::to_string(counted).unwrap();
        assert_eq!(json(&counted), r#"{"at":7}"#);
        let id = SubscriptionId(Uuid::from_u128(8 << 76));
        let counter = CountedAt::Whole(id, TermsNumber(1), Timestamp::from_ms(2));
        let other = Counted { counter, added: Some(-3), sets: 4, voided: true };
        assert_eq!(
            json(&other),
            r#"{"at":["00000000-0000-8000-0000-000000000000",1,2],"added":-3,"sets":4,"voided":true}"#
        );
        for counted in [counted, other] {
            assert_eq!(serde_json::from_str::<Counted>(&json(&counted)).unwrap(), counted);
        }
    }
}
