use proptest::prelude::*;

use super::*;

fn hasher() -> Hasher {
    Hasher::new(b"0123456789abcdef")
}

fn answers() -> impl Strategy<Value = KeptAnswer> {
    let reasons = (0..6_u8).prop_map(|code| reason(code).unwrap());
    let extras = (any::<i64>(), any::<i64>(), any::<i64>())
        .prop_map(|(carried, granted, held)| Extras { carried, granted, held });
    let extras = prop_oneof![Just(Extras::NONE), extras];
    let consumption = (any::<i64>(), any::<Option<i64>>(), any::<bool>(), extras).prop_map(
        |(used, budget, overage_enabled, extras)| Consumption {
            used,
            budget,
            overage_enabled,
            extras,
        },
    );
    let used = (any::<bool>(), reasons, proptest::option::of(consumption)).prop_map(
        |(granted, reason, consumption)| {
            KeptAnswer::Used(UsedFeature { granted, reason, consumption })
        },
    );
    prop_oneof![
        Just(KeptAnswer::Recorded(RecordedUsage::Recorded)),
        Just(KeptAnswer::Recorded(RecordedUsage::NotCounted)),
        used,
    ]
}

fn counted() -> impl Strategy<Value = Counted> {
    let whole = (any::<u128>(), any::<u32>(), Timestamp::MIN.as_ms()..=Timestamp::MAX.as_ms());
    let whole = whole.prop_map(|(source, terms, start)| {
        let source = SubscriptionId(Uuid::from_u128(source));
        CountedAt::Whole(source, TermsNumber(terms), Timestamp::from_ms(start))
    });
    let counter = prop_oneof![any::<u32>().prop_map(CountedAt::Digest), whole];
    (counter, any::<Option<i64>>(), prop_oneof![Just(0), any::<u32>()], any::<bool>())
        .prop_map(|(counter, added, sets, voided)| Counted { counter, added, sets, voided })
}

/// Keys of every form: with a UUID at the end or almost one, alone or behind something.
fn keys() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zé🔑]{1,12}",
        "(cloudevent [a-z]{1,5} )?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[a-z]?[0-9A-Fa-fg]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-fA]{12}",
    ]
}

prop_compose! {
    fn replays()(
        user: u128, delta: i64, is_set: bool, answer in answers(),
        occurred_at in proptest::option::of(Timestamp::MIN.as_ms()..=Timestamp::MAX.as_ms()),
        kept_at in Timestamp::MIN.as_ms()..=Timestamp::MAX.as_ms(), feature in "[a-z/ü]{1,9}",
        counted in proptest::option::of(counted()),
    ) -> Replay {
        let content = Content {
            user: UserKey(Uuid::from_u128(user)),
            feature: FeatureId::new("id", &feature).unwrap(),
            action: if is_set { UsageAction::Set } else { UsageAction::Add },
            delta,
            occurred_at: occurred_at.map(Timestamp::from_ms),
        };
        Replay { content, answer, counted, kept_at: Timestamp::from_ms(kept_at) }
    }
}

proptest! {
    #[test]
    fn a_record_is_read_as_it_was_written(key in keys(), other in keys(), replay in replays()) {
        let environment = EnvironmentId(7);
        let key = IdempotencyKey::new("key", &key).unwrap();
        let other = IdempotencyKey::new("key", &other).unwrap();
        let record = Record::new(&hasher(), environment, &key, &replay);
        let stored = record.stored();
        prop_assert_eq!(stored.replay().unwrap(), replay.clone());
        prop_assert_eq!(stored.kept_at().unwrap(), replay.kept_at.as_ms());
        prop_assert_eq!(stored.hash(&hasher()).unwrap(), record.hash);
        prop_assert_eq!(stored.named().unwrap(), (7, key.as_str().to_owned()));

        let asked = Asked::new(&hasher(), environment, &key);
        prop_assert_eq!(asked.hash, record.hash);
        prop_assert!(stored.is_of(&asked).unwrap());
        let elsewhere = Asked::new(&hasher(), EnvironmentId(8), &key);
        prop_assert!(!stored.is_of(&elsewhere).unwrap());
        let asked = Asked::new(&hasher(), environment, &other);
        prop_assert_eq!(stored.is_of(&asked).unwrap(), other == key);

        let row = stored.columns().unwrap();
        prop_assert_eq!(&*row.key, key.as_str());
        let Replay { answer, counted, .. } = replay;
        let written = WrittenAnswer { answer, counted };
        prop_assert_eq!(&*row.answer, serde_json::to_string(&written).unwrap());
        prop_assert_eq!(Record::of_row(&hasher(), &row), record);
    }

    #[test]
    fn other_bytes_are_refused_without_a_panic(origin: Vec<u8>, body: Vec<u8>) {
        let stored = Stored { origin: &origin, body: &body };
        let _ = (stored.replay(), stored.columns(), stored.hash(&hasher()), stored.named());
    }

    #[test]
    fn a_record_that_was_cut_off_is_refused(key in keys(), replay in replays(), cut: usize) {
        let key = IdempotencyKey::new("key", &key).unwrap();
        let record = Record::new(&hasher(), EnvironmentId(1), &key, &replay);
        let Stored { origin, body } = record.stored();
        let cut = Stored { origin, body: &body[..cut % body.len()] };
        prop_assert!(matches!(cut.replay(), Err(StoreError::Unreadable(_))));
    }
}

fn row<'a>(action: &'a str, answer: &'a str) -> Columns<'a> {
    Columns {
        environment: 1,
        key: "key".into(),
        user: Uuid::nil(),
        feature: "f",
        action,
        delta: 1,
        occurred_at: None,
        answer: answer.into(),
        kept_at: 0,
    }
}

#[test]
fn what_this_release_does_not_know_stays_as_it_is() {
    for (action, answer) in [
        ("SUB", r#"{"Recorded":"Recorded"}"#),
        ("ADD", r#"{"Lost":null}"#),
        ("ADD", r#"{ "Recorded": "Recorded" }"#),
        ("ADD", "no JSON"),
    ] {
        let row = row(action, answer);
        let record = Record::of_row(&hasher(), &row);
        assert_eq!(record.stored().columns().unwrap(), row);
    }
}

#[test]
fn a_value_that_no_release_wrote_is_an_error_that_names_it() {
    for (action, answer, named) in [
        ("SUB", r#"{"Recorded":"Recorded"}"#, r#"action "SUB""#),
        ("ADD", r#"{"Lost":null}"#, "unknown variant `Lost`"),
    ] {
        let error = Record::of_row(&hasher(), &row(action, answer)).stored().replay().unwrap_err();
        assert!(matches!(error, StoreError::Unreadable(_)), "{error:?}");
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn a_key_that_is_a_uuid_takes_few_bytes() {
    let key = "f81d4fae-7dec-41d0-a765-00a0c91e6bf6";
    for before in ["", "cloudevent /orders "] {
        let key = format!("{before}{key}");
        let row = Columns {
            key: key.into(),
            kept_at: 1_800_000_000_000,
            ..row("ADD", r#"{"Recorded":"Recorded"}"#)
        };
        let record = Record::of_row(&hasher(), &row);
        let bytes = ["flags", "delta"].len() + 16 + 16 + 6;
        assert_eq!(record.stored().body.len(), bytes);
        // What a subscription has counted takes four more.
        let answer = r#"{"Recorded":"Recorded","counted":{"at":4294967295}}"#;
        let record = Record::of_row(&hasher(), &Columns { answer: answer.into(), ..row });
        assert_eq!(record.stored().body.len(), bytes + 4);
        assert_eq!(record.stored().columns().unwrap().answer, answer);
    }
}
