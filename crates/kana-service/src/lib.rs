//! What Kana can be asked.
//!
//! [`Kana`] joins the rules of `kana-core` with a store. Whoever presents a valid key gets an
//! [`Environment`], and with it everything that can be asked or told of that environment, and
//! nothing of any other. Questions read one consistent view; whatever changes something goes
//! through the writer, which decides many commands at a time and commits once.

mod access;
mod clock;
mod deadlines;
mod environment;
mod error;
mod feed;
mod ids;
pub mod jobs;
mod kana;
mod reader;
mod readiness;
mod retry;
mod settings;
mod start;
mod writer;

pub use access::browsers::{rotate_token_secret, set_simple_mode};
pub use access::creating::{
    InitialKeys, Uncommitted, begin_init, begin_key, create_key, init, revoke_key,
};
pub use access::keys::NewSecret;
pub use clock::{Clock, ManualClock, SystemClock};
pub use environment::Environment;
pub use environment::client::{ClientUser, ClientView};
pub use environment::configuration::{Configured, Validation};
pub use environment::subscriptions::SubscriptionPage;
pub use environment::users::UserPage;
pub use error::{Error, Unauthenticated};
pub use kana::Kana;
pub use kana_store::app::{EnvironmentKind, Key, KeyKind};
pub use kana_store::feed::{AuditPage, AuditQuery, AuditRow, ChangesQuery, StoredChange};
pub use kana_store::{Actor, LogThrottle};
pub use readiness::NotReady;
pub use settings::Settings;
