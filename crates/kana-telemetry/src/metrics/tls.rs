//! TLS for HTTP. A server without it has none of these.

use super::format::{Kind, Page};
use super::number::{Counter, Gauge};

/// What became of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It went well.
    Ok,
    /// It did not.
    Failed,
}

const RESULTS: [(Done, &str); 2] = [(Done::Ok, "ok"), (Done::Failed, "failed")];

/// 0: there is no certificate.
static NOT_AFTER: Gauge = Gauge::new(0);
static RELOADS: [Counter; RESULTS.len()] = [const { Counter::new() }; RESULTS.len()];
static HANDSHAKES: [Counter; RESULTS.len()] = [const { Counter::new() }; RESULTS.len()];

/// Sets when the certificate in use expires, in seconds since 1970.
pub fn set_not_after(seconds: i64) {
    NOT_AFTER.set(seconds);
}

/// Counts a look at the certificate's files that found another one, which replaced the one in use or cannot.
pub fn reloaded(done: Done) {
    RELOADS[done as usize].count();
}

/// Counts a handshake.
pub fn shaken_hands(done: Done) {
    HANDSHAKES[done as usize].count();
}

pub(super) fn write(page: &mut Page) {
    if NOT_AFTER.value() == 0 {
        return;
    }
    let help = "When the certificate in use expires, in Unix time.";
    page.family("kana_tls_certificate_not_after_seconds", Kind::Gauge, help);
    page.sample(&[], NOT_AFTER.value());
    for (name, help, counters) in [
        (
            "kana_tls_reloads_total",
            "Looks that found another certificate, which is used or cannot be.",
            &RELOADS,
        ),
        ("kana_tls_handshakes_total", "Handshakes of TLS.", &HANDSHAKES),
    ] {
        page.family(name, Kind::Counter, help);
        for (done, result) in RESULTS {
            page.sample(&[("result", result)], counters[done as usize].value());
        }
    }
}
