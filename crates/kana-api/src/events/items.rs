//! Bodies that are held in memory: one JSON object, or an array of anything. They are well-formed
//! as a whole, or nothing of them is taken.

use serde::de::IgnoredAny;
use serde_json::Deserializer;

use crate::http_error::HttpError;

/// The one object that the text is.
pub(super) fn object(text: &[u8]) -> Result<&[u8], HttpError> {
    check_json(text)?;
    match text.trim_ascii() {
        [b'{', ..] => Ok(text),
        [b'[', ..] => Err(HttpError::bad_request(
            "The request body is a JSON array: send it with the Content-Type \
             application/cloudevents-batch+json",
        )),
        _ => Err(HttpError::bad_request("The request body must be a JSON object")),
    }
}

/// The items of the array that the text is, at most `items_max`, each as its text.
pub(super) fn array(text: &[u8], items_max: usize) -> Result<Vec<&[u8]>, HttpError> {
    match split(text, items_max) {
        Some(items) if items.len() > items_max => Err(HttpError::too_large(format!(
            "The request body has more than {items_max} events: send more batches, or the events \
             as lines, with the Content-Type application/x-ndjson"
        ))),
        Some(items) => Ok(items),
        None => {
            check_json(text)?;
            Err(HttpError::bad_request("The request body must be a JSON array"))
        }
    }
}

/// Says what is wrong with a text that is not JSON, and where.
pub(super) fn check_json(text: &[u8]) -> Result<(), HttpError> {
    if text.is_empty() {
        return Err(HttpError::bad_request("The request body is empty"));
    }
    serde_json::from_slice::<IgnoredAny>(text).map(|_| ()).map_err(|error| {
        HttpError::bad_request(format!("The request body is not valid JSON: {error}"))
    })
}

/// The items of a JSON array, one more than `items_max` where there are more; `None` when the text
/// is no array. It is read once: whatever parses a whole array keeps no texts.
fn split(text: &[u8], items_max: usize) -> Option<Vec<&[u8]>> {
    let mut rest = text.trim_ascii().strip_prefix(b"[")?.strip_suffix(b"]")?.trim_ascii();
    let mut items = Vec::new();
    if rest.is_empty() {
        return Some(items);
    }
    while items.len() <= items_max {
        let mut values = Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
        values.next()?.ok()?;
        let (item, after) = rest.split_at_checked(values.byte_offset())?;
        items.push(item);
        let after = after.trim_ascii_start();
        if after.is_empty() {
            break;
        }
        rest = after.strip_prefix(b",")?;
    }
    Some(items)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const MAX: usize = 100;

    fn texts(text: &str) -> Option<Vec<&str>> {
        let items = split(text.as_bytes(), MAX)?;
        Some(items.into_iter().map(|item| std::str::from_utf8(item).unwrap().trim()).collect())
    }

    #[test]
    fn an_array_has_its_items() {
        for (text, items) in [
            ("[]", vec![]),
            (" [ \n ] ", vec![]),
            ("[1]", vec!["1"]),
            ("[1,2 , 3]", vec!["1", "2", "3"]),
            (
                "[{\"a\": [1, \"]\"]} , [], \"\\\"],[\", null]",
                vec!["{\"a\": [1, \"]\"]}", "[]", "\"\\\"],[\"", "null"],
            ),
        ] {
            assert_eq!(texts(text).unwrap(), items, "{text}");
        }
    }

    #[test]
    fn what_is_no_array_has_none() {
        for text in [
            "", "[", "]", "[1", "1]", "[1,]", "[,1]", "[1 2]", "[1]]", "[[1]", "[\"a]", "{}",
            "[1]x",
        ] {
            assert_eq!(texts(text), None, "{text}");
            assert!(array(text.as_bytes(), MAX).is_err(), "{text}");
        }
    }

    #[test]
    fn more_items_than_may_be_are_not_all_looked_at() {
        let text = format!("[{}1]", "1,".repeat(MAX));
        assert_eq!(texts(&text).unwrap().len(), MAX + 1);
        assert!(array(text.as_bytes(), MAX).is_err());
        assert_eq!(array(text.as_bytes(), MAX + 1).unwrap().len(), MAX + 1);
    }

    proptest! {
        #[test]
        fn it_is_an_array_exactly_when_a_parser_says_so(
            text in "\\[[\\[\\]{}\",:1 a\\\\]{0,12}\\]|\\PC{0,20}",
        ) {
            let parsed: Option<Vec<Value>> = serde_json::from_str(&text).ok();
            let items = texts(&text).map(|items| {
                items.into_iter().map(|item| serde_json::from_str(item).unwrap()).collect()
            });
            prop_assert_eq!(items, parsed);
        }
    }
}
