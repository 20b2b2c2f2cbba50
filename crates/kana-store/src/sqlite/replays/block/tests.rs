use kana_core::id::IdempotencyKey;
use proptest::prelude::*;

use super::*;
use crate::app::EnvironmentId;
use crate::sqlite::replays::hash::Hasher;
use crate::sqlite::replays::record::{Columns, Record};

fn hasher() -> Hasher {
    Hasher::new(b"0123456789abcdef")
}

fn record(environment: i64, key: &str, feature: &str) -> Record {
    let row = Columns {
        environment,
        key: key.into(),
        user: uuid::Uuid::nil(),
        feature,
        action: "ADD",
        delta: 1,
        occurred_at: None,
        answer: r#"{"Recorded":"Recorded"}"#.into(),
        kept_at: 5,
    };
    Record::of_row(&hasher(), &row)
}

fn block(records: &[Record]) -> Vec<u8> {
    let mut builder = BlockBuilder::default();
    records.iter().for_each(|record| builder.push(record.stored()));
    let block = builder.finish();
    assert!(builder.is_empty());
    block
}

fn read(data: &[u8]) -> Result<Vec<Record>, StoreError> {
    let mut block = Block::read(data)?;
    let mut records = Vec::new();
    while let Some(stored) = block.next()? {
        records.push(Record::of_stored(&hasher(), stored)?);
    }
    Ok(records)
}

fn some() -> Vec<Record> {
    [(1, "a", "f"), (2, "a", "f"), (1, "b", "g"), (1, "c", "f")]
        .map(|(environment, key, feature)| record(environment, key, feature))
        .to_vec()
}

#[test]
fn a_block_has_the_records_that_it_was_given() {
    assert_eq!(read(&block(&some())).unwrap(), some());
    assert_eq!(read(&block(&[])).unwrap(), []);
}

#[test]
fn a_key_is_found_in_its_environment() {
    let data = block(&some());
    let find = |environment, key: &str| {
        let key = IdempotencyKey::new("key", key).unwrap();
        let asked = Asked::new(&hasher(), EnvironmentId(environment), &key);
        let found = find(&data, &asked).unwrap();
        found.map(|stored| stored.columns().unwrap().feature.to_owned())
    };
    assert_eq!(find(1, "b").as_deref(), Some("g"));
    assert_eq!(find(2, "a").as_deref(), Some("f"));
    assert_eq!(find(2, "b"), None);
    assert_eq!(find(1, "A"), None);
}

#[test]
fn what_is_the_same_for_many_stands_there_once() {
    let feature = "a feature with a name that is rather long";
    let records: Vec<_> = (0..100).map(|n| record(1, &format!("key {n}"), feature)).collect();
    let data = block(&records);
    assert!(data.len() < 100 * 40, "{}", data.len());
    assert_eq!(data.windows(feature.len()).filter(|part| *part == feature.as_bytes()).count(), 1);
}

#[test]
fn a_changed_byte_is_noticed() {
    let data = block(&some());
    for at in 0..data.len() {
        let mut changed = data.clone();
        changed[at] ^= 0x10;
        let read = read(&changed);
        assert!(matches!(read, Err(StoreError::Unreadable(_))), "byte {at}: {read:?}");
    }
    for to in 0..data.len() {
        assert!(read(&data[..to]).is_err(), "{to} bytes");
    }
}

proptest! {
    #[test]
    fn other_bytes_are_refused_without_a_panic(mut bytes: Vec<u8>) {
        let key = IdempotencyKey::new("key", "a").unwrap();
        let asked = Asked::new(&hasher(), EnvironmentId(1), &key);
        let _ = (read(&bytes), find(&bytes, &asked));
        if let Some(first) = bytes.first_mut() {
            *first = VERSION;
        }
        let _ = find(&bytes, &asked);
    }
}
