//! An idempotency record in bytes.
//!
//! What many records have in common stands in the *origin*, which a block has once: the environment, the
//! feature, and what precedes a UUID at the end of the key. The rest is the *body*.

use std::borrow::Cow;

use kana_core::Timestamp;
use kana_core::counted::{Counted, CountedAt};
use kana_core::entitlement::{Consumption, Extras, Reason};
use kana_core::id::{FeatureId, IdempotencyKey, SubscriptionId, UserKey};
use kana_core::idempotency::{Content, KeptAnswer, Replay, WrittenAnswer};
use kana_core::terms::TermsNumber;
use kana_core::usage::{RecordedUsage, UsageAction, UsedFeature};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::filter::Line;
use super::hash::Hasher;
use crate::app::EnvironmentId;
use crate::columns::Named;
use crate::error::StoreError;
use crate::sqlite::bytes::{Reader, as_uuid, put_signed, put_slice};

// The first byte of a body.
const ENDS_WITH_UUID: u8 = 1;
const HAS_OCCURRED_AT: u8 = 2;
const IS_SET: u8 = 4;
/// Where in it the form of the answer begins, which has two bits.
const ANSWER_SHIFT: u8 = 3;
const ANSWER_MASK: u8 = 3;
/// What the usage has counted follows at the end: the digest of its counter.
const HAS_COUNTED: u8 = 32;
/// Before it stands a byte of the flags below.
const HAS_MORE_COUNTED: u8 = 64;

// That byte. What is there follows the counter, in this order.
const WHOLE_COUNTER: u8 = 1;
const HAS_ADDED: u8 = 2;
const HAS_SETS: u8 = 4;
const IS_VOIDED: u8 = 8;
const RECORDED: u8 = 0;
const NOT_COUNTED: u8 = 1;
const USED: u8 = 2;
/// Action and answer are kept as texts: this release does not know them, or would write them otherwise.
const AS_TEXT: u8 = 3;

// The first byte of the answer to `useFeature`, above the code of its reason.
const GRANTED: u8 = 8;
const HAS_CONSUMPTION: u8 = 16;
const HAS_BUDGET: u8 = 32;
const OVERAGE_ENABLED: u8 = 64;
const HAS_EXTRAS: u8 = 128;

fn damaged() -> StoreError {
    StoreError::Unreadable("a stored idempotency key is damaged".into())
}

/// The end of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End<'a> {
    Uuid([u8; 16]),
    /// The whole key, a text: it ends with no UUID.
    Text(&'a [u8]),
}

/// Splits a key into what precedes a UUID at its end, and that.
fn split(key: &str) -> (&[u8], End<'_>) {
    let found = key.len().checked_sub(Hyphenated::LENGTH).and_then(|at| {
        let (before, end) = key.split_at_checked(at)?;
        Some((before, as_uuid(end)?))
    });
    match found {
        Some((before, uuid)) => (before.as_bytes(), End::Uuid(uuid.into_bytes())),
        None => (&[], End::Text(key.as_bytes())),
    }
}

/// The length of most of what is hashed: a UUID behind a short text.
const HASHED_BYTES: usize = 96;

fn hash(hasher: &Hasher, environment: i64, before: &[u8], end: End<'_>) -> u64 {
    let (kind, end) = match &end {
        End::Uuid(uuid) => ([1], uuid.as_slice()),
        End::Text(text) => ([0], *text),
    };
    let environment = environment.to_le_bytes();
    let parts = [environment.as_slice(), &kind, before, end];
    let mut short = [0; HASHED_BYTES];
    let mut to = 0;
    for part in parts {
        let Some(place) = short.get_mut(to..to + part.len()) else {
            return hasher.hash(&parts.concat());
        };
        place.copy_from_slice(part);
        to += part.len();
    }
    hasher.hash(short.get(..to).unwrap_or_default())
}

/// A key that is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) hash: u64,
    /// What of a line of a filter it sets.
    pub(super) bits: Line,
    environment: i64,
    before: &'a [u8],
    end: End<'a>,
}

impl<'a> Asked<'a> {
    pub(super) fn new(
        hasher: &Hasher,
        environment: EnvironmentId,
        key: &'a IdempotencyKey,
    ) -> Self {
        let (before, end) = split(key.as_str());
        let hash = hash(hasher, environment.0, before, end);
        Self { hash, bits: Line::of(hash), environment: environment.0, before, end }
    }
}

/// A row of the view `replays`. Action and answer are as in the view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Columns<'a> {
    pub(crate) environment: i64,
    pub(crate) key: Cow<'a, str>,
    pub(crate) user: Uuid,
    pub(crate) feature: &'a str,
    pub(crate) action: &'a str,
    pub(crate) delta: i64,
    pub(crate) occurred_at: Option<i64>,
    pub(crate) answer: Cow<'a, str>,
    pub(crate) kept_at: i64,
}

/// A record that is not in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) hash: u64,
    /// When it was kept, in milliseconds.
    pub(super) kept_at: i64,
    origin_bytes: usize,
    bytes: Box<[u8]>,
}

impl Record {
    pub(super) fn new(
        hasher: &Hasher,
        environment: EnvironmentId,
        key: &IdempotencyKey,
        replay: &Replay,
    ) -> Self {
        let Replay { content, answer, counted, kept_at } = replay;
        let Content { user, feature, action, delta, occurred_at } = content;
        let (before, end) = split(key.as_str());
        let draft = Draft {
            environment: environment.0,
            before,
            end,
            user: user.0,
            feature: feature.as_str(),
            delta: *delta,
            occurred_at: occurred_at.map(Timestamp::as_ms),
            kept_at: kept_at.as_ms(),
        };
        let answer = WrittenAnswer { answer: *answer, counted: *counted };
        draft.finish(hasher, &Said::Known(*action, answer))
    }

    /// Makes a record of a row, whatever its action and answer are.
    pub(super) fn of_row(hasher: &Hasher, row: &Columns<'_>) -> Self {
        let known = || {
            let answer = WrittenAnswer::read(&row.answer).ok()?;
            let is_canonical = serde_json::to_string(&answer).ok()? == row.answer;
            let action = UsageAction::from_name(row.action).ok()?;
            is_canonical.then_some(Said::Known(action, answer))
        };
        let said = known().unwrap_or(Said::Text(row.action, &row.answer));
        let (before, end) = split(&row.key);
        let draft = Draft {
            environment: row.environment,
            before,
            end,
            user: row.user,
            feature: row.feature,
            delta: row.delta,
            occurred_at: row.occurred_at,
            kept_at: row.kept_at,
        };
        draft.finish(hasher, &said)
    }

    /// Takes a record out of its block.
    pub(super) fn of_stored(hasher: &Hasher, stored: Stored<'_>) -> Result<Self, StoreError> {
        let bytes = [stored.origin, stored.body].concat().into_boxed_slice();
        let (hash, kept_at) = (stored.hash(hasher)?, stored.kept_at()?);
        Ok(Self { hash, kept_at, origin_bytes: stored.origin.len(), bytes })
    }

    pub(super) fn stored(&self) -> Stored<'_> {
        let (origin, body) = self.bytes.split_at(self.origin_bytes);
        Stored { origin, body }
    }
}

/// The action with the answer.
enum Said<'a> {
    Known(UsageAction, WrittenAnswer),
    Text(&'a str, &'a str),
}

/// A record without action and answer.
struct Draft<'a> {
    environment: i64,
    before: &'a [u8],
    end: End<'a>,
    user: Uuid,
    feature: &'a str,
    delta: i64,
    occurred_at: Option<i64>,
    kept_at: i64,
}

impl Draft<'_> {
    fn finish(&self, hasher: &Hasher, said: &Said<'_>) -> Record {
        // As long as most are, so that none is moved.
        let mut out = Vec::with_capacity(96);
        put_signed(&mut out, self.environment);
        put_slice(&mut out, self.feature.as_bytes());
        out.extend_from_slice(self.before);
        let origin_bytes = out.len();

        let form = match said {
            Said::Known(_, written) => form_of(&written.answer),
            Said::Text(..) => AS_TEXT,
        };
        let counted = match said {
            Said::Known(_, written) => written.counted,
            Said::Text(..) => None,
        };
        let mut flags = form << ANSWER_SHIFT;
        if let Some(counted) = &counted {
            flags |= HAS_COUNTED;
            if more_counted(counted) != 0 {
                flags |= HAS_MORE_COUNTED;
            }
        }
        if matches!(said, Said::Known(UsageAction::Set, _)) {
            flags |= IS_SET;
        }
        if self.occurred_at.is_some() {
            flags |= HAS_OCCURRED_AT;
        }
        if matches!(self.end, End::Uuid(_)) {
            flags |= ENDS_WITH_UUID;
        }
        out.push(flags);
        match self.end {
            End::Uuid(uuid) => out.extend_from_slice(&uuid),
            End::Text(text) => put_slice(&mut out, text),
        }
        out.extend_from_slice(self.user.as_bytes());
        put_signed(&mut out, self.delta);
        put_signed(&mut out, self.kept_at);
        if let Some(occurred_at) = self.occurred_at {
            // Most happened shortly before.
            put_signed(&mut out, self.kept_at.wrapping_sub(occurred_at));
        }
        match said {
            Said::Known(_, WrittenAnswer { answer: KeptAnswer::Recorded(_), .. }) => {}
            Said::Known(_, WrittenAnswer { answer: KeptAnswer::Used(used), .. }) => {
                put_used(&mut out, used);
            }
            Said::Text(action, answer) => {
                put_slice(&mut out, action.as_bytes());
                put_slice(&mut out, answer.as_bytes());
            }
        }
        if let Some(counted) = &counted {
            put_counted(&mut out, counted);
        }
        let hash = hash(hasher, self.environment, self.before, self.end);
        Record { hash, kept_at: self.kept_at, origin_bytes, bytes: out.into_boxed_slice() }
    }
}

fn form_of(answer: &KeptAnswer) -> u8 {
    match answer {
        KeptAnswer::Recorded(RecordedUsage::Recorded) => RECORDED,
        KeptAnswer::Recorded(RecordedUsage::NotCounted) => NOT_COUNTED,
        KeptAnswer::Used(_) => USED,
    }
}

/// Returns the flags of what was counted; 0 where the digest says everything.
fn more_counted(counted: &Counted) -> u8 {
    let has = |flag: u8, it_has: bool| if it_has { flag } else { 0 };
    has(WHOLE_COUNTER, matches!(counted.counter, CountedAt::Whole(..)))
        | has(HAS_ADDED, counted.added.is_some())
        | has(HAS_SETS, counted.sets > 0)
        | has(IS_VOIDED, counted.voided)
}

fn put_counted(out: &mut Vec<u8>, counted: &Counted) {
    let more = more_counted(counted);
    if more != 0 {
        out.push(more);
    }
    match counted.counter {
        CountedAt::Digest(digest) => out.extend_from_slice(&digest.to_le_bytes()),
        CountedAt::Whole(source, terms, period_start) => {
            out.extend_from_slice(source.0.as_bytes());
            put_signed(out, terms.0.into());
            put_signed(out, period_start.as_ms());
        }
    }
    if let Some(added) = counted.added {
        put_signed(out, added);
    }
    if counted.sets > 0 {
        put_signed(out, counted.sets.into());
    }
}

fn read_counted(reader: &mut Reader<'_>, flags: u8) -> Option<Counted> {
    let more = if flags & HAS_MORE_COUNTED == 0 { 0 } else { reader.byte()? };
    let has = |flag: u8| more & flag != 0;
    let counter = if has(WHOLE_COUNTER) {
        let source = SubscriptionId(Uuid::from_bytes(*reader.array()?));
        let terms = TermsNumber(u32::try_from(reader.signed()?).ok()?);
        CountedAt::Whole(source, terms, Timestamp::from_ms(reader.signed()?))
    } else {
        CountedAt::Digest(u32::from_le_bytes(*reader.array()?))
    };
    let added = if has(HAS_ADDED) { Some(reader.signed()?) } else { None };
    let sets = if has(HAS_SETS) { u32::try_from(reader.signed()?).ok()? } else { 0 };
    Some(Counted { counter, added, sets, voided: has(IS_VOIDED) })
}

fn put_used(out: &mut Vec<u8>, used: &UsedFeature) {
    let mut flags = code(used.reason);
    if used.granted {
        flags |= GRANTED;
    }
    if let Some(consumption) = &used.consumption {
        flags |= HAS_CONSUMPTION;
        if consumption.budget.is_some() {
            flags |= HAS_BUDGET;
        }
        if consumption.overage_enabled {
            flags |= OVERAGE_ENABLED;
        }
        if !consumption.extras.is_none() {
            flags |= HAS_EXTRAS;
        }
    }
    out.push(flags);
    if let Some(Consumption { used, budget, extras, .. }) = used.consumption {
        put_signed(out, used);
        if let Some(budget) = budget {
            put_signed(out, budget);
        }
        if !extras.is_none() {
            for amount in [extras.carried, extras.granted, extras.held] {
                put_signed(out, amount);
            }
        }
    }
}

fn read_used(reader: &mut Reader<'_>) -> Option<UsedFeature> {
    let flags = reader.byte()?;
    let has = |flag: u8| flags & flag != 0;
    let consumption = if has(HAS_CONSUMPTION) {
        let used = reader.signed()?;
        let budget = if has(HAS_BUDGET) { Some(reader.signed()?) } else { None };
        let extras = if has(HAS_EXTRAS) {
            let (carried, granted) = (reader.signed()?, reader.signed()?);
            Extras { carried, granted, held: reader.signed()? }
        } else {
            Extras::NONE
        };
        Some(Consumption { used, budget, overage_enabled: has(OVERAGE_ENABLED), extras })
    } else {
        None
    };
    Some(UsedFeature { granted: has(GRANTED), reason: reason(flags & 7)?, consumption })
}

/// The code of a reason. It is stored, and must never change.
fn code(reason: Reason) -> u8 {
    match reason {
        Reason::NotGranted => 0,
        Reason::Granted => 1,
        Reason::Unlimited => 2,
        Reason::WithinLimit => 3,
        Reason::Overage => 4,
        Reason::LimitReached => 5,
        Reason::Denied => 6,
        Reason::Held => 7,
    }
}

fn reason(code: u8) -> Option<Reason> {
    Some(match code {
        0 => Reason::NotGranted,
        1 => Reason::Granted,
        2 => Reason::Unlimited,
        3 => Reason::WithinLimit,
        4 => Reason::Overage,
        5 => Reason::LimitReached,
        6 => Reason::Denied,
        7 => Reason::Held,
        _ => return None,
    })
}

/// A record as it stands in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored<'a> {
    pub(super) origin: &'a [u8],
    pub(super) body: &'a [u8],
}

/// The parts of a record. What follows them has not been read.
struct Parts<'a> {
    environment: i64,
    feature: &'a [u8],
    before: &'a [u8],
    flags: u8,
    end: End<'a>,
    rest: Reader<'a>,
}

/// Everything of a record.
struct Whole<'a> {
    parts: Parts<'a>,
    user: Uuid,
    delta: i64,
    kept_at: i64,
    occurred_at: Option<i64>,
    said: Said<'a>,
}

impl<'a> Stored<'a> {
    fn parts(&self) -> Option<Parts<'a>> {
        let mut origin = Reader::new(self.origin);
        let environment = origin.signed()?;
        let feature = origin.slice()?;
        let before = origin.rest();
        let (flags, end, rest) = self.end()?;
        Some(Parts { environment, feature, before, flags, end, rest })
    }

    /// Returns the flags, the end of the key, and what follows.
    fn end(&self) -> Option<(u8, End<'a>, Reader<'a>)> {
        let mut rest = Reader::new(self.body);
        let flags = rest.byte()?;
        let end = if flags & ENDS_WITH_UUID == 0 {
            End::Text(rest.slice()?)
        } else {
            End::Uuid(*rest.array()?)
        };
        Some((flags, end, rest))
    }

    fn whole(&self) -> Option<Whole<'a>> {
        let mut parts = self.parts()?;
        let flags = parts.flags;
        let rest = &mut parts.rest;
        let user = Uuid::from_bytes(*rest.array()?);
        let delta = rest.signed()?;
        let kept_at = rest.signed()?;
        let occurred_at = if flags & HAS_OCCURRED_AT == 0 {
            None
        } else {
            Some(kept_at.wrapping_sub(rest.signed()?))
        };
        let action = if flags & IS_SET == 0 { UsageAction::Add } else { UsageAction::Set };
        let answer = match (flags >> ANSWER_SHIFT) & ANSWER_MASK {
            RECORDED => Some(KeptAnswer::Recorded(RecordedUsage::Recorded)),
            NOT_COUNTED => Some(KeptAnswer::Recorded(RecordedUsage::NotCounted)),
            USED => Some(KeptAnswer::Used(read_used(rest)?)),
            _ => None,
        };
        let said = match answer {
            None => Said::Text(rest.text()?, rest.text()?),
            Some(answer) if flags & HAS_COUNTED == 0 => {
                Said::Known(action, WrittenAnswer { answer, counted: None })
            }
            Some(answer) => {
                let counted = Some(read_counted(rest, flags)?);
                Said::Known(action, WrittenAnswer { answer, counted })
            }
        };
        if !rest.is_at_end() {
            return None;
        }
        Some(Whole { parts, user, delta, kept_at, occurred_at, said })
    }

    /// Returns true if it is the record of this key.
    pub(super) fn is_of(&self, asked: &Asked<'_>) -> Result<bool, StoreError> {
        // First what is different in most.
        let (_, end, _) = self.end().ok_or_else(damaged)?;
        if end != asked.end {
            return Ok(false);
        }
        let Parts { environment, before, .. } = self.parts().ok_or_else(damaged)?;
        Ok((environment, before) == (asked.environment, asked.before))
    }

    /// Returns true if both are records of one key.
    pub(super) fn has_the_key_of(&self, other: &Self) -> Result<bool, StoreError> {
        Ok(self.named()? == other.named()?)
    }

    pub(super) fn hash(&self, hasher: &Hasher) -> Result<u64, StoreError> {
        let Parts { environment, before, end, .. } = self.parts().ok_or_else(damaged)?;
        Ok(hash(hasher, environment, before, end))
    }

    /// Returns when it was kept, in milliseconds.
    pub(super) fn kept_at(&self) -> Result<i64, StoreError> {
        Ok(self.whole().ok_or_else(damaged)?.kept_at)
    }

    /// Returns the environment and the key, for a message.
    pub(super) fn named(&self) -> Result<(i64, String), StoreError> {
        let Parts { environment, before, end, .. } = self.parts().ok_or_else(damaged)?;
        Ok((environment, key(before, end)?.into_owned()))
    }

    pub(super) fn replay(&self) -> Result<Replay, StoreError> {
        let whole = self.whole().ok_or_else(damaged)?;
        let (action, answer) = match whole.said {
            Said::Known(action, answer) => (action, answer),
            Said::Text(action, answer) => {
                (UsageAction::from_name(action)?, WrittenAnswer::read(answer)?)
            }
        };
        let content = Content {
            user: UserKey(whole.user),
            feature: FeatureId::new("stored feature id", text(whole.parts.feature)?)?,
            action,
            delta: whole.delta,
            occurred_at: whole.occurred_at.map(Timestamp::from_ms),
        };
        let WrittenAnswer { answer, counted } = answer;
        Ok(Replay { content, answer, counted, kept_at: Timestamp::from_ms(whole.kept_at) })
    }

    /// Returns the row of the view.
    pub(super) fn columns(&self) -> Result<Columns<'a>, StoreError> {
        let whole = self.whole().ok_or_else(damaged)?;
        let Parts { environment, feature, before, end, .. } = whole.parts;
        let (action, answer) = match whole.said {
            Said::Known(action, answer) => {
                (action.to_name(), Cow::Owned(serde_json::to_string(&answer)?))
            }
            Said::Text(action, answer) => (action, Cow::Borrowed(answer)),
        };
        let (key, feature) = (key(before, end)?, text(feature)?);
        let Whole { user, delta, kept_at, occurred_at, .. } = whole;
        Ok(Columns { environment, key, user, feature, action, delta, occurred_at, answer, kept_at })
    }
}

fn text(bytes: &[u8]) -> Result<&str, StoreError> {
    str::from_utf8(bytes).map_err(|_| damaged())
}

/// Puts a key together.
fn key<'a>(before: &'a [u8], end: End<'a>) -> Result<Cow<'a, str>, StoreError> {
    Ok(match end {
        End::Text(whole) => Cow::Borrowed(text(whole)?),
        End::Uuid(uuid) => {
            let uuid = Uuid::from_bytes(uuid);
            Cow::Owned(format!("{}{}", text(before)?, uuid.hyphenated()))
        }
    })
}

#[cfg(test)]
mod tests;
