//! Records what happened: changes for other programs, and entries of the audit log for people
//! (contract: `changes.md`, "The log"; `operations.md`, "Audit log").

use kana_core::Timestamp;
use kana_core::change::{
    AuditEntry, AuditKind, Change, Effect, KeyName, audit_of_user, deletes_user,
};
use kana_store::Actor;
use kana_store::app::Key;
use kana_store::feed::{NewAuditEntry, NewChange, Records};
use kana_telemetry::metrics::jobs;
use kana_telemetry::request;
use serde_json::{Value, json};

use crate::ids;

/// What the commands of one transaction and environment record.
#[derive(Default)]
pub(crate) struct Recorder {
    records: Records,
}

impl Recorder {
    /// Adds the changes of a command about a user, and what else the audit log has of it. It has that
    /// only if the actor is one whose work on users it keeps.
    pub(crate) fn user(
        &mut self,
        (actor, request_id): (&Actor, Option<&str>),
        at: Timestamp,
        (changes, audit): (Vec<Change>, Vec<AuditEntry>),
    ) {
        if actor.is_audited_for_users() || deletes_user(&changes) {
            self.audit_of(actor, request_id, at, audit_of_user(&changes));
            self.audit_of(actor, request_id, at, audit);
        }
        self.changes(actor, at, changes);
    }

    /// Adds changes.
    pub(crate) fn changes(&mut self, actor: &Actor, at: Timestamp, changes: Vec<Change>) {
        let new = |Change { user, effect }| NewChange {
            id: ids::next(at),
            at,
            user,
            actor: actor.to_string(),
            effect,
        };
        self.records.changes.extend(changes.into_iter().map(new));
    }

    /// Adds entries of the audit log, of the request that is being answered.
    pub(crate) fn audit(&mut self, actor: &Actor, at: Timestamp, entries: Vec<AuditEntry>) {
        self.audit_of(actor, current_request().as_deref(), at, entries);
    }

    fn audit_of(
        &mut self,
        actor: &Actor,
        request_id: Option<&str>,
        at: Timestamp,
        entries: Vec<AuditEntry>,
    ) {
        let json = |value: Option<Value>| value.map(|value| value.to_string());
        entries.iter().for_each(|entry| jobs::audited(entry.kind.name()));
        let new = |AuditEntry { action, kind, subject, before, after }| NewAuditEntry {
            id: ids::next(at),
            at,
            actor: actor.to_string(),
            action,
            kind,
            subject,
            before: json(before),
            after: json(after),
            request_id: request_id.map(str::to_owned),
        };
        self.records.audit.extend(entries.into_iter().map(new));
    }

    pub(crate) fn finish(self) -> Records {
        self.records
    }
}

/// Returns the id of the request that is being answered.
pub(crate) fn current_request() -> Option<String> {
    request::current_id().map(|id| id.to_string())
}

/// Records that a key was created.
pub(crate) fn key_created(actor: &Actor, key: &Key) -> Records {
    let (effect, shown) = (Effect::KeyCreated(key_name(key)), shown_key(key));
    of_key(actor, key.created_at, effect, ("createKey", key.id, None, shown))
}

/// Records that a key was revoked.
pub(crate) fn key_revoked(actor: &Actor, key: &Key, at: Timestamp) -> Records {
    let valid = Key { revoked_at: None, ..key.clone() };
    let effect = Effect::KeyRevoked(key_name(key));
    of_key(actor, at, effect, ("revokeKey", key.id, Some(shown_key(&valid)), shown_key(key)))
}

fn of_key(
    actor: &Actor,
    at: Timestamp,
    effect: Effect,
    (action, id, before, after): (&'static str, i64, Option<Value>, Value),
) -> Records {
    let mut recorder = Recorder::default();
    recorder.changes(actor, at, vec![Change { user: None, effect }]);
    let subject = Some(id.to_string());
    let entry = AuditEntry { action, kind: AuditKind::Key, subject, before, after: Some(after) };
    recorder.audit(actor, at, vec![entry]);
    recorder.finish()
}

fn key_name(key: &Key) -> KeyName {
    KeyName { id: key.id, kind: key.kind.name(), last_four: key.last_four.clone() }
}

fn shown_key(key: &Key) -> Value {
    json!({
        "name": key.name,
        "kind": key.kind.name(),
        "lastFour": key.last_four,
        "expiresAt": key.expires_at.map(|at| at.to_string()),
        "revokedAt": key.revoked_at.map(|at| at.to_string()),
    })
}

/// Records that another secret signs user tokens.
pub(crate) fn token_secret_rotated(
    actor: &Actor,
    at: Timestamp,
    earlier_valid_until: Timestamp,
) -> Records {
    let mut recorder = Recorder::default();
    recorder.changes(actor, at, vec![Change { user: None, effect: Effect::TokenSecretRotated }]);
    let after = json!({ "earlierTokensValidUntil": earlier_valid_until.to_string() });
    let entry = AuditEntry {
        action: "rotateTokenSecret",
        kind: AuditKind::Key,
        subject: None,
        before: None,
        after: Some(after),
    };
    recorder.audit(actor, at, vec![entry]);
    recorder.finish()
}

/// Records that simple mode was switched.
pub(crate) fn simple_mode_set(actor: &Actor, at: Timestamp, on: bool) -> Records {
    let mut recorder = Recorder::default();
    let entry = AuditEntry {
        action: "setSimpleMode",
        kind: AuditKind::Setting,
        subject: Some("simpleMode".to_owned()),
        before: Some(json!(!on)),
        after: Some(json!(on)),
    };
    recorder.audit(actor, at, vec![entry]);
    recorder.finish()
}
