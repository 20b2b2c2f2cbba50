use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The longest id that a caller may choose, in bytes.
const BYTES_MAX: usize = 128;
/// The length of an id that this process makes, in hexadecimal digits.
const DIGITS: usize = 32;
/// An odd number, so that multiplying by it maps each number to another one.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The number of ids that this process has made.
static MADE: AtomicU64 = AtomicU64::new(0);
/// What all ids of this process begin with.
static PROCESS: OnceLock<u64> = OnceLock::new();

/// The id of a request (contract: `operations.md`, "Logs"): the caller's, or a new one. It stands in the
/// answer's `X-Request-Id`, in the log, and in the audit log.
#[derive(Clone)]
pub struct RequestId(Text);

/// ASCII. It moves along with each request, so it is small.
#[derive(Clone)]
enum Text {
    Made([u8; DIGITS]),
    Chosen(Box<str>),
}

impl RequestId {
    /// Creates an id: a number of the process and one of the request. It takes no memory of its own and
    /// no call of the operating system.
    #[must_use]
    pub fn new() -> Self {
        let process = *PROCESS.get_or_init(random);
        let number = MADE.fetch_add(1, Ordering::Relaxed).wrapping_mul(SPREAD);
        let id = u128::from(process) << 64 | u128::from(number);
        let mut digits = [0; DIGITS];
        for (place, digit) in digits.iter_mut().enumerate() {
            let shift = 4 * (DIGITS - 1 - place);
            *digit = b"0123456789abcdef"[(id >> shift) as usize & 0xf];
        }
        Self(Text::Made(digits))
    }

    /// Returns the id that a caller chose, if it may be one: 1 to 128 characters of
    /// `[A-Za-z0-9._~+/=-]`.
    #[must_use]
    pub fn of_caller(header: &[u8]) -> Option<Self> {
        let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._~+/=-".contains(byte);
        if header.is_empty() || header.len() > BYTES_MAX || !header.iter().all(is_allowed) {
            return None;
        }
        std::str::from_utf8(header).ok().map(|text| Self(Text::Chosen(text.into())))
    }

    /// Returns the id as text, which is ASCII.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Made(digits) => std::str::from_utf8(digits).unwrap_or_default(),
            Text::Chosen(text) => text,
        }
    }
}

impl PartialEq for RequestId {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for RequestId {}

impl Default for RequestId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A random number: a hash with a key that the standard library takes from the operating system.
fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn new_ids_differ_and_could_be_a_callers() {
        let ids: HashSet<String> = (0..1000).map(|_| RequestId::new().to_string()).collect();
        assert_eq!(ids.len(), 1000);
        for id in ids {
            assert_eq!(id.len(), DIGITS);
            assert_eq!(RequestId::of_caller(id.as_bytes()).unwrap().as_str(), id);
        }
    }

    #[test]
    fn a_callers_id_is_short_and_has_no_signs_that_could_mean_something() {
        let longest = "x".repeat(BYTES_MAX);
        for id in ["a", "A-Za-z0-9._~+/=-", "4bf92f35-77b3-4da6", longest.as_str()] {
            assert_eq!(RequestId::of_caller(id.as_bytes()).unwrap().as_str(), id);
        }
        for wrong in
            ["", "a b", "a\nb", "a\"", "ä", "a,b", &"x".repeat(BYTES_MAX + 1), &"x".repeat(300)]
        {
            assert_eq!(RequestId::of_caller(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
