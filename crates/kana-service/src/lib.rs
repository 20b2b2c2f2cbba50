//! What Kana can be asked.
//!
//! [`Kana`] joins the rules of `kana-core` with a store. Whoever presents a valid key gets an
//! [`Environment`], and with it everything that can be asked or told of that environment, and
//! nothing of any other. Questions read one consistent view; whatever changes something goes
//! through the writer, which decides many commands at a time and commits once.

mod batch;
mod catalogs;
mod client;
mod clock;
mod configuration;
mod environment;
mod error;
mod facts_in_use;
mod folding;
mod kana;
mod keys;
mod lane;
mod questions;
mod readiness;
mod recent;
mod retention;
mod retries;
mod tokens;
mod writer;

pub use client::{ClientUser, ClientView};
pub use clock::{Clock, ManualClock, SystemClock};
pub use configuration::{Configured, Validation};
pub use environment::{Environment, NewUser, SubscriptionPage, UserPage};
pub use error::Error;
pub use kana::{
    InitialKeys, Kana, Settings, Uncommitted, begin_init, begin_key, create_key, init,
    rotate_token_secret, set_simple_mode,
};
pub use kana_store::LogThrottle;
pub use kana_store::app::{EnvironmentKind, Key, KeyKind};
pub use keys::{NewSecret, Unauthenticated};
pub use readiness::NotReady;
