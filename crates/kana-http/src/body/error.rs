use std::fmt;

use super::memory::NoMemory;

/// Why a request body was not read to its end. The message tells the client what to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyError {
    /// The body has more bytes than its handler takes.
    TooLarge,
    /// The client sent nothing for too long.
    TooSlow,
    /// The connection ended before the body.
    Cut,
    /// The gzip stream ended before it was complete.
    CutGzip,
    /// There are more bytes after the end of the gzip stream.
    AfterGzip,
    /// The body is not a gzip stream.
    InvalidGzip(String),
    /// The memory for request bodies is used up.
    NoMemory(NoMemory),
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "The request body is too large",
            Self::TooSlow => "Nothing of the request body has arrived for 30 seconds",
            Self::Cut => "The request body was cut before its end",
            Self::CutGzip => "The gzip stream of the request body was cut before its end",
            Self::AfterGzip => "The request body has more after the end of its gzip stream",
            Self::InvalidGzip(problem) => {
                return write!(f, "The request body is not valid gzip: {problem}");
            }
            Self::NoMemory(no_memory) => return no_memory.fmt(f),
        })
    }
}

impl std::error::Error for BodyError {}

impl From<NoMemory> for BodyError {
    fn from(no_memory: NoMemory) -> Self {
        Self::NoMemory(no_memory)
    }
}
