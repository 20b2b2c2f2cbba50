use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn event(user: u128) -> Event<'static> {
    Event {
        user: uuid(user),
        feature: "api-calls",
        action: LoggedAction::Add,
        delta: 1,
        occurred_at: 1_700_000_000_000,
        recorded_at: 1_700_000_000_000,
        subscription: Some(uuid(user + 1)),
        key: None,
        metadata: None,
    }
}

/// An event with texts of its own.
#[derive(Debug, Clone)]
struct Owned {
    user: u128,
    feature: String,
    is_set: bool,
    numbers: [i64; 3],
    subscription: Option<u128>,
    key: Option<String>,
    metadata: Option<String>,
}

impl Owned {
    fn event(&self) -> Event<'_> {
        let [delta, occurred_at, recorded_at] = self.numbers;
        Event {
            user: uuid(self.user),
            feature: &self.feature,
            action: if self.is_set { LoggedAction::Set } else { LoggedAction::Add },
            delta,
            occurred_at,
            recorded_at,
            subscription: self.subscription.map(uuid),
            key: self.key.as_deref().map(EventKey::new),
            metadata: self.metadata.as_deref(),
        }
    }
}

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![-3..4_i64, 1_700_000_000_000..1_700_000_100_000_i64, any::<i64>()]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,8}",
        any::<u128>().prop_map(|number| uuid(number).to_string()),
        any::<u128>().prop_map(|number| uuid(number).to_string().to_uppercase()),
        any::<u128>().prop_map(|number| uuid(number).simple().to_string()),
    ]
}

fn owned() -> impl Strategy<Value = Owned> {
    let named = (0..5_u128, "[a-c]{0,2}|.{0,20}", any::<bool>());
    let optional = (option::of(0..3_u128), option::of(key()), option::of(".{0,40}"));
    (named, [number(), number(), number()], optional).prop_map(
        |((user, feature, is_set), numbers, (subscription, key, metadata))| Owned {
            user,
            feature,
            is_set,
            numbers,
            subscription,
            key,
            metadata,
        },
    )
}

/// Reads a block back, and checks what it says of its events.
fn read_back(written: &[Event<'_>]) {
    let block = BlockWriter::block(written.iter().copied());
    let columns = columns(&block.data).unwrap();
    let read = events(&columns, &block.users, block.events, block.recorded_from).unwrap();
    assert_eq!(read, written);
    let recorded = || written.iter().map(|event| event.recorded_at);
    assert_eq!(Some(block.recorded_from), recorded().min());
    assert_eq!(Some(block.recorded_to), recorded().max());
    let mut users: Vec<&[u8]> = block.users.chunks(16).collect();
    let count = users.len();
    users.sort_unstable();
    users.dedup();
    assert_eq!(users.len(), count, "each user once");
}

proptest! {
    #[test]
    fn events_are_read_as_they_were_written(written in vec(owned(), 1..60)) {
        read_back(&written.iter().map(Owned::event).collect::<Vec<_>>());
    }

    #[test]
    fn damaged_blocks_are_errors_or_other_events(
        written in vec(owned(), 1..40),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in option::of(any::<prop::sample::Index>()),
        count in prop_oneof![0..50_usize, Just(usize::MAX)],
    ) {
        let Block { mut users, mut data, recorded_from, .. } =
            BlockWriter::block(written.iter().map(Owned::event));
        for (place, byte) in damage {
            let place = place.index(users.len() + data.len());
            *users.iter_mut().chain(&mut data).nth(place).unwrap() = byte;
        }
        if let Some(cut) = cut {
            data.truncate(cut.index(data.len()));
        }
        if let Ok(columns) = columns(&data) {
            let _ = events(&columns, &users, count, recorded_from);
        }
    }

    #[test]
    fn bytes_of_any_kind_are_errors_or_events(
        form in 0..4_u8, bytes in vec(any::<u8>(), 0..300), users in vec(any::<u8>(), 0..64),
        count in 0..20_usize,
    ) {
        let data = [&[form][..], &bytes].concat();
        if let Ok(columns) = columns(&data) {
            let _ = events(&columns, &users, count, 0);
        }
    }
}

#[test]
fn one_event_without_a_key_takes_little() {
    let block = BlockWriter::block([event(1)]);
    assert_eq!(block.users.len() + block.data.len(), 16 + 33);
    insta::assert_snapshot!(format!("{:02x?}", &block.data[..17]), @"[01, 02, 00, 00, 09, 61, 70, 69, 2d, 63, 61, 6c, 6c, 73, 02, 00, 00]");
}

#[test]
fn a_key_that_is_a_uuid_takes_sixteen_bytes() {
    let with = |key: &str| {
        let block = BlockWriter::block([Event { key: Some(EventKey::new(key)), ..event(1) }]);
        block.data.len() - BlockWriter::block([event(1)]).data.len()
    };
    let key = "0190d3a8-1f2b-7c3d-8e4f-5a6b7c8d9e0f";
    assert_eq!(with(key), 16);
    assert_eq!(with(&key.to_uppercase()), 37);
    assert_eq!(with(&key.replace('-', "")), 33);
    assert_eq!(with("order-77"), 9);
}

#[test]
fn many_events_take_what_differs_between_them() {
    let metadata: Vec<String> =
        (0..500).map(|order| format!(r#"{{"region":"eu","order":{order}}}"#)).collect();
    let size = |written: &[Event<'_>]| {
        read_back(written);
        let block = BlockWriter::block(written.iter().copied());
        (block.users.len() + block.data.len()) / written.len()
    };
    let same: Vec<_> = (0..500).map(|_| event(7)).collect();
    assert_eq!(size(&same), 0);
    // Their users and subscriptions.
    let random = |seed: u128| seed.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    let others: Vec<_> = (1..500).map(|user| event(random(user) >> 1)).collect();
    assert!((28..=33).contains(&size(&others)), "{}", size(&others));
    let told: Vec<_> =
        metadata.iter().map(|text| Event { metadata: Some(text), ..event(7) }).collect();
    assert!(size(&told) < 12, "{}", size(&told));
}

#[test]
fn a_block_is_full_at_so_many_events_or_bytes() {
    let fits = |event: &Event<'_>| {
        let mut writer = BlockWriter::default();
        (0..)
            .take_while(|_| {
                writer.add(event);
                !writer.is_full()
            })
            .count()
            + 1
    };
    assert_eq!(fits(&event(1)), EVENTS_MAX);
    let text = "x".repeat(16 * 1024);
    assert_eq!(fits(&Event { metadata: Some(&text), ..event(1) }), 4);
    assert_eq!(fits(&Event { metadata: Some(&text[..1000]), ..event(1) }), 63);
}

#[test]
fn damage_is_named() {
    let damaged = |change: &dyn Fn(&mut Block)| {
        let mut block = BlockWriter::block([event(1), event(2)]);
        change(&mut block);
        let columns = match columns(&block.data) {
            Ok(columns) => columns,
            Err(error) => return error.to_string(),
        };
        let read = events(&columns, &block.users, block.events, block.recorded_from);
        read.unwrap_err().to_string()
    };
    for (change, said) in [
        (&(|block: &mut Block| block.data.clear()) as &dyn Fn(&mut Block), "it is empty"),
        (&|block| block.data[0] = 9, "this release does not know its form"),
        (&|block| block.data = vec![LZ4, 0xFF, 0xFF, 0xFF, 0x7F], "it is too long"),
        (&|block| block.data = vec![LZ4, 1, 0x20, 1, 2], "it cannot be expanded"),
        (&|block| block.data = vec![LZ4, 9, 0x10, 1], "it has another length than it says"),
        (&|block| block.events = 1, "it has no such user"),
        (&|block| block.events = usize::MAX, "it is cut"),
        (&|block| block.users.truncate(16), "it has too few users"),
        (&|block| block.users.push(0), "it has too many users"),
        (&|block| block.data[3] = 1, "it has no such user"),
        (&|block| block.data[5] = 1, "it has no such feature"),
        (&|block| block.data[2] |= SAME_SUBSCRIPTION, "it has too few subscriptions"),
        (&|block| block.data.push(0), "there is more after its end"),
        (&|block| _ = block.data.pop(), "it is cut"),
        (&|block| block.data[3..=13].fill(0xFF), "it is cut, or has a number without an end"),
    ] {
        assert_eq!(damaged(change), said);
    }
}
