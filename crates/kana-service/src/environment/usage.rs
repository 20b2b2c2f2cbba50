//! What users may use, and what they used.

use kana_core::decide::{Answer, Command};
use kana_core::entitlement::{self, Entitlement, Requirement};
use kana_core::explain::{self, Explanation};
use kana_core::id::{FeatureId, IdempotencyKey, UserId};
use kana_core::subscription::AsOf;
use kana_core::usage::{
    RecordUsage, RecordedUsage, UseFeature, UsedFeature, VoidUsage, VoidedUsage,
};
use kana_core::usage_history::{self, UsageHistory};
use kana_telemetry::metrics::usage::Asked;

use super::view::EnvironmentView;
use super::{ANSWERED_AS_ANOTHER, Environment};
use crate::counted;
use crate::error::Error;
use crate::writer::{Answered, BATCH_MAX};

impl EnvironmentView {
    /// Returns whether the user may use `delta` more of the feature.
    pub async fn can_use_feature(
        &self,
        user: &UserId,
        feature: &FeatureId,
        delta: i64,
    ) -> Result<Entitlement, Error> {
        entitlement::check_delta(delta)?;
        let feature = feature.clone();
        let entitlement = self
            .ask(user, move |catalog, facts, now| {
                entitlement::entitlement(catalog, facts, &feature, delta, AsOf::Now(now))
            })
            .await?;
        counted::decision(Asked::CanUseFeature, self.kind(), entitlement.reason);
        Ok(entitlement)
    }

    /// Returns whether the user may use all of it together, and what each requirement is answered alone, in
    /// their order, at one instant.
    pub async fn can_use_features(
        &self,
        user: &UserId,
        requirements: Vec<Requirement>,
    ) -> Result<(bool, Vec<Entitlement>), Error> {
        entitlement::check_requirements(&requirements)?;
        let (access, alone) = self
            .ask(user, move |catalog, facts, now| {
                entitlement::entitled_together(catalog, facts, &requirements, AsOf::Now(now))
            })
            .await?;
        for entitlement in &alone {
            counted::decision(Asked::CanUseFeatures, self.kind(), entitlement.reason);
        }
        Ok((access, alone))
    }

    /// Returns whether the user may use `delta` more of the feature, and what that follows from.
    pub async fn explain_feature(
        &self,
        user: &UserId,
        feature: &FeatureId,
        delta: i64,
    ) -> Result<Explanation, Error> {
        entitlement::check_delta(delta)?;
        let feature = feature.clone();
        self.ask(user, move |catalog, facts, now| {
            explain::explain(catalog, facts, &feature, delta, now)
        })
        .await
    }

    /// Returns the user's usage of the feature, period by period.
    pub async fn show_usage(
        &self,
        user: &UserId,
        feature: &FeatureId,
    ) -> Result<UsageHistory, Error> {
        let feature = feature.clone();
        self.ask(user, move |catalog, facts, now| {
            usage_history::show_usage(catalog, facts, &feature, now)
        })
        .await
    }
}

impl Environment {
    /// Records usage.
    pub async fn record_usage(&self, usage: RecordUsage) -> Result<RecordedUsage, Error> {
        self.recorded(self.submit(Command::RecordUsage(usage)).await)
    }

    /// Returns what became of usage, and counts it.
    fn recorded(&self, answered: Result<Answered, Error>) -> Result<RecordedUsage, Error> {
        match answered {
            Ok(answered) => match answered.answer {
                Answer::Recorded(recorded) => {
                    counted::recorded(self.kind(), Ok((&answered, recorded)));
                    Ok(recorded)
                }
                _ => Err(ANSWERED_AS_ANOTHER),
            },
            Err(error) => {
                counted::recorded(self.kind(), Err(&error));
                Err(error)
            }
        }
    }

    /// Records usage many times. Returns an answer for each, in order. Each succeeds or fails alone;
    /// those of one user take effect in order.
    pub async fn record_usage_batch(
        &self,
        usages: Vec<RecordUsage>,
    ) -> Vec<Result<RecordedUsage, Error>> {
        let mut answers = Vec::with_capacity(usages.len());
        let mut usages = usages.into_iter().map(Command::RecordUsage).peekable();
        while usages.peek().is_some() {
            let commands: Vec<Command> = usages.by_ref().take(BATCH_MAX).collect();
            let decided = self.submit_together(commands).await;
            answers.extend(decided.into_iter().map(|answered| self.recorded(answered)));
        }
        answers
    }

    /// Takes back what the event under a key has added, once.
    pub async fn void_usage(&self, idempotency_key: IdempotencyKey) -> Result<VoidedUsage, Error> {
        match self.submit(Command::VoidUsage(VoidUsage { idempotency_key })).await?.answer {
            Answer::Voided(voided) => Ok(voided),
            _ => Err(ANSWERED_AS_ANOTHER),
        }
    }

    /// Checks and records usage in one step.
    pub async fn use_feature(&self, usage: UseFeature) -> Result<UsedFeature, Error> {
        match self.submit(Command::UseFeature(usage)).await {
            Ok(answered) => match answered.answer {
                Answer::Used(used) => {
                    counted::used(self.kind(), Ok((&answered, used.granted, used.reason)));
                    Ok(used)
                }
                _ => Err(ANSWERED_AS_ANOTHER),
            },
            Err(error) => {
                counted::used(self.kind(), Err(&error));
                Err(error)
            }
        }
    }
}
