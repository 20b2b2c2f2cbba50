//! The contract (`entitlements.md`, `admin-api.md`) as plain sequential code, for tests that hold
//! Kana against it.
//!
//! A [`request`] is what a client asks, an [`answer`] what it is told, and the [`model`] says which
//! answer the contract wants. It calls none of Kana's rules, and so tests them as well. The
//! [`client`] puts a request to a real Kana. A model can be told to make a [`mistake`], for tests of
//! the tests.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "the words are the contract's, and whatever fails here fails its test"
)]

pub mod answer;
pub mod client;
pub mod mistake;
pub mod model;
mod period;
pub mod request;
