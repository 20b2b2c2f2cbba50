use axum::http::{HeaderMap, header};

/// The media types of responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaType {
    /// `application/json`: every well-formed request is answered with status 200.
    Json,
    /// `application/graphql-response+json`: the status tells what became of the request.
    GraphqlResponse,
}

impl MediaType {
    /// As the response names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json; charset=utf-8",
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
        }
    }

    /// The one that the `Accept` header prefers; `application/json` where it has no preference,
    /// `None` where it allows neither.
    pub(crate) fn accepted(headers: &HeaderMap) -> Option<Self> {
        let ranges = ranges(headers);
        if ranges.is_empty() {
            return Some(Self::Json);
        }
        [Self::Json, Self::GraphqlResponse]
            .into_iter()
            .filter_map(|media_type| {
                let (exactness, quality) = media_type.wanted(&ranges)?;
                // On a tie, the newer type wins only if it was named: a client that names it
                // understands it.
                Some((quality, exactness, media_type == Self::GraphqlResponse && exactness == 2))
                    .filter(|_| quality > 0)
                    .map(|rank| (rank, media_type))
            })
            .reduce(|best, other| if other.0 > best.0 { other } else { best })
            .map(|(_, media_type)| media_type)
    }

    /// How exactly the most exact range names this type, and how much it is wanted, in
    /// thousandths.
    fn wanted(self, ranges: &[(&str, u16)]) -> Option<(u8, u16)> {
        let essence = self.name().split(';').next().unwrap_or_default();
        ranges
            .iter()
            .filter_map(|(range, quality)| {
                let exactness = match *range {
                    "*/*" => 0,
                    "application/*" => 1,
                    range if range.eq_ignore_ascii_case(essence) => 2,
                    _ => return None,
                };
                Some((exactness, *quality))
            })
            .max()
    }
}

/// Returns true if the `Accept` header names HTML and prefers it to the media types of GraphQL.
#[must_use]
pub fn prefers_html(headers: &HeaderMap) -> bool {
    let ranges = ranges(headers);
    let html = ranges.iter().filter(|(range, _)| range.eq_ignore_ascii_case("text/html"));
    let html = html.map(|(_, quality)| *quality).max();
    let graphql = [MediaType::Json, MediaType::GraphqlResponse]
        .into_iter()
        .filter_map(|media_type| media_type.wanted(&ranges))
        .map(|(_, quality)| quality)
        .max();
    html > graphql.or(Some(0))
}

/// What the `Accept` header allows.
fn ranges(headers: &HeaderMap) -> Vec<(&str, u16)> {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .map(str::trim)
        .filter(|range| !range.is_empty())
        .map(range)
        .collect()
}

/// A range and its quality in thousandths; the quality is 1 unless it says otherwise.
fn range(text: &str) -> (&str, u16) {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().unwrap_or_default();
    let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1000, thousandths);
    (range, quality)
}

/// `0.75` is 750. What is no quality counts as 0.
fn thousandths(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = format!("{fraction:0<3}");
    match (whole, fraction.parse::<u16>()) {
        ("1", Ok(0)) => 1000,
        ("0", Ok(fraction)) if fraction < 1000 => fraction,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::MediaType::{GraphqlResponse, Json};
    use super::*;

    #[test]
    fn the_accept_header_chooses() {
        for (accept, expected) in [
            ("", Some(Json)),
            ("*/*", Some(Json)),
            ("application/*", Some(Json)),
            ("application/json", Some(Json)),
            ("application/json; charset=utf-8", Some(Json)),
            ("application/graphql-response+json", Some(GraphqlResponse)),
            ("application/graphql-response+json, application/json", Some(GraphqlResponse)),
            ("application/json, application/graphql-response+json", Some(GraphqlResponse)),
            ("application/graphql-response+json;q=0.5, application/json", Some(Json)),
            ("application/graphql-response+json, application/json;q=0.9", Some(GraphqlResponse)),
            ("application/graphql-response+json;q=0, */*", Some(Json)),
            ("application/json;q=0", None),
            ("text/html", None),
            ("text/html, */*;q=0.8", Some(Json)),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(MediaType::accepted(&headers), expected, "{accept}");
        }
        assert_eq!(MediaType::accepted(&HeaderMap::new()), Some(Json));
    }

    #[test]
    fn html_is_preferred_only_where_it_is_named_and_wanted_most() {
        for (accept, expected) in [
            ("text/html", true),
            ("text/html, */*;q=0.8", true),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("application/json, text/html", false),
            ("application/graphql-response+json, text/html;q=0.9", false),
            ("text/html;q=0", false),
            ("text/*", false),
            ("*/*", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(prefers_html(&headers), expected, "{accept}");
        }
    }
}
