//! What a database holds of usage, as `kana export` tells it.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::ledger::{Event, USERS};
use super::scribe::{feature, read_key};
use crate::seed::user_id;

/// Reads all events of an export.
pub(super) fn read(file: &Path) -> Result<Vec<Event>> {
    let opened = std::fs::File::open(file).context("cannot open the export")?;
    read_lines(BufReader::new(opened))
}

fn read_lines(lines: impl BufRead) -> Result<Vec<Event>> {
    let known: HashMap<String, u32> = (0..USERS).map(|user| (user_id(user), user)).collect();
    let mut users = HashMap::new();
    let mut events = Vec::new();
    let mut ended = false;
    for line in lines.lines() {
        let line = line?;
        let is = |kind: &str| line.starts_with(&format!("{{\"record\":\"{kind}\""));
        let (user, event) = (is("user"), is("event"));
        ended = ended || is("end");
        if !user && !event {
            continue;
        }
        let record: Value = serde_json::from_str(&line)?;
        let text = |name: &str| {
            let found = record[name].as_str();
            found.with_context(|| format!("a record without {name}")).map(str::to_owned)
        };
        if user {
            if let Some(user) = known.get(&text("id")?) {
                users.insert(text("key")?, *user);
            }
            continue;
        }
        let user = users.get(&text("user_key")?).context("an event of somebody else")?;
        events.push(Event {
            key: record["idempotency_key"].as_str().and_then(read_key),
            user: *user,
            feature: feature(&text("feature_id")?).context("an event of another feature")?,
            delta: record["delta"].as_i64().context("an event without a delta")?,
        });
    }
    ensure!(ended, "the export has no end");
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Feature;
    use super::*;

    #[test]
    fn events_are_read_with_their_users() {
        let lines = r#"{"kana_export":1}
{"record":"user","key":"k-1","id":"user-0000001"}
{"record":"user","key":"k-2","id":"guest-1"}
{"record":"event","user_key":"k-1","feature_id":"api-calls","delta":2,"idempotency_key":"cloudevent soak f6bd5b24fd29f054-3-4"}
{"record":"event","user_key":"k-1","feature_id":"credits","delta":1}
{"record":"end"}
"#;
        let event = |key, feature, delta| Event { key, user: 1, feature, delta };
        let wanted = [event(Some((3, 4)), Feature::Calls, 2), event(None, Feature::Credits, 1)];
        assert_eq!(read_lines(lines.as_bytes()).unwrap(), wanted);
        let cut = lines.rsplit_once("{\"record\":\"end").unwrap().0;
        assert!(read_lines(cut.as_bytes()).is_err());
        assert!(read_lines(lines.replace(r#""k-1","f"#, r#""k-2","f"#).as_bytes()).is_err());
    }
}
