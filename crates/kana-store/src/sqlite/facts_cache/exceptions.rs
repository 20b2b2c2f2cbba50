//! A user's overrides and grants as bytes of an entry.

use kana_core::Timestamp;
use kana_core::grant::{Grant, GrantKey};
use kana_core::id::{FeatureId, GrantId, OverrideId};
use kana_core::metadata::Label;
use kana_core::overrides::{Override, OverrideTerms};
use kana_core::period::{Reset, ResetAnchor, ResetPeriod};
use kana_core::terms::TermsHistory;
use uuid::Uuid;

use super::bytes::{Bytes, add_text};
use super::known::KnownUser;
use super::names::EntryNames;
use crate::override_row::{OverrideRow, read_history};

/// How many bytes all overrides of a user may take, or all grants. Where they take more, only that there are
/// some is kept, and whoever needs them reads them. A hundred overrides take half as much, unless much is
/// written about them.
const BYTES_MAX: usize = 16 * 1024;

/// A bit: there are overrides.
const HAS_OVERRIDES: u8 = 1;
/// A bit: there are grants.
const HAS_GRANTS: u8 = 1 << 1;
/// A bit: there may be holds that have not ended.
const HAS_HOLDS: u8 = 1 << 2;
/// The length that stands for rows that are not kept.
const NOT_KEPT: u16 = u16::MAX;

/// Bits of an override.
mod override_bits {
    pub(super) const ALLOWS: u8 = 1;
    pub(super) const LIMIT: u8 = 1 << 1;
    pub(super) const SAYS_OVERAGE: u8 = 1 << 2;
    pub(super) const OVERAGE: u8 = 1 << 3;
    pub(super) const RESETS: u8 = 1 << 4;
    pub(super) const ENDS: u8 = 1 << 5;
    pub(super) const REASON: u8 = 1 << 6;
    pub(super) const HISTORY: u8 = 1 << 7;
}

/// Bits of a grant.
mod grant_bits {
    pub(super) const EXPIRES: u8 = 1;
    pub(super) const VOIDED: u8 = 1 << 1;
    pub(super) const REASON: u8 = 1 << 2;
    /// Its id is its key.
    pub(super) const KANAS_ID: u8 = 1 << 3;
}

/// Overrides and grants; `None` where there are some that are not known.
pub(super) type Exceptions = (Option<Vec<Override>>, Option<Vec<Grant>>);

/// Adds the overrides and grants of a user. Returns the bits that say what there is; `None` if a number does
/// not fit.
pub(super) fn add(bytes: &mut Vec<u8>, user: &KnownUser, names: &mut EntryNames) -> Option<u8> {
    let overrides = add_rows(bytes, user.overrides.as_deref(), |bytes, known| {
        add_override(bytes, known, names)
    })?;
    let grants =
        add_rows(bytes, user.grants.as_deref(), |bytes, known| add_grant(bytes, known, names))?;
    let flags =
        [(overrides, HAS_OVERRIDES), (grants, HAS_GRANTS), (user.has_holds, HAS_HOLDS)].into_iter();
    Some(flags.filter(|(is_so, _)| *is_so).fold(0, |bits, (_, flag)| bits | flag))
}

/// Returns true if the bits say that there may be holds.
pub(super) fn has_holds(bits: u8) -> bool {
    bits & HAS_HOLDS != 0
}

/// Adds rows after their length. Returns false if there are none.
fn add_rows<T>(
    bytes: &mut Vec<u8>,
    rows: Option<&[T]>,
    mut add: impl FnMut(&mut Vec<u8>, &T) -> Option<()>,
) -> Option<bool> {
    if rows.is_some_and(<[T]>::is_empty) {
        return Some(false);
    }
    let place = bytes.len();
    bytes.extend(NOT_KEPT.to_le_bytes());
    let start = bytes.len();
    let Some(rows) = rows else { return Some(true) };
    for row in rows {
        add(bytes, row)?;
        if bytes.len() - start > BYTES_MAX {
            bytes.truncate(start);
            return Some(true);
        }
    }
    let length = u16::try_from(bytes.len() - start).ok()?.to_le_bytes();
    bytes.get_mut(place..start)?.copy_from_slice(&length);
    Some(true)
}

/// Returns how many bytes the overrides and grants take at the front of `rest`.
pub(super) fn len(bits: u8, rest: &[u8]) -> Option<usize> {
    let mut bytes = Bytes(rest);
    for _ in 0..(bits & (HAS_OVERRIDES | HAS_GRANTS)).count_ones() {
        rows(&mut bytes)?;
    }
    Some(rest.len() - bytes.0.len())
}

/// Returns rows that are kept; `None` inside if they are not.
#[allow(clippy::option_option, reason = "the outer one is for bytes that end too early")]
fn rows<'a>(bytes: &mut Bytes<'a>) -> Option<Option<Bytes<'a>>> {
    match u16::from_le_bytes(bytes.next()?) {
        NOT_KEPT => Some(None),
        length => Some(Some(Bytes(bytes.take(usize::from(length))?))),
    }
}

/// Reads what [`add`] wrote.
pub(super) fn read(bits: u8, bytes: &[u8], names: &EntryNames) -> Option<Exceptions> {
    let mut bytes = Bytes(bytes);
    let overrides = read_rows(bits & HAS_OVERRIDES != 0, &mut bytes, |row| an_override(row, names));
    let grants = read_rows(bits & HAS_GRANTS != 0, &mut bytes, |row| grant(row, names));
    Some((overrides?, grants?))
}

#[allow(clippy::option_option, reason = "the outer one is for bytes that do not fit")]
fn read_rows<'a, T>(
    has_some: bool,
    bytes: &mut Bytes<'a>,
    read: impl Fn(&mut Bytes<'a>) -> Option<T>,
) -> Option<Option<Vec<T>>> {
    if !has_some {
        return Some(Some(Vec::new()));
    }
    let Some(mut kept) = rows(bytes)? else { return Some(None) };
    let mut all = Vec::new();
    while !kept.0.is_empty() {
        all.push(read(&mut kept)?);
    }
    Some(Some(all))
}

fn add_override(bytes: &mut Vec<u8>, known: &Override, names: &mut EntryNames) -> Option<()> {
    use override_bits::*;
    let place = bytes.len();
    let mut bits = 0;
    bytes.push(bits);
    bytes.extend(known.id.0.as_bytes());
    bytes.extend(names.features.number(&known.feature)?.to_le_bytes());
    bytes.extend(known.starts_at.as_ms().to_le_bytes());
    if let OverrideTerms::Allow { limit, overage_enabled, reset } = known.terms {
        bits |= ALLOWS;
        bits |=
            overage_enabled.map_or(0, |overage| SAYS_OVERAGE | if overage { OVERAGE } else { 0 });
        if let Some(limit) = limit {
            bits |= LIMIT;
            bytes.extend(limit.to_le_bytes());
        }
        if let Some(Reset { period, anchor }) = reset {
            bits |= RESETS;
            let place = ResetPeriod::ALL.iter().position(|one| *one == period)?;
            let is_calendar = anchor == ResetAnchor::Calendar;
            bytes.push(u8::try_from(place).ok()? << 1 | u8::from(is_calendar));
        }
    }
    if let Some(end) = known.ends_at {
        bits |= ENDS;
        bytes.extend(end.as_ms().to_le_bytes());
    }
    if let Some(reason) = &known.reason {
        bits |= REASON;
        add_text(bytes, reason.as_str())?;
    }
    if let Some(history) = OverrideRow::of(known).ok()?.history {
        bits |= HISTORY;
        add_text(bytes, &history)?;
    }
    *bytes.get_mut(place)? = bits;
    Some(())
}

fn an_override(bytes: &mut Bytes<'_>, names: &EntryNames) -> Option<Override> {
    use override_bits::*;
    let [bits] = bytes.next()?;
    let has = |bit| bits & bit != 0;
    let id = OverrideId(Uuid::from_bytes(bytes.next()?));
    let feature = feature(bytes, names)?;
    let starts_at = instant(bytes)?;
    let terms = if has(ALLOWS) {
        let limit = if has(LIMIT) { Some(i64::from_le_bytes(bytes.next()?)) } else { None };
        let reset = if has(RESETS) {
            let [place] = bytes.next()?;
            let period = *ResetPeriod::ALL.get(usize::from(place >> 1))?;
            let is_calendar = place & 1 != 0;
            let anchor =
                if is_calendar { ResetAnchor::Calendar } else { ResetAnchor::Subscription };
            Some(Reset { period, anchor })
        } else {
            None
        };
        let overage_enabled = has(SAYS_OVERAGE).then(|| has(OVERAGE));
        OverrideTerms::Allow { limit, overage_enabled, reset }
    } else {
        OverrideTerms::Deny
    };
    let ends_at = if has(ENDS) { Some(instant(bytes)?) } else { None };
    let reason = if has(REASON) { Some(reason(bytes)?) } else { None };
    let history = if has(HISTORY) {
        read_history(bytes.text()?).ok()?
    } else {
        TermsHistory::beginning_with(terms.allowance())
    };
    Some(Override { id, feature, terms, starts_at, ends_at, reason, history })
}

fn add_grant(bytes: &mut Vec<u8>, known: &Grant, names: &mut EntryNames) -> Option<()> {
    use grant_bits::*;
    let place = bytes.len();
    let mut bits = 0;
    bytes.push(bits);
    bytes.extend(known.key.0.as_bytes());
    bytes.extend(names.features.number(&known.feature)?.to_le_bytes());
    bytes.extend(known.amount.to_le_bytes());
    bytes.extend(known.drawn.to_le_bytes());
    bytes.extend(i8::try_from(known.priority).ok()?.to_le_bytes());
    bytes.extend(known.starts_at.as_ms().to_le_bytes());
    bytes.extend(known.created_at.as_ms().to_le_bytes());
    for (bit, end) in [(EXPIRES, known.expires_at), (VOIDED, known.voided_at)] {
        if let Some(end) = end {
            bits |= bit;
            bytes.extend(end.as_ms().to_le_bytes());
        }
    }
    if known.id.as_str() == kanas_id(known.key).as_str() {
        bits |= KANAS_ID;
    } else {
        add_text(bytes, known.id.as_str())?;
    }
    if let Some(reason) = &known.reason {
        bits |= REASON;
        add_text(bytes, reason.as_str())?;
    }
    *bytes.get_mut(place)? = bits;
    Some(())
}

fn grant(bytes: &mut Bytes<'_>, names: &EntryNames) -> Option<Grant> {
    use grant_bits::*;
    let [bits] = bytes.next()?;
    let has = |bit| bits & bit != 0;
    let key = GrantKey(Uuid::from_bytes(bytes.next()?));
    let feature = feature(bytes, names)?;
    let amount = i64::from_le_bytes(bytes.next()?);
    let drawn = i64::from_le_bytes(bytes.next()?);
    let priority = i8::from_le_bytes(bytes.next()?).into();
    let (starts_at, created_at) = (instant(bytes)?, instant(bytes)?);
    let expires_at = if has(EXPIRES) { Some(instant(bytes)?) } else { None };
    let voided_at = if has(VOIDED) { Some(instant(bytes)?) } else { None };
    let id = if has(KANAS_ID) {
        GrantId::new("id", kanas_id(key).as_str())
    } else {
        GrantId::new("id", bytes.text()?)
    };
    let reason = if has(REASON) { Some(reason(bytes)?) } else { None };
    Some(Grant {
        key,
        id: id.ok()?,
        feature,
        amount,
        drawn,
        priority,
        starts_at,
        expires_at,
        voided_at,
        reason,
        created_at,
    })
}

/// Returns where it stands how much of a grant is drawn, after the key, the feature and the amount; `None` if
/// the grant is not there.
pub(super) fn place_of_drawn(bits: u8, bytes: &[u8], grant: GrantKey) -> Option<usize> {
    let all = bytes.len();
    let mut bytes = Bytes(bytes);
    if bits & HAS_OVERRIDES != 0 {
        rows(&mut bytes)?;
    }
    let before_rows = all - bytes.0.len() + NOT_KEPT.to_le_bytes().len();
    let mut kept = rows(&mut bytes)??;
    let length = kept.0.len();
    while !kept.0.is_empty() {
        let at = length - kept.0.len();
        let [bits] = kept.next()?;
        let key: [u8; 16] = kept.next()?;
        if key == *grant.0.as_bytes() {
            return Some(before_rows + at + 1 + 16 + 4 + 8);
        }
        let has = |bit| bits & bit != 0;
        let ends = usize::from(has(grant_bits::EXPIRES)) + usize::from(has(grant_bits::VOIDED));
        kept.take(4 + 8 + 8 + 1 + 8 + 8 + ends * 8)?;
        let texts = usize::from(!has(grant_bits::KANAS_ID)) + usize::from(has(grant_bits::REASON));
        (0..texts).try_for_each(|_| kept.text().map(drop))?;
    }
    None
}

/// Returns the id of a grant to which the caller gave none.
fn kanas_id(key: GrantKey) -> String {
    key.0.to_string()
}

fn feature(bytes: &mut Bytes<'_>, names: &EntryNames) -> Option<FeatureId> {
    names.features.id(u32::from_le_bytes(bytes.next()?)).cloned()
}

fn instant(bytes: &mut Bytes<'_>) -> Option<Timestamp> {
    Some(Timestamp::from_ms(i64::from_le_bytes(bytes.next()?)))
}

fn reason(bytes: &mut Bytes<'_>) -> Option<Label> {
    Label::new("reason", bytes.text()?).ok()
}
