//! User tokens, and the public keys of simple mode: who may come in as whom.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use kana_core::id::UserId;
use kana_service::{
    Actor, ClientUser, EnvironmentKind, Error, Settings, Unauthenticated, rotate_token_secret,
    set_simple_mode,
};
use kana_store::Store;
use sha2::{Sha256, Sha512};

use crate::world::{World, sentence, time, user, user_id};

async fn entered(found: Result<ClientUser, Error>) -> Result<UserId, Unauthenticated> {
    match found {
        Ok(user) => Ok(user.view(false).await.unwrap().user.id),
        Err(Error::Unauthenticated(why)) => Err(why),
        Err(other) => panic!("{other}"),
    }
}

async fn opens(world: &World, token: &str) -> Result<UserId, Unauthenticated> {
    entered(world.kana.authorise_token(token).await).await
}

async fn issue(world: &World) -> String {
    world.test().await.issue_user_token(&user_id("124")).await.unwrap()
}

/// What signs the environment's tokens.
async fn secret(world: &World, kind: EnvironmentKind) -> Vec<u8> {
    world.store.client_access(kind).await.unwrap().unwrap().token_secrets[0].secret.clone()
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let byte = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..=three.len() {
            let value = bits >> (18 - 6 * digit) & 63;
            text.push(char::from(ALPHABET[value as usize]));
        }
    }
    text
}

fn signed<M: Mac + KeyInit>(secret: &[u8], header: &str, claims: &str) -> String {
    let message = format!("{}.{}", base64(header.as_bytes()), base64(claims.as_bytes()));
    let mut mac = <M as KeyInit>::new_from_slice(secret).unwrap();
    mac.update(message.as_bytes());
    format!("{message}.{}", base64(&mac.finalize().into_bytes()))
}

const HS256: &str = r#"{"typ":"JWT","alg":"HS256"}"#;
/// As the server writes them, at the beginning of every story.
const CLAIMS: &str = r#"{"aud":"kana-client","iss":"kana","environment":"test","userId":"124","iat":1705320000,"exp":1707912000}"#;

async fn world() -> World {
    let world = World::shop().await;
    issue(&world).await;
    world
}

#[tokio::test]
async fn a_token_opens_its_user_until_it_expires() {
    let world = world().await;
    let token = issue(&world).await;
    assert_eq!(opens(&world, &token).await, Ok(user_id("124")));
    // Thirty days to the second.
    world.clock.set(time("2024-02-14T11:59:59.999Z"));
    assert_eq!(opens(&world, &token).await, Ok(user_id("124")));
    world.clock.set(time("2024-02-14T12:00:00.000Z"));
    assert_eq!(opens(&world, &token).await, Err(Unauthenticated::ExpiredToken));
}

#[tokio::test]
async fn the_first_tokens_of_an_environment_make_one_secret() {
    let world = World::shop().await;
    let test = world.test().await;
    let user = user_id("124");
    // All of them find no secret before one can be stored.
    let tokens = world.together((0..32).map(|_| test.issue_user_token(&user))).await;
    for token in tokens {
        assert_eq!(opens(&world, &token.unwrap()).await, Ok(user_id("124")));
    }
    assert_eq!(world.count("token_secrets"), 1);
}

#[tokio::test]
async fn a_token_is_a_jwt_as_the_contract_describes_it() {
    let world = world().await;
    let issued = issue(&world).await;
    let secret = secret(&world, EnvironmentKind::Test).await;
    let key = world.test().await.user(&user_id("124")).await.unwrap().key.0;
    let claims = CLAIMS.replace("\"iat\"", &format!("\"userKey\":\"{key}\",\"iat\""));
    let ours = signed::<Hmac<Sha256>>(&secret, HS256, &claims);
    assert_eq!(issued, ours);
    assert_eq!(opens(&world, &ours).await, Ok(user_id("124")));
    // Earlier releases did not write the key.
    let earlier = signed::<Hmac<Sha256>>(&secret, HS256, CLAIMS);
    assert_eq!(opens(&world, &earlier).await, Ok(user_id("124")));
}

#[tokio::test]
async fn a_token_opens_a_user_of_any_id() {
    let world = world().await;
    let test = world.test().await;
    for id in ["é/\"\\ 🧀", &"\"".repeat(255), &"🧀".repeat(255)] {
        user(&test, id).await;
        let token = test.issue_user_token(&user_id(id)).await.unwrap();
        assert_eq!(opens(&world, &token).await, Ok(user_id(id)));
    }
    let unknown = test.issue_user_token(&user_id("nobody")).await;
    assert_eq!(sentence(unknown), "User not found: nobody");
}

#[tokio::test]
async fn a_token_that_was_not_made_here_opens_nothing() {
    let world = world().await;
    let live = world.live().await;
    user(&live, "124").await;
    live.issue_user_token(&user_id("124")).await.unwrap();
    let secret = secret(&world, EnvironmentKind::Test).await;
    let good = signed::<Hmac<Sha256>>(&secret, HS256, CLAIMS);
    let with = |from: &str, to: &str| {
        assert!(CLAIMS.contains(from));
        signed::<Hmac<Sha256>>(&secret, HS256, &CLAIMS.replace(from, to))
    };
    let [header, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let none = base64(br#"{"typ":"JWT","alg":"none"}"#);
    let none_upper = base64(br#"{"typ":"JWT","alg":"NONE"}"#);
    let hs512 = r#"{"typ":"JWT","alg":"HS512"}"#;
    let rs256 = r#"{"typ":"JWT","alg":"RS256"}"#;
    for (what, forged) in [
        ("another secret", signed::<Hmac<Sha256>>(&[7; 32], HS256, CLAIMS)),
        ("an empty secret", signed::<Hmac<Sha256>>(&[], HS256, CLAIMS)),
        ("no signature", format!("{header}.{claims}.")),
        ("half a signature", format!("{header}.{claims}.{}", &signature[..20])),
        (
            "other claims",
            format!("{header}.{}.{signature}", base64(CLAIMS.replace("124", "125").as_bytes())),
        ),
        ("none", format!("{none}.{claims}.")),
        ("none with a signature", format!("{none}.{claims}.{signature}")),
        ("NONE", format!("{none_upper}.{claims}.")),
        ("HS512", signed::<Hmac<Sha512>>(&secret, hs512, CLAIMS)),
        ("HS512 that is HS256", signed::<Hmac<Sha256>>(&secret, hs512, CLAIMS)),
        ("RS256 that is HS256", signed::<Hmac<Sha256>>(&secret, rs256, CLAIMS)),
        ("another audience", with("kana-client", "kana-admin")),
        ("no audience", with(r#""aud":"kana-client","#, "")),
        ("another issuer", with(r#""iss":"kana""#, r#""iss":"other""#)),
        ("no issuer", with(r#""iss":"kana","#, "")),
        ("the other environment", with(r#""test""#, r#""live""#)),
        ("no such environment", with(r#""test""#, r#""prod""#)),
        ("no end", with(r#","exp":1707912000"#, "")),
        ("an end that is text", with("1707912000", r#""1707912000""#)),
        ("no user", with(r#""userId":"124","#, "")),
        ("an id that cannot be", with(r#""124""#, r#"" ""#)),
        ("no claims", signed::<Hmac<Sha256>>(&secret, HS256, "[]")),
        ("nothing", String::new()),
        ("dots", "..".to_owned()),
        ("garbage", "garbage".to_owned()),
        ("garbage with dots", "a.b.c.d".to_owned()),
        ("not Base64", format!("{header}.é!.{signature}")),
        ("a MiB", "a".repeat(1024 * 1024)),
        ("a MiB of claims", format!("{header}.{}.{signature}", "a".repeat(1024 * 1024))),
        ("something after it", format!("{good}.x")),
    ] {
        assert_eq!(opens(&world, &forged).await, Err(Unauthenticated::InvalidToken), "{what}");
    }
    let expired = with("1707912000", "1705320000");
    assert_eq!(opens(&world, &expired).await, Err(Unauthenticated::ExpiredToken));
    let before_1970 = with("1707912000", "-9223372036854775808");
    assert!(opens(&world, &before_1970).await.is_err());
    assert_eq!(opens(&world, &good).await, Ok(user_id("124")));
}

#[tokio::test]
async fn without_an_app_or_a_secret_no_token_opens_anything() {
    let world = World::shop().await;
    let forged = signed::<Hmac<Sha256>>(&[7; 32], HS256, CLAIMS);
    assert_eq!(opens(&world, &forged).await, Err(Unauthenticated::InvalidToken));
}

#[tokio::test]
async fn a_token_of_a_user_who_is_gone_finds_nobody() {
    let world = world().await;
    let token = issue(&world).await;
    let edit = kana_core::user::UserEdit { id: Some(user_id("125")), ..Default::default() };
    world.test().await.update_user(user_id("124"), edit).await.unwrap();
    let user = world.kana.authorise_token(&token).await.ok().unwrap();
    assert_eq!(sentence(user.view(true).await), "User not found: 124");
}

async fn rotate(world: &World, at_once: bool) {
    let (store, clock) = (world.store.as_ref(), world.clock.as_ref());
    let kind = EnvironmentKind::Test;
    let (actor, settings) = (&Actor::CommandLine, Settings::default());
    assert!(rotate_token_secret(store, clock, actor, settings, kind, at_once).await.unwrap());
    // By then a running server obeys.
    tokio::time::advance(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn after_a_rotation_earlier_tokens_are_good_until_they_would_have_expired() {
    let world = world().await;
    let old = issue(&world).await;
    rotate(&world, false).await;
    let new = issue(&world).await;
    assert_ne!(new, old);
    assert_eq!(opens(&world, &old).await, Ok(user_id("124")));
    assert_eq!(opens(&world, &new).await, Ok(user_id("124")));
    // A token that the old secret signs later does not outlive it.
    let old_secret = world.store.client_access(EnvironmentKind::Test).await.unwrap().unwrap();
    let old_secret = &old_secret.token_secrets[1].secret;
    let forever = CLAIMS.replace("1707912000", "9999999999");
    let forever = signed::<Hmac<Sha256>>(old_secret, HS256, &forever);
    assert_eq!(opens(&world, &forever).await, Ok(user_id("124")));
    world.clock.set(time("2024-02-14T12:00:00.000Z"));
    for token in [old, forever] {
        assert_eq!(opens(&world, &token).await, Err(Unauthenticated::InvalidToken));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_at_once_refuses_earlier_tokens() {
    let world = world().await;
    let old = issue(&world).await;
    rotate(&world, true).await;
    assert_eq!(opens(&world, &old).await, Err(Unauthenticated::InvalidToken));
    let new = issue(&world).await;
    assert_eq!(opens(&world, &new).await, Ok(user_id("124")));
}

async fn by_key(world: &World, key: &str, id: Option<&str>) -> Result<UserId, Unauthenticated> {
    entered(world.kana.authorise_public(key, id).await).await
}

#[tokio::test]
async fn a_public_key_opens_the_user_who_is_named() {
    let world = world().await;
    let public = world.keys.test_public.reveal();
    assert_eq!(by_key(&world, public, Some("124")).await, Ok(user_id("124")));
    assert_eq!(by_key(&world, public, None).await, Err(Unauthenticated::UserIdMissing));
    assert!(Unauthenticated::UserIdMissing.to_string().contains("X-User-ID"));
    let bad = world.kana.authorise_public(public, Some("")).await.map(|_| ());
    assert_eq!(sentence(bad), "X-User-ID must not be empty");
    let live = world.kana.authorise_public(world.keys.live_public.reveal(), Some("124")).await;
    assert_eq!(sentence(live.ok().unwrap().view(false).await), "User not found: 124");
}

#[tokio::test]
async fn a_private_key_is_told_not_to_be_used_in_a_browser() {
    let world = world().await;
    let private = world.keys.test_private.reveal();
    let why = by_key(&world, private, Some("124")).await.unwrap_err();
    assert_eq!(why, Unauthenticated::PrivateKeyInBrowser);
    assert!(why.to_string().contains("must not be used in a browser"));
}

#[tokio::test(start_paused = true)]
async fn simple_mode_can_be_turned_off_and_on_again() {
    let world = world().await;
    let public = world.keys.test_public.reveal();
    assert!(by_key(&world, public, Some("124")).await.is_ok());
    for (on, expected) in [(false, Err(Unauthenticated::SimpleModeOff)), (true, Ok(user_id("124")))]
    {
        let kind = EnvironmentKind::Test;
        let (store, clock) = (world.store.as_ref(), world.clock.as_ref());
        assert!(set_simple_mode(store, clock, &Actor::CommandLine, kind, on).await.unwrap());
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(by_key(&world, public, Some("124")).await, expected);
        // Tokens go on.
        let token = issue(&world).await;
        assert_eq!(opens(&world, &token).await, Ok(user_id("124")));
    }
}
