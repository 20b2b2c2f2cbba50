//! The form of a block of usage events: many events in one row.
//!
//! A block has the keys of its users by themselves, each once, so that looking for the events of a user
//! reads nothing else. The rest are columns, one after the other: what is alike lies together, and takes
//! little room once it is compressed. Forms that were released are read for ever.
//!
//! # Forms
//!
//! The first byte of the data is 1 if the columns follow, or 2 if their length follows and then their
//! bytes in LZ4's block format. Numbers are varints: seven bits a byte, the lowest first. Signed ones are
//! zigzag. Texts have their length before them. The columns:
//!
//! | column | of | is |
//! |---|---|---|
//! | flags | each event | a byte of the bits below |
//! | user | each event | 0: the next one of the block's users; else how many before the next one |
//! | feature | each event | its place among the features of the block |
//! | features | each feature | its id, in the order of first use |
//! | delta | each event | signed |
//! | recorded | each event | signed, milliseconds after the event before; at first, after the block's first instant |
//! | occurred | each event | signed, milliseconds before it was recorded |
//! | subscriptions | each event with a new one | 16 bytes, all first bytes first, then all second ones |
//! | keys that are UUIDs | each event with such a key | like subscriptions |
//! | other keys | each event with such a key | the text |
//! | metadata | each event with metadata | the text |

use std::borrow::Cow;

use indexmap::{IndexMap, IndexSet};
use kana_core::usage::LoggedAction;
use uuid::Uuid;

use super::bytes::{as_uuid, put_number, put_signed, put_slice};
use super::event_bytes::{BlockError, Bytes, put_planes};

/// The number of events at which a block is full. A block is rewritten as a whole where the metadata of
/// one event is deleted.
pub(super) const EVENTS_MAX: usize = 512;
/// About how many bytes of columns make a block full.
const BYTES_MAX: usize = 64 * 1024;
/// About how many bytes an event takes beside its texts.
const EVENT_BYTES: usize = 48;

/// Fewer bytes are not worth compressing: those of a few events.
const COMPRESSED_MIN: usize = 256;
/// Blocks with more bytes of columns are not compressed, so that a damaged length takes little memory.
const COMPRESSED_MAX: usize = 1024 * 1024;

const PLAIN: u8 = 1;
const LZ4: u8 = 2;

const SET: u8 = 1;
const HAS_SUBSCRIPTION: u8 = 1 << 1;
/// The subscription is the last one that an earlier event of the user in the block has.
const SAME_SUBSCRIPTION: u8 = 1 << 2;
const HAS_UUID_KEY: u8 = 1 << 3;
const HAS_TEXT_KEY: u8 = 1 << 4;
const HAS_METADATA: u8 = 1 << 5;
const VOID: u8 = 1 << 6;

/// A usage event as it is stored. Instants are milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event<'a> {
    pub(super) user: Uuid,
    pub(super) feature: &'a str,
    pub(super) action: LoggedAction,
    pub(super) delta: i64,
    pub(super) occurred_at: i64,
    pub(super) recorded_at: i64,
    pub(super) subscription: Option<Uuid>,
    pub(super) key: Option<EventKey<'a>>,
    /// JSON.
    pub(super) metadata: Option<&'a str>,
}

/// An idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventKey<'a> {
    Text(&'a str),
    /// One that is spelled as UUIDs mostly are: in lower case, with hyphens.
    Uuid(Uuid),
}

impl<'a> EventKey<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        as_uuid(text).map_or(Self::Text(text), Self::Uuid)
    }

    pub(super) fn text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Uuid(uuid) => Cow::Owned(uuid.hyphenated().to_string()),
        }
    }
}

/// A block as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) events: usize,
    /// The first instant at which one of the events was recorded.
    pub(super) recorded_from: i64,
    /// The last one.
    pub(super) recorded_to: i64,
    /// The keys of the users, each once.
    pub(super) users: Vec<u8>,
    pub(super) data: Vec<u8>,
}

/// Gathers the events of a block.
#[derive(Debug, Default)]
pub(super) struct BlockWriter {
    /// With the last subscription of each.
    users: IndexMap<Uuid, Option<Uuid>>,
    features: IndexSet<String>,
    flags: Vec<u8>,
    user_places: Vec<u8>,
    feature_places: Vec<u8>,
    deltas: Vec<u8>,
    recorded: Vec<i64>,
    occurred: Vec<u8>,
    subscriptions: Vec<Uuid>,
    uuid_keys: Vec<Uuid>,
    text_keys: Vec<u8>,
    metadata: Vec<u8>,
}

impl BlockWriter {
    /// Returns a block of all these events.
    pub(super) fn block<'a>(events: impl IntoIterator<Item = Event<'a>>) -> Block {
        let mut writer = Self::default();
        for event in events {
            writer.add(&event);
        }
        writer.finish()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.flags.is_empty()
    }

    /// Returns true if the next event belongs in another block.
    pub(super) fn is_full(&self) -> bool {
        let events = self.flags.len();
        events >= EVENTS_MAX
            || events * EVENT_BYTES + self.text_keys.len() + self.metadata.len() >= BYTES_MAX
    }

    pub(super) fn add(&mut self, event: &Event<'_>) {
        let next = self.users.len();
        let user = self.users.entry(event.user);
        put_number(&mut self.user_places, (next - user.index()) as u64);
        let last = user.or_insert(None);
        let mut flags = match event.action {
            LoggedAction::Add => 0,
            LoggedAction::Set => SET,
            LoggedAction::Void => VOID,
        };
        if let Some(subscription) = event.subscription {
            flags |= HAS_SUBSCRIPTION;
            if *last == Some(subscription) {
                flags |= SAME_SUBSCRIPTION;
            } else {
                *last = Some(subscription);
                self.subscriptions.push(subscription);
            }
        }
        match event.key {
            Some(EventKey::Uuid(key)) => {
                flags |= HAS_UUID_KEY;
                self.uuid_keys.push(key);
            }
            Some(EventKey::Text(key)) => {
                flags |= HAS_TEXT_KEY;
                put_slice(&mut self.text_keys, key.as_bytes());
            }
            None => {}
        }
        if let Some(metadata) = event.metadata {
            flags |= HAS_METADATA;
            put_slice(&mut self.metadata, metadata.as_bytes());
        }
        self.flags.push(flags);
        let place = match self.features.get_index_of(event.feature) {
            Some(place) => place,
            None => self.features.insert_full(event.feature.to_owned()).0,
        };
        put_number(&mut self.feature_places, place as u64);
        put_signed(&mut self.deltas, event.delta);
        self.recorded.push(event.recorded_at);
        put_signed(&mut self.occurred, event.recorded_at.wrapping_sub(event.occurred_at));
    }

    pub(super) fn finish(self) -> Block {
        let recorded_from = self.recorded.iter().copied().min().unwrap_or(0);
        let recorded_to = self.recorded.iter().copied().max().unwrap_or(0);
        let users = self.users.keys().flat_map(|user| *user.as_bytes()).collect();
        let mut columns = vec![PLAIN];
        columns.extend_from_slice(&self.flags);
        columns.extend_from_slice(&self.user_places);
        columns.extend_from_slice(&self.feature_places);
        for feature in &self.features {
            put_slice(&mut columns, feature.as_bytes());
        }
        columns.extend_from_slice(&self.deltas);
        let mut before = recorded_from;
        for recorded in &self.recorded {
            put_signed(&mut columns, recorded.wrapping_sub(before));
            before = *recorded;
        }
        columns.extend_from_slice(&self.occurred);
        put_planes(&mut columns, &self.subscriptions);
        put_planes(&mut columns, &self.uuid_keys);
        columns.extend_from_slice(&self.text_keys);
        columns.extend_from_slice(&self.metadata);
        let data = compressed(&columns).unwrap_or(columns);
        Block { events: self.flags.len(), recorded_from, recorded_to, users, data }
    }
}

/// Returns the data in LZ4, unless that saves next to nothing. `columns` begin with [`PLAIN`].
fn compressed(columns: &[u8]) -> Option<Vec<u8>> {
    if !(COMPRESSED_MIN..=COMPRESSED_MAX).contains(&columns.len()) {
        return None;
    }
    let (_, columns) = columns.split_first()?;
    let mut data = vec![LZ4];
    put_number(&mut data, columns.len() as u64);
    data.extend_from_slice(&lz4_flex::block::compress(columns));
    // Expanding takes time, too.
    (data.len() < columns.len() - columns.len() / 16).then_some(data)
}

/// Returns the columns of a block's data, for [`events`].
pub(super) fn columns(data: &[u8]) -> Result<Cow<'_, [u8]>, BlockError> {
    match data.split_first() {
        Some((&PLAIN, columns)) => Ok(Cow::Borrowed(columns)),
        Some((&LZ4, rest)) => {
            let mut rest = Bytes::new(rest);
            let length = usize::try_from(rest.number()?).unwrap_or(usize::MAX);
            if length > COMPRESSED_MAX {
                return Err(BlockError("it is too long"));
            }
            let expanded = lz4_flex::block::decompress(rest.rest(), length);
            let expanded = expanded.map_err(|_| BlockError("it cannot be expanded"))?;
            if expanded.len() != length {
                return Err(BlockError("it has another length than it says"));
            }
            Ok(Cow::Owned(expanded))
        }
        Some(_) => Err(BlockError("this release does not know its form")),
        None => Err(BlockError("it is empty")),
    }
}

/// Reads the events of a block. Memory stays within a small multiple of what `columns` and `users` take.
pub(super) fn events<'a>(
    columns: &'a [u8],
    users: &[u8],
    count: usize,
    recorded_from: i64,
) -> Result<Vec<Event<'a>>, BlockError> {
    let mut rest = Bytes::new(columns);
    let flags = rest.take(count)?;
    let mut events: Vec<Event<'a>> = flags.iter().map(|flags| blank(*flags)).collect();
    let places = read_users(&mut rest, users, &mut events)?;
    read_features(&mut rest, &mut events)?;
    read_numbers(&mut rest, recorded_from, &mut events)?;
    read_subscriptions(&mut rest, flags, &places, &mut events)?;
    read_texts(&mut rest, flags, &mut events)?;
    if rest.rest().is_empty() { Ok(events) } else { Err(BlockError("there is more after its end")) }
}

/// An event of which nothing but the flags is known.
fn blank<'a>(flags: u8) -> Event<'a> {
    Event {
        user: Uuid::nil(),
        feature: "",
        action: match flags & (SET | VOID) {
            0 => LoggedAction::Add,
            VOID => LoggedAction::Void,
            _ => LoggedAction::Set,
        },
        delta: 0,
        occurred_at: 0,
        recorded_at: 0,
        subscription: None,
        key: None,
        metadata: None,
    }
}

/// Reads the users, and returns the place of each event's user among those of the block.
fn read_users(
    rest: &mut Bytes<'_>,
    users: &[u8],
    events: &mut [Event<'_>],
) -> Result<Vec<usize>, BlockError> {
    let (users, left) = users.as_chunks::<16>();
    let mut next = 0_usize;
    let mut places = Vec::with_capacity(events.len());
    for event in events {
        let back = usize::try_from(rest.number()?).unwrap_or(usize::MAX);
        let place = next.checked_sub(back).ok_or(BlockError("it has no such user"))?;
        next += usize::from(back == 0);
        event.user = users
            .get(place)
            .map(|user| Uuid::from_bytes(*user))
            .ok_or(BlockError("it has too few users"))?;
        places.push(place);
    }
    let is_all = next == users.len() && left.is_empty();
    if is_all { Ok(places) } else { Err(BlockError("it has too many users")) }
}

fn read_features<'a>(rest: &mut Bytes<'a>, events: &mut [Event<'a>]) -> Result<(), BlockError> {
    let mut count = 0;
    let mut places = Vec::with_capacity(events.len());
    for _ in &*events {
        let place = usize::try_from(rest.number()?).unwrap_or(usize::MAX);
        if place > count {
            return Err(BlockError("it has no such feature"));
        }
        count = count.max(place + 1);
        places.push(place);
    }
    let features: Vec<&str> = (0..count).map(|_| rest.text()).collect::<Result<_, _>>()?;
    for (event, place) in events.iter_mut().zip(places) {
        event.feature = features.get(place).copied().unwrap_or_default();
    }
    Ok(())
}

fn read_numbers(
    rest: &mut Bytes<'_>,
    recorded_from: i64,
    events: &mut [Event<'_>],
) -> Result<(), BlockError> {
    for event in &mut *events {
        event.delta = rest.signed()?;
    }
    let mut before = recorded_from;
    for event in &mut *events {
        before = before.wrapping_add(rest.signed()?);
        event.recorded_at = before;
    }
    for event in &mut *events {
        event.occurred_at = event.recorded_at.wrapping_sub(rest.signed()?);
    }
    Ok(())
}

fn read_subscriptions(
    rest: &mut Bytes<'_>,
    flags: &[u8],
    places: &[usize],
    events: &mut [Event<'_>],
) -> Result<(), BlockError> {
    let is_new = |flags: &&u8| **flags & (HAS_SUBSCRIPTION | SAME_SUBSCRIPTION) == HAS_SUBSCRIPTION;
    let mut subscriptions = rest.planes(flags.iter().filter(is_new).count())?.into_iter();
    // The last one of each user.
    let mut last = vec![None; events.len()];
    for ((event, flags), place) in events.iter_mut().zip(flags).zip(places) {
        let Some(last) = last.get_mut(*place) else { continue };
        if is_new(&flags) {
            *last = subscriptions.next();
        }
        if flags & HAS_SUBSCRIPTION != 0 {
            event.subscription = *last;
            last.ok_or(BlockError("it has too few subscriptions"))?;
        }
    }
    Ok(())
}

fn read_texts<'a>(
    rest: &mut Bytes<'a>,
    flags: &[u8],
    events: &mut [Event<'a>],
) -> Result<(), BlockError> {
    let has = |flag: u8| move |flags: &&u8| **flags & flag != 0;
    let mut uuids = rest.planes(flags.iter().filter(has(HAS_UUID_KEY)).count())?.into_iter();
    for (event, flags) in events.iter_mut().zip(flags) {
        if has(HAS_UUID_KEY)(&flags) {
            event.key = uuids.next().map(EventKey::Uuid);
        } else if has(HAS_TEXT_KEY)(&flags) {
            event.key = Some(EventKey::Text(rest.text()?));
        }
    }
    for (event, flags) in events.iter_mut().zip(flags) {
        if has(HAS_METADATA)(&flags) {
            event.metadata = Some(rest.text()?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
