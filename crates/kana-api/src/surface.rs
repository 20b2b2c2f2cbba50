use kana_telemetry::Surface;

/// The paths that are answered, those of the dashboard left out.
pub const ROUTES: [&str; 12] = [
    "/graphql",
    "/graphql/console.js",
    "/graphql/console.css",
    "/client/graphql",
    "/events",
    "/cli/pull",
    "/cli/validate",
    "/cli/publish",
    "/cli/simulate",
    "/metrics",
    "/healthz",
    "/readyz",
];

/// Returns the part of the server that answers a path, those of the dashboard included.
#[must_use]
pub fn surface_of(path: &str) -> Surface {
    let first = path.strip_prefix('/').unwrap_or(path);
    let (first, rest) = first.split_once('/').unwrap_or((first, ""));
    match (first, rest) {
        ("graphql", _) => Surface::Admin,
        ("client", "graphql") => Surface::Client,
        ("events", "") => Surface::Events,
        ("cli", _) => Surface::Cli,
        ("dashboard", _) => Surface::Dashboard,
        ("healthz" | "readyz", "") => Surface::Health,
        _ => Surface::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_belongs_to_one_surface() {
        for (path, surface) in [
            ("/graphql", Surface::Admin),
            ("/graphql/console.js", Surface::Admin),
            ("/client/graphql", Surface::Client),
            ("/client", Surface::Other),
            ("/events", Surface::Events),
            ("/events/1", Surface::Other),
            ("/cli/publish", Surface::Cli),
            ("/dashboard", Surface::Dashboard),
            ("/dashboard/test/users", Surface::Dashboard),
            ("/healthz", Surface::Health),
            ("/readyz", Surface::Health),
            ("/", Surface::Other),
            ("", Surface::Other),
            ("*", Surface::Other),
            ("/metrics", Surface::Other),
        ] {
            assert_eq!(surface_of(path), surface, "{path}");
        }
    }
}
