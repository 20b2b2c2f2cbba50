//! The page that asks before a dangerous change.

use askama::Template;

use crate::address::Address;
use crate::form::Filled;
use crate::frame::Frame;

/// Asks before a dangerous change. Its heading is the question.
#[derive(Template)]
#[template(path = "confirm.html")]
pub(super) struct ConfirmPage {
    pub(super) frame: Frame,
    pub(super) form: Filled,
    /// What the change will do, and whom it touches.
    pub(super) text: String,
    /// The button, which names the act.
    pub(super) act: &'static str,
    pub(super) is_dangerous: bool,
    pub(super) action: Address,
    pub(super) cancel: Address,
}
