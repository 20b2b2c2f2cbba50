//! A client that changes users, subscriptions and packages, and knows what must have become of them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::client::{Client, Outcome, graphql};
use super::faults::Faults;
use super::gate::Gate;
use crate::load::http::exchange;
use crate::seed::{FEATURE, PACKAGE};

const PAUSE_MS_MAX: u64 = 150;

/// Most users and packages that are created, and most subscriptions of a user. From then on they
/// only change.
const GUESTS_MAX: usize = 300;
const PACKAGES_MAX: usize = 30;
const SUBSCRIPTIONS_MAX: usize = 10;

const CREATE: &str = "mutation ($id: String!) { createUser(input: { id: $id }) { id } }";
const RENAME: &str = "mutation ($id: String!, $name: String!) { \
    updateUser(id: $id, input: { name: $name }) { name } }";
const SUBSCRIBE: &str = "mutation ($id: String!, $package: String!) { \
    subscribe(packageIds: [$package], userId: $id) { id } }";
const CANCEL: &str = "mutation ($id: String!) { cancelSubscription(id: $id) { status } }";
const DRAFT: &str = "mutation ($id: String!, $feature: String!) { \
    createPackage(input: { id: $id, features: [{ id: $feature }] }) { id } }";
const PUBLISH: &str = "mutation ($id: String!) { publishPackage(id: $id) { status } }";
const LOOK: &str = "query ($id: String!) { user(id: $id) { name subscriptions { id status } } }";

/// What is answered if a change was made already.
const CONFLICT: &str = "CONFLICT";
const BAD_INPUT: &str = "BAD_USER_INPUT";

/// A user that was created, as far as it was acknowledged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Guest {
    name: Option<String>,
    running: Option<String>,
    cancelled: Vec<String>,
}

/// A request about a guest, or about the catalog.
struct Change {
    guest: usize,
    query: &'static str,
    variables: Value,
}

/// Everything that was acknowledged of its changes.
pub(super) struct Administrator {
    random: fastrand::Rng,
    key: String,
    guests: Vec<Guest>,
    packages: usize,
    /// What has had no answer yet, and may have been done.
    doubtful: Option<Change>,
}

impl Administrator {
    pub(super) fn new(random: fastrand::Rng, key: &str) -> Self {
        Self { random, key: key.to_owned(), guests: Vec::new(), packages: 0, doubtful: None }
    }

    /// Makes changes until the gate ends, each until it is answered.
    pub(super) fn run(mut self, gate: &Gate, faults: &Faults) -> Self {
        while let Some(pass) = gate.enter() {
            let mut client = Client::new(&pass, faults);
            while pass.nap(Duration::from_millis(self.random.u64(..PAUSE_MS_MAX))) {
                let again = self.doubtful.is_some();
                let change = self.doubtful.take().unwrap_or_else(|| self.choose());
                match client.ask(&graphql(&self.key, change.query, &change.variables)) {
                    Outcome::Answered(body) => self.note(&change, &body["data"]),
                    Outcome::Refused(codes) if again && change.was_made(&codes) => {
                        self.note(&change, &Value::Null);
                    }
                    Outcome::Refused(codes) => {
                        faults.add("refused", &format!("{}: {codes:?}", change.query));
                    }
                    Outcome::Retry => self.doubtful = Some(change),
                }
            }
        }
        self
    }

    fn choose(&mut self) -> Change {
        if self.random.u8(..20) == 0 {
            return self.choose_package();
        }
        let more = self.guests.len() < GUESTS_MAX && self.random.u8(..4) == 0;
        if self.guests.is_empty() || more {
            let guest = self.guests.len();
            return Change { guest, query: CREATE, variables: json!({ "id": id_of(guest) }) };
        }
        let guest = self.random.usize(..self.guests.len());
        let (known, id) = (&self.guests[guest], id_of(guest));
        let (query, variables) = match &known.running {
            Some(running) if self.random.u8(..3) > 0 => (CANCEL, json!({ "id": running })),
            None if known.cancelled.len() < SUBSCRIPTIONS_MAX => {
                (SUBSCRIBE, json!({ "id": id, "package": PACKAGE }))
            }
            _ => {
                let name = format!("Guest {}", self.random.u32(..));
                (RENAME, json!({ "id": id, "name": name }))
            }
        };
        Change { guest, query, variables }
    }

    fn choose_package(&mut self) -> Change {
        let (query, variables) = if self.packages < PACKAGES_MAX && self.random.bool() {
            (DRAFT, json!({ "id": package_id(self.packages), "feature": FEATURE }))
        } else if self.packages > 0 {
            (PUBLISH, json!({ "id": package_id(self.random.usize(..self.packages)) }))
        } else {
            (PUBLISH, json!({ "id": PACKAGE }))
        };
        Change { guest: 0, query, variables }
    }

    /// Takes down what was acknowledged. `data` is null if it had been made before, unanswered.
    fn note(&mut self, change: &Change, data: &Value) {
        match change.query {
            CREATE => self.guests.push(Guest::default()),
            DRAFT => self.packages += 1,
            RENAME => {
                let name = change.variables["name"].as_str();
                self.guests[change.guest].name = name.map(str::to_owned);
            }
            SUBSCRIBE => match data["subscribe"][0]["id"].as_str() {
                Some(id) => self.guests[change.guest].running = Some(id.to_owned()),
                None => {
                    let variables = json!({ "id": id_of(change.guest) });
                    let guest = change.guest;
                    self.doubtful = Some(Change { guest, query: LOOK, variables });
                }
            },
            CANCEL => {
                let guest = &mut self.guests[change.guest];
                guest.cancelled.extend(guest.running.take());
            }
            LOOK => {
                let id = running_in(&data["user"]).into_iter().next();
                self.guests[change.guest].running = id;
            }
            _ => {}
        }
    }

    /// Asks what has become of every guest, and returns what differs from what was acknowledged,
    /// beside the number of guests.
    pub(super) fn compare(&self, address: SocketAddr) -> Result<(usize, Vec<String>)> {
        let mut differ = Vec::new();
        for (index, guest) in self.guests.iter().enumerate() {
            if self.doubtful.as_ref().is_some_and(|change| change.guest == index) {
                continue;
            }
            let request = graphql(&self.key, LOOK, &json!({ "id": id_of(index) }));
            let body: Value = exchange(address, &request, |response| {
                ensure!(response.status == 200, "a question is answered {}", response.status);
                Ok(serde_json::from_slice(response.body)?)
            })?;
            let found = read_guest(&body["data"]["user"]);
            let mut wanted = guest.clone();
            wanted.cancelled.sort_unstable();
            if found.as_ref() != Some(&wanted) {
                differ.push(format!("guest {index}: {found:?} and not {wanted:?}"));
            }
        }
        Ok((self.guests.len(), differ))
    }
}

impl Change {
    /// Whether codes say that it had been made already.
    fn was_made(&self, codes: &[String]) -> bool {
        match self.query {
            CREATE | DRAFT => codes == [CONFLICT],
            SUBSCRIBE => codes == [BAD_INPUT],
            _ => false,
        }
    }
}

fn id_of(guest: usize) -> String {
    format!("guest-{guest}")
}

fn package_id(package: usize) -> String {
    format!("more-{package}")
}

/// The ids of a user's subscriptions that run.
fn running_in(user: &Value) -> Vec<String> {
    subscriptions_in(user, |status| status == "ACTIVE")
}

fn subscriptions_in(user: &Value, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let all = user["subscriptions"].as_array().into_iter().flatten();
    all.filter(|one| one["status"].as_str().is_some_and(&wanted))
        .filter_map(|one| one["id"].as_str().map(str::to_owned))
        .collect()
}

/// A guest as the server answers it. `None` if there is none, or more than one subscription runs.
fn read_guest(user: &Value) -> Option<Guest> {
    let mut running = running_in(user);
    if !user.is_object() || running.len() > 1 {
        return None;
    }
    let name = user["name"].as_str().map(str::to_owned);
    let mut cancelled = subscriptions_in(user, |status| status != "ACTIVE");
    cancelled.sort_unstable();
    Some(Guest { name, running: running.pop(), cancelled })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_subscribed_without_an_answer_is_looked_up() {
        let mut administrator = Administrator::new(fastrand::Rng::with_seed(1), "key");
        let change = |query| Change { guest: 0, query, variables: json!({ "name": "Ada" }) };
        administrator.note(&change(CREATE), &Value::Null);
        administrator.note(&change(SUBSCRIBE), &Value::Null);
        let look = administrator.doubtful.take().unwrap();
        let user = |status| {
            let subscriptions = json!([{ "id": "s-1", "status": status }]);
            json!({ "user": { "name": "Ada", "subscriptions": subscriptions } })
        };
        administrator.note(&look, &user("ACTIVE"));
        administrator.note(&change(RENAME), &Value::Null);
        assert_eq!(read_guest(&user("ACTIVE")["user"]).as_ref(), administrator.guests.first());
        administrator.note(&change(CANCEL), &Value::Null);
        assert_eq!(read_guest(&user("CANCELLED")["user"]).as_ref(), administrator.guests.first());
        assert_ne!(read_guest(&user("ACTIVE")["user"]).as_ref(), administrator.guests.first());
        assert_eq!(read_guest(&Value::Null), None);
    }
}
