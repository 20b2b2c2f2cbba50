//! Serves HTTP/1.1: listening, connections and their limits, request bodies. Knows no Kana: the
//! routes, the limits and the moment to stop come in as plain values.
//!
//! [`listen()`] opens a socket and [`serve`] runs a [`Router`](axum::Router) on it, which can be
//! replaced once (`routes`). Each connection notes what it is doing (`activity`); one sweep over all
//! connections now and then ends those that keep the server waiting for longer than the [`Limits`]
//! allow (`idle_sweep`). [`body`] reads request bodies within a limit on the memory of all of them
//! together. Each request has an id and a line in the log (`request_log`). What hyper lets pass and a
//! proxy could read otherwise is found in the bytes (`request_framing`) and refused.

mod accept;
mod activity;
mod answer_headers;
pub mod body;
mod connections;
mod head;
mod header_text;
mod http2_preface;
mod idle_sweep;
mod limits;
mod listen;
mod log_throttle;
mod message_body;
mod open_files;
mod overdue;
mod own_time;
mod parser_refusal;
mod peer_address;
mod per_second;
mod request_framing;
mod request_log;
mod routes;
mod tls;
mod unread_body;
mod watched_socket;

pub use accept::{ServerSettings, serve};
pub use header_text::decoded;
pub use limits::Limits;
pub use listen::listen;
pub use open_files::{possible_connections, raise_for_connections};
pub use own_time::OwnTime;
pub use peer_address::PeerAddress;
pub use request_log::RequestLogSettings;
pub use routes::Routes;
pub use tls::{SPEAKS_TLS, Tls, TlsFiles, TlsProblem};
