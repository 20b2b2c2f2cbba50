//! What is said of an invalid value.

use crate::settings::without_passwords;

/// The maximum number of characters of a value in a message.
const VALUE_CHARS_MAX: usize = 200;

/// Returns the message about an invalid value, on one line and with passwords hidden. `origin`
/// follows the value in the message.
pub(crate) fn invalid_value(value: &str, origin: &str, problem: &str) -> String {
    let hide = |text: &str| without_passwords(text, [value]);
    let mut shown: String = hide(value).chars().take(VALUE_CHARS_MAX).collect();
    if value.chars().nth(VALUE_CHARS_MAX).is_some() {
        shown.push('…');
    }
    let message = format!("invalid value '{shown}'{origin}: {}", hide(problem));
    let escape =
        |c: char| if c.is_control() { c.escape_default().collect() } else { c.to_string() };
    message.chars().map(escape).collect()
}
