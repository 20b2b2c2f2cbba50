//! What Kana can be asked.
//!
//! [`Kana`] joins the rules of `kana-core` with a store. Whoever presents a valid key gets an
//! [`Environment`], and with it everything that can be asked or told of that environment, and
//! nothing of any other. Questions read one consistent view; whatever changes something goes
//! through the [`writer`], which decides many commands at a time and commits once.

mod catalogs;
mod clock;
mod environment;
mod error;
mod facts_in_use;
mod kana;
mod keys;
mod writer;

pub use clock::{Clock, ManualClock, SystemClock};
pub use environment::{Environment, NewUser};
pub use error::Error;
pub use kana::{InitialKeys, Kana, create_key, init};
pub use kana_store::app::{EnvironmentKind, Key, KeyKind};
pub use keys::{NewSecret, Unauthenticated};
