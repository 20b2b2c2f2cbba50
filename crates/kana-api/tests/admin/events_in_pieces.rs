//! Bulk intake, whose body may be cut anywhere on its way.

use axum::body::Bytes;
use axum::http::StatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::events::event;
use crate::events_streamed::Shop;

/// An event of one of many kinds, most of them good, among few users and ids.
fn any_line() -> impl Strategy<Value = String> {
    let id = 0_usize..20;
    let of = |more: fn(usize) -> Value| {
        id.clone().prop_map(move |id| event(&id.to_string(), more(id)).to_string())
    };
    prop_oneof![
        6 => of(|_| json!({})),
        2 => of(|id| json!({ "data": { "featureId": "api-calls", "delta": id } })),
        1 => of(|_| json!({ "data": { "featureId": "api-calls", "action": "SET", "delta": 5 } })),
        1 => of(|_| json!({ "data": { "featureId": "sso", "metadata": { "é": [1.5] } } })),
        1 => of(|_| json!({ "subject": "nobody" })),
        1 => of(|_| json!({ "subject": null })),
        1 => of(|_| json!({ "padding": "x".repeat(70_000) })),
        1 => Just(String::new()),
        1 => Just("{".to_owned()),
    ]
}

/// Pieces of the text that end where nobody would end them.
fn in_pieces(text: &str, cuts: &[prop::sample::Index]) -> Vec<Bytes> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
    cuts.extend([0, text.len()]);
    cuts.sort_unstable();
    let text = Bytes::copy_from_slice(text.as_bytes());
    cuts.windows(2).map(|cut| text.slice(cut[0]..cut[1])).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn where_the_pieces_of_a_body_end_does_not_matter(
        lines in prop::collection::vec(any_line(), 0..60),
        ends_with_line_end in any::<bool>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..80),
    ) {
        let mut text = lines.join("\n");
        if ends_with_line_end {
            text.push('\n');
        }
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(
            async {
                let (whole, pieces) = (Shop::open().await, Shop::open().await);
                let answered = whole.send_pieces(vec![text.clone().into()]).await;
                prop_assert_eq!(answered.0, StatusCode::OK);
                prop_assert_eq!(&pieces.send_pieces(in_pieces(&text, &cuts)).await, &answered);
                prop_assert_eq!(pieces.used().await, whole.used().await);
                // And as single events, one after the other, they are answered the same.
                let singly = Shop::open().await;
                for line in &lines {
                    singly.send_pieces(vec![line.clone().into()]).await;
                }
                prop_assert_eq!(singly.used().await, whole.used().await);
                Ok(())
            },
        )?;
    }
}
