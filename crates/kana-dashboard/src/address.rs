//! Addresses of pages. What has an id is addressed by a query, never by a segment of the path, since an
//! id may be `..` or `/Measures`.

use std::fmt;

use form_urlencoded::Serializer;
use kana_service::EnvironmentKind;

use crate::done::Done;

/// The address of a page on this server: path and query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address(String);

impl Address {
    /// Returns the address of a page of an environment. `page` is empty for the overview, else begins
    /// with a slash.
    pub(crate) fn of(environment: EnvironmentKind, page: &str) -> Self {
        Self(format!("/dashboard/{environment}{page}"))
    }

    /// Returns the address of a page outside the environments.
    pub(crate) fn outside(page: &str) -> Self {
        Self(format!("/dashboard{page}"))
    }

    /// Returns an address that was one of ours when it was stored; `None` for any other text.
    pub(crate) fn stored(text: &str) -> Option<Self> {
        text.starts_with("/dashboard/").then(|| Self(text.to_owned()))
    }

    /// Adds a parameter to the query.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.0.push(if self.0.contains('?') { '&' } else { '?' });
        let start = self.0.len();
        self.0 = Serializer::for_suffix(self.0, start).append_pair(name, value).finish();
        self
    }

    /// Adds what was done, which the page then says.
    pub(crate) fn done(self, done: Done) -> Self {
        self.with("done", done.code())
    }

    /// Leads to the top of the page. A browser that is led elsewhere keeps the place of the form otherwise.
    pub(crate) fn at_top(mut self) -> Self {
        self.0.push_str("#content");
        self
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns where a sign-in leads: `next` if it is a page of the dashboard, so that no link to the
/// sign-in can lead to another host.
pub(crate) fn after_sign_in(next: &str) -> Option<Address> {
    let is_page = next.starts_with("/dashboard/")
        && !next.contains('\\')
        && !next.contains("//")
        && next.is_ascii()
        && !next.contains(|character: char| character.is_ascii_control());
    is_page.then(|| Address(next.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_into_the_query_so_that_no_browser_rewrites_it() {
        let address = Address::of(EnvironmentKind::Test, "/feature");
        for (id, written) in [
            ("/Measures", "/dashboard/test/feature?id=%2FMeasures"),
            ("..", "/dashboard/test/feature?id=.."),
            ("a?b&c=d#e", "/dashboard/test/feature?id=a%3Fb%26c%3Dd%23e"),
            ("ü %", "/dashboard/test/feature?id=%C3%BC+%25"),
        ] {
            assert_eq!(address.clone().with("id", id).as_str(), written);
        }
    }

    #[test]
    fn a_sign_in_leads_to_pages_of_the_dashboard_only() {
        for good in ["/dashboard/test", "/dashboard/test/feature?id=%2FMeasures"] {
            assert_eq!(after_sign_in(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "/",
            "/graphql",
            "//evil.example",
            "https://evil.example",
            "/dashboard//evil.example",
            "/dashboard/\\evil.example",
            "/dashboardevil",
            "/dashboard/\r\nSet-Cookie: a=b",
            "/dashboard/test?a=https://evil.example",
        ] {
            assert_eq!(after_sign_in(bad), None, "{bad}");
        }
    }
}
