//! The version of an environment's catalog as HTTP speaks of it.

use axum::http::{HeaderMap, HeaderValue, header};
use kana_core::catalog::CatalogVersion;

/// The `ETag` of a version.
pub(super) fn tag(version: CatalogVersion) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{}\"", version.0)).ok()
}

/// The versions that `If-Match` allows; `None` where it allows any. What is no tag of ours is no
/// version, so that it matches nothing.
pub(super) fn expected(headers: &HeaderMap) -> Option<Vec<CatalogVersion>> {
    let mut values = headers.get_all(header::IF_MATCH).iter().peekable();
    values.peek()?;
    let mut versions = Vec::new();
    for value in values {
        for tag in value.to_str().unwrap_or_default().split(',') {
            let tag = tag.trim();
            if tag == "*" {
                return None;
            }
            let digits = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            versions.extend(digits.and_then(|digits| digits.parse().ok()).map(CatalogVersion));
        }
    }
    Some(versions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Option<Vec<i64>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, HeaderValue::from_str(value).unwrap());
        }
        expected(&headers).map(|versions| versions.iter().map(|version| version.0).collect())
    }

    #[test]
    fn a_tag_names_a_version() {
        assert_eq!(tag(CatalogVersion(7)).unwrap(), "\"7\"");
        assert_eq!(of(&["\"7\""]), Some(vec![7]));
        assert_eq!(of(&["\"7\", \"8\"", " \"9\" "]), Some(vec![7, 8, 9]));
    }

    #[test]
    fn without_a_tag_any_version_will_do() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["*"]), None);
    }

    #[test]
    fn what_is_no_tag_of_ours_matches_nothing() {
        for other in ["7", "W/\"7\"", "\"x\"", "", "\"\"", "\"99999999999999999999\""] {
            assert_eq!(of(&[other]), Some(vec![]), "{other}");
        }
    }
}
