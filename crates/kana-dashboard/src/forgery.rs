//! Checks against forged requests: a POST must come from a page of this server, and its form must carry
//! the token of its session (contract: `dashboard.md`, "Getting in").

use axum::http::{HeaderMap, HeaderName, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::public_url::PublicUrl;

const SECRET_BYTES: usize = 32;

/// Returns true if a browser says that a page of this server sent the request.
pub(crate) fn is_from_here(headers: &HeaderMap, public_url: Option<&PublicUrl>) -> bool {
    let text =
        |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if let Some(site) = text(&HeaderName::from_static("sec-fetch-site")) {
        return site == "same-origin";
    }
    let Some(origin) = text(&header::ORIGIN) else { return false };
    match public_url {
        Some(url) => url.is_origin(origin),
        None => ["http", "https"].iter().any(|scheme| {
            let host = text(&header::HOST).unwrap_or_default();
            format!("{scheme}://{host}").parse().is_ok_and(|url: PublicUrl| url.is_origin(origin))
        }),
    }
}

/// Masks a session's secret anew, so that no two pages have the same bytes in common.
pub(crate) fn token(secret: &[u8; SECRET_BYTES]) -> Result<String, getrandom::Error> {
    let mut bytes = [0; 2 * SECRET_BYTES];
    let (mask, masked) = bytes.split_at_mut(SECRET_BYTES);
    getrandom::fill(mask)?;
    for ((masked, mask), secret) in masked.iter_mut().zip(mask).zip(secret) {
        *masked = *mask ^ secret;
    }
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Returns true if `presented` is a token of the session with this secret.
pub(crate) fn is_token(presented: &str, secret: &[u8; SECRET_BYTES]) -> bool {
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(presented) else { return false };
    let Some((mask, masked)) = bytes.split_at_checked(SECRET_BYTES) else { return false };
    if masked.len() != SECRET_BYTES {
        return false;
    }
    // Every byte is looked at, whatever the first one says.
    let differences = masked.iter().zip(mask).zip(secret);
    differences.fold(0, |all, ((masked, mask), secret)| all | (masked ^ mask ^ secret)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_token_is_masked_anew_and_known_again() {
        let (secret, other) = ([7; 32], [8; 32]);
        let (one, another) = (token(&secret).unwrap(), token(&secret).unwrap());
        assert_ne!(one, another);
        assert!(is_token(&one, &secret) && is_token(&another, &secret));
        assert!(!is_token(&one, &other));
        for bad in ["", "a", "=", &one[1..], &format!("{one}AAAA")] {
            assert!(!is_token(bad, &secret), "{bad}");
        }
    }

    #[test]
    fn a_request_comes_from_here_if_the_browser_says_so() {
        let url: PublicUrl = "https://kana.example".parse().unwrap();
        for (pairs, with_url, without) in [
            (vec![("sec-fetch-site", "same-origin")], true, true),
            (vec![("sec-fetch-site", "same-site")], false, false),
            (
                vec![("sec-fetch-site", "cross-site"), ("origin", "https://kana.example")],
                false,
                false,
            ),
            (vec![("sec-fetch-site", "none")], false, false),
            (vec![("origin", "https://kana.example"), ("host", "kana.example")], true, true),
            (vec![("origin", "http://localhost:4000"), ("host", "localhost:4000")], false, true),
            (vec![("origin", "http://evil.example"), ("host", "localhost:4000")], false, false),
            (vec![("origin", "null"), ("host", "localhost:4000")], false, false),
            (vec![("host", "localhost:4000")], false, false),
            (vec![("origin", "http://")], false, false),
        ] {
            let headers = headers(&pairs);
            assert_eq!(is_from_here(&headers, Some(&url)), with_url, "{pairs:?}");
            assert_eq!(is_from_here(&headers, None), without, "{pairs:?}");
        }
    }
}
