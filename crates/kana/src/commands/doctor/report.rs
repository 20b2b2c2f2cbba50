use serde::Serialize;

/// How a check has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Ok,
    Warn,
    Fail,
}

/// A check of `kana doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) status: Status,
    pub(super) detail: String,
    /// What to do about it.
    #[serde(rename = "do")]
    pub(super) advice: Option<String>,
}

impl Check {
    pub(super) fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, detail: detail.into(), advice: None }
    }

    pub(super) fn warn(
        name: &'static str,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let advice = Some(advice.into());
        Self { name, status: Status::Warn, detail: detail.into(), advice }
    }

    pub(super) fn fail(
        name: &'static str,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { status: Status::Fail, ..Self::warn(name, detail, advice) }
    }

    /// Returns the check as a line of text.
    fn as_line(&self) -> String {
        let status = match self.status {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Fail => "fail",
        };
        // File names, and what a server says, could hold anything.
        let shown = |text: &str| -> String { text.chars().map(escaped).collect() };
        let Self { name, detail, advice, .. } = self;
        let advice = advice.as_ref().map(|advice| format!(" -- {}", shown(advice)));
        format!("{status:4}  {name}: {}{}\n", shown(detail), advice.unwrap_or_default())
    }
}

/// Escapes what could end a line or hide in it; quotes stay as they are.
fn escaped(c: char) -> String {
    if matches!(c, '"' | '\'') { c.to_string() } else { c.escape_debug().collect() }
}

/// Returns all checks as text or JSON, a line each.
pub(super) fn shown(checks: &[Check], json: bool) -> String {
    if !json {
        return checks.iter().map(Check::as_line).collect();
    }
    let lines = checks.iter().filter_map(|check| serde_json::to_string(check).ok());
    format!("[{}]\n", lines.collect::<Vec<_>>().join(",\n "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_a_line_with_what_to_do() {
        let checks = [
            Check::ok("port", "127.0.0.1:4000 is free"),
            Check::warn("backup", "there was none yet", "run kana backup"),
            Check::fail("database", "search_path is '\"$user\", public'\n", "see\u{1b}[2J"),
        ];
        insta::assert_snapshot!(shown(&checks, false), @r#"
        ok    port: 127.0.0.1:4000 is free
        warn  backup: there was none yet -- run kana backup
        fail  database: search_path is '"$user", public'\n -- see\u{1b}[2J
        "#);
        insta::assert_snapshot!(shown(&checks, true), @r#"
        [{"name":"port","status":"ok","detail":"127.0.0.1:4000 is free","do":null},
         {"name":"backup","status":"warn","detail":"there was none yet","do":"run kana backup"},
         {"name":"database","status":"fail","detail":"search_path is '\"$user\", public'\n","do":"see\u001b[2J"}]
        "#);
    }
}
