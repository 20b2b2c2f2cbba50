//! A server that answers as Stripe does, for tests and for trying Kana's link to Stripe without an account.
//!
//! It knows customers, products, prices, subscriptions with their items, checkout sessions with a page to pay on,
//! billing meters with their events, events and the account, in test and in live mode, and keeps them in memory.
//! It is written from Stripe's public documentation of one version of the API, [`API_VERSION`], which it answers
//! whatever `Stripe-Version` is asked for. Nothing is charged, and there are no invoices. Time passes with
//! [`StripeServer::advance`]: subscriptions are renewed and end.
//!
//! # The control API
//!
//! Tests in other languages than Rust use `/_control/…`, with forms as Stripe's API has them and no key:
//!
//! - `POST /_control/keys`: `key`; for a restricted one `permissions[customers]=read` or `write`, …
//! - `POST /_control/faults`: a `kind`: `too_many_requests` (with `retry_after` in seconds), `conflict`,
//!   `server_error`, `time_out`, `cut`, `unauthorized`, `html`. `done=true` if the request is done all the
//!   same. Which requests: `method`, `path` (its beginning), `times` (1). `should_retry` is a header.
//! - `DELETE /_control/faults`: none waits any more.
//! - `POST /_control/webhook`: `url`, `secret`, `delivery`: `in_order`, `twice`, `shuffled`, `late`, `never`.
//! - `POST /_control/webhook/release`: sends what `shuffled` and `late` held back.
//! - `POST /_control/clock`: `advance`, in seconds.
//! - `POST /_control/checkout_sessions/{id}`: `payment`, which was to come later: `succeeded` or `failed`.
//! - `POST /_control/subscriptions/{id}`: `status`, as only Stripe changes it: `past_due`, `unpaid`, …
//! - `GET /_control/requests`: `method`, `path` (its beginning): the `count` of them, and the
//!   `busiest_second`, the most in any one second.

mod account;
mod checkout;
mod clock;
mod control;
mod customers;
mod error;
mod events;
mod expand;
mod faults;
mod idempotency;
mod keys;
mod meter_events;
mod meters;
mod params;
mod pay;
mod period;
mod prices;
mod products;
mod reply;
mod request_log;
mod routes;
mod server;
mod signature;
mod state;
mod subscription_items;
mod subscriptions;
mod table;
mod version;
mod webhook;

pub use faults::{Fault, FaultKind};
pub use keys::Access;
pub use server::StripeServer;
pub use signature::{sign, verify};
pub use version::API_VERSION;
pub use webhook::Delivery;
