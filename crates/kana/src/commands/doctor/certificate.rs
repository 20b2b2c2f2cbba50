use kana_core::Timestamp;
use kana_http::{Tls, TlsFiles};

use super::report::Check;

const NAME: &str = "certificate";
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How many days before its end a certificate is warned of.
const SOON_DAYS: i64 = 14;

/// Whether the certificate of `--tls-cert` can be used, and for how long.
pub(super) fn check(files: &TlsFiles, now: Timestamp) -> Check {
    match Tls::end_of(files) {
        Ok(seconds) => until(Timestamp::from_ms(seconds.saturating_mul(1000)), now),
        Err(problem) => {
            let advice =
                "put a certificate and its key there, in PEM; kana serve does not start without";
            Check::fail(NAME, problem.to_string(), advice)
        }
    }
}

fn until(end: Timestamp, now: Timestamp) -> Check {
    let advice = "renew it; a server takes the new files by itself";
    if end <= now {
        Check::fail(NAME, format!("it has expired at {end}"), advice)
    } else if end <= now.saturating_add_ms(SOON_DAYS * DAY_MS) {
        Check::warn(NAME, format!("it expires at {end}"), advice)
    } else {
        Check::ok(NAME, format!("good until {end}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Status;
    use super::*;

    #[test]
    fn a_certificate_is_warned_of_two_weeks_before_its_end() {
        let now = Timestamp::from_ms(1_700_000_000_000);
        for (days, status) in
            [(15, Status::Ok), (14, Status::Warn), (1, Status::Warn), (0, Status::Fail)]
        {
            let end = now.saturating_add_ms(days * DAY_MS);
            assert_eq!(until(end, now).status, status, "{days}");
        }
    }
}
