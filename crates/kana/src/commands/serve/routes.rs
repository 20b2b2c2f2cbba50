//! The routes of the server, by which spans are named.

use std::sync::LazyLock;

/// The routes of all surfaces, each with its segments.
static ROUTES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let pages = kana_dashboard::routes().into_iter().map(|route| route.path);
    kana_api::ROUTES.into_iter().chain([kana_dashboard::ASSETS_ROUTE]).chain(pages).collect()
});

/// Returns the route of a path.
pub(super) fn route_of(path: &str) -> Option<&'static str> {
    ROUTES.iter().copied().find(|route| fits(route, path))
}

/// Returns true if requests of a path may be traced. Scrapes come too often to be worth it, and say nothing of
/// clients.
pub(super) fn is_traced(path: &str) -> bool {
    path != "/metrics"
}

/// Whether a path has the segments of a route; what a route has in braces is any segment.
fn fits(route: &str, path: &str) -> bool {
    let (mut expected, mut segments) = (route.split('/'), path.split('/'));
    loop {
        match (expected.next(), segments.next()) {
            (None, None) => return true,
            (Some(expected), Some(segment)) => {
                let is_any = expected.starts_with('{') && !segment.is_empty();
                if !is_any && expected != segment {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_says_nothing_of_what_varies_in_a_path() {
        for (path, route) in [
            ("/graphql", Some("/graphql")),
            ("/client/graphql", Some("/client/graphql")),
            ("/events", Some("/events")),
            ("/cli/publish", Some("/cli/publish")),
            ("/dashboard/live/user/edit", Some("/dashboard/{environment}/user/edit")),
            ("/dashboard/assets/kana.css", Some("/dashboard/assets/{name}")),
            ("/", None),
            ("/graphql/", None),
            ("/dashboard//users", None),
            ("/hidden@user.example", None),
        ] {
            assert_eq!(route_of(path), route, "{path}");
        }
    }
}
