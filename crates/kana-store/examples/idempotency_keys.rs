//! Measures what new idempotency keys cost in the embedded engine: `cargo run --release -p kana-store
//! --example idempotency_keys -- DIRECTORY [KEYS] [KEYS OF A COMMIT]`. The directory must have no database.
//! For each million it prints the CPU time and the time of a key, the longest commit, and the size of the
//! file. Each key is looked up before it is kept, as a request does; nothing else is written.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that fails ends with the reason, and prints what it measured"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use kana_core::Timestamp;
use kana_core::counted::{Counted, CountedAt};
use kana_core::facts::Change;
use kana_core::id::{FeatureId, IdempotencyKey, UserKey};
use kana_core::idempotency::{Content, KeptAnswer, Replay};
use kana_core::usage::{RecordedUsage, UsageAction};
use kana_store::app::{KeyHash, KeyKind, NewKey};
use kana_store::{App, EnvironmentId, EnvironmentKind, SqliteStore, Store};
use uuid::Uuid;

const AT_A_TIME: usize = 1_000_000;
/// The keys are those of 30 days, as the default setting keeps them.
const KEPT_MS: usize = 30 * 24 * 60 * 60 * 1000;
const NOW: Timestamp = Timestamp::MIN;

async fn open(directory: &Path) -> (SqliteStore, EnvironmentId) {
    let store = SqliteStore::open_for_server(directory).unwrap();
    let key = NewKey {
        environment: EnvironmentKind::Live,
        kind: KeyKind::Private,
        hash: KeyHash([0; 32]),
        name: None,
        last_four: "abcd".to_owned(),
        created_at: NOW,
        created_by: None,
        expires_at: None,
    };
    store.create_app(App { name: "Kana".to_owned() }, vec![key], NOW).await.unwrap();
    let environment = store.keys().await.unwrap().pop().unwrap().environment;
    (store, environment)
}

/// The CPU time of the whole process, in hundredths of a second.
fn cpu() -> u32 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let times = fields.split_whitespace().skip(11).take(2);
    times.map(|time| time.parse::<u32>().unwrap()).sum()
}

fn replay(number: usize, of: usize) -> Replay {
    let user = UserKey(Uuid::from_u128(number as u128 * 0x9e37_79b9_7f4a_7c15_f39c_c060));
    let feature = FeatureId::new("feature", "api-calls").unwrap();
    let content = Content { user, feature, action: UsageAction::Add, delta: 1, occurred_at: None };
    let answer = KeptAnswer::Recorded(RecordedUsage::Recorded);
    let at = 1_800_000_000_000 + (KEPT_MS / of) * number;
    // As of usage that a subscription has counted.
    let counter = CountedAt::Digest(at as u32);
    let counted = Some(Counted { counter, added: None, sets: 0, voided: false });
    Replay { content, answer, counted, kept_at: Timestamp::from_ms(i64::try_from(at).unwrap()) }
}

async fn keep(
    store: &SqliteStore,
    environment: EnvironmentId,
    numbers: std::ops::Range<usize>,
    of: usize,
) {
    let key = |_| IdempotencyKey::new("key", &Uuid::new_v4().to_string()).unwrap();
    let keys: Vec<_> = numbers.clone().map(key).collect();
    let mut writer = store.write().await.unwrap();
    let found = writer.replays(environment, &keys).await.unwrap();
    assert!(found.iter().all(Option::is_none));
    let change = |(key, number)| {
        let replay = replay(number, of);
        (replay.content.user, Change::KeepReplay { key, replay })
    };
    let changes: Vec<_> = keys.into_iter().zip(numbers).map(change).collect();
    writer.change_facts(environment, &changes).await.unwrap();
    writer.commit().await.unwrap();
}

fn bytes(directory: &Path) -> u64 {
    std::fs::metadata(directory.join("kana.db")).map_or(0, |file| file.len())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().unwrap();
    let directory = Path::new(&directory);
    let mut number = |default| arguments.next().map_or(default, |text| text.parse().unwrap());
    let (keys, of_commit) = (number(5_000_000), number(500));
    let (store, environment) = open(directory).await;
    let mut next = 0;
    while next < keys {
        let (cpu_before, began) = (cpu(), Instant::now());
        let mut longest = Duration::ZERO;
        let to = (next + AT_A_TIME).min(keys);
        let count = u32::try_from(to - next).unwrap();
        while next < to {
            let began = Instant::now();
            let end = (next + of_commit).min(to);
            keep(&store, environment, next..end, keys).await;
            longest = longest.max(began.elapsed());
            next = end;
        }
        let ns = u64::from(cpu() - cpu_before) * 10_000_000 / u64::from(count);
        println!(
            "{next} keys: {ns} ns of CPU and {:?} a key, the longest commit {longest:?}, {} MiB, {} bytes a key",
            began.elapsed() / count,
            bytes(directory) >> 20,
            bytes(directory) / next as u64,
        );
    }
    let began = Instant::now();
    drop(store);
    let (closed, began) = (began.elapsed(), Instant::now());
    drop(SqliteStore::open_for_server(directory).unwrap());
    println!("closed in {closed:?}, opened in {:?}", began.elapsed());
}
