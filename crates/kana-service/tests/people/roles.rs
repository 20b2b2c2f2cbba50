use kana_core::metadata::Label;
use kana_service::{EnvironmentKind, KeyKind, Role};

use crate::world::{BOTH, World};

/// What each role opens, as the contract's table says.
#[tokio::test]
async fn a_role_opens_what_the_contract_says() {
    let world = World::new().await;
    let (test, live) = (EnvironmentKind::Test, EnvironmentKind::Live);
    for (role, edits, develops) in [
        (Role::Viewer, vec![], vec![]),
        (Role::Editor, vec![test, live], vec![test]),
        (Role::Owner, vec![test, live], vec![test, live]),
    ] {
        let session = world.person(role).await;
        for kind in BOTH {
            session.view(kind).keys().await.unwrap();
            assert_eq!(session.editor(kind).is_ok(), edits.contains(&kind), "{role} {kind}");
            assert_eq!(session.developer(kind).is_ok(), develops.contains(&kind), "{role} {kind}");
        }
        assert_eq!(session.owner().is_ok(), role == Role::Owner, "{role}");
    }
}

#[tokio::test]
async fn a_new_role_holds_for_sessions_that_are_open() {
    let world = World::new().await;
    let owner = world.person(Role::Owner).await.owner().unwrap();
    world.admin("ada@example.com", Role::Viewer).await;
    let secret = world.sign_in("ada@example.com", crate::world::PASSWORD).await.ok().unwrap();
    let ada = world.session(&secret).await.unwrap();
    assert_eq!(ada.role(), Role::Viewer);
    for role in [Role::Editor, Role::Viewer] {
        owner.set_role(ada.admin_id(), role).await.unwrap();
        assert_eq!(world.session(&secret).await.unwrap().role(), role);
    }
    owner.remove(ada.admin_id()).await.unwrap();
    assert!(world.session(&secret).await.is_none());
}

#[tokio::test]
async fn a_developer_changes_the_keys_of_one_environment() {
    let world = World::new().await;
    let session = world.person(Role::Owner).await;
    let [test, live] = BOTH.map(|kind| session.developer(kind).unwrap());
    let name = Label::new("name", "CI").unwrap();
    let secret = test.create_key(KeyKind::Private, Some(&name)).await.unwrap();
    let keys = test.keys().await.unwrap();
    assert_eq!(keys.len(), 3);
    let (key, _) = keys.last().unwrap();
    assert_eq!((key.name.as_deref(), key.last_four.as_str()), (Some("CI"), secret.last_four()));
    world.kana.authorise_private(secret.reveal()).await.unwrap();

    assert!(live.revoke_key(key.id).await.unwrap().is_none(), "it is not live's");
    world.kana.authorise_private(secret.reveal()).await.unwrap();
    assert!(test.revoke_key(key.id).await.unwrap().unwrap().revoked_at.is_some());
    assert!(world.kana.authorise_private(secret.reveal()).await.is_err(), "at once on this node");

    assert!(test.simple_mode().await.unwrap());
    test.set_simple_mode(false).await.unwrap();
    assert!(!test.simple_mode().await.unwrap());
    assert!(live.simple_mode().await.unwrap());
    test.rotate_token_secret(true).await.unwrap();
}
