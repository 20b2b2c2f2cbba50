//! Ids of traces and spans, and the header that carries them (W3C Trace Context).

use std::fmt;
use std::num::NonZeroU64;

/// The id of a trace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceId([u8; 32]);

/// The id of a span. Never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(NonZeroU64);

/// A span, and the trace that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
}

/// A `traceparent` header: the caller's span, and whether the caller records the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The caller's span.
    pub context: SpanContext,
    /// Whether the caller records it.
    pub is_sampled: bool,
}

impl TraceId {
    /// Returns the id with these bits; `None` for zero, which is no id.
    #[must_use]
    pub fn of_bits(bits: u128) -> Option<Self> {
        let mut digits = [0; 32];
        for (place, digit) in digits.iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(bits >> (4 * (31 - place))) as usize & 0xf];
        }
        (bits != 0).then_some(Self(digits))
    }

    /// Returns the id as 32 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Returns the id as bytes, the highest first.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        u128::from_str_radix(self.as_str(), 16).unwrap_or_default().to_be_bytes()
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl SpanId {
    /// Returns the id with these bits; `None` for zero, which is no id.
    #[must_use]
    pub fn of_bits(bits: u64) -> Option<Self> {
        NonZeroU64::new(bits).map(Self)
    }

    /// Returns the id as bytes, the highest first.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.get().to_be_bytes()
    }
}

impl TraceParent {
    /// Reads the header; `None` if it is not valid, as the specification asks.
    #[must_use]
    pub fn read(header: &[u8]) -> Option<Self> {
        let is_hex =
            |bytes: &[u8]| bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let (version, rest) = header.split_at_checked(2)?;
        let (trace, rest) = rest.strip_prefix(b"-")?.split_at_checked(32)?;
        let (parent, rest) = rest.strip_prefix(b"-")?.split_at_checked(16)?;
        let (flags, rest) = rest.strip_prefix(b"-")?.split_at_checked(2)?;
        // Later versions may add something after another dash.
        let ends_well = rest.is_empty() || version != b"00" && rest.starts_with(b"-");
        let are_hex = [version, trace, parent, flags].into_iter().all(is_hex);
        if !ends_well || !are_hex || version == b"ff" || trace.iter().all(|digit| *digit == b'0') {
            return None;
        }
        let number = |digits| u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        let trace_id = TraceId(trace.try_into().ok()?);
        let span_id = SpanId::of_bits(number(parent)?)?;
        let is_sampled = number(flags)? & 1 == 1;
        Some(Self { context: SpanContext { trace_id, span_id }, is_sampled })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const PARENT: &str = "b7ad6b7169203331";

    #[test]
    fn a_valid_header_has_a_trace_a_span_and_whether_it_is_sampled() {
        for (header, is_sampled) in [
            (format!("00-{TRACE}-{PARENT}-01"), true),
            (format!("00-{TRACE}-{PARENT}-00"), false),
            (format!("00-{TRACE}-{PARENT}-02"), false),
            (format!("00-{TRACE}-{PARENT}-03"), true),
            (format!("01-{TRACE}-{PARENT}-01"), true),
            (format!("cc-{TRACE}-{PARENT}-01-what-comes-later"), true),
        ] {
            let read = TraceParent::read(header.as_bytes()).unwrap();
            assert_eq!(read.context.trace_id.as_str(), TRACE, "{header}");
            assert_eq!(read.context.span_id.to_bytes(), 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
            assert_eq!(read.is_sampled, is_sampled, "{header}");
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
            format!("00-{TRACE}-{PARENT}-+1"),
            format!("00 {TRACE} {PARENT} 01"),
        ] {
            assert_eq!(TraceParent::read(header.as_bytes()), None, "{header}");
        }
    }

    #[test]
    fn an_id_is_written_as_it_is_read() {
        let bits = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
        let id = TraceId::of_bits(bits).unwrap();
        assert_eq!((id.as_str(), id.to_bytes()), (TRACE, bits.to_be_bytes()));
        assert_eq!((TraceId::of_bits(0), SpanId::of_bits(0)), (None, None));
    }
}
