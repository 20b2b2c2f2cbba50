//! The header with what the systems that trace a request say of it (W3C Trace Context).

/// The most characters that are carried.
const CHARS_MAX: usize = 512;
/// The most members of the list.
const MEMBERS_MAX: usize = 32;
/// The most characters of a key, and of a value.
const PART_CHARS_MAX: usize = 256;

/// The value of a `tracestate` header, which is handed on as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceState(Box<str>);

impl TraceState {
    /// Reads the headers, in their order; `None` if there is nothing in them, or if they are not valid, or too
    /// long.
    #[must_use]
    pub fn read<'a>(headers: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut list = String::new();
        for header in headers {
            let header = std::str::from_utf8(header).ok()?.trim_matches(BLANKS);
            if header.is_empty() {
                continue;
            }
            if list.len() + 1 + header.len() > CHARS_MAX + usize::from(list.is_empty()) {
                return None;
            }
            if !list.is_empty() {
                list.push(',');
            }
            list.push_str(header);
        }
        // Members may be empty.
        let members = list.split(',').map(|member| member.trim_matches(BLANKS));
        let mut members = members.filter(|member| !member.is_empty()).peekable();
        members.peek()?;
        let are_valid = members.enumerate().all(|(place, it)| place < MEMBERS_MAX && is_member(it));
        are_valid.then(|| Self(list.into()))
    }

    /// Returns the list.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What may stand around a member.
const BLANKS: [char; 2] = [' ', '\t'];

fn is_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else { return false };
    let is_short = |part: &str| (1..=PART_CHARS_MAX).contains(&part.len());
    let is_of_key =
        |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
    let starts_well =
        key.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    let is_of_value = |byte| matches!(byte, b' '..=b'~') && byte != b'=';
    is_short(key)
        && starts_well
        && key.bytes().all(is_of_key)
        && is_short(value)
        && value.bytes().all(is_of_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[&str]) -> Option<String> {
        let state = TraceState::read(headers.iter().map(|header| header.as_bytes()));
        state.map(|state| state.as_str().to_owned())
    }

    #[test]
    fn a_valid_list_is_carried_as_it_is_and_several_are_one() {
        for list in [
            "congo=t61rcWkgMzE",
            "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
            "rojo=1 , congo=2\t,,a=3",
            "fw529a3039@dt=FfAAAAA;1:2 3!~",
            "0_-*/@=~",
        ] {
            assert_eq!(read(&[list]).as_deref(), Some(list));
        }
        assert_eq!(read(&["a=1", "", " b=2 "]).as_deref(), Some("a=1,b=2"));
    }

    #[test]
    fn a_list_that_is_not_valid_or_too_long_is_not_carried() {
        for list in [
            "", " ", ",", "a", "=1", "a=", "A=1", "_a=1", "a b=1", "a=b=c", "a=\u{7f}", "a=é",
            "a=1,b",
        ] {
            assert_eq!(read(&[list]), None, "{list}");
        }
        let member = |length: usize| format!("a={}", "x".repeat(length));
        assert_eq!(read(&[&member(256)]), Some(member(256)));
        assert_eq!(read(&[&member(257)]), None);
        // 254 characters and 2, twice, with a comma between: 513.
        assert_eq!(read(&[&member(254), &member(254)]), None);
        assert_eq!(read(&[&format!("{},{}", member(254), member(253))]).unwrap().len(), 512);
        assert_eq!(read(&[&member(254), &member(253)]).unwrap().len(), 512);
        assert!(read(&[&vec!["a=1"; 32].join(",")]).is_some());
        assert_eq!(read(&[&vec!["a=1"; 33].join(",")]), None);
        assert_eq!(TraceState::read([&b"a=\xff"[..]].into_iter()), None);
    }
}
