use std::fmt;

/// The id of a trace that a caller began.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceId([u8; 32]);

impl TraceId {
    /// Returns the id in a `traceparent` header (W3C Trace Context); `None` if the header is not valid,
    /// as the specification asks.
    #[must_use]
    pub fn of_traceparent(header: &[u8]) -> Option<Self> {
        let is_hex =
            |bytes: &[u8]| bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == b'0');
        let (version, rest) = header.split_at_checked(2)?;
        let (trace, rest) = rest.strip_prefix(b"-")?.split_at_checked(32)?;
        let (parent, rest) = rest.strip_prefix(b"-")?.split_at_checked(16)?;
        let (flags, rest) = rest.strip_prefix(b"-")?.split_at_checked(2)?;
        // Later versions may add something after another dash.
        let ends_well = rest.is_empty() || version != b"00" && rest.starts_with(b"-");
        let is_valid = ends_well
            && [version, trace, parent, flags].into_iter().all(is_hex)
            && version != b"ff"
            && !is_zero(trace)
            && !is_zero(parent);
        is_valid.then(|| trace.try_into().ok().map(Self)).flatten()
    }

    /// Returns the id as 32 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const PARENT: &str = "b7ad6b7169203331";

    #[test]
    fn the_trace_of_a_valid_header_is_taken() {
        for header in [
            format!("00-{TRACE}-{PARENT}-01"),
            format!("00-{TRACE}-{PARENT}-00"),
            format!("01-{TRACE}-{PARENT}-01"),
            format!("cc-{TRACE}-{PARENT}-01-what-comes-later"),
        ] {
            let trace = TraceId::of_traceparent(header.as_bytes()).unwrap();
            assert_eq!(trace.as_str(), TRACE, "{header}");
        }
    }

    #[test]
    fn an_invalid_header_gives_none() {
        for header in [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-{PARENT}"),
            format!("00-{TRACE}-{PARENT}-01-more"),
            format!("00-{TRACE}-{PARENT}-01 "),
            format!("ff-{TRACE}-{PARENT}-01"),
            format!("00-{}-{PARENT}-01", TRACE.to_uppercase()),
            format!("00-{}-{PARENT}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}-{PARENT}-0x"),
            format!("00 {TRACE} {PARENT} 01"),
        ] {
            assert_eq!(TraceId::of_traceparent(header.as_bytes()), None, "{header}");
        }
    }
}
