//! The program as a stranger uses it: its commands, its settings, its signals, and real clients
//! over a real socket. `./test` points `KANA_TEST_BINARY` at the release build; without it, the
//! build that the tests were made with is used.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "whatever fails here fails its test"
)]

mod admins;
mod alerts;
mod audit;
mod backup;
mod body_memory;
mod browser;
mod check;
mod clients;
mod clock;
mod collector;
mod connections;
mod crashes;
mod dashboard;
mod data_dir;
mod database_tls;
mod doctor;
mod engines;
mod events;
mod failing_disk;
mod first_start;
mod hot_paths;
mod https;
mod init_and_keys;
mod jobs;
mod ledger;
mod load;
mod metrics;
mod node;
mod nodes;
mod outages;
mod packaging;
mod pooler;
mod pricing_as_code;
mod pricing_files;
mod process;
mod refusals;
mod request_log;
mod secrets_in_log;
mod serve;
mod settings;
mod signals;
mod standard_streams;
mod starting;
mod stopping;
mod taking_over;
mod torn_log;
mod traces;
mod transfer;
mod trouble;
mod users;
