//! The lines of the server log about changes of catalog, keys and settings (contract: `operations.md`,
//! "Logs"). They have what the audit log has, without the values.

use std::borrow::Cow;

use kana_core::change::AuditKind;
use kana_store::Actor;
use kana_telemetry::request;

/// Logs a change that is durable. `subject` is the id of what was changed.
pub(crate) fn log(actor: &Actor, action: &str, kind: AuditKind, subject: Option<&str>) {
    let request_id = request::current_id();
    tracing::info!(
        actor = shown(actor).as_ref(),
        action,
        kind = kind.name(),
        subject,
        request_id = request_id.as_ref().map(kana_telemetry::RequestId::as_str),
        "change"
    );
}

/// Names an actor without an e-mail or the name that somebody gave a key.
fn shown(actor: &Actor) -> Cow<'static, str> {
    match actor {
        Actor::Key { id, .. } => format!("key {id}").into(),
        Actor::Person { id, .. } => format!("admin {id}").into(),
        Actor::CommandLine => "command line".into(),
        Actor::Job => "job".into(),
    }
}
