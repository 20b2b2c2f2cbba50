//! The binary mode of CloudEvents over HTTP: the attributes of an event are in `ce-` headers, and
//! the body is its data (CloudEvents HTTP protocol binding, section 3.1). The event is converted to
//! the JSON format, so that there is one reader of events.

use std::borrow::Cow;

use axum::http::HeaderMap;
use kana_http::decoded;
use percent_encoding::percent_decode;

use crate::http_error::HttpError;

/// The headers of the attributes that Kana reads.
const HEADERS: [&str; 6] =
    ["ce-specversion", "ce-type", "ce-source", "ce-id", "ce-subject", "ce-time"];

/// Converts an event to the JSON format. `data` must be valid JSON, or blank if the event has none.
pub(super) fn in_json_format(headers: &HeaderMap, data: &[u8]) -> Result<Vec<u8>, HttpError> {
    let mut event = vec![b'{'];
    for header in HEADERS {
        if let Some(value) = attribute(headers, header)? {
            let name = header.strip_prefix("ce-").unwrap_or(header);
            push_member(&mut event, name, serde_json::Value::from(value).to_string().as_bytes());
        }
    }
    if !data.trim_ascii().is_empty() {
        push_member(&mut event, "data", data);
    }
    event.push(b'}');
    Ok(event)
}

fn push_member(object: &mut Vec<u8>, name: &str, json: &[u8]) {
    if object.len() > 1 {
        object.push(b',');
    }
    object.push(b'"');
    object.extend_from_slice(name.as_bytes());
    object.extend_from_slice(b"\":");
    object.extend_from_slice(json);
}

/// Returns the value of an attribute; `None` if the header is absent.
fn attribute(headers: &HeaderMap, header: &'static str) -> Result<Option<String>, HttpError> {
    let mut values = headers.get_all(header).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(HttpError::bad_request(format!("The header {header} is given more than once")));
    }
    let text = decoded(value.as_bytes());
    match percent_decode(unquoted(&text).as_bytes()).decode_utf8() {
        Ok(value) => Ok(Some(value.into_owned())),
        Err(_) => Err(HttpError::bad_request(format!(
            "The header {header} is not UTF-8 once its percent-encoding is decoded"
        ))),
    }
}

/// Removes the quotes of a quoted string; returns any other text unchanged. Older versions of the
/// specification put values with spaces in quotes.
fn unquoted(text: &str) -> Cow<'_, str> {
    let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let Some(quoted) = quoted else {
        return text.into();
    };
    let mut unescaped = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => unescaped.extend(characters.next()),
            other => unescaped.push(other),
        }
    }
    unescaped.into()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn subject(value: &[u8]) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert("ce-subject", HeaderValue::from_bytes(value).unwrap());
        attribute(&headers, "ce-subject").unwrap_or_default()
    }

    #[test]
    fn a_header_is_decoded_as_the_specification_says() {
        for (value, expected) in [
            ("124", "124"),
            ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
            ("%e2%82%ac", "€"),
            ("%31%32%34", "124"),
            ("a%2520b", "a%20b"),
            ("\"a b\"", "a b"),
            ("\"a \\\"b\\\\\"", "a \"b\\"),
            ("\"a%20b\"", "a b"),
            ("a \"b\"", "a \"b\""),
            // Not encoded, as some clients send it.
            ("100%", "100%"),
            ("jos\u{e9}", "jos\u{e9}"),
            ("", ""),
        ] {
            assert_eq!(subject(value.as_bytes()).as_deref(), Some(expected), "{value}");
        }
        assert_eq!(subject(b"jos\xE9").as_deref(), Some("jos\u{e9}"));
        for value in ["%C0%A0", "%FF", "a%E2%82"] {
            assert_eq!(subject(value.as_bytes()), None, "{value}");
        }
    }
}
