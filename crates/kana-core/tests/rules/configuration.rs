//! What a configuration may say, and how it is told what is wrong with it.

use kana_core::catalog::Catalog;
use kana_core::configuration::Configuration;
use serde_json::{Value, json};

/// A configuration with everything that one can have.
pub(crate) fn full() -> Value {
    json!({
        "app": "story",
        "version": "1.0.0",
        "features": [
            { "id": "api-calls", "name": "API Calls", "type": "CONSUMABLE",
              "unit_label": "API Call", "unit_label_plural": "API Calls" },
            { "id": "dashboard", "name": "Dashboard", "type": "BINARY" },
        ],
        "packages": {
            "draft": [{ "id": "next", "name": "Next", "features": [] }],
            "published": [{ "id": "pro", "name": "Pro", "features": [
                { "id": "dashboard" },
                { "id": "api-calls", "limit": 1000, "overage_enabled": true, "reset_period": "MONTH" },
            ]}],
        },
        "addons": {
            "draft": [],
            "published": [{ "id": "extra", "name": "Extra", "base_packages": ["pro"], "features": [
                { "id": "api-calls", "limit": null },
            ]}],
        },
    })
}

fn read(value: &Value) -> Result<Configuration, Vec<String>> {
    Configuration::read(value)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

/// The full configuration with another value at a JSON pointer.
fn with(pointer: &str, value: Value) -> Value {
    let mut changed = full();
    *changed.pointer_mut(pointer).unwrap_or_else(|| panic!("nothing at {pointer}")) = value;
    changed
}

/// The full configuration with another key in the object at a JSON pointer.
fn with_key(pointer: &str, key: &str, value: Value) -> Value {
    let mut changed = full();
    changed.pointer_mut(pointer).unwrap()[key] = value;
    changed
}

fn without(pointer: &str, key: &str) -> Value {
    let mut changed = full();
    changed.pointer_mut(pointer).unwrap().as_object_mut().unwrap().shift_remove(key).unwrap();
    changed
}

#[track_caller]
fn is_refused(value: &Value, expected: &str) {
    assert_eq!(read(value).unwrap_err(), [expected]);
}

#[test]
fn what_is_written_reads_as_it_was() {
    let configuration = read(&full()).unwrap();
    assert_eq!(configuration.to_json("story"), full());
    assert_eq!(configuration.packages[1].place.to_string(), "packages.published[0]");
}

#[test]
fn every_list_is_written_also_an_empty_one() {
    let empty = Configuration::of(&Catalog::default()).to_json("story");
    let lists = json!({ "draft": [], "published": [] });
    let expected = json!({ "app": "story", "version": "1.0.0", "features": [],
                           "packages": lists, "addons": lists });
    assert_eq!(empty, expected);
}

#[test]
fn what_says_nothing_may_be_left_out_or_null() {
    let minimal = json!({ "features": [{ "id": "a", "name": "A", "type": "BINARY" }],
                "packages": { "published": [] } });
    assert!(read(&minimal).is_ok());
    let nulls = json!({
        "app": null, "version": null,
        "features": [{ "id": "a", "name": "A", "type": "BINARY", "unit_label": null,
                       "unit_label_plural": null },
                     { "id": "b", "name": "B", "type": "CONSUMABLE" }],
        "packages": { "draft": null, "published": [{ "id": "p", "name": "P", "features": [
            { "id": "a", "limit": null, "overage_enabled": false, "reset_period": null },
            { "id": "b", "limit": null, "overage_enabled": null, "reset_period": null }] }] },
        "addons": null,
    });
    assert!(read(&nulls).is_ok(), "{:?}", read(&nulls));
}

#[test]
fn half_a_file_is_not_a_wish_to_archive_the_rest() {
    is_refused(&without("", "packages"), "the file: packages is missing");
    let problems = read(&without("", "features")).unwrap_err();
    assert_eq!(problems[0], "the file: features is missing");
    assert!(read(&json!({})).is_err());
    // As somebody leaves them who has only begun to write.
    for (packages, problem) in [
        (json!(null), "the file: packages has no value: if there are none, write empty lists"),
        (json!({}), "the file: packages has neither draft nor published"),
    ] {
        let problems = read(&json!({ "features": [], "packages": packages })).unwrap_err();
        assert_eq!(problems[0].to_string(), problem);
    }
    let problems = read(&json!({ "features": null, "packages": { "draft": [] } })).unwrap_err();
    let problem = "the file: features has no value: if there are none, write empty lists";
    assert_eq!(problems[0].to_string(), problem);
}

#[test]
fn what_is_no_configuration_is_refused() {
    for value in [json!(null), json!([]), json!("text"), json!(1), json!(true)] {
        let problems = read(&value).unwrap_err();
        assert!(problems[0].starts_with("the file: must be a configuration"), "{problems:?}");
    }
}

#[test]
fn an_unknown_key_is_refused_wherever_it_stands() {
    for (pointer, place) in [
        ("", "colour"),
        ("/features/0", "features[0].colour"),
        ("/packages", "packages.colour"),
        ("/addons", "addons.colour"),
        ("/packages/draft/0", "packages.draft[0].colour"),
        ("/packages/published/0/features/1", "packages.published[0].features[1].colour"),
    ] {
        let problems = read(&with_key(pointer, "colour", json!(1))).unwrap_err();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with(&format!("{place}: is an unknown key")), "{problems:?}");
    }
    let base = with_key("/packages/draft/0", "base_packages", json!([]));
    assert!(
        read(&base).unwrap_err()[0].starts_with("packages.draft[0].base_packages: is an unknown")
    );
}

#[test]
fn a_number_where_a_name_belongs_is_refused() {
    let number = "must be text; it is 7: put it into quotes";
    is_refused(&with("/features/0/name", json!(7)), &format!("features[0].name: {number}"));
    let problems = read(&with("/features/1/id", json!(7))).unwrap_err();
    assert_eq!(problems[0], format!("features[1].id: {number}"));
    is_refused(
        &with("/addons/published/0/base_packages/0", json!(7)),
        &format!("addons.published[0].base_packages[0]: {number}"),
    );
    is_refused(&with("/app", json!([])), "app: must be text; it is a list");
}

#[test]
fn values_out_of_their_bounds_are_refused() {
    let long = "x".repeat(256);
    is_refused(
        &with("/features/0/name", json!(long)),
        &format!("features[0].name: must have at most 255 characters; it is \"{}…\"", &long[..64]),
    );
    is_refused(
        &with("/packages/draft/0/id", json!(" next")),
        "packages.draft[0].id: must not start or end with a space; it is \" next\"",
    );
    is_refused(
        &with("/features/0/type", json!("binary")),
        "features[0].type: must be BINARY or CONSUMABLE; it is \"binary\"",
    );
    for (wrong, shown) in [
        (json!("2.0.0"), "\"2.0.0\""),
        (json!(1), "1"),
        (json!(""), "\"\""),
        (json!({}), "an object"),
    ] {
        let message = format!("version: must be 1.0.0, the format of this release; it is {shown}");
        is_refused(&with("/version", wrong), &message);
    }
    let limit = "/packages/published/0/features/1/limit";
    for (wrong, shown) in [
        (json!(-1), "-1"),
        (json!(1.5), "1.5"),
        (json!("1000"), "\"1000\""),
        (json!(u64::MAX), "18446744073709551615"),
        (json!(true), "true"),
        (json!([]), "a list"),
    ] {
        let message = format!(
            "packages.published[0].features[1].limit: must be a whole number from 0 to \
             9223372036854775807, or null for unlimited; it is {shown}"
        );
        is_refused(&with(limit, wrong), &message);
    }
    for right in [json!(0), json!(i64::MAX), json!(null)] {
        assert!(read(&with(limit, right)).is_ok());
    }
    is_refused(
        &with("/packages/published/0/features/1/reset_period", json!("WEEKLY")),
        "packages.published[0].features[1].reset_period: must be MINUTE, HOUR, DAY, WEEK, MONTH \
         or YEAR, or left out for usage that never starts again; it is \"WEEKLY\"",
    );
    is_refused(
        &with_key("/packages/published/0/features/1", "reset_anchor", json!("UTC")),
        "packages.published[0].features[1].reset_anchor: must be CALENDAR, or left out for periods \
         from the subscription's start; it is \"UTC\"",
    );
    let mut never = with_key("/packages/published/0/features/1", "reset_anchor", json!("CALENDAR"));
    never["packages"]["published"][0]["features"][1]["reset_period"] = json!(null);
    is_refused(
        &never,
        "packages.published[0].features[1].reset_anchor: is CALENDAR, which needs a reset_period",
    );
    is_refused(
        &with("/packages/published/0/features/1/overage_enabled", json!("yes")),
        "packages.published[0].features[1].overage_enabled: must be true or false; it is \"yes\"",
    );
}

#[test]
fn what_is_needed_is_asked_for() {
    for (pointer, key) in [
        ("/features/0", "id"),
        ("/features/0", "name"),
        ("/features/0", "type"),
        ("/packages/draft/0", "id"),
        ("/packages/draft/0", "name"),
    ] {
        let problems = read(&without(pointer, key)).unwrap_err();
        assert!(problems[0].ends_with(&format!("{key}: is missing")), "{problems:?}");
    }
    is_refused(
        &without("/packages/published/0/features/1", "limit"),
        "packages.published[0].features[1].limit: is missing: \"api-calls\" is a CONSUMABLE feature, \
         which needs one; null means unlimited",
    );
}

#[test]
fn each_id_stands_once() {
    let twice = with("/features/1/id", json!("api-calls"));
    let problems = read(&twice).unwrap_err();
    assert_eq!(
        problems[0],
        "features[1].id: is \"api-calls\", which is the id of a feature already, at features[0]"
    );
    for (pointer, place) in [
        ("/packages/draft/0/id", "packages.published[0]"),
        ("/addons/published/0/id", "addons.published[0]"),
    ] {
        let id = if pointer.starts_with("/addons") { "next" } else { "pro" };
        let problems = read(&with(pointer, json!(id))).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].starts_with(&format!(
                "{place}.id: is \"{id}\", which is the id of a package already, at packages."
            )),
            "{problems:?}"
        );
    }
    is_refused(
        &with("/packages/published/0/features/0", json!({ "id": "api-calls", "limit": 1 })),
        "packages.published[0].features[1].id: names the feature \"api-calls\", which the package has \
         already",
    );
    is_refused(
        &with("/addons/published/0/base_packages", json!(["pro", "pro"])),
        "addons.published[0].base_packages[1]: names the package \"pro\" for the second time",
    );
}

#[test]
fn a_feature_that_no_list_defines_is_refused() {
    is_refused(
        &with("/packages/published/0/features/0/id", json!("sso")),
        "packages.published[0].features[0].id: names the feature \"sso\", which is not in the \
         list features",
    );
}

#[test]
fn an_anchor_is_written_only_where_it_is_the_calendar() {
    let feature = "/packages/published/0/features/1";
    let calendar = with_key(feature, "reset_anchor", json!("CALENDAR"));
    assert_eq!(read(&calendar).unwrap().to_json("story"), calendar);
    let default = with_key(feature, "reset_anchor", json!("SUBSCRIPTION"));
    assert_eq!(read(&default).unwrap().to_json("story"), full());
}

#[test]
fn stacking_is_written_only_where_limits_are_added() {
    let feature = "/packages/published/0/features/1";
    let added = with_key(feature, "stacking", json!("ADD"));
    assert_eq!(read(&added).unwrap().to_json("story"), added);
    for default in [json!("HIGHEST"), json!(null)] {
        let default = with_key(feature, "stacking", default);
        assert_eq!(read(&default).unwrap().to_json("story"), full());
    }
    for (wrong, shown) in [(json!("SUM"), "\"SUM\""), (json!(true), "true")] {
        let message = format!(
            "packages.published[0].features[1].stacking: must be ADD, or left out for a limit that \
             competes with others; it is {shown}"
        );
        is_refused(&with_key(feature, "stacking", wrong), &message);
    }
}

#[test]
fn what_is_carried_is_written_without_defaults_but_never_as_nothing() {
    let feature = "/packages/published/0/features/1";
    for kept in [json!({ "max": 500 }), json!({ "max": 7, "periods": 12 }), json!({ "periods": 1 })]
    {
        let carried = with_key(feature, "rollover", kept);
        assert_eq!(read(&carried).unwrap().to_json("story"), carried);
    }
    for (written, kept) in [
        (json!({}), json!({ "periods": 1 })),
        (json!({ "max": null, "periods": 3 }), json!({ "periods": 3 })),
        (json!({ "max": 500, "periods": 1 }), json!({ "max": 500 })),
    ] {
        let read = read(&with_key(feature, "rollover", written)).unwrap();
        assert_eq!(read.to_json("story"), with_key(feature, "rollover", kept));
    }
    assert_eq!(read(&with_key(feature, "rollover", json!(null))).unwrap().to_json("story"), full());
    let at = "packages.published[0].features[1].rollover";
    for (wrong, message) in [
        (
            json!({ "max": 0 }),
            ".max: must be a whole number from 1 to 9223372036854775807; it is 0",
        ),
        (json!({ "periods": 13 }), ".periods: must be a whole number from 1 to 12; it is 13"),
        (json!({ "periods": 1.5 }), ".periods: must be a whole number from 1 to 12; it is 1.5"),
        (
            json!({ "for": 1 }),
            ".for: is an unknown key: what is carried into later periods has max, periods",
        ),
        (
            json!(3),
            ": must be what is carried into later periods, with the keys max, periods; it is 3",
        ),
    ] {
        is_refused(&with_key(feature, "rollover", wrong), &format!("{at}{message}"));
    }
    let carried = with_key(feature, "rollover", json!({ "max": 5 }));
    for (needed, what) in [("limit", "a limit"), ("reset_period", "a reset_period")] {
        let mut without = carried.clone();
        without["packages"]["published"][0]["features"][1][needed] = json!(null);
        is_refused(&without, &format!("{at}: needs {what}"));
    }
}

#[test]
fn a_switch_has_no_amount() {
    for (key, value, shown) in [
        ("limit", json!(0), "0"),
        ("overage_enabled", json!(true), "true"),
        ("reset_period", json!("DAY"), "\"DAY\""),
        ("reset_anchor", json!("CALENDAR"), "\"CALENDAR\""),
        ("stacking", json!("ADD"), "\"ADD\""),
        ("rollover", json!({ "periods": 2 }), "an object"),
    ] {
        is_refused(
            &with_key("/packages/published/0/features/0", key, value),
            &format!(
                "packages.published[0].features[0].{key}: is {shown}, but \"dashboard\" is a \
                 BINARY feature, which has no amount: leave it out"
            ),
        );
    }
    is_refused(
        &with_key("/features/1", "unit_label", json!("x")),
        "features[1].unit_label: is \"x\", which only a CONSUMABLE feature can have: leave it out",
    );
}

#[test]
fn a_published_package_has_a_feature_and_a_draft_needs_none() {
    is_refused(
        &with("/packages/published/0/features", json!([])),
        "packages.published[0].features: is empty: only a draft can have no features",
    );
}

#[test]
fn everything_that_is_wrong_is_told_at_once_within_bounds() {
    let mut wrong = full();
    wrong["features"][0]["name"] = json!(1);
    wrong["packages"]["draft"][0]["name"] = json!([]);
    wrong["addons"]["published"][0]["features"][0]["limit"] = json!(-5);
    assert_eq!(read(&wrong).unwrap_err().len(), 3);
    let many: Vec<Value> = (0..10_000).map(|n| json!({ "id": n })).collect();
    assert_eq!(read(&with("/features", json!(many))).unwrap_err().len(), 100);
    let too_many = json!(vec![Value::Null; 10_001]);
    assert_eq!(
        read(&with("/features", too_many)).unwrap_err()[0],
        "features: must have at most 10000 items; it has 10001"
    );
}

#[test]
fn a_key_that_is_no_word_is_repeated_in_short() {
    let long = "\u{1b}[31m".repeat(1000);
    let problems = read(&with_key("", &long, json!(1))).unwrap_err();
    assert!(problems[0].len() < 600 && !problems[0].contains('\u{1b}'), "{problems:?}");
}

#[test]
fn what_is_repeated_of_a_file_is_short_and_in_one_line() {
    let long = "\u{1b}[31m\n".repeat(1000);
    for pointer in ["/features/0/name", "/features/0/type", "/packages/draft/0/id", "/version"] {
        let problems = read(&with(pointer, json!(long))).unwrap_err();
        assert!(problems[0].len() < 800 && !problems[0].contains(char::is_control), "{problems:?}");
    }
}

#[test]
fn thresholds_read_as_they_were_written_and_are_left_out_where_there_are_none() {
    let thresholds = json!([{ "percent": 80 }, { "left": 10 }]);
    let value = with_key("/features/0", "thresholds", thresholds);
    assert_eq!(read(&value).unwrap().to_json("story"), value);
    for nothing in [json!([]), Value::Null] {
        let value = with_key("/features/0", "thresholds", nothing);
        assert_eq!(read(&value).unwrap().to_json("story"), full());
    }
    let of_a_switch = with_key("/features/1", "thresholds", json!([]));
    assert_eq!(read(&of_a_switch).unwrap().to_json("story"), full());
}

#[test]
fn what_is_wrong_with_thresholds_is_told() {
    for (thresholds, expected) in [
        (
            json!([{ "percent": 0 }]),
            "features[0].thresholds[0].percent: must be a whole number from 1 to 1000; it is 0",
        ),
        (
            json!([{ "percent": 1001 }]),
            "features[0].thresholds[0].percent: must be a whole number from 1 to 1000; it is 1001",
        ),
        (
            json!([{ "left": -1 }]),
            "features[0].thresholds[0].left: must be a whole number from 0 to 2147483647; it is -1",
        ),
        (
            json!([{ "left": 1.5 }]),
            "features[0].thresholds[0].left: must be a whole number from 0 to 2147483647; it is 1.5",
        ),
        (json!([{}]), "features[0].thresholds[0]: must have either percent or left"),
        (
            json!([{ "percent": 1, "left": 1 }]),
            "features[0].thresholds[0]: must have either percent or left",
        ),
        (
            json!([{ "left": 1 }, { "left": 1 }]),
            "features[0].thresholds: must be different: 1 left is there twice",
        ),
        (
            json!([1, 2, 3, 4, 5, 6].map(|left| json!({ "left": left }))),
            "features[0].thresholds: must be at most 5",
        ),
    ] {
        is_refused(&with_key("/features/0", "thresholds", thresholds), expected);
    }
    let of_a_switch = with_key("/features/1", "thresholds", json!([{ "left": 1 }]));
    is_refused(&of_a_switch, "features[1].thresholds: are for CONSUMABLE features: leave them out");
}

/// The problems of the full configuration with a third feature, and a fourth that draws on nothing.
fn problems_of_drawing(images: Value) -> Vec<String> {
    let mut file = full();
    let features = file["features"].as_array_mut().unwrap();
    features.push(images);
    features.push(json!({ "id": "credits", "name": "Credits", "type": "CONSUMABLE" }));
    read(&file).err().unwrap_or_default()
}

#[test]
fn what_is_wrong_with_what_a_feature_draws_on_is_told() {
    let images = |more: Value| {
        let mut images = json!({ "id": "images", "name": "Images", "type": "CONSUMABLE" });
        images.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        problems_of_drawing(images)
    };
    assert_eq!(images(json!({ "draws_on": "credits" })), <[&str; 0]>::default());
    assert_eq!(images(json!({ "draws_on": "credits", "cost": 1_000_000 })), <[&str; 0]>::default());
    assert_eq!(images(json!({ "draws_on": null, "cost": null })), <[&str; 0]>::default());
    for (more, expected) in [
        (
            json!({ "draws_on": "credits", "cost": 0 }),
            "features[2].cost: must be a whole number from 1 to 1000000; it is 0",
        ),
        (
            json!({ "draws_on": "credits", "cost": 1_000_001 }),
            "features[2].cost: must be a whole number from 1 to 1000000; it is 1000001",
        ),
        (
            json!({ "cost": 2 }),
            "features[2].cost: is for a feature that draws on another: leave it out",
        ),
        (
            json!({ "draws_on": "nope" }),
            r#"features[2].draws_on: names the feature "nope", which is not in the list features"#,
        ),
        (
            json!({ "draws_on": "dashboard" }),
            r#"features[2].draws_on: names the feature "dashboard", which is a BINARY feature"#,
        ),
        (
            json!({ "draws_on": "images" }),
            r#"features[2].draws_on: names the feature "images", which draws on "images" itself"#,
        ),
        (
            json!({ "draws_on": "credits", "thresholds": [{ "left": 1 }] }),
            "features[2].thresholds: are for features that draw on nothing: leave them out",
        ),
        (
            json!({ "draws_on": "credits", "type": "BINARY" }),
            "features[2].draws_on: is for CONSUMABLE features: leave it out",
        ),
    ] {
        assert_eq!(images(more), [expected]);
    }
    let mut file = full();
    let calls = file["features"].as_array_mut().unwrap();
    calls[0]["draws_on"] = json!("credits");
    calls.push(json!({ "id": "credits", "name": "Credits", "type": "CONSUMABLE" }));
    assert_eq!(
        read(&file).unwrap_err()[..1],
        [
            "packages.published[0].features[1].limit: is 1000, but \"api-calls\" draws on \"credits\", \
             and has no amount of its own: leave it out"
        ]
    );
}
