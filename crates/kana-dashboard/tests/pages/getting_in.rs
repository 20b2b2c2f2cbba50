//! Welcome, sign-in, sign-out.

use axum::http::{Method, StatusCode};
use kana_dashboard::Settings;
use kana_service::Role;

use crate::world::{PASSWORD, World};

#[tokio::test]
async fn a_newcomer_opens_the_link_sets_a_password_and_is_in() {
    let world = World::new().await;
    let token = world.keys.welcome.reveal();
    let mut person = world.stranger();
    let link = format!("/dashboard/welcome?token={token}");
    assert_eq!(person.visit(&link).await, StatusCode::OK);
    assert_eq!(person.heading(), "Welcome to Kana");
    // Looking at the link uses nothing up.
    person.visit(&link).await;
    let form = person
        .form("Set password")
        .fill("E-mail", "ada@meridian.example")
        .fill("Password", PASSWORD)
        .fill("Repeat password", "something else");
    assert_eq!(person.submit(form.clone(), "Set password").await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(person.alert(), "There is a problem The passwords differ.");
    let form = form.fill("Repeat password", PASSWORD);
    assert_eq!(person.submit(form, "Set password").await, StatusCode::OK);
    assert_eq!(person.address(), "/dashboard/test");

    let mut other = world.stranger();
    assert_eq!(other.visit(&link).await, StatusCode::GONE);
    assert_eq!(other.heading(), "This link is no longer valid");
}

#[tokio::test]
async fn a_wrong_password_is_refused_without_saying_what_is_wrong() {
    let world = World::new().await;
    world.person(Role::Viewer).await;
    for (email, password) in [("viewer@meridian.example", "wrong"), ("nobody@x.example", PASSWORD)]
    {
        let mut person = world.stranger();
        person.visit("/dashboard/sign-in").await;
        let form = person.form("Sign in").fill("E-mail", email).fill("Password", password);
        let status = person.submit(form, "Sign in").await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(person.alert(), "E-mail or password is wrong.");
        assert!(!person.cookies().contains_key("kana_session"));
    }
}

#[tokio::test]
async fn whoever_is_not_signed_in_is_led_to_the_sign_in_and_back() {
    let world = World::new().await;
    let mut person = world.stranger();
    person.visit("/dashboard/live/features?q=a%26b").await;
    assert_eq!(person.heading(), "Sign in");
    world.person(Role::Viewer).await;
    let form =
        person.form("Sign in").fill("E-mail", "Viewer@Meridian.example").fill("Password", PASSWORD);
    person.submit(form, "Sign in").await;
    assert_eq!(person.address(), "/dashboard/live/features?q=a%26b");
    assert_eq!(person.title(), "Features · Live · Meridian API");
}

#[tokio::test]
async fn a_sign_out_ends_the_session_everywhere() {
    let world = World::new().await;
    let mut person = world.person(Role::Owner).await;
    let cookies = person.cookies().clone();
    let form = person.form("Sign out");
    person.submit(form, "Sign out").await;
    assert_eq!(person.heading(), "Sign in");
    let mut thief = world.stranger();
    thief.cookies_mut().extend(cookies);
    thief.visit("/dashboard/test/features").await;
    assert_eq!(thief.heading(), "Sign in");
}

/// Behind a proxy everybody has the proxy's address, so that one could make all others wait.
#[tokio::test]
async fn the_last_forwarded_address_counts_where_the_proxy_is_trusted() {
    for (trusts_proxy, shown) in [(true, "2001:db8::7"), (false, "0.0.0.0")] {
        let settings = Settings { trusts_proxy, ..Settings::default() };
        let world = World::with_settings(settings).await;
        let mut person = world.person(Role::Owner).await;
        let signed_in = [
            ("sec-fetch-site", "same-origin"),
            ("x-forwarded-for", "203.0.113.9, [2001:db8::7]:4711"),
        ];
        let body = format!("email=owner%40meridian.example&password={PASSWORD}").replace(' ', "+");
        person.cookies_mut().clear();
        person.send(Method::POST, "/dashboard/sign-in", Some(body), &signed_in).await;
        person.visit("/dashboard/account").await;
        let addresses: Vec<String> =
            person.table("Sessions").into_iter().map(|row| row[2].clone()).collect();
        assert!(addresses.contains(&shown.to_owned()), "{addresses:?}");
        assert_eq!(addresses.iter().any(|address| address == "2001:db8::7"), trusts_proxy);
    }
}

#[tokio::test]
async fn too_many_attempts_have_to_wait() {
    let world = World::new().await;
    world.person(Role::Owner).await;
    let mut person = world.stranger();
    person.visit("/dashboard/sign-in").await;
    let form = person.form("Sign in").fill("E-mail", "owner@meridian.example");
    for _ in 0..5 {
        person.submit(form.clone().fill("Password", "wrong"), "Sign in").await;
    }
    let status = person.submit(form.fill("Password", PASSWORD), "Sign in").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(person.alert().starts_with("Too many attempts."), "{}", person.alert());
    assert!(person.header("retry-after").is_some());
}

#[tokio::test]
async fn the_root_leads_a_browser_to_the_dashboard_and_is_nothing_for_a_client() {
    let world = World::new().await;
    let mut person = world.stranger();
    let status = person.send(Method::GET, "/", None, &[("accept", "text/html,*/*;q=0.8")]).await;
    assert_eq!((status, person.heading()), (StatusCode::OK, "Sign in".to_owned()));
    assert_eq!(
        person.send(Method::GET, "/", None, &[("accept", "*/*")]).await,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn no_script_and_no_other_site_gets_the_cookie_of_a_session() {
    for (url, is_secure) in [("http://kana.example.com", false), ("https://kana.example.com", true)]
    {
        let settings = Settings { public_url: Some(url.parse().unwrap()), ..Settings::default() };
        let world = World::with_settings(settings).await;
        let person = world.person(Role::Viewer).await;
        let cookie = person.cookie_as_set("kana_session");
        let mut parts: Vec<&str> = cookie.split("; ").skip(1).collect();
        parts.sort_unstable();
        let always = ["HttpOnly", "Path=/dashboard", "SameSite=Lax"];
        let expected: Vec<&str> = always.into_iter().chain(is_secure.then_some("Secure")).collect();
        assert_eq!(parts, expected, "{url}");
    }
}

#[tokio::test]
async fn a_sign_in_adopts_no_session_and_leads_to_no_other_host() {
    let world = World::new().await;
    let known = world.person(Role::Viewer).await.cookies()["kana_session"].clone();
    for next in ["//evil.example", "https://evil.example/", "/dashboard/\\evil", "/dashboard/\u{1}"]
    {
        let mut person = world.stranger();
        person.cookies_mut().insert("kana_session".to_owned(), "x".repeat(43));
        let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
        person.visit(&format!("/dashboard/sign-in?next={next}")).await;
        let form = person.form("Sign in");
        let form = form.fill("E-mail", "viewer@meridian.example").fill("Password", PASSWORD);
        assert_eq!(person.submit(form, "Sign in").await, StatusCode::OK);
        assert_eq!(person.address(), "/dashboard/test", "{next}");
        let session = &person.cookies()["kana_session"];
        assert!(*session != "x".repeat(43) && *session != known);
    }
}
