use std::fmt;

use axum::http::{HeaderMap, header};

/// The compression of a request body, from its `Content-Encoding` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentEncoding {
    /// Not compressed.
    Identity,
    /// Compressed once with gzip.
    Gzip,
}

/// The request body has an encoding that its handler does not accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsupportedEncoding {
    takes_gzip: bool,
}

impl fmt::Display for UnsupportedEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.takes_gzip {
            "The Content-Encoding is not supported: compress the request body with gzip, once, or \
             not at all"
        } else {
            "The Content-Encoding is not supported: send the request body uncompressed"
        })
    }
}

impl std::error::Error for UnsupportedEncoding {}

impl ContentEncoding {
    /// Checks that a body is not compressed.
    ///
    /// # Errors
    ///
    /// Fails for every encoding but `identity`.
    pub fn identity(headers: &HeaderMap) -> Result<(), UnsupportedEncoding> {
        match Self::of(headers) {
            Some(Self::Identity) => Ok(()),
            Some(Self::Gzip) | None => Err(UnsupportedEncoding { takes_gzip: false }),
        }
    }

    /// Returns how a body is compressed.
    ///
    /// # Errors
    ///
    /// Fails for every encoding but `identity` and `gzip`.
    pub fn identity_or_gzip(headers: &HeaderMap) -> Result<Self, UnsupportedEncoding> {
        Self::of(headers).ok_or(UnsupportedEncoding { takes_gzip: true })
    }

    /// Returns `None` for any other encoding, and for more than one.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let mut encoding = Self::Identity;
        for value in headers.get_all(header::CONTENT_ENCODING) {
            for name in value.to_str().ok()?.split(',').map(str::trim) {
                if name.is_empty() || name.eq_ignore_ascii_case("identity") {
                    continue;
                }
                let is_gzip =
                    name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip");
                if !is_gzip || encoding == Self::Gzip {
                    return None;
                }
                encoding = Self::Gzip;
            }
        }
        Some(encoding)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn one_gzip_is_taken_and_nothing_else() {
        use ContentEncoding::{Gzip, Identity};
        for (values, expected) in [
            (&[][..], Some(Identity)),
            (&[""], Some(Identity)),
            (&["identity"], Some(Identity)),
            (&["Identity, identity"], Some(Identity)),
            (&["gzip"], Some(Gzip)),
            (&["GZip"], Some(Gzip)),
            (&["x-gzip"], Some(Gzip)),
            (&["identity", "gzip"], Some(Gzip)),
            (&["gzip, gzip"], None),
            (&["gzip", "gzip"], None),
            (&["gzip, br"], None),
            (&["br"], None),
            (&["deflate"], None),
            (&["zstd"], None),
            (&["*"], None),
            (&["\u{e9}"], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
                headers.append(header::CONTENT_ENCODING, value);
            }
            assert_eq!(ContentEncoding::of(&headers), expected, "{values:?}");
        }
    }
}
