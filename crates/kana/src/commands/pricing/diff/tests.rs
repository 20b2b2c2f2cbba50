use std::path::Path;

use kana_service::EnvironmentKind;
use serde_json::{Value, json};

use super::*;

const TERMINAL: Terminal = Terminal { width: 80, has_colour: false };

fn report(changes: usize, findings: Vec<Reported>) -> Report {
    let report = Report::new(Path::new("k.yaml"), EnvironmentKind::Live, changes, findings);
    Report { server: "http://s".to_owned(), text: "a: 1\nb:\t2\n".to_owned(), ..report }
}

fn finding(severity: &str, message: &str) -> Reported {
    Reported {
        severity: severity.to_owned(),
        message: message.to_owned(),
        refused: false,
        place: None,
        line: None,
        column: None,
    }
}

/// An entry of information without differences, with what `more` says.
fn entry(kind: &str, id: &str, action: &str, more: &Value) -> Value {
    let mut entry = json!({ "kind": kind, "id": id, "action": action, "severity": "information" });
    for (key, value) in more.as_object().unwrap() {
        entry[key] = value.clone();
    }
    entry
}

fn of_feature(id: &str, before: Option<&str>, after: Option<&str>, severity: &str) -> Value {
    json!({ "field": "feature", "feature": id, "before": before, "after": after, "severity": severity })
}

/// The diff of entries as a server sends them.
fn rendered(entries: Value, findings: Vec<Reported>) -> String {
    let entries: Vec<Entry> = serde_json::from_value(entries).unwrap();
    render(&report(entries.len(), findings), &entries, TERMINAL)
}

#[test]
fn things_are_grouped_and_the_summary_is_last() {
    let mut changed = of_feature("calls", Some("limit 1"), Some("limit 2"), "error");
    changed["note"] = json!("usage starts again at 0");
    let name = json!({ "field": "name", "before": "Pro", "after": "Pro!", "severity": "warning" });
    let status = json!({ "field": "status", "after": "DRAFT", "severity": "information" });
    let entries = json!([
        entry(
            "addon",
            "extra",
            "archive",
            &json!({ "severity": "error", "active_subscribers": 1 })
        ),
        entry(
            "package",
            "pro",
            "change",
            &json!({ "severity": "error", "active_subscribers": 2,
            "differences": [name, changed, of_feature("sso", Some("included"), None, "error")] })
        ),
        entry(
            "package",
            "next",
            "create",
            &json!({
            "differences": [status, of_feature("calls", None, Some("unlimited"), "information")] })
        ),
        entry("package", "gone", "delete", &json!({ "severity": "warning" })),
        entry(
            "feature",
            "old",
            "keep",
            &json!({ "severity": "warning", "reason": "it has usage, or was given to users" })
        ),
    ]);
    let findings = vec![
        finding("error", "pro"),
        finding("error", "extra"),
        finding("warning", "gone"),
        finding("information", "next"),
    ];
    assert_eq!(
        rendered(entries, findings),
        "k.yaml → live  http://s\n\
         \n\
         Features\n  \
           = old  [WARNING] is not in the file and is kept: it has usage, or was given to\n         \
                  users\n\
         \n\
         Packages\n  \
           ~ pro   [ERROR] 2 active subscribers\n        \
                 name   \"Pro\" → \"Pro!\"  [WARNING]\n      \
               ~ calls  limit 1 → limit 2\n               \
                        usage starts again at 0\n      \
               - sso    included\n  \
           + next  DRAFT\n      \
               + calls  unlimited\n  \
           - gone  [WARNING] is not in the file and is deleted\n\
         \n\
         Add-ons\n  \
           - extra  [ERROR] is not in the file and is archived; 1 active subscriber keeps\n           \
                    it\n\
         \n\
         5 changes to live: 1 added, 1 changed, 1 archived, 1 deleted, 2 errors (needs\n  \
           --force), 1 warning, up to 3 subscribers touched.\n"
    );
}

#[test]
fn nothing_is_one_line() {
    assert_eq!(rendered(json!([]), Vec::new()), "Nothing would change in live.\n");
}

#[test]
fn many_new_things_are_counted_and_every_change_is_shown() {
    let new = (0..500).map(|n| entry("feature", &format!("new-{n}"), "create", &json!({})));
    let name = json!({ "field": "name", "before": "a", "after": "b", "severity": "warning" });
    let changed = (0..500).map(|n| {
        let more = json!({ "severity": "warning", "differences": [name] });
        entry("feature", &format!("changed-{n}"), "change", &more)
    });
    let inside = |severity: &str| -> Vec<Value> {
        (0..100).map(|n| of_feature(&format!("f{n}"), None, Some("included"), severity)).collect()
    };
    let draft =
        entry("package", "draft", "create", &json!({ "differences": inside("information") }));
    let pro = entry(
        "package",
        "pro",
        "change",
        &json!({ "severity": "error",
        "active_subscribers": 0, "differences": inside("error"), "omitted_differences": 7 }),
    );
    let entries: Vec<Value> = new.chain(changed).chain([draft, pro]).collect();
    let shown = rendered(json!(entries), Vec::new());
    let rows = |start: &str| shown.lines().filter(|line| line.trim().starts_with(start)).count();
    assert_eq!(rows("+ new-"), 30);
    assert!(shown.contains("\n  + 470 more new features …\n"), "{shown}");
    assert_eq!(rows("~ changed-"), 500);
    assert_eq!(rows("+ f"), 12 + 100);
    assert!(
        shown.contains("\n      88 more …\n") && shown.contains("\n      7 more …\n"),
        "{shown}"
    );
    let end = "\nA line for each change: kana validate --live | cat\n\
               1002 changes to live: 501 added, 501 changed.\n";
    assert!(shown.ends_with(end), "{shown}");
}

#[test]
fn what_prevents_publishing_is_shown_with_its_line() {
    let problem = Reported {
        refused: true,
        place: Some("features[0].type".to_owned()),
        line: Some(2),
        column: Some(3),
        ..finding("error", "is wrong")
    };
    let elsewhere = Reported { refused: true, ..finding("error", "the file is empty") };
    assert_eq!(
        rendered(json!([]), vec![problem, elsewhere]),
        "k.yaml → live  http://s\n\n\
         Problems\n  \
           k.yaml:2:3 [ERROR] features[0].type: is wrong\n    \
             2 │ b:    2\n  \
           [ERROR] the file is empty\n\n\
         Cannot be published: 2 errors.\n"
    );
}

#[test]
fn what_a_later_server_sends_is_shown_as_far_as_it_goes() {
    let price = json!({ "field": "price", "before": "1", "after": null, "severity": "warning" });
    let order = json!({ "field": "order", "before": null, "after": null, "severity": "warning" });
    let entries = json!([
        entry("package", "pro", "transfer", &json!({ "differences": [price] })),
        entry("package", "free", "change", &json!({ "differences": [order] })),
        entry("coupon", "c", "create", &json!({})),
    ]);
    let shown = rendered(entries, Vec::new());
    assert!(shown.contains("\n  ~ pro   price 1 → none\n"), "{shown}");
    assert!(shown.contains("\n  ~ free  order changes\n"), "{shown}");
    assert!(shown.contains("\nOther\n  + c\n"), "{shown}");
}
