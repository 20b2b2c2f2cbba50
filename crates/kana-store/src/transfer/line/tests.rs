use proptest::prelude::*;

use super::super::value::Form;
use super::*;

/// Values that a column may hold.
fn value(form: Form) -> BoxedStrategy<Value> {
    let instants = kana_core::Timestamp::MIN.as_ms()..=kana_core::Timestamp::MAX.as_ms();
    match form {
        Form::Id => "[a-zé/@\"\\\\]{1,20}".prop_map(Value::Text).boxed(),
        Form::Label | Form::Text => "[^\0]{0,30}".prop_map(Value::Text).boxed(),
        Form::Name(is_name) => {
            let names = [
                "private",
                "public",
                "BINARY",
                "CONSUMABLE",
                "DRAFT",
                "PUBLISHED",
                "ARCHIVED",
                "MINUTE",
                "DAY",
                "WEEK",
                "MONTH",
                "YEAR",
                "CALENDAR",
                "ACTIVE",
                "CANCELLED",
                "ADD",
                "SET",
                "VOID",
                "s2 p80 l10",
                "feature",
                "key",
                "viewer",
                "LIMIT",
                "DENY",
                "owner",
            ];
            let names: Vec<_> = names.into_iter().filter(|name| is_name(name)).collect();
            proptest::sample::select(names).prop_map(|name| Value::Text(name.to_owned())).boxed()
        }
        Form::Metadata | Form::Json => proptest::collection::hash_map(".{0,9}", any::<f64>(), 0..3)
            .prop_map(|map| Value::Text(serde_json::to_string(&map).unwrap()))
            .boxed(),
        Form::History => {
            Just(Value::Text("[[-5,0,null],[7,1,[3,\"DAY\",\"CALENDAR\",true]]]".to_owned()))
                .boxed()
        }
        Form::Quantities => Just(Value::Text("[2,[[1704067200000,5]]]".to_owned())).boxed(),
        Form::Timing => {
            Just(Value::Text("[1,null,1704067200000,1704067200000]".to_owned())).boxed()
        }
        Form::Answer => proptest::sample::select(vec![
            r#"{"Recorded":"NotCounted"}"#,
            r#"{"Recorded":"Recorded","counted":{"at":7,"sets":1}}"#,
        ])
        .prop_map(|json| Value::Text(json.to_owned()))
        .boxed(),
        Form::Thresholds => Just(Value::Text(r#"[{"percent":80},{"left":10}]"#.to_owned())).boxed(),
        Form::Threshold => Just(Value::Text(r#"{"left":0}"#.to_owned())).boxed(),
        Form::Instant => instants.prop_map(Value::Integer).boxed(),
        Form::Integer { min, max } => (min..=max).prop_map(Value::Integer).boxed(),
        Form::Flag => any::<bool>().prop_map(Value::Boolean).boxed(),
        Form::Uuid => any::<u128>().prop_map(|bits| Value::Uuid(Uuid::from_u128(bits))).boxed(),
        Form::Hash => any::<[u8; 32]>().prop_map(|hash| Value::Bytes(hash.to_vec())).boxed(),
        Form::Secret => {
            proptest::collection::vec(any::<u8>(), 1..99).prop_map(Value::Bytes).boxed()
        }
    }
}

fn any_record() -> impl Strategy<Value = (Kind, Row)> {
    proptest::sample::select(Kind::ALL.to_vec()).prop_flat_map(|kind| {
        let values: Vec<_> = kind
            .columns()
            .iter()
            .map(|column| {
                let value = value(column.form);
                if column.nullable { prop_oneof![Just(Value::Null), value].boxed() } else { value }
            })
            .collect();
        let environments = EnvironmentKind::ALL;
        (values, proptest::sample::select(environments.to_vec())).prop_map(
            move |(values, environment)| {
                let environment = kind.is_of_environment().then_some(environment);
                (kind, Row { environment, values })
            },
        )
    })
}

fn written(kind: Kind, row: &Row) -> Vec<u8> {
    let mut line = Vec::new();
    write(kind, row, &mut line);
    line
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_it_was((kind, row) in any_record()) {
        // What columns must be together, a random row need not have.
        prop_assume!(row_rules::check(kind, &row).is_ok());
        let line = written(kind, &row);
        prop_assert!(!line.contains(&b'\n'));
        prop_assert_eq!(parse(&line), Ok(Line::Record(kind, row)));
    }

    #[test]
    fn a_line_with_another_byte_is_refused_or_another_record(
        (kind, row) in any_record(),
        place in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut line = written(kind, &row);
        let place = place.index(line.len());
        // The digits of an escape may be of either case.
        prop_assume!(!line[place].eq_ignore_ascii_case(&byte));
        line[place] = byte;
        // Whatever is read differs, but for spaces around the values.
        if let Ok(Line::Record(other, changed)) = parse(&line) {
            prop_assert!((other, changed) != (kind, row) || byte.is_ascii_whitespace());
        }
    }

    #[test]
    fn junk_is_refused(line in proptest::collection::vec(any::<u8>(), 0..99)) {
        prop_assert!(parse(&line).is_err());
    }
}

#[test]
fn the_last_line_is_read_as_it_was_written() {
    let mut tally = Tally::default();
    tally.add(Kind::Event, b"one");
    let mut line = Vec::new();
    write_end(&tally, &mut line);
    assert_eq!(parse(&line), Ok(Line::End(tally)));
}
