use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Signs the body of a webhook at a time in seconds since 1970: the value of `Stripe-Signature`.
#[must_use]
pub fn sign(secret: &str, timestamp: i64, body: &[u8]) -> String {
    let mut header = format!("t={timestamp},v1=");
    for byte in mac(secret, timestamp, body).finalize().into_bytes() {
        // Writing to a string cannot fail.
        let _ = write!(header, "{byte:02x}");
    }
    header
}

/// Whether `header` holds a signature (`v1`) of the body under the secret, made at most
/// `tolerance_seconds` before or after `now`.
#[must_use]
pub fn verify(secret: &str, header: &str, body: &[u8], now: i64, tolerance_seconds: i64) -> bool {
    let fields = || header.split(',').filter_map(|field| field.trim().split_once('='));
    let timestamp =
        fields().find(|(name, _)| *name == "t").and_then(|(_, value)| value.parse::<i64>().ok());
    let Some(timestamp) = timestamp else { return false };
    let is_recent = now.abs_diff(timestamp) <= tolerance_seconds.unsigned_abs();
    let mut signatures =
        fields().filter(|(name, _)| *name == "v1").filter_map(|(_, hex)| bytes_of(hex));
    is_recent && signatures.any(|bytes| mac(secret, timestamp, body).verify_slice(&bytes).is_ok())
}

fn mac(secret: &str, timestamp: i64, body: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(format!("{timestamp}.").as_bytes());
    mac.update(body);
    mac
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::{sign, verify};

    #[test]
    fn a_signature_holds_for_its_secret_body_and_time() {
        let header = sign("whsec_1", 1000, b"{}");
        assert!(verify("whsec_1", &header, b"{}", 1300, 300));
        assert!(!verify("whsec_1", &header, b"{}", 1301, 300));
        assert!(!verify("whsec_1", &header, b"{}", 699, 300));
        assert!(!verify("whsec_2", &header, b"{}", 1000, 300));
        assert!(!verify("whsec_1", &header, b"{ }", 1000, 300));
        assert!(verify("whsec_1", &format!("{header},v1=00,v0=x"), b"{}", 1000, 300));
    }

    #[test]
    fn headers_that_are_none_are_refused() {
        for header in ["", "t=1", "v1=00", "t=x,v1=00", "t=1,v1=0g", "t=1,v1=é"] {
            assert!(!verify("whsec_1", header, b"{}", 1, 300), "{header}");
        }
    }
}
