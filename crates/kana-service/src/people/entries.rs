//! Entries of the audit log about people. They belong to no environment, and hold no secret.

use kana_core::Timestamp;
use kana_core::change::AuditKind;
use kana_store::Actor;
use kana_store::app::EnvironmentKind;
use kana_store::feed::NewAuditEntry;
use kana_store::people::{Admin, Role};
use kana_telemetry::metrics::jobs;
use serde_json::{Value, json};

use crate::feed::current_request;
use crate::ids;

/// Returns an entry about an admin; without an e-mail, about somebody who is no admin.
pub(super) fn of_person(
    actor: &Actor,
    at: Timestamp,
    action: &'static str,
    email: Option<&str>,
    (before, after): (Option<Value>, Option<Value>),
) -> NewAuditEntry {
    jobs::audited(AuditKind::Person.name());
    NewAuditEntry {
        id: ids::next(at),
        at,
        actor: actor.to_string(),
        action,
        kind: AuditKind::Person,
        subject: email.map(str::to_owned),
        before: before.map(|value| value.to_string()),
        after: after.map(|value| value.to_string()),
        request_id: current_request(),
    }
}

/// Returns an entry about the app's name.
pub(super) fn app_renamed(
    actor: &Actor,
    at: Timestamp,
    before: &str,
    after: &str,
) -> NewAuditEntry {
    jobs::audited(AuditKind::Setting.name());
    NewAuditEntry {
        id: ids::next(at),
        at,
        actor: actor.to_string(),
        action: "renameApp",
        kind: AuditKind::Setting,
        subject: Some("app".to_owned()),
        before: Some(json!(before).to_string()),
        after: Some(json!(after).to_string()),
        request_id: current_request(),
    }
}

/// Returns an entry about the audit log of an environment that leaves as a file.
pub(super) fn audit_log_exported(
    actor: &Actor,
    at: Timestamp,
    environment: EnvironmentKind,
) -> NewAuditEntry {
    jobs::audited(AuditKind::Person.name());
    NewAuditEntry {
        id: ids::next(at),
        at,
        actor: actor.to_string(),
        action: "exportAuditLog",
        kind: AuditKind::Person,
        subject: Some(environment.name().to_owned()),
        before: None,
        after: None,
        request_id: current_request(),
    }
}

/// Returns an admin as the audit log shows one.
pub(super) fn shown(role: Role) -> Option<Value> {
    Some(json!({ "role": role.name() }))
}

/// Returns the actor that an admin is.
pub(super) fn actor_of(admin: &Admin) -> Actor {
    Actor::Person { id: admin.id, email: admin.email.as_str().into() }
}
