use kana_core::metadata::Label;
use kana_core::refusal::InvalidValue;

/// Checks the name of an app: 1 to 255 characters, not only spaces, and no control characters. Returns
/// it.
pub fn check_app_name(text: &str) -> Result<String, InvalidValue> {
    let text = text.trim();
    if text.is_empty() {
        return Err(InvalidValue::new("name", "must not be empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidValue::new("name", "must not contain control characters"));
    }
    Label::new("name", text)?;
    Ok(text.to_owned())
}
