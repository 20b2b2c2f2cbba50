//! The Admin API as its callers see it: the contract's pages `admin-api.md` and `admin.graphql`,
//! asked over HTTP without a socket.

// Clippy allows these in tests; what a story is told with is test code too, outside of `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod after_commit;
mod answer_sizes;
mod app;
mod authorisation;
mod batch;
mod binary_events;
mod body_memory;
mod byte_order_marks;
mod changed_terms;
mod client_api;
mod clocks;
mod content_encodings;
mod credits;
mod database_away;
mod engine;
mod errors;
mod events;
mod events_in_pieces;
mod events_overload;
mod events_streamed;
mod every_operation;
mod explaining;
mod failing_store;
mod feed;
mod grants;
mod health;
mod holds;
mod http;
mod ids;
mod introspection;
mod judged;
mod limits;
mod links_and_tokens;
mod lists;
mod nulls;
mod numbers;
mod operations;
mod overrides;
mod package_changes;
mod plans;
mod pricing_as_code;
mod quantities;
mod rate_limits;
mod repeated;
mod rollover;
mod schedules;
mod simulation;
mod starting;
mod thresholds;
mod updates;
mod variables;
mod whole_numbers;
