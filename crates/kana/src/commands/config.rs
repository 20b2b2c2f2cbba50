//! `kana config`: the settings in force (contract: `operations.md`, "Settings").

use std::io::Write as _;
use std::process::ExitCode;

use super::print;
use crate::settings::reading::{SettingInForce, Source};

/// Prints the settings, and on standard error the warnings.
pub(crate) fn run(settings: &[SettingInForce], warnings: &[String], json: bool) -> ExitCode {
    for warning in warnings {
        say(&format!("warning: {warning}\n"));
    }
    let text = if json { as_json(settings) } else { as_table(settings) };
    match print(&text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: cannot write to standard output: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to standard error. If that is closed, there is no way to report anything.
fn say(line: &str) {
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// A setting on each line of the array.
fn as_json(settings: &[SettingInForce]) -> String {
    let items = settings.iter().filter_map(|setting| serde_json::to_string(setting).ok());
    format!("[{}]\n", items.collect::<Vec<_>>().join(",\n "))
}

fn as_table(settings: &[SettingInForce]) -> String {
    let heads = ["SETTING", "VALUE", "SOURCE", "RANGE"].map(str::to_owned);
    let rows: Vec<[String; 4]> = [heads].into_iter().chain(settings.iter().map(row)).collect();
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let widths = [width(0), width(1), width(2)];
    let line = |row: &[String; 4]| {
        let [setting, value, source, range] = row;
        let [first, second, third] = widths;
        let line = format!("{setting:first$}  {value:second$}  {source:third$}  {range}");
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}

fn row(setting: &SettingInForce) -> [String; 4] {
    let SettingInForce { name, value, source, from, range } = setting;
    let from = from.as_deref().unwrap_or_default();
    let source = match source {
        Source::Flag => "flag".to_owned(),
        Source::Variable => format!("variable {from}"),
        Source::File => format!("file {from}"),
        Source::Default => "default".to_owned(),
    };
    let shown = |text: &Option<String>| {
        text.as_ref().map_or_else(|| "-".to_owned(), |text| text.escape_debug().collect())
    };
    [name.clone(), shown(value), source, shown(range)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> [SettingInForce; 2] {
        let listen = SettingInForce {
            name: "listen".to_owned(),
            value: Some("127.0.0.1:4000".to_owned()),
            source: Source::Variable,
            from: Some("KANA_LISTEN".to_owned()),
            range: None,
        };
        let days = SettingInForce {
            name: "events-days".to_owned(),
            value: None,
            source: Source::Default,
            from: None,
            range: Some("1 to 36500".to_owned()),
        };
        [listen, days]
    }

    #[test]
    fn a_table_has_a_line_for_each_setting() {
        insta::assert_snapshot!(as_table(&settings()), @r"
        SETTING      VALUE           SOURCE                RANGE
        listen       127.0.0.1:4000  variable KANA_LISTEN  -
        events-days  -               default               1 to 36500
        ");
    }

    #[test]
    fn json_has_name_value_source_and_where_it_came_from() {
        insta::assert_snapshot!(as_json(&settings()), @r#"
        [{"name":"listen","value":"127.0.0.1:4000","source":"variable","from":"KANA_LISTEN"},
         {"name":"events-days","value":null,"source":"default","from":null}]
        "#);
    }
}
