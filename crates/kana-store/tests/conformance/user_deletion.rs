//! Users who are deleted: what is left of them.

use std::time::Duration;

use kana_core::change::{AuditKind, Effect};
use kana_core::facts::Change;
use kana_core::id::UserKey;
use kana_core::usage::UsageEvent;
use kana_store::feed::{AuditQuery, ChangesQuery, NewAuditEntry, NewChange, Records};
use serde_json::json;
use uuid::Uuid;

use crate::Engine;
use crate::world::{
    World, count, counter, create_user, event, metadata, rename_user, subscribe, subscription_id,
    time, user, user_id, user_key,
};

fn delete_user(key: UserKey, from: &str, to: &str) -> Change {
    Change::DeleteUser { user: user(key, to), previous_id: user_id(from) }
}

/// A change about a user, and an entry of the audit log of the same instant.
fn records(second: u8, user: &str, effect: Effect) -> Records {
    let at = time(&format!("2024-01-01T00:00:{second:02}.000Z"));
    let id = Uuid::now_v7;
    let entry = NewAuditEntry {
        id: id(),
        at,
        actor: "command line".into(),
        action: "updateUser",
        kind: AuditKind::User,
        subject: Some(user.to_owned()),
        before: None,
        after: None,
        request_id: None,
    };
    let user = Some(user_id(user));
    let change = NewChange { id: id(), at, user, actor: "command line".into(), effect };
    Records { changes: vec![change], audit: vec![entry] }
}

fn renamed(from: &str) -> Effect {
    Effect::UserUpdated { changed: vec!["id"], previous_id: Some(user_id(from)) }
}

impl<E: Engine> World<E> {
    /// Changes users, and records what is told of it.
    async fn tell(&self, changes: &[(UserKey, Change)], told: Records) {
        let mut writer = self.store.write().await.unwrap();
        writer.change_facts(self.test, changes).await.unwrap();
        writer.append(self.test, told).await.unwrap();
        writer.commit().await.unwrap();
    }

    /// The user and the data of each change, and the subject of each entry of the audit log, oldest first.
    async fn told(&self) -> (Vec<String>, Vec<String>) {
        let query = ChangesQuery { limit: 1000, ..ChangesQuery::default() };
        let page = self.store.changes(self.test, &query).await.unwrap();
        let change = |change: &kana_store::feed::StoredChange| {
            format!("{} {}", change.user_id.as_deref().unwrap_or("-"), change.data)
        };
        let query = AuditQuery { limit: 1000, ..AuditQuery::default() };
        let audit = self.store.audit_log(self.test, &query).await.unwrap();
        let mut subjects: Vec<String> =
            audit.rows.iter().map(|entry| entry.subject.clone().unwrap_or_default()).collect();
        subjects.reverse();
        (page.changes.iter().map(change).collect(), subjects)
    }
}

pub(crate) async fn the_ids_of_a_deleted_user_stand_nowhere_and_those_of_others_stay<E: Engine>() {
    let world = World::<E>::new().await;
    let (first, second) = (user_key(1), user_key(2));
    // The first has the id, gives it up, and the second takes it, under another one before.
    let create = |key, id: &str| vec![(key, create_user(key, id))];
    world.tell(&create(first, "ada"), records(1, "ada", Effect::UserCreated)).await;
    let changed = Effect::UserUpdated { changed: vec!["name"], previous_id: None };
    world.tell(&[], records(2, "ada", changed.clone())).await;
    world
        .tell(&[(first, rename_user(first, "ada", "old"))], records(3, "old", renamed("ada")))
        .await;
    world.tell(&create(second, "temp\"é"), records(4, "temp\"é", Effect::UserCreated)).await;
    let taken = rename_user(second, "temp\"é", "ada");
    world.tell(&[(second, taken)], records(5, "ada", renamed("temp\"é"))).await;
    world.tell(&[], records(6, "ada", changed)).await;

    let deleted = records(7, "gone", Effect::UserDeleted);
    world.tell(&[(second, delete_user(second, "ada", "gone"))], deleted).await;
    let world = world.opened_again().await;
    let (changes, audit) = world.told().await;
    assert_eq!(
        changes,
        [
            r#"ada {}"#,
            r#"ada {"changed":["name"]}"#,
            r#"old {"changed":["id"],"previousId":"ada"}"#,
            r#"gone {}"#,
            r#"gone {"changed":["id"],"previousId":"gone"}"#,
            r#"gone {"changed":["name"]}"#,
            r#"gone {}"#,
        ]
    );
    assert_eq!(audit, ["ada", "ada", "old", "gone", "gone", "gone", "gone"]);
    assert_eq!(world.user(world.test, "ada").await, None);
    assert_eq!(world.user(world.test, "gone").await, Some(user(second, "gone")));
    // The id is free.
    world.tell(&create(user_key(3), "ada"), records(8, "ada", Effect::UserCreated)).await;
    assert_eq!(world.user(world.test, "ada").await, Some(user(user_key(3), "ada")));
}

pub(crate) async fn counters_and_events_of_a_deleted_user_stay_but_for_their_metadata<E: Engine>() {
    let world = World::<E>::new().await;
    let (ada, bob) = (user_key(1), user_key(2));
    let with_metadata = |id, order: i64| UsageEvent {
        metadata: Some(metadata(json!({ "order": order }))),
        ..event(id, "calls")
    };
    let (ada_pro, bob_pro) = (subscription_id(1), subscription_id(2));
    let mut changes = vec![
        (ada, create_user(ada, "ada")),
        (bob, create_user(bob, "bob")),
        (ada, subscribe(ada_pro, "pro")),
        (bob, subscribe(bob_pro, "pro")),
        (ada, count(counter(ada_pro, "calls"), 5)),
    ];
    for order in 0..5 {
        changes.push((ada, Change::LogEvent(with_metadata(ada_pro, order))));
        changes.push((bob, Change::LogEvent(with_metadata(bob_pro, order))));
    }
    world.tell(&changes, Records::default()).await;
    world.tell(&[(ada, delete_user(ada, "ada", "gone"))], Records::default()).await;

    let patience = Duration::from_secs(5);
    let with = async |user| {
        let mut reader = world.store.read().await.unwrap();
        let found = reader.events_of(world.test, user, None, 100, patience).await.unwrap();
        let with = found.events.iter().filter(|event| event.metadata.is_some()).count();
        (found.events.len(), with)
    };
    // As whoever walks the log does it, in steps.
    let mut after = None;
    loop {
        let mut reader = world.store.read().await.unwrap();
        let found = reader.events_of(world.test, ada, after, 2, patience).await.unwrap();
        drop(reader);
        let mut writer = world.store.write().await.unwrap();
        writer.forget_event_metadata(world.test, ada, found.next, after).await.unwrap();
        writer.commit().await.unwrap();
        let Some(next) = found.next else { break };
        after = Some(next);
    }
    assert_eq!(with(ada).await, (5, 0));
    assert_eq!(with(bob).await, (5, 5));
    assert_eq!(world.counter(world.test, ada, counter(ada_pro, "calls")).await, 5);
}
