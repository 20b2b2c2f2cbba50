//! What every route has in common: who may use it, and that no other site can.

use axum::http::{Method, StatusCode};
use kana_dashboard::{Access, RouteSummary, routes};
use kana_service::Role;

use crate::person::Person;
use crate::world::World;

fn addresses(route: &RouteSummary) -> Vec<(bool, String)> {
    if !route.path.contains("{environment}") {
        return vec![(false, route.path.to_owned())];
    }
    [(false, "test"), (true, "live")]
        .map(|(is_live, name)| (is_live, route.path.replace("{environment}", name)))
        .into()
}

fn may(role: Role, access: Access, is_live: bool) -> bool {
    match access {
        Access::Anyone | Access::SignedIn | Access::Viewer => true,
        Access::Editor => role >= Role::Editor,
        Access::Developer => role >= if is_live { Role::Owner } else { Role::Editor },
        Access::Owner => role == Role::Owner,
    }
}

/// Sends a form that says nothing but its token.
async fn post(person: &mut Person, address: &str, token: &str, site: &str) -> StatusCode {
    let headers = [("sec-fetch-site", site)];
    if address.ends_with("/users/import") {
        return person.send_form_for_files(address, token, &headers).await;
    }
    let token = form_urlencoded::byte_serialize(token.as_bytes()).collect::<String>();
    let body = Some(format!("csrf={token}"));
    person.send(Method::POST, address, body, &headers).await
}

/// The token of the session.
async fn token_of(person: &mut Person) -> String {
    person.visit("/dashboard/account").await;
    person.csrf()
}

/// Who may use which route, written down: a handler that names another entrance differs from it.
#[test]
fn every_route_has_the_access_that_is_written_down() {
    let mut lines: Vec<String> = routes()
        .iter()
        .map(|route| format!("{:?} {} {}", route.access, route.method, route.path))
        .collect();
    lines.sort_unstable();
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn a_role_gets_no_page_and_no_form_that_it_may_not_have() {
    let world = World::new().await;
    for role in [Role::Viewer, Role::Editor, Role::Owner] {
        let mut person = world.person(role).await;
        let token = token_of(&mut person).await;
        let is_signing_out = |route: &&RouteSummary| route.path != "/dashboard/sign-out";
        let routes = routes();
        let others = routes.iter().filter(|route| route.access != Access::Anyone);
        for route in others.filter(is_signing_out) {
            for (is_live, address) in addresses(route) {
                let status = if route.method == Method::GET {
                    person.visit(&address).await
                } else {
                    post(&mut person, &address, &token, "same-origin").await
                };
                let is_refused = status == StatusCode::FORBIDDEN;
                let may = may(role, route.access, is_live);
                assert_eq!(is_refused, !may, "{role:?} {} {address} {status}", route.method);
                assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{address}");
                assert!(!is_refused || person.heading() == "Not allowed", "{address}");
            }
        }
    }
}

#[tokio::test]
async fn whoever_is_not_signed_in_gets_no_page_and_may_send_no_form() {
    let world = World::new().await;
    let mut stranger = world.stranger();
    for route in routes().iter().filter(|route| route.access != Access::Anyone) {
        for (_, address) in addresses(route) {
            if route.method == Method::GET {
                assert_eq!(stranger.visit(&address).await, StatusCode::OK);
                assert_eq!(stranger.heading(), "Sign in", "{address}");
            } else {
                let status = post(&mut stranger, &address, "", "same-origin").await;
                assert_eq!(status, StatusCode::UNAUTHORIZED, "{address}");
                assert!(stranger.has_link("Sign in"), "{address}");
            }
        }
    }
}

/// A form that was refused left people at an address that showed nothing when they opened it again.
#[tokio::test]
async fn an_address_of_forms_alone_leads_to_the_page_that_has_the_form() {
    let world = World::new().await;
    let mut person = world.person(Role::Owner).await;
    let all = routes();
    let has_page =
        |path: &str| all.iter().any(|route| route.path == path && route.method == Method::GET);
    let mut found = 0;
    for route in all.iter().filter(|route| route.method == Method::POST && !has_page(route.path)) {
        let address = route.path.replace("{environment}", "test");
        found += 1;
        // Whether there is such an item, the page says.
        let status = person.visit(&format!("{address}?id=u-1")).await;
        assert!([StatusCode::OK, StatusCode::NOT_FOUND].contains(&status), "{address}: {status}");
        assert!(!person.heading().is_empty(), "{address}");
    }
    assert!(found >= 6, "{found}");
}

#[tokio::test]
async fn a_form_from_another_site_or_of_another_session_changes_nothing() {
    let world = World::new().await;
    let mut person = world.person(Role::Owner).await;
    let token = token_of(&mut person).await;
    let token_of_another = token_of(&mut world.person(Role::Editor).await).await;
    for route in routes().iter().filter(|route| route.method == Method::POST) {
        for (_, address) in addresses(route) {
            for site in ["cross-site", "same-site", "none"] {
                let status = post(&mut person, &address, &token, site).await;
                assert_eq!(status, StatusCode::FORBIDDEN, "{address} {site}");
            }
            if route.access == Access::Anyone {
                continue;
            }
            for token in [token_of_another.as_str(), "", "x"] {
                let status = post(&mut person, &address, token, "same-origin").await;
                assert_eq!(status, StatusCode::FORBIDDEN, "{address} {token}");
            }
        }
    }
}

#[tokio::test]
async fn an_address_with_a_slash_at_its_end_leads_to_the_page() {
    let world = World::new().await;
    let mut person = world.person(Role::Owner).await;
    for (address, heading) in
        [("/dashboard/test/", "Overview"), ("/dashboard/live/users/", "Users")]
    {
        assert_eq!(person.visit(address).await, StatusCode::OK);
        assert_eq!(person.heading(), heading);
    }
}

#[tokio::test]
async fn a_form_that_no_browser_makes_changes_nothing() {
    let world = World::new().await;
    let mut person = world.person(Role::Owner).await;
    let token = token_of(&mut person).await;
    let form = |name: &str| format!("csrf={token}&app={name}").into_bytes();
    let headers = [("sec-fetch-site", "same-origin")];
    for (media_type, body, expected) in [
        ("text/plain", form("Other"), StatusCode::FORBIDDEN),
        ("application/x-www-form-urlencoded", form("%C3"), StatusCode::BAD_REQUEST),
        ("application/x-www-form-urlencoded; charset=utf-8", form("Mine"), StatusCode::OK),
    ] {
        let status = person.send_body("/dashboard/settings", (media_type, body), &headers).await;
        assert_eq!(status, expected, "{media_type}");
    }
    assert_eq!(person.title(), "Settings · Mine");
}

#[tokio::test]
async fn what_does_not_exist_is_not_found_within_the_frame() {
    let world = World::new().await;
    let mut person = world.person(Role::Owner).await;
    for address in [
        "/dashboard/test/nothing",
        "/dashboard/prod",
        "/dashboard/prod/features",
        "/dashboard/test/feature?id=absent",
        "/dashboard/test/feature",
        "/dashboard/assets/kana.css",
    ] {
        assert_eq!(person.visit(address).await, StatusCode::NOT_FOUND, "{address}");
        if !address.contains("assets") {
            assert_eq!(person.heading(), "Not found");
            assert_eq!(person.navigation("Account"), ["Account"]);
        }
    }
}
