//! The codes of errors (contract: `admin-api.md`, "Errors"), as metrics and the log have them.

/// Every code that an answer can have, and what stands for one that is not listed.
pub const CODES: [&str; 13] = [
    "ANSWER_TOO_LARGE",
    "BAD_USER_INPUT",
    "CHANGES_GONE",
    "CONFLICT",
    "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED",
    "IDEMPOTENCY_CONFLICT",
    "INTERNAL_SERVER_ERROR",
    "NOT_FOUND",
    "OVERLOADED",
    "UNAUTHENTICATED",
    "VALUE_TOO_LARGE",
    OTHER,
];

/// Stands for a code that is not in [`CODES`].
const OTHER: &str = "OTHER";

/// Returns the code of this text.
#[must_use]
pub fn of(text: &str) -> &'static str {
    CODES.into_iter().find(|code| *code == text).unwrap_or(OTHER)
}
