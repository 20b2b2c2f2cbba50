//! Servers that are wrong only while several clients ask at once.

use std::collections::HashMap;
use std::sync::Mutex;

use kana_service::Environment;

use kana_test_model::answer::{Answer, Consumption, Entitlement};
use kana_test_model::client::ask;
use kana_test_model::request::{Action, IMAGES, Request, Usage};

/// Kana, or a Kana that goes about one thing in the wrong way.
#[derive(Debug)]
pub(crate) enum Server {
    AsItIs,
    /// `useFeature` checks first and records then.
    ChecksThenRecords,
    /// `SET` reads what was used and adds what is missing.
    SetsByAdding,
    /// `canUseFeature` answers what is remembered, and asks for the next time.
    AnswersFromMemory(Mutex<HashMap<Request, Answer>>),
}

impl Server {
    pub(crate) async fn ask(&self, kana: &Environment, request: &Request) -> Answer {
        match (self, request) {
            (Self::ChecksThenRecords, Request::UseFeature { key: None, feature, .. })
                if *feature != IMAGES =>
            {
                check_then_record(kana, request).await
            }
            (Self::SetsByAdding, Request::RecordUsage(usage))
                if usage.key.is_none() && usage.feature != IMAGES =>
            {
                set_by_adding(kana, *usage).await
            }
            (Self::AnswersFromMemory(known), Request::CanUseFeature { .. }) => {
                let answer = ask(kana, request).await;
                let before = known.lock().unwrap().insert(request.clone(), answer.clone());
                before.unwrap_or(answer)
            }
            _ => ask(kana, request).await,
        }
    }
}

async fn check_then_record(kana: &Environment, request: &Request) -> Answer {
    let Request::UseFeature { user, feature, delta, .. } = *request else {
        panic!("{request:?} uses nothing");
    };
    let checked = ask(kana, &Request::CanUseFeature { user, feature, delta }).await;
    let Answer::Entitlement(entitlement) = checked else {
        return checked;
    };
    if !entitlement.access {
        return checked;
    }
    let (action, occurred_at) = (Action::Add, None);
    let usage = Usage { user, feature, action, delta, occurred_at, key: None };
    ask(kana, &Request::RecordUsage(usage)).await;
    let after = |before: Consumption| Consumption { used: before.used + delta, ..before };
    let consumption = entitlement.consumption.map(after);
    Answer::Entitlement(Entitlement { consumption, ..entitlement })
}

async fn set_by_adding(kana: &Environment, usage: Usage) -> Answer {
    let Usage { user, feature, action, delta, occurred_at, .. } = usage;
    let question = Request::CanUseFeature { user, feature, delta: 0 };
    let mut missing = usage;
    if action == Action::Set
        && occurred_at.is_none()
        && delta >= 0
        && let Answer::Entitlement(Entitlement { consumption: Some(consumption), .. }) =
            ask(kana, &question).await
    {
        missing = Usage { action: Action::Add, delta: delta - consumption.used, ..usage };
    }
    ask(kana, &Request::RecordUsage(missing)).await
}
