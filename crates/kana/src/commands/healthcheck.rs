//! `kana healthcheck`: whether the server on this machine is ready (contract: `operations.md`,
//! "Packaging").

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::tls::TlsConfig;

use super::Failure;
use crate::settings::ListenAddress;

/// `/readyz` answers within two seconds, unless the machine is very busy.
const PATIENCE: Duration = Duration::from_millis(4500);
/// How much of an answer is read.
const ANSWER_BYTES_MAX: u64 = 16 * 1024;

/// Asks `/readyz`, and fails with the reason if the server is not ready or not there.
pub(crate) async fn run(listen: ListenAddress) -> Result<(), Failure> {
    // The client waits on the thread that it is called on.
    let asked = tokio::task::spawn_blocking(move || ask(listen)).await;
    asked.map_err(std::io::Error::other)?
}

fn ask(listen: ListenAddress) -> Result<(), Failure> {
    let host = listen.as_local_host();
    let (status, body) = get(listen, "/readyz")
        .map_err(|error| Failure::NotReady(format!("http://{host}: {error}")))?;
    if status == 200 {
        return Ok(());
    }
    let read: Option<Value> = serde_json::from_str(&body).ok();
    // Another server may listen there.
    let other = || format!("http://{host}: status {status}");
    Err(Failure::NotReady(read.as_ref().and_then(reasons).unwrap_or_else(other)))
}

/// Asks the server on this machine, by TLS if it speaks that. Returns the status and the body.
pub(super) fn get(listen: ListenAddress, path: &str) -> Result<(u16, String), ureq::Error> {
    let plain = get_by("http", listen, path)?;
    if plain.0 == 400 && plain.1.starts_with(kana_http::SPEAKS_TLS) {
        return get_by("https", listen, path);
    }
    Ok(plain)
}

fn get_by(scheme: &str, listen: ListenAddress, path: &str) -> Result<(u16, String), ureq::Error> {
    // A proxy for other addresses has nothing to do with it.
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        // Whether the certificate is good is for clients to say, who ask for its name.
        .tls_config(TlsConfig::builder().disable_verification(true).build())
        .timeout_global(Some(PATIENCE))
        .build()
        .into();
    let mut answer = agent.get(format!("{scheme}://{}{path}", listen.as_local_host())).call()?;
    let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string()?;
    Ok((answer.status().as_u16(), body))
}

/// Returns the checks that have failed: `database: disk full`.
fn reasons(body: &Value) -> Option<String> {
    let checks = body.get("checks")?.as_object()?;
    let reasons =
        checks.iter().filter_map(|(check, why)| Some(format!("{check}: {}", why.as_str()?)));
    let reasons: Vec<String> = reasons.collect();
    (!reasons.is_empty()).then(|| reasons.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_check_that_failed_is_a_reason() {
        let body =
            json!({ "ready": false, "checks": { "database": "disk full", "server": "stopping" } });
        assert_eq!(reasons(&body).as_deref(), Some("database: disk full, server: stopping"));
        for other in [json!({}), json!({ "checks": {} }), json!([]), json!({ "checks": 1 })] {
            assert_eq!(reasons(&other), None, "{other}");
        }
    }
}
