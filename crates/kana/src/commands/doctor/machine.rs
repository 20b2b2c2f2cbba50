//! Checks of the machine: clock, open files, ports.

use std::io::ErrorKind;

use kana_core::Timestamp;
use kana_service::{Clock as _, SystemClock};

use super::report::Check;
use crate::commands::healthcheck;
use crate::settings::ListenAddress;

/// 2025-01-01. Kana is younger.
const EARLIEST_MS: i64 = 1_735_689_600_000;

pub(super) fn clock() -> Check {
    clock_at(SystemClock.now())
}

fn clock_at(now: Timestamp) -> Check {
    if now.as_ms() < EARLIEST_MS {
        let advice = "set it, and keep it right with NTP";
        return Check::fail("clock", format!("it says {now}, which has long passed"), advice);
    }
    Check::ok("clock", format!("it says {now}"))
}

pub(super) fn open_files(connections_max: u32) -> Check {
    let possible = kana_http::possible_connections(connections_max);
    if possible < connections_max {
        let text = format!("they let {possible} of --connections-max {connections_max} be open");
        let advice = "raise the limit of open files with ulimit -n or LimitNOFILE";
        return Check::warn("open files", text, advice);
    }
    Check::ok("open files", format!("enough for --connections-max {connections_max}"))
}

/// Whether a server could listen on the address of `--listen`, or one does.
pub(super) async fn port(listen: ListenAddress) -> Check {
    listening("port", listen, "--listen or KANA_LISTEN").await
}

/// Whether a server could also listen on the address of `--metrics-listen`, or one does.
pub(super) async fn metrics_port(metrics_listen: ListenAddress, listen: ListenAddress) -> Check {
    let (name, setting) = ("metrics port", "--metrics-listen or KANA_METRICS_LISTEN");
    if metrics_listen == listen && listen.port() != 0 {
        let advice = format!("choose another address with {setting}");
        return Check::fail(name, format!("{listen} is that of --listen, too"), advice);
    }
    listening(name, metrics_listen, setting).await
}

async fn listening(name: &'static str, listen: ListenAddress, setting: &str) -> Check {
    let error = match kana_http::listen(&listen.candidates()) {
        Ok(_) => return Check::ok(name, format!("{listen} is free")),
        Err(error) => error,
    };
    let another = format!("choose another address with {setting}");
    if error.kind() != ErrorKind::AddrInUse {
        return Check::fail(name, format!("cannot listen on {listen}: {error}"), another);
    }
    let asked = tokio::task::spawn_blocking(move || healthcheck::get(listen, "/healthz")).await;
    match asked {
        Ok(Ok((200, body))) if body == "ok\n" => {
            Check::ok(name, format!("a kana server answers on {listen}"))
        }
        _ => {
            let advice = format!("stop it, or {another}");
            Check::fail(name, format!("another program listens on {listen}"), advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Status;
    use super::*;

    #[test]
    fn a_clock_from_before_2025_fails() {
        assert_eq!(clock_at(Timestamp::from_ms(EARLIEST_MS - 1)).status, Status::Fail);
        assert_eq!(clock_at(Timestamp::from_ms(EARLIEST_MS)).status, Status::Ok);
    }
}
