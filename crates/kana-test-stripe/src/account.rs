use std::collections::{HashMap, VecDeque};

use indexmap::IndexMap;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::table::Table;
use crate::version::API_VERSION;

/// Events that are kept. When there are more, the oldest tenth is forgotten.
const EVENTS_MAX: usize = 100_000;

/// An event that a meter has taken.
#[derive(Debug, Clone)]
pub(crate) struct MeterEvent {
    pub(crate) meter: String,
    pub(crate) customer: String,
    pub(crate) value: f64,
    pub(crate) timestamp: i64,
}

/// The objects of one mode, test or live.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) livemode: bool,
    /// The time of the request, in seconds since 1970.
    pub(crate) now: i64,
    /// What the events of the request name as their cause: its id and its idempotency key.
    pub(crate) cause: (Option<String>, Option<String>),
    pub(crate) customers: Table,
    pub(crate) products: Table,
    pub(crate) prices: Table,
    /// The tiers of prices by their ids. Stripe answers them only when they are expanded.
    pub(crate) tiers: HashMap<String, Value>,
    /// Without their items.
    pub(crate) subscriptions: Table,
    pub(crate) subscription_items: Table,
    pub(crate) events: Table,
    /// Those of the second version of the API, which have their data only where they are asked for.
    pub(crate) thin_events: Table,
    pub(crate) sessions: Table,
    /// What a checkout session sells, and what it says of the subscription to begin.
    pub(crate) session_lines: HashMap<String, (Vec<Value>, Value)>,
    pub(crate) meters: Table,
    /// What meters have taken, the oldest first.
    pub(crate) meter_events: VecDeque<MeterEvent>,
    /// When the identifiers of meter events were taken, the oldest first.
    pub(crate) identifiers: IndexMap<String, i64>,
    /// Where the server is: `http://127.0.0.1:12111`.
    pub(crate) base: String,
    /// Events that are still to be handed to the webhook.
    pub(crate) outbox: Vec<Value>,
}

impl Account {
    pub(crate) fn new(livemode: bool, base: &str) -> Self {
        Account {
            id: random_id("acct_"),
            livemode,
            now: 0,
            cause: (None, None),
            customers: Table::default(),
            products: Table::default(),
            prices: Table::default(),
            tiers: HashMap::new(),
            subscriptions: Table::default(),
            subscription_items: Table::default(),
            events: Table::default(),
            thin_events: Table::default(),
            sessions: Table::default(),
            session_lines: HashMap::new(),
            meters: Table::default(),
            meter_events: VecDeque::new(),
            identifiers: IndexMap::new(),
            base: base.to_owned(),
            outbox: Vec::new(),
        }
    }

    /// What `GET /v1/account` answers.
    pub(crate) fn retrieve(&self) -> Value {
        json!({
            "id": self.id,
            "object": "account",
            "business_profile": { "name": "Stand-in" },
            "charges_enabled": true,
            "country": "GB",
            "default_currency": "gbp",
            "details_submitted": true,
            "email": null,
            "metadata": {},
            "payouts_enabled": true,
            "settings": { "dashboard": { "display_name": "Stand-in", "timezone": "Etc/UTC" } },
            "type": "standard",
        })
    }

    /// Stores an event about `object` and hands it to the webhook.
    pub(crate) fn emit(&mut self, kind: &str, object: &Value) {
        self.emit_event(kind, json!({ "object": object }));
    }

    /// Stores an event about an object that was changed from `before` to `after`; none if both are equal.
    pub(crate) fn emit_update(&mut self, kind: &str, before: &Value, after: &Value) {
        let mut previous = Map::new();
        let after_fields = after.as_object().into_iter().flatten();
        for (name, _) in after_fields.filter(|(name, value)| before[name.as_str()] != **value) {
            previous.insert(name.clone(), before[name.as_str()].clone());
        }
        if !previous.is_empty() {
            self.emit_event(kind, json!({ "object": after, "previous_attributes": previous }));
        }
    }

    /// Stores an event of the second version of the API, and hands it to the webhook without its data. `meter`
    /// is the one that it is about.
    pub(crate) fn emit_thin(&mut self, kind: &str, meter: Option<&str>, data: Value) {
        let created = Timestamp::from_second(self.now).unwrap_or_default().to_string();
        let related = meter.map(|id| {
            json!({ "id": id, "type": "billing.meter", "url": format!("/v1/billing/meters/{id}") })
        });
        let event = json!({
            "id": random_id("evt_"),
            "object": "v2.core.event",
            "context": null,
            "created": created,
            "livemode": self.livemode,
            "related_object": related,
            "type": kind,
        });
        let mut whole = event.clone();
        whole["data"] = data;
        self.thin_events.put(whole);
        if self.thin_events.len() > EVENTS_MAX {
            self.thin_events.forget_oldest(EVENTS_MAX / 10);
        }
        self.outbox.push(event);
    }

    fn emit_event(&mut self, kind: &str, data: Value) {
        let (request, key) = &self.cause;
        let mut event = json!({
            "id": random_id("evt_"),
            "object": "event",
            "api_version": API_VERSION,
            "created": self.now,
            "data": null,
            "livemode": self.livemode,
            "pending_webhooks": 0,
            "request": { "id": request, "idempotency_key": key },
            "type": kind,
        });
        event["data"] = data;
        self.events.put(event.clone());
        if self.events.len() > EVENTS_MAX {
            self.events.forget_oldest(EVENTS_MAX / 10);
        }
        self.outbox.push(event);
    }
}

/// A new id, such as `cus_` with 16 letters and digits.
pub(crate) fn random_id(prefix: &str) -> String {
    let letters = std::iter::repeat_with(fastrand::alphanumeric).take(16);
    prefix.chars().chain(letters).collect()
}
