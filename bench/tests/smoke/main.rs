//! Every command of the program in small.
#![allow(clippy::unwrap_used, clippy::panic, reason = "whatever fails here fails its test")]

mod compare;
mod run;
mod soak;
