//! Files for `kana import`.
//!
//! The input is the lines of an export, the header first. If it has no end, it gets the one that
//! belongs to it, so that a record that changed is not refused for its checksum alone.
#![no_main]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

use kana_fuzz::{Server, now, runtime, temporary_directory};
use kana_store::transfer::{Scope, Tally, TransferError, export, import};
use kana_store::{EnvironmentKind, SqliteStore};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

fuzz_target!(|input: &[u8]| {
    let mut file = input.to_vec();
    if !input.windows(END.len()).any(|window| window == END) {
        file.extend(end_of(input));
    }
    run(file);
});

const EVERYTHING: &str = "{
    features { id name type unitLabel unitLabelPlural metadata }
    packages(status: \"PUBLISHED\") { id name status isAddon metadata updatedAt
        features { id name limit resetPeriod overageEnabled } basePackages { id } }
    users { id billingId name email metadata subscriptions { id status startedAt endedAt
        package { id } } }
}";

const USE: &str = "mutation ($user: String!, $feature: String!) {
    used: useFeature(input: {userId: $user, featureId: $feature}) { granted }
    recorded: recordUsage(input: {userId: $user, featureId: $feature}) { recorded }
}";

const END: &[u8] = br#"{"record":"end""#;

/// An empty database. An import that fails leaves it empty, so that it serves the next one, too.
struct Empty {
    store: Arc<SqliteStore>,
    _directory: TempDir,
}

impl Empty {
    fn new() -> Self {
        let directory = temporary_directory();
        let store = Arc::new(SqliteStore::open(directory.path()).expect("a store"));
        Self { store, _directory: directory }
    }
}

fn run(file: Vec<u8>) {
    thread_local! {
        static EMPTY: RefCell<Option<Empty>> = const { RefCell::new(None) };
    }
    EMPTY.with_borrow_mut(|slot| {
        let empty = slot.get_or_insert_with(Empty::new);
        let Ok((scope, tally)) = imported(&empty.store, file) else { return };
        let again = exported(&empty.store, &scope, tally);
        *slot = None;
        let other = Empty::new();
        let (scope_again, tally_again) = imported(&other.store, again).expect("its own export");
        assert_eq!((&scope_again, tally_again), (&scope, tally));
        for environment in scope.environments {
            ask(&other.store, environment);
        }
    });
}

/// Asks for everything of an environment. What was let in can be answered.
fn ask(store: &Arc<SqliteStore>, environment: EnvironmentKind) {
    let server = Server::on(Arc::clone(store) as _, environment);
    let answer = server.graphql(EVERYTHING, "null");
    let data = &answer.body["data"];
    assert!(data["users"].is_array() && data["packages"].is_array(), "{}", answer.body);
    let users: Vec<String> = data["users"].as_array().into_iter().flatten().map(id).collect();
    let features: Vec<String> = data["features"].as_array().into_iter().flatten().map(id).collect();
    for user in users.iter().take(3) {
        for feature in features.iter().take(3) {
            let variables = json!({ "user": user, "feature": feature }).to_string();
            server.graphql(USE, &variables);
        }
    }
}

fn id(object: &Value) -> String {
    object["id"].as_str().expect("an id").to_owned()
}

fn imported(store: &SqliteStore, file: Vec<u8>) -> Result<(Scope, Tally), TransferError> {
    let result = runtime().block_on(import(store, Cursor::new(file), None, &mut |_| {}));
    let is_ours = matches!(
        &result,
        Err(TransferError::Store(_) | TransferError::NotTheSame(_) | TransferError::Write(_))
    );
    assert!(!is_ours, "{result:?}");
    result
}

fn exported(store: &SqliteStore, scope: &Scope, tally: Tally) -> Vec<u8> {
    let mut file = Vec::new();
    let told =
        runtime().block_on(export(store, scope, &mut file, now(), &mut |_| {})).expect("an export");
    assert_eq!(told, tally);
    file
}

/// The last line of a file, as `docs/export.md` has it, for records that are written as Kana does.
fn end_of(lines: &[u8]) -> Vec<u8> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut sums = [0_u64; 4];
    for line in lines.split(|byte| *byte == b'\n').skip(1).filter(|line| !line.is_empty()) {
        let Ok(record) = serde_json::from_slice::<Map<String, Value>>(line) else { continue };
        let Some(kind) = record.get("record").and_then(Value::as_str) else { continue };
        *counts.entry(kind.to_owned()).or_default() += 1;
        for (sum, part) in sums.iter_mut().zip(Sha256::digest(line).chunks_exact(8)) {
            let part = u64::from_le_bytes(part.try_into().expect("eight bytes"));
            *sum = sum.wrapping_add(part);
        }
    }
    let bytes = sums.iter().flat_map(|sum| sum.to_le_bytes());
    let checksum: String = bytes.map(|byte| format!("{byte:02x}")).collect();
    let counts: Map<_, _> =
        counts.into_iter().map(|(kind, count)| (kind, Value::from(count))).collect();
    let counts = Value::from(counts);
    let line_end = if lines.ends_with(b"\n") { "" } else { "\n" };
    format!(r#"{line_end}{{"record":"end","counts":{counts},"checksum":"{checksum}"}}"#)
        .into_bytes()
}
