//! The variables of OpenTelemetry that count: headers for the collector, and what the spans are of.

use percent_encoding::percent_decode_str;
use ureq::http::{HeaderName, HeaderValue, header};

const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
/// Headers that are those of our own requests.
const OURS: [HeaderName; 4] =
    [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::HOST];

/// What the variables say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Surroundings {
    /// They are secrets.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Names and values of what the spans are of.
    pub(super) resource: Vec<(String, String)>,
}

impl Surroundings {
    /// Reads the variables. What is not `name=value` is left out with a warning that does not show it, as
    /// OpenTelemetry asks.
    pub(super) fn read(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let headers = pairs(HEADERS, variable, |name, value| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            let mut value = HeaderValue::from_str(&value).ok()?;
            value.set_sensitive(true);
            (!OURS.contains(&name)).then_some((name, value))
        });
        let mut resource = vec![
            ("service.name".to_owned(), "kana".to_owned()),
            ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ];
        let attributes =
            pairs(RESOURCE_ATTRIBUTES, variable, |name, value| Some((name.to_owned(), value)));
        let name = variable(SERVICE_NAME).map(|name| ("service.name".to_owned(), name));
        for (name, value) in attributes.into_iter().chain(name) {
            match resource.iter_mut().find(|(known, _)| *known == name) {
                Some(known) => known.1 = value,
                None => resource.push((name, value)),
            }
        }
        Self { headers, resource }
    }
}

/// Reads a list of `name=value`, separated by commas, with values in percent-encoding.
fn pairs<T>(
    variable: &str,
    read: &dyn Fn(&str) -> Option<String>,
    pair: impl Fn(&str, String) -> Option<T>,
) -> Vec<T> {
    let text = read(variable).unwrap_or_default();
    let mut pairs = Vec::new();
    for (place, entry) in text.split(',').enumerate() {
        if entry.trim().is_empty() {
            continue;
        }
        let read = entry.split_once('=').and_then(|(name, value)| {
            let value = percent_decode_str(value.trim()).decode_utf8().ok()?.into_owned();
            let name = name.trim();
            (!name.is_empty()).then(|| pair(name, value)).flatten()
        });
        match read {
            Some(read) => pairs.push(read),
            None => tracing::warn!(
                "entry {} of {variable} is left out: it cannot be used as name=value",
                place + 1
            ),
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Surroundings {
        Surroundings::read(&|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn resource(variables: &[(&str, &str)]) -> Vec<String> {
        let resource = read(variables).resource;
        resource.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn the_name_of_the_service_comes_from_its_variable_the_attributes_or_is_kana() {
        let version = format!("service.version={}", env!("CARGO_PKG_VERSION"));
        let attributes = (RESOURCE_ATTRIBUTES, "service.name=a, deployment.environment.name=p%2Cq");
        let added = "deployment.environment.name=p,q";
        assert_eq!(resource(&[]), ["service.name=kana", &version]);
        assert_eq!(resource(&[attributes]), ["service.name=a", &version, added]);
        assert_eq!(
            resource(&[attributes, (SERVICE_NAME, "b")]),
            ["service.name=b", &version, added]
        );
    }

    #[test]
    fn headers_are_a_list_and_what_is_none_is_left_out() {
        let list = "api-key=se%3Dcret,X-Tenant = a=b ,,nothing,=x,host=evil,a b=c,d=%0A";
        let headers = read(&[(HEADERS, list)]).headers;
        let shown: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(shown, [("api-key", "se=cret"), ("x-tenant", "a=b")]);
        assert!(!format!("{headers:?}").contains("cret"));
    }
}
