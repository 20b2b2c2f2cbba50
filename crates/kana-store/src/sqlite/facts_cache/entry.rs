//! A user's facts as bytes: one allocation, and for a user with a subscription and a counter some hundred
//! bytes.

use kana_core::Timestamp;
use kana_core::counter::{CounterValue, Marks};
use kana_core::facts::CounterKey;
use kana_core::grant::GrantKey;
use kana_core::id::{SubscriptionId, UserId, UserKey};
use kana_core::quantity::{Quantities, Quantity};
use kana_core::subscription::{Subscription, SubscriptionStatus};
use kana_core::terms::TermsNumber;
use kana_core::timing::Timing;
use uuid::Uuid;

use super::bytes::{Bytes, add_text};
use super::exceptions;
use super::known::{Counter, KnownUser};
use super::names::EntryNames;
use crate::app::EnvironmentId;
use crate::columns::Named;

/// Environment, key of the user, length of the id, number of subscriptions, whether there are overrides and
/// grants. The id follows, then the subscriptions, then for each its quantities and its timing, if it has some,
/// then the overrides and the grants, then the counters.
const HEAD_BYTES: usize = 8 + 16 + 2 + 1 + 1;
/// Where it stands whether there are overrides and grants.
const EXCEPTIONS: usize = 8 + 16 + 2 + 1;
/// Id, number of the package, status, start.
const SUBSCRIPTION_BYTES: usize = 16 + 4 + 1 + 8;
/// Where the status stands.
const STATUS: usize = 16 + 4;
/// A bit of the status: the subscription was not always for one, and its quantities follow later.
const HAS_QUANTITIES: u8 = 1 << 7;
/// A bit of the status: something was said about its start, end, trial or anchor, which follows later.
const HAS_TIMING: u8 = 1 << 6;
/// Whether the start lay ahead; the end that was asked for, the one that holds, that of the trial, and the
/// anchor.
const TIMING_BYTES: usize = 1 + 4 * 8;
/// An instant that there is not.
const NO_INSTANT: i64 = i64::MIN;
/// The oldest quantity, and the number of changes.
const QUANTITIES_HEAD_BYTES: usize = 4 + 1;
/// Since when, and how many.
const QUANTITY_CHANGE_BYTES: usize = 8 + 4;
/// Place of the subscription, number of the feature, number of the terms, start of the period; then the
/// value, the id of what counts unless that is a subscription, and, if the value says so, the length of the
/// marks and their text.
const COUNTER_KEY_BYTES: usize = 1 + 4 + 4 + 8;
const COUNTER_BYTES: usize = COUNTER_KEY_BYTES + 8;
/// Stands for the place of what counts if that is an override or the grants. No subscription has it.
const BY_ITSELF: u8 = u8::MAX;
/// The value of a counter that has no row. Others are 0 or more.
const NO_ROW: i64 = i64::MIN;

/// Returns a value in eight bytes: that of a counter with marks is negative. `None` if it does not fit.
fn number(value: Option<&CounterValue>) -> Option<i64> {
    match value {
        None => Some(NO_ROW),
        Some(value) if value.marks.is_empty() => Some(value.used),
        Some(value) => Some(!value.used).filter(|number| *number != NO_ROW),
    }
}

/// What is known of one user.
pub(super) struct Entry(Box<[u8]>);

impl Entry {
    /// Writes an entry. Returns `None` for a user with more than fits.
    pub(super) fn new(
        (environment, id): (EnvironmentId, &UserId),
        user: &KnownUser,
        names: &mut EntryNames,
    ) -> Option<Self> {
        let id = id.as_str().as_bytes();
        let (length, subscriptions) =
            (u16::try_from(id.len()).ok()?, u8::try_from(user.running.len()).ok()?);
        let size = HEAD_BYTES
            + id.len()
            + user.running.len() * SUBSCRIPTION_BYTES
            + user.counters.len() * COUNTER_BYTES;
        let mut bytes = Vec::with_capacity(size);
        bytes.extend(environment.0.to_le_bytes());
        bytes.extend(user.key.0.as_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.push(subscriptions);
        bytes.push(0);
        bytes.extend(id);
        for subscription in &user.running {
            let statuses = SubscriptionStatus::NAMES.iter();
            let status = statuses.map(|(status, _)| *status).position(|s| s == subscription.status);
            bytes.extend(subscription.id.0.as_bytes());
            bytes.extend(names.packages.number(&subscription.package)?.to_le_bytes());
            let is_one = subscription.quantities.is_always_one();
            let quantities = if is_one { 0 } else { HAS_QUANTITIES };
            let timing = if subscription.timing.is_none() { 0 } else { HAS_TIMING };
            bytes.push(u8::try_from(status?).ok()? | quantities | timing);
            bytes.extend(subscription.started_at.as_ms().to_le_bytes());
        }
        for subscription in &user.running {
            add_quantities(&mut bytes, &subscription.quantities)?;
            add_timing(&mut bytes, &subscription.timing);
        }
        *bytes.get_mut(EXCEPTIONS)? = exceptions::add(&mut bytes, user, names)?;
        for (counter, value) in &user.counters {
            add_counter(&mut bytes, user, (counter, value.as_ref()), names)?;
        }
        Some(Self(bytes.into_boxed_slice()))
    }

    /// Returns the length in bytes.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if this is the entry of that user.
    pub(super) fn is_of(&self, (environment, id): (EnvironmentId, &UserId)) -> bool {
        let Some((head, parts)) = self.parts() else { return false };
        head.environment == environment && parts.id == id.as_str().as_bytes()
    }

    /// Reads the entry.
    pub(super) fn read(&self, names: &EntryNames) -> Option<KnownUser> {
        let (head, Parts { subscriptions, details, exceptions, counters, .. }) = self.parts()?;
        let mut details = Bytes(details);
        let running: Vec<Subscription> = subscriptions
            .chunks_exact(SUBSCRIPTION_BYTES)
            .map(|bytes| subscription(bytes, &mut details, names))
            .collect::<Option<_>>()?;
        let counters: Vec<Counter> = Counters::of(counters)
            .map(|stored| counter(&stored, &running, names))
            .collect::<Option<_>>()?;
        let (overrides, grants) = exceptions::read(head.exceptions, exceptions, names)?;
        let has_holds = exceptions::has_holds(head.exceptions);
        Some(KnownUser { key: head.key, running, overrides, grants, has_holds, counters })
    }

    /// Sets a counter that the entry has, if it takes as much room as before. Returns false otherwise.
    pub(super) fn set(
        &mut self,
        counter: &CounterKey,
        value: Option<&CounterValue>,
        names: &EntryNames,
    ) -> bool {
        let Some(number) = number(value) else { return false };
        let marks = value.and_then(|value| value.marks.to_text()).unwrap_or_default();
        let Some((place, marks_at)) = self.place(counter, marks.len(), names) else { return false };
        self.write(place, &number.to_le_bytes()) && self.write(marks_at, marks.as_bytes())
    }

    /// Sets how much of a grant is drawn, if the entry has the grant. Returns false otherwise.
    pub(super) fn set_drawn(&mut self, grant: GrantKey, drawn: i64) -> bool {
        let Some((head, Parts { id, subscriptions, details, exceptions, .. })) = self.parts()
        else {
            return false;
        };
        let before = HEAD_BYTES + id.len() + subscriptions.len() + details.len();
        let place = exceptions::place_of_drawn(head.exceptions, exceptions, grant);
        place.is_some_and(|place| self.write(before + place, &drawn.to_le_bytes()))
    }

    fn write(&mut self, place: usize, bytes: &[u8]) -> bool {
        let there = self.0.get_mut(place..place + bytes.len());
        there.map(|there| there.copy_from_slice(bytes)).is_some()
    }

    /// Returns where the value of the counter stands, and where its marks do, if those have this length.
    fn place(
        &self,
        counter: &CounterKey,
        marks: usize,
        names: &EntryNames,
    ) -> Option<(usize, usize)> {
        let (_, Parts { id, subscriptions, details, exceptions, counters }) = self.parts()?;
        let source = counter.subscription.0.as_bytes();
        let place = subscriptions
            .chunks_exact(SUBSCRIPTION_BYTES)
            .position(|bytes| bytes.starts_with(source))
            .map_or(Some(BY_ITSELF), |place| u8::try_from(place).ok())?;
        let feature = names.features.known(&counter.feature)?;
        let key = counter_key(place, feature, counter);
        let is_it = |stored: &StoredCounter<'_>| {
            *stored.key == key && stored.source.is_none_or(|stored| stored == source)
        };
        let stored = Counters::of(counters).find(is_it)?;
        let before = HEAD_BYTES + id.len() + subscriptions.len() + details.len() + exceptions.len();
        let (value, end) = (stored.at + COUNTER_KEY_BYTES, stored.at + stored.len);
        (stored.marks.len() == marks).then_some((before + value, before + end - marks))
    }

    fn parts(&self) -> Option<(Head, Parts<'_>)> {
        let mut bytes = Bytes(&self.0);
        let environment = EnvironmentId(i64::from_le_bytes(bytes.next()?));
        let key = UserKey(Uuid::from_bytes(bytes.next()?));
        let length = u16::from_le_bytes(bytes.next()?);
        let [running] = bytes.next()?;
        let [exceptions] = bytes.next()?;
        let head = Head { environment, key, exceptions };
        let id = bytes.take(usize::from(length))?;
        let subscriptions = bytes.take(usize::from(running) * SUBSCRIPTION_BYTES)?;
        let details = bytes.take(details_len(subscriptions, bytes.0)?)?;
        let exceptions = bytes.take(exceptions::len(exceptions, bytes.0)?)?;
        Some((head, Parts { id, subscriptions, details, exceptions, counters: bytes.0 }))
    }
}

struct Head {
    environment: EnvironmentId,
    key: UserKey,
    /// Whether there are overrides and grants.
    exceptions: u8,
}

struct Parts<'a> {
    id: &'a [u8],
    subscriptions: &'a [u8],
    /// The quantities and timings of the subscriptions that have some.
    details: &'a [u8],
    exceptions: &'a [u8],
    counters: &'a [u8],
}

/// Adds the quantities of a subscription, unless it was always for one.
fn add_quantities(bytes: &mut Vec<u8>, quantities: &Quantities) -> Option<()> {
    if quantities.is_always_one() {
        return Some(());
    }
    bytes.extend(quantities.oldest().get().to_le_bytes());
    bytes.push(u8::try_from(quantities.changes().len()).ok()?);
    for (since, quantity) in quantities.changes() {
        bytes.extend(since.as_ms().to_le_bytes());
        bytes.extend(quantity.get().to_le_bytes());
    }
    Some(())
}

/// Adds what was said about a subscription's start, end and trial.
fn add_timing(bytes: &mut Vec<u8>, timing: &Timing) {
    if timing.is_none() {
        return;
    }
    bytes.push(timing.starts_ahead.into());
    let instants = [timing.end_asked, timing.end, timing.trial_ends_at, timing.anchored_at];
    for at in instants {
        bytes.extend(at.map_or(NO_INSTANT, Timestamp::as_ms).to_le_bytes());
    }
}

fn timing(bytes: &mut Bytes<'_>) -> Option<Timing> {
    let [starts_ahead] = bytes.next()?;
    let mut at = || {
        let ms = i64::from_le_bytes(bytes.next()?);
        Some(Some(ms).filter(|ms| *ms != NO_INSTANT).map(Timestamp::from_ms))
    };
    let (end_asked, end, trial_ends_at, anchored_at) = (at()?, at()?, at()?, at()?);
    Some(Timing { starts_ahead: starts_ahead != 0, end_asked, end, trial_ends_at, anchored_at })
}

/// Returns how many bytes the quantities and timings of the subscriptions take at the front of `rest`.
fn details_len(subscriptions: &[u8], rest: &[u8]) -> Option<usize> {
    let statuses = subscriptions.chunks_exact(SUBSCRIPTION_BYTES).map(|bytes| bytes[STATUS]);
    let mut length = 0;
    for status in statuses.filter(|status| status & (HAS_QUANTITIES | HAS_TIMING) != 0) {
        if status & HAS_QUANTITIES != 0 {
            let changes = *rest.get(length + QUANTITIES_HEAD_BYTES - 1)?;
            length += QUANTITIES_HEAD_BYTES + usize::from(changes) * QUANTITY_CHANGE_BYTES;
        }
        if status & HAS_TIMING != 0 {
            length += TIMING_BYTES;
        }
    }
    Some(length)
}

fn quantities(bytes: &mut Bytes<'_>) -> Option<Quantities> {
    let quantity = |bytes| Quantity::new("quantity", u32::from_le_bytes(bytes).into()).ok();
    let oldest = quantity(bytes.next()?)?;
    let [changes] = bytes.next()?;
    let changes = (0..changes).map(|_| {
        Some((Timestamp::from_ms(i64::from_le_bytes(bytes.next()?)), quantity(bytes.next()?)?))
    });
    Quantities::from_stored(oldest, changes.collect::<Option<_>>()?)
}

fn subscription(bytes: &[u8], rest: &mut Bytes<'_>, names: &EntryNames) -> Option<Subscription> {
    let mut bytes = Bytes(bytes);
    let id = SubscriptionId(Uuid::from_bytes(bytes.next()?));
    let package = names.packages.id(u32::from_le_bytes(bytes.next()?))?.clone();
    let [status] = bytes.next()?;
    let has_quantities = status & HAS_QUANTITIES != 0;
    let has_timing = status & HAS_TIMING != 0;
    let status = usize::from(status & !(HAS_QUANTITIES | HAS_TIMING));
    let (status, _) = *SubscriptionStatus::NAMES.get(status)?;
    let started_at = Timestamp::from_ms(i64::from_le_bytes(bytes.next()?));
    let quantities = if has_quantities { quantities(rest)? } else { Quantities::ONE };
    let timing = if has_timing { timing(rest)? } else { Timing::NONE };
    Some(Subscription { id, package, status, started_at, ended_at: None, quantities, timing })
}

/// A counter as it stands in an entry.
struct StoredCounter<'a> {
    /// Where it begins among the counters.
    at: usize,
    len: usize,
    key: &'a [u8; COUNTER_KEY_BYTES],
    number: i64,
    /// What counts, unless it is a subscription.
    source: Option<&'a [u8; 16]>,
    /// Text; empty if there are none.
    marks: &'a [u8],
}

/// Reads the counters of an entry, one after the other.
struct Counters<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Counters<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }
}

impl<'a> Iterator for Counters<'a> {
    type Item = StoredCounter<'a>;

    fn next(&mut self) -> Option<StoredCounter<'a>> {
        let (key, rest) = self.rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let number = i64::from_le_bytes(*number);
        let (source, rest) = if key[0] == BY_ITSELF {
            let (source, rest) = rest.split_first_chunk()?;
            (Some(source), rest)
        } else {
            (None, rest)
        };
        let (marks, rest) = if number < 0 && number != NO_ROW {
            let (length, rest) = rest.split_first_chunk()?;
            rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?
        } else {
            (&[][..], rest)
        };
        let (at, len) = (self.at, self.rest.len() - rest.len());
        self.at += len;
        self.rest = rest;
        Some(StoredCounter { at, len, key, number, source, marks })
    }
}

/// Adds a counter. Those of subscriptions and overrides that are not known any more are not kept.
fn add_counter(
    bytes: &mut Vec<u8>,
    user: &KnownUser,
    (counter, value): (&CounterKey, Option<&CounterValue>),
    names: &mut EntryNames,
) -> Option<()> {
    let place = user.running.iter().position(|running| running.id == counter.subscription);
    let is_by_itself = place.is_none();
    let feature = names.features.number(&counter.feature)?;
    let Some(number) = number(value) else { return Some(()) };
    if is_by_itself && !user.counts_by_itself(counter.subscription) {
        return Some(());
    }
    let place = place.map_or(Some(BY_ITSELF), |place| u8::try_from(place).ok())?;
    bytes.extend(counter_key(place, feature, counter));
    bytes.extend(number.to_le_bytes());
    if is_by_itself {
        bytes.extend(counter.subscription.0.as_bytes());
    }
    match value.and_then(|value| value.marks.to_text()) {
        Some(marks) => add_text(bytes, &marks),
        None => Some(()),
    }
}

fn counter(
    stored: &StoredCounter<'_>,
    running: &[Subscription],
    names: &EntryNames,
) -> Option<Counter> {
    let mut bytes = Bytes(stored.key);
    let [place] = bytes.next()?;
    let key = CounterKey {
        subscription: match stored.source {
            Some(source) => SubscriptionId(Uuid::from_bytes(*source)),
            None => running.get(usize::from(place))?.id,
        },
        feature: names.features.id(u32::from_le_bytes(bytes.next()?))?.clone(),
        terms: TermsNumber(u32::from_le_bytes(bytes.next()?)),
        period_start: Timestamp::from_ms(i64::from_le_bytes(bytes.next()?)),
    };
    let value = match stored.number {
        NO_ROW => None,
        used if used >= 0 => Some(used.into()),
        number => {
            let marks = Marks::from_text(str::from_utf8(stored.marks).ok()?)?;
            Some(CounterValue { used: !number, marks })
        }
    };
    Some((key, value))
}

fn counter_key(place: u8, feature: u32, counter: &CounterKey) -> [u8; COUNTER_KEY_BYTES] {
    let mut key = [0; COUNTER_KEY_BYTES];
    let feature = feature.to_le_bytes();
    let terms = counter.terms.0.to_le_bytes();
    let start = counter.period_start.as_ms().to_le_bytes();
    let bytes = [place].into_iter().chain(feature).chain(terms).chain(start);
    key.iter_mut().zip(bytes).for_each(|(byte, value)| *byte = value);
    key
}
