//! Users that leave and come back.

use kana_core::metadata::{Label, Metadata};
use kana_core::user::User;
use kana_service::user_csv::{write_user, write_user_header};

use crate::engine::Engine;
use crate::world::{World, preview, user_id};

pub(crate) async fn what_is_exported_comes_back_unchanged<E: Engine>() {
    let world = World::<E>::new().await;
    let label = |text: &str| Some(Label::new("label", text).unwrap());
    let texts = [
        "",
        " ",
        "=1+1",
        "'=1",
        "''-",
        "'t Hooft",
        "a,b",
        "\"",
        "\"\"",
        "a\r\nb",
        "\r",
        "\t",
        "\n",
        "é\u{feff}",
        "\u{feff}",
        "'",
        "@",
        "1e5",
        "0x1",
        "ÄÖ\u{301}",
    ];
    for (number, text) in texts.into_iter().enumerate() {
        let metadata = serde_json::json!({ text: text, "n": [0.1, 1e300, -5, i64::MAX, null] });
        let user = User {
            name: label(text),
            email: label(&format!("{text}@")),
            billing_id: if number % 2 == 0 { label(text) } else { None },
            metadata: Some(Metadata::new("metadata", metadata).unwrap()),
            ..User::named(user_id(&format!("{}{number}", ["=", "'", "-", "a "][number % 4])))
        };
        world.test.create_user(user).await.unwrap();
    }
    let mut file = String::new();
    write_user_header(&mut file);
    for (user, _) in world.test.users(None, 100, false).await.unwrap().users {
        write_user(&mut file, &user, &[]);
    }
    let all = u32::try_from(texts.len()).unwrap();
    for clears_empty in [false, true] {
        let id = preview(&world.test, &file, clears_empty).await.unwrap();
        assert_eq!(world.counts(id).await, [0, 0, all, 0, 0, 0]);
    }
    // In the other environment they are new, and the same from then on.
    let id = preview(&world.live, &file, true).await.unwrap();
    world.live.apply_user_import(id).await.unwrap();
    let mut again = String::new();
    write_user_header(&mut again);
    for (user, _) in world.live.users(None, 100, false).await.unwrap().users {
        write_user(&mut again, &user, &[]);
    }
    assert_eq!(again, file);
}
