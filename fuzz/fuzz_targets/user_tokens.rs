//! User tokens, as browsers present them.
//!
//! The input is a token; or the JSON of a header and, on the next line, of its claims, which are
//! signed as the server would.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use kana_fuzz::{Server, TOKEN_SECRET, now, with_server};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use sha2::Sha256;

fuzz_target!(|input: &[u8]| {
    let Ok(input) = std::str::from_utf8(input) else { return };
    with_server(|server| match input.split_once('\n') {
        None => present(server, input),
        Some((header, claims)) => present(server, &signed(header, claims)),
    });
});

fn signature(message: &str) -> Vec<u8> {
    let hmac = Hmac::<Sha256>::new_from_slice(&TOKEN_SECRET).expect("a key");
    hmac.chain_update(message).finalize().into_bytes().to_vec()
}

fn signed(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature(&message)))
}

fn present(server: &Server, token: &str) {
    let accepted = server.runtime.block_on(server.kana.authorise_token(token)).is_ok();
    if accepted {
        assert!(is_good(token).is_some(), "accepted: {token}");
    }
}

/// The rules of the contract once more, in other words.
fn is_good(token: &str) -> Option<()> {
    let (message, given) = token.rsplit_once('.')?;
    let (header, claims) = message.split_once('.')?;
    let object = |part: &str| -> Option<Value> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
    };
    let (header, claims) = (object(header)?, object(claims)?);
    let is_signed = URL_SAFE_NO_PAD.decode(given).ok()? == signature(message);
    let expires_at = claims["exp"].as_i64()?;
    let user = claims["userId"].as_str()?;
    let is_id = !user.is_empty() && user.trim_matches(' ') == user && user.chars().count() <= 255;
    let is_good = is_signed
        && header["alg"] == "HS256"
        && claims["aud"] == "kana-client"
        && claims["iss"] == "kana"
        && claims["environment"] == "test"
        && i128::from(expires_at) * 1000 > i128::from(now().as_ms())
        && is_id;
    is_good.then_some(())
}
