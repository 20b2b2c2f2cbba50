use kana_core::Timestamp;
use kana_store::app::{Key, KeyKind, NewKey};
use kana_store::{App, EnvironmentKind};

use crate::Engine;
use crate::world::{Access as _, BEGINNING, World, app, hash, private_key, time};

fn key(environment: EnvironmentKind, kind: KeyKind, name: &str, created_at: &str) -> NewKey {
    NewKey { kind, created_at: time(created_at), ..private_key(environment, name) }
}

/// What a listing shows of a key beside what the engine chose.
fn shown(key: &Key) -> (EnvironmentKind, KeyKind, &str, Timestamp, Option<Timestamp>) {
    (key.environment_kind, key.kind, &key.last_four, key.created_at, key.revoked_at)
}

pub(crate) async fn a_database_is_ready_with_and_without_an_app<E: Engine>() {
    let database = E::empty().await;
    E::open(&database).await.check_ready().await.unwrap();
    World::<E>::new().await.store.check_ready().await.unwrap();
}

pub(crate) async fn an_empty_database_has_no_app<E: Engine>() {
    let database = E::empty().await;
    let store = E::open(&database).await;

    assert_eq!(store.app().await.unwrap(), None);
    assert_eq!(store.keys().await.unwrap(), []);
    assert_eq!(store.find_key(hash("test")).await.unwrap(), None);
}

pub(crate) async fn the_app_is_made_with_its_two_environments_and_its_keys<E: Engine>() {
    let database = E::empty().await;
    let store = E::open(&database).await;

    let first = vec![
        key(EnvironmentKind::Test, KeyKind::Private, "tpri", BEGINNING),
        key(EnvironmentKind::Test, KeyKind::Public, "tpub", BEGINNING),
        key(EnvironmentKind::Live, KeyKind::Private, "lpri", BEGINNING),
        key(EnvironmentKind::Live, KeyKind::Public, "lpub", BEGINNING),
    ];
    let made = store.create_app(app("Käse & Söhne 🧀"), first, time(BEGINNING)).await.unwrap();

    assert!(made);
    assert_eq!(store.app().await.unwrap(), Some(App { name: "Käse & Söhne 🧀".to_owned() }));
    let keys = store.keys().await.unwrap();
    let created = time(BEGINNING);
    assert_eq!(
        keys.iter().map(shown).collect::<Vec<_>>(),
        [
            (EnvironmentKind::Test, KeyKind::Private, "tpri", created, None),
            (EnvironmentKind::Test, KeyKind::Public, "tpub", created, None),
            (EnvironmentKind::Live, KeyKind::Private, "lpri", created, None),
            (EnvironmentKind::Live, KeyKind::Public, "lpub", created, None),
        ]
    );
    assert_eq!(keys[0].environment, keys[1].environment);
    assert_eq!(keys[2].environment, keys[3].environment);
    assert_ne!(keys[0].environment, keys[2].environment);
}

pub(crate) async fn an_app_can_be_made_without_a_key<E: Engine>() {
    let database = E::empty().await;
    let store = E::open(&database).await;

    assert!(store.create_app(app("Kana"), Vec::new(), time(BEGINNING)).await.unwrap());
    assert_eq!(store.keys().await.unwrap(), []);

    store.add_key(private_key(EnvironmentKind::Live, "late")).await.unwrap();
    let found = store.find_key(hash("late")).await.unwrap().unwrap();
    assert_eq!(found.environment_kind, EnvironmentKind::Live);
}

pub(crate) async fn a_second_app_is_not_made_and_its_keys_are_not_stored<E: Engine>() {
    let world = World::<E>::new().await;
    let before = world.store.keys().await.unwrap();

    let keys = vec![private_key(EnvironmentKind::Test, "second")];
    let made = world.store.create_app(app("Other"), keys, time(BEGINNING)).await.unwrap();

    assert!(!made);
    assert_eq!(world.store.app().await.unwrap(), Some(app("Kana")));
    assert_eq!(world.store.keys().await.unwrap(), before);
    assert_eq!(world.store.find_key(hash("second")).await.unwrap(), None);
}

pub(crate) async fn of_many_who_make_the_app_at_once_one_does<E: Engine>() {
    let database = E::empty().await;
    let store = E::open(&database).await;

    let mut attempts = tokio::task::JoinSet::new();
    for n in 0..8 {
        let store = store.clone();
        attempts.spawn(async move {
            let name = format!("app{n}");
            let keys = vec![private_key(EnvironmentKind::Test, &name)];
            let made = store.create_app(app(&name), keys, time(BEGINNING)).await.unwrap();
            made.then_some(name)
        });
    }
    let winners: Vec<_> = attempts.join_all().await.into_iter().flatten().collect();

    let [winner] = &*winners else { panic!("{winners:?} each made the app") };
    assert_eq!(store.app().await.unwrap(), Some(app(winner)));
    assert_eq!(store.keys().await.unwrap().len(), 1);
    assert!(store.find_key(hash(winner)).await.unwrap().is_some());
}

pub(crate) async fn an_app_whose_keys_cannot_all_be_stored_is_not_made_at_all<E: Engine>() {
    let database = E::empty().await;
    let store = E::open(&database).await;

    let twice = private_key(EnvironmentKind::Test, "same");
    let keys = vec![twice.clone(), twice.clone()];
    store.create_app(app("Kana"), keys, time(BEGINNING)).await.unwrap_err();

    assert_eq!(store.app().await.unwrap(), None);
    assert_eq!(store.keys().await.unwrap(), []);
    // The failure has left nothing behind that would be in the way.
    assert!(store.create_app(app("Kana"), vec![twice], time(BEGINNING)).await.unwrap());
    assert_eq!(store.keys().await.unwrap().len(), 1);
}

pub(crate) async fn an_app_that_is_not_committed_leaves_nothing_and_makes_others_wait<E: Engine>() {
    let database = E::empty().await;
    let store = E::open(&database).await;
    let keys = |name| vec![private_key(EnvironmentKind::Test, name)];

    let begun = store.begin_app(app("First"), keys("first"), time(BEGINNING)).await.unwrap();
    assert_eq!(store.app().await.unwrap(), None, "nothing of it is seen before the commit");
    let second = tokio::spawn({
        let store = store.clone();
        let keys = keys("second");
        async move { store.create_app(app("Second"), keys, time(BEGINNING)).await.unwrap() }
    });
    drop(begun.unwrap());
    assert!(second.await.unwrap(), "it waited for the first, which created nothing");
    assert_eq!(store.app().await.unwrap(), Some(app("Second")));
    assert_eq!(store.find_key(hash("first")).await.unwrap(), None);

    let third = store.begin_app(app("Third"), keys("third"), time(BEGINNING)).await.unwrap();
    assert!(third.is_none(), "there is an app already");
}

pub(crate) async fn a_key_that_is_not_committed_opens_nothing<E: Engine>() {
    let world = World::<E>::new().await;
    let begin = async |name| {
        let mut transaction = world.store.write().await.unwrap();
        let key = private_key(EnvironmentKind::Test, name);
        let added = transaction.add_key(&key).await.unwrap();
        (transaction, added)
    };

    drop(begin("lost").await);
    assert_eq!(world.store.find_key(hash("lost")).await.unwrap(), None);
    let (transaction, added) = begin("kept").await;
    transaction.commit().await.unwrap();
    assert_eq!(world.store.find_key(hash("kept")).await.unwrap(), Some(added));
}

pub(crate) async fn a_key_needs_an_app<E: Engine>() {
    let database = E::empty().await;
    let store = E::open(&database).await;

    store.add_key(private_key(EnvironmentKind::Test, "early")).await.unwrap_err();

    assert_eq!(store.keys().await.unwrap(), []);
}

pub(crate) async fn keys_are_listed_oldest_first<E: Engine>() {
    let world = World::<E>::new().await;
    for (environment, kind, name, created_at) in [
        (EnvironmentKind::Live, KeyKind::Public, "zzzz", "2024-02-01T00:00:00.001Z"),
        (EnvironmentKind::Test, KeyKind::Public, "mmmm", "2024-02-01T00:00:00.002Z"),
        (EnvironmentKind::Live, KeyKind::Private, "aaaa", "2024-02-01T00:00:00.003Z"),
    ] {
        world.store.add_key(key(environment, kind, name, created_at)).await.unwrap();
    }
    // A revoked key keeps its place.
    let zzzz = world.store.find_key(hash("zzzz")).await.unwrap().unwrap();
    world.store.revoke_key(zzzz.id, time("2024-03-01T00:00:00.004Z")).await.unwrap();

    let keys = world.store.keys().await.unwrap();
    assert_eq!(
        keys.iter().skip(2).map(shown).collect::<Vec<_>>(),
        [
            (
                EnvironmentKind::Live,
                KeyKind::Public,
                "zzzz",
                time("2024-02-01T00:00:00.001Z"),
                Some(time("2024-03-01T00:00:00.004Z")),
            ),
            (
                EnvironmentKind::Test,
                KeyKind::Public,
                "mmmm",
                time("2024-02-01T00:00:00.002Z"),
                None,
            ),
            (
                EnvironmentKind::Live,
                KeyKind::Private,
                "aaaa",
                time("2024-02-01T00:00:00.003Z"),
                None,
            ),
        ]
    );
    assert!(keys.is_sorted_by(|older, newer| older.id < newer.id));
}

pub(crate) async fn the_same_key_is_not_stored_twice<E: Engine>() {
    let world = World::<E>::new().await;
    let before = world.store.keys().await.unwrap();

    let again = key(EnvironmentKind::Live, KeyKind::Public, "test", BEGINNING);
    world.store.add_key(again).await.unwrap_err();

    assert_eq!(world.store.keys().await.unwrap(), before);
    world.store.add_key(private_key(EnvironmentKind::Live, "another")).await.unwrap();
}

pub(crate) async fn a_key_is_found_by_its_hash<E: Engine>() {
    let world = World::<E>::new().await;
    let public = key(EnvironmentKind::Live, KeyKind::Public, "wxyz", "2024-05-06T07:08:09.010Z");
    world.store.add_key(public).await.unwrap();

    let found = world.store.find_key(hash("wxyz")).await.unwrap().unwrap();
    let created = time("2024-05-06T07:08:09.010Z");
    assert_eq!(shown(&found), (EnvironmentKind::Live, KeyKind::Public, "wxyz", created, None));
    assert_eq!(found.environment, world.live);
    assert!(world.store.keys().await.unwrap().contains(&found));
}

pub(crate) async fn a_key_that_was_never_stored_is_not_found<E: Engine>() {
    let world = World::<E>::new().await;

    let mut one_bit_off = hash("test");
    one_bit_off.0[31] ^= 1;
    assert_eq!(world.store.find_key(one_bit_off).await.unwrap(), None);
    assert_eq!(world.store.find_key(hash("unknown")).await.unwrap(), None);
}

pub(crate) async fn a_revoked_key_is_found_and_says_since_when<E: Engine>() {
    let world = World::<E>::new().await;
    let live_before = world.store.find_key(hash("live")).await.unwrap();
    let mut key = world.store.find_key(hash("test")).await.unwrap().unwrap();

    let at = time("2024-02-03T04:05:06.007Z");
    let answer = world.store.revoke_key(key.id, at).await.unwrap();

    key.revoked_at = Some(at);
    assert_eq!(answer, Some(key.clone()));
    assert_eq!(world.store.find_key(hash("test")).await.unwrap(), Some(key));
    assert_eq!(world.store.find_key(hash("live")).await.unwrap(), live_before);
}

pub(crate) async fn a_key_says_its_name_who_created_it_and_the_last_minute_it_was_used<
    E: Engine,
>() {
    let world = World::<E>::new().await;
    let live_before = world.store.find_key(hash("live")).await.unwrap();
    let mut key = world.store.find_key(hash("test")).await.unwrap().unwrap();
    assert_eq!(key.name.as_deref(), Some("test"));
    assert_eq!(key.created_by.as_deref(), Some("command line"));
    assert_eq!((key.last_used_at, key.expires_at), (None, None));
    let until = Some(time("2024-03-01T00:00:00Z"));
    let brief = NewKey { expires_at: until, ..private_key(EnvironmentKind::Test, "brief") };
    world.store.add_key(brief).await.unwrap();
    assert_eq!(world.store.find_key(hash("brief")).await.unwrap().unwrap().expires_at, until);

    // Other nodes may be late, and a key may be gone.
    for minute in ["2024-02-03T04:05:00Z", "2024-02-03T04:07:00Z", "2024-02-03T04:06:00Z"] {
        let uses = vec![(-1, time(minute)), (key.id, time(minute))];
        world.store.note_key_uses(uses).await.unwrap();
    }
    world.store.note_key_uses(Vec::new()).await.unwrap();

    key.last_used_at = Some(time("2024-02-03T04:07:00Z"));
    assert_eq!(world.store.find_key(hash("test")).await.unwrap(), Some(key));
    assert_eq!(world.store.find_key(hash("live")).await.unwrap(), live_before);
}

pub(crate) async fn a_key_that_is_revoked_again_stays_revoked_since_the_first_time<E: Engine>() {
    let world = World::<E>::new().await;
    let key = world.store.find_key(hash("test")).await.unwrap().unwrap();
    let first = time("2024-02-01T00:00:00Z");
    let revoked = world.store.revoke_key(key.id, first).await.unwrap();

    for again in ["2024-03-01T00:00:00Z", "2024-01-15T00:00:00Z"] {
        let answer = world.store.revoke_key(key.id, time(again)).await.unwrap();
        assert_eq!(answer, revoked);
        assert_eq!(answer.unwrap().revoked_at, Some(first));
    }
    assert_eq!(world.store.find_key(hash("test")).await.unwrap(), revoked);
}

pub(crate) async fn revoking_a_key_that_does_not_exist_revokes_none<E: Engine>() {
    let world = World::<E>::new().await;
    let before = world.store.keys().await.unwrap();
    let unused = before.iter().map(|key| key.id).max().unwrap() + 1;

    for id in [unused, 0, -1, i64::MAX, i64::MIN] {
        assert_eq!(world.store.revoke_key(id, time(BEGINNING)).await.unwrap(), None, "{id}");
    }
    assert_eq!(world.store.keys().await.unwrap(), before);
}
