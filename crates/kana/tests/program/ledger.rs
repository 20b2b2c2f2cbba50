//! Usage that is told under idempotency keys, and what must have become of it in the end: every key
//! counts once, whatever happened while it was told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use rusqlite::OpenFlags;
use serde_json::{Value, json};

use crate::process::{Server, note};

/// What each user may use of `credits`. Few, so that most calls are refused in the end.
const BUDGET: i64 = 40;
const USERS: [&str; 3] = ["ada", "bob", "eve"];

/// How long one request may take, on a busy machine too.
const SOON: Duration = Duration::from_secs(20);

const RECORD: &str = "mutation ($input: CreateUsageEventInput!) {
    told: recordUsage(input: $input) { recorded reason } }";
const USE: &str = "mutation ($input: UseFeatureInput!) {
    told: useFeature(input: $input) { granted consumption { used } } }";
const BATCH: &str = "mutation ($input: [CreateUsageEventInput!]!) {
    told: recordUsageBatch(inputs: $input) { recorded reason errorCode } }";

/// Makes what usage is told of: `calls` without a limit, and `credits` with one.
pub(crate) fn prepare(server: &Server, key: &str) {
    server.data(
        key,
        &format!(
            r#"mutation {{
                createFeature(input: {{ id: "calls", type: CONSUMABLE }}) {{ id }}
                credits: createFeature(input: {{ id: "credits", type: CONSUMABLE }}) {{ id }}
                createPackage(input: {{ id: "pro", features: [
                    {{ id: "calls" }}, {{ id: "credits", entitlement: {{ limit: {BUDGET}, resetPeriod: YEAR }} }}
                ] }}) {{ id }}
                publishPackage(id: "pro") {{ id }}
            }}"#
        ),
    );
    for user in USERS {
        server.data(
            key,
            &format!(
                r#"mutation {{
                    createUser(input: {{ id: "{user}" }}) {{ id }}
                    subscribe(packageIds: "pro", userId: "{user}") {{ id }}
                }}"#
            ),
        );
    }
}

/// How much of a feature a user has used, as the server says.
pub(crate) fn used(server: &Server, key: &str, user: &str, feature: &str) -> u64 {
    let query = format!(
        r#"{{ canUseFeature(userId: "{user}", featureId: "{feature}") {{ consumption {{ used }} }} }}"#
    );
    server.data(key, &query)["canUseFeature"]["consumption"]["used"].as_u64().unwrap()
}

/// Usage under a key.
#[derive(Debug, Clone)]
pub(crate) struct Usage {
    user: &'static str,
    delta: u32,
    key: String,
}

impl Usage {
    fn any(random: &mut fastrand::Rng, key: String) -> Self {
        Self { user: USERS[random.usize(..USERS.len())], delta: random.u32(1..=3), key }
    }

    /// One of something, by the first user.
    fn one(key: String) -> Self {
        Self { user: USERS[0], delta: 1, key }
    }
}

/// A request that may be sent again and again.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    Record(Usage),
    Use(Usage),
    Batch(Vec<Usage>),
}

/// What came of a request that was sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// What the answer says.
    Answered(Value),
    /// At least one input was refused, with these codes.
    Refused(BTreeSet<String>),
    /// Nothing can be said of it.
    Unanswered,
}

impl Request {
    /// A request of any kind, with new keys that begin with `prefix`.
    pub(crate) fn any(random: &mut fastrand::Rng, prefix: &str) -> Self {
        if random.u8(..4) > 0 {
            return Self::any_of_one(random, prefix);
        }
        let usages = 1..=random.usize(1..=4);
        Self::Batch(usages.map(|n| Usage::any(random, format!("{prefix}-{n}"))).collect())
    }

    /// A request of any kind that is about one usage, and so is kept or not kept as a whole.
    pub(crate) fn any_of_one(random: &mut fastrand::Rng, key: &str) -> Self {
        let usage = Usage::any(random, key.to_owned());
        if random.u8(..3) > 0 { Self::Record(usage) } else { Self::Use(usage) }
    }

    /// One call of the first user.
    pub(crate) fn call(key: &str) -> Self {
        Self::Record(Usage::one(key.to_owned()))
    }

    /// So many calls of the first user at once, under keys that begin with `prefix`.
    pub(crate) fn calls(prefix: &str, number: usize) -> Self {
        Self::Batch((0..number).map(|n| Usage::one(format!("{prefix} {n}"))).collect())
    }

    /// One request of each kind.
    pub(crate) fn of_each_kind(prefix: &str) -> [Self; 3] {
        let usage = |name| Usage::one(format!("{prefix}-{name}"));
        [
            Self::Record(usage("record")),
            Self::Use(usage("use")),
            Self::Batch(vec![usage("first of batch"), usage("second of batch")]),
        ]
    }

    fn to_json(&self) -> Value {
        let input = |usage: &Usage, feature| {
            json!({
                "userId": usage.user,
                "featureId": feature,
                "delta": usage.delta,
                "idempotencyKey": usage.key,
            })
        };
        let (query, input) = match self {
            Self::Record(usage) => (RECORD, input(usage, "calls")),
            Self::Use(usage) => (USE, input(usage, "credits")),
            Self::Batch(all) => (BATCH, all.iter().map(|usage| input(usage, "calls")).collect()),
        };
        json!({ "query": query, "variables": { "input": input } })
    }
}

/// Sends requests on one connection.
pub(crate) struct Client {
    agent: ureq::Agent,
    key: String,
}

impl Client {
    pub(crate) fn new(key: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(SOON))
            .http_status_as_error(false)
            .build();
        Self { agent: config.into(), key: key.to_owned() }
    }

    pub(crate) fn send(&self, url: &str, request: &Request) -> Sent {
        let answer = self
            .agent
            .post(format!("{url}/graphql"))
            .header("Authorization", &self.key)
            .send_json(request.to_json())
            .and_then(|mut answer| answer.body_mut().read_json::<Value>());
        let Ok(mut answer) = answer else {
            return Sent::Unanswered;
        };
        let errors = answer["errors"].as_array().into_iter().flatten();
        let errors = errors.map(|error| &error["extensions"]["code"]);
        let results = answer["data"]["told"].as_array().into_iter().flatten();
        let codes: BTreeSet<String> = errors
            .chain(results.map(|result| &result["errorCode"]))
            .filter(|code| !code.is_null())
            .map(|code| code.as_str().unwrap().to_owned())
            .collect();
        if codes.is_empty() {
            Sent::Answered(answer["data"]["told"].take())
        } else {
            Sent::Refused(codes)
        }
    }

    /// Sends a request that must be answered, and answers what it says.
    fn tell(&self, server: &Server, request: &Request) -> Value {
        match self.send(&server.url, request) {
            Sent::Answered(answer) => answer,
            other => panic!("{request:?}: {other:?}: {}", server.log()),
        }
    }
}

/// Requests with what they were answered.
#[derive(Default)]
pub(crate) struct Told(Vec<(Request, Value)>);

impl Told {
    pub(crate) fn add(&mut self, request: Request, answer: Value) {
        self.0.push((request, answer));
    }

    /// Sends a request that must be answered, and keeps its answer.
    pub(crate) fn tell(&mut self, server: &Server, client: &Client, request: Request) {
        let answer = client.tell(server, &request);
        self.add(request, answer);
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// The first of them, as many as asked for.
    pub(crate) fn first(&self, number: usize) -> Self {
        Self(self.0[..number].to_vec())
    }

    /// Every usage with its feature, and whether the answer says that it counts.
    fn usages(&self) -> impl Iterator<Item = (&Usage, &'static str, bool)> {
        self.0.iter().flat_map(|(request, answer)| {
            let said = |answer: &Value, what: &str| answer[what].as_bool().unwrap();
            match request {
                Request::Record(usage) => vec![(usage, "calls", said(answer, "recorded"))],
                Request::Use(usage) => vec![(usage, "credits", said(answer, "granted"))],
                Request::Batch(all) => all
                    .iter()
                    .enumerate()
                    .map(|(index, usage)| (usage, "calls", said(&answer[index], "recorded")))
                    .collect(),
            }
        })
    }

    /// Holds what the database of a server that has ended says against what was answered: every
    /// usage that was told is in the log once if its answer says that it counts, and nothing else
    /// is; the counters are the sums of the log; and budgets were used up and not exceeded.
    pub(crate) fn assert_kept(&self, in_dir: &Path) {
        self.assert_agrees(&Books::read(&in_dir.join("kana-data/kana.db")));
    }

    /// The same, whatever the database is.
    pub(crate) fn assert_agrees(&self, books: &Books) {
        let mut keys = Vec::new();
        let mut sums = BTreeMap::new();
        for (usage, feature, counts) in self.usages() {
            let of_user = (usage.user.to_owned(), feature.to_owned());
            if counts {
                keys.push(usage.key.clone());
                *sums.entry(of_user).or_insert(0) += i64::from(usage.delta);
            } else {
                assert_eq!(feature, "credits", "{usage:?} was not recorded");
                let left = BUDGET - books.counters[&of_user];
                assert!(left < usage.delta.into(), "{usage:?} was refused, and {left} are left");
            }
        }
        keys.sort_unstable();
        assert_eq!(books.logged_keys(), keys);
        assert_eq!(books.counters, sums);
        books.assert_sound();
    }

    /// Sends everything once more: every answer is the first one.
    pub(crate) fn assert_repeats(&self, server: &Server, client: &Client) {
        for (request, answer) in &self.0 {
            assert_eq!(&client.tell(server, request), answer, "{request:?}");
        }
    }
}

/// What a database holds of usage, read without the program.
pub(crate) struct Books {
    /// Key and delta of every event.
    log: Vec<(String, i64)>,
    /// By user and feature.
    counters: BTreeMap<(String, String), i64>,
    /// The sums of the log, by user and feature.
    sums: BTreeMap<(String, String), i64>,
    integrity: String,
}

impl Books {
    pub(crate) fn read(file: &Path) -> Self {
        // Not read-only: the log of a server that was killed must be taken in.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = rusqlite::Connection::open_with_flags(file, flags).unwrap();
        kana_store::sqlite::register_functions(&database).unwrap();
        let by_user = |sql: &str| -> BTreeMap<(String, String), i64> {
            let mut statement = database.prepare(sql).unwrap();
            let rows = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)));
            rows.unwrap().map(Result::unwrap).collect()
        };
        let mut log = database.prepare("SELECT idempotency_key, delta FROM events").unwrap();
        let log = log.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        Self {
            log: log.map(Result::unwrap).collect(),
            counters: by_user(
                "SELECT u.id, c.feature_id, c.used FROM current_counters c
                 JOIN users u ON u.environment_id = c.environment_id AND u.key = c.user_key",
            ),
            sums: by_user(
                "SELECT u.id, e.feature_id, sum(e.delta) FROM events e
                 JOIN users u ON u.environment_id = e.environment_id AND u.key = e.user_key
                 GROUP BY u.id, e.feature_id",
            ),
            integrity: database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap(),
        }
    }

    /// The books of a database on a PostgreSQL server.
    pub(crate) fn ask(url: &str) -> Self {
        let by_user = |query: &str| -> BTreeMap<(String, String), i64> {
            let number = |row: Vec<String>| match <[String; 3]>::try_from(row) {
                Ok([user, feature, number]) => ((user, feature), number.parse().unwrap()),
                Err(row) => panic!("{row:?}"),
            };
            kana_test_postgres::rows(url, query).into_iter().map(number).collect()
        };
        let log = "SELECT idempotency_key, delta FROM kana.events";
        let event = |row: Vec<String>| (row[0].clone(), row[1].parse().unwrap());
        Self {
            log: kana_test_postgres::rows(url, log).into_iter().map(event).collect(),
            counters: by_user(
                "SELECT u.id, c.feature_id, c.used FROM kana.current_counters c
                 JOIN kana.users u ON u.environment_id = c.environment_id AND u.key = c.user_key",
            ),
            sums: by_user(
                "SELECT u.id, e.feature_id, sum(e.delta) FROM kana.events e
                 JOIN kana.users u ON u.environment_id = e.environment_id AND u.key = e.user_key
                 GROUP BY u.id, e.feature_id",
            ),
            integrity: "ok".to_owned(),
        }
    }

    /// The keys of the log, sorted, one as often as it stands there.
    pub(crate) fn logged_keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.log.iter().map(|(key, _)| key.clone()).collect();
        keys.sort_unstable();
        keys
    }

    /// The database is whole, the counters agree with the log, and no budget was exceeded.
    pub(crate) fn assert_sound(&self) {
        assert_eq!(self.integrity, "ok");
        assert_eq!(self.counters, self.sums);
        for ((user, feature), used) in &self.counters {
            assert!(feature != "credits" || *used <= BUDGET, "{user} used {used}");
        }
    }
}

/// A seed that is new each time, or the one that a failure is to be repeated with.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("KANA_TEST_SEED")
        .map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    note(&format!("KANA_TEST_SEED={seed} repeats the random choices"));
    seed
}
