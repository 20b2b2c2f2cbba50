use std::cmp::Reverse;
use std::sync::Arc;

use kana_core::catalog::{Catalog, Feature};
use kana_core::catalog_command::{CatalogAnswer, CatalogCommand, FeatureEdit, NewPackage};
use kana_core::decide::{Answer, Command};
use kana_core::edit::Edit;
use kana_core::entitlement::{self, Entitlement};
use kana_core::facts::{Obstacle, UserFacts};
use kana_core::id::{FeatureId, PackageId, SubscriptionId, UserId, UserKey};
use kana_core::metadata::{Label, Metadata};
use kana_core::subscribing::{CancelSubscription, Subscribe};
use kana_core::subscription::{AsOf, Subscription};
use kana_core::usage::{RecordUsage, RecordedUsage, UseFeature, UsedFeature};
use kana_core::usage_history::{self, UsageHistory};
use kana_core::user::{User, UserEdit};
use kana_core::{Refusal, Timestamp};
use kana_store::{EnvironmentId, EnvironmentKind};
use uuid::Uuid;

use crate::batch::Answered;
use crate::error::Error;
use crate::facts_in_use::FactsInUse;
use crate::kana::Kana;
use crate::retry::retry;
use crate::writer::{BATCH_MAX, CatalogRequest};

/// One environment, as the holder of a valid key may use it: everything that can be asked or told
/// of it. Only authorisation makes one.
#[derive(Clone)]
pub struct Environment {
    pub(crate) kana: Arc<Kana>,
    pub(crate) id: EnvironmentId,
    kind: EnvironmentKind,
}

/// Users in order of creation.
#[derive(Debug)]
pub struct UserPage {
    /// The users, each with all subscriptions, newest first, where those were asked for.
    pub users: Vec<(User, Option<Vec<Subscription>>)>,
    /// Whether there are more after these.
    pub has_more: bool,
    /// The catalog that has the packages of the subscriptions.
    pub catalog: Arc<Catalog>,
}

/// Subscriptions with the ids of their users, newest first by their start, then by creation.
#[derive(Debug)]
pub struct SubscriptionPage {
    /// The subscriptions.
    pub subscriptions: Vec<(UserId, Subscription)>,
    /// Whether there are more after these.
    pub has_more: bool,
    /// The catalog that has their packages.
    pub catalog: Arc<Catalog>,
}

/// A user to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The product's own id.
    pub id: UserId,
    /// The id at the billing provider.
    pub billing_id: Option<Label>,
    /// The user's name.
    pub name: Option<Label>,
    /// The user's e-mail address.
    pub email: Option<Label>,
    /// What the product attaches to the user.
    pub metadata: Option<Metadata>,
}

/// Takes the one kind of answer that the command can have.
macro_rules! answer_to {
    ($command:expr, $self:ident, $answer:pat => $value:expr) => {
        match $self.kana.writer.submit($self.id, $command).await?.answer {
            $answer => Ok($value),
            _ => Err(Error::Bug("a command was answered as another")),
        }
    };
}

impl Environment {
    pub(crate) fn new(kana: Arc<Kana>, id: EnvironmentId, kind: EnvironmentKind) -> Self {
        Self { kana, id, kind }
    }

    /// The features and packages as they are now.
    pub async fn catalog(&self) -> Result<Arc<Catalog>, Error> {
        retry(|| async move {
            let mut transaction = self.kana.store.read().await?;
            self.kana.catalog_in(transaction.as_mut(), self.id).await
        })
        .await
    }

    /// The user with this id.
    pub async fn user(&self, id: &UserId) -> Result<User, Error> {
        retry(|| async move {
            let mut transaction = self.kana.store.read().await?;
            let user = transaction.users(self.id, std::slice::from_ref(id)).await?.pop().flatten();
            user.ok_or_else(|| Refusal::UserNotFound(id.clone()).into())
        })
        .await
    }

    /// The user's subscriptions, newest first by their start, then by creation, with the catalog
    /// that has their packages.
    pub async fn subscriptions(
        &self,
        user: &UserId,
    ) -> Result<(Arc<Catalog>, Vec<Subscription>), Error> {
        let (catalog, mut subscriptions) = self
            .ask(user, |catalog, facts, _| {
                Ok((Arc::clone(catalog), facts.all_subscriptions()?.to_vec()))
            })
            .await?;
        newest_first(&mut subscriptions);
        Ok((catalog, subscriptions))
    }

    /// The first `limit` users in order of creation, after the one with the key `after`.
    pub async fn users(
        &self,
        after: Option<UserKey>,
        limit: usize,
        with_subscriptions: bool,
    ) -> Result<UserPage, Error> {
        retry(|| self.try_users(after, limit, with_subscriptions)).await
    }

    async fn try_users(
        &self,
        after: Option<UserKey>,
        limit: usize,
        with_subscriptions: bool,
    ) -> Result<UserPage, Error> {
        let mut transaction = self.kana.store.read().await?;
        // One more than asked for tells whether there are more.
        let mut users = transaction.users_after(self.id, after, limit + 1).await?;
        let has_more = users.len() > limit;
        users.truncate(limit);
        let subscriptions = if with_subscriptions {
            let keys: Vec<UserKey> = users.iter().map(|user| user.key).collect();
            let all = transaction.subscriptions_of(self.id, &keys).await?;
            all.into_iter()
                .map(|mut subscriptions| {
                    newest_first(&mut subscriptions);
                    Some(subscriptions)
                })
                .collect()
        } else {
            vec![None; users.len()]
        };
        let catalog = self.kana.catalog_in(transaction.as_mut(), self.id).await?;
        Ok(UserPage { users: users.into_iter().zip(subscriptions).collect(), has_more, catalog })
    }

    /// The first `limit` subscriptions of all users, after the one with the start and the id
    /// `after`.
    pub async fn all_subscriptions(
        &self,
        after: Option<(Timestamp, SubscriptionId)>,
        limit: usize,
    ) -> Result<SubscriptionPage, Error> {
        retry(|| async move {
            let mut transaction = self.kana.store.read().await?;
            let mut subscriptions =
                transaction.subscriptions_after(self.id, after, limit + 1).await?;
            let has_more = subscriptions.len() > limit;
            subscriptions.truncate(limit);
            let catalog = self.kana.catalog_in(transaction.as_mut(), self.id).await?;
            Ok(SubscriptionPage { subscriptions, has_more, catalog })
        })
        .await
    }

    /// A token by which the user's browser reads what the user may do.
    pub async fn issue_user_token(&self, user: &UserId) -> Result<String, Error> {
        self.user(user).await?;
        self.kana.issue_token(self.id, self.kind, user).await
    }

    /// The subscription with this id and the catalog, which has its package, and whose it is.
    pub async fn subscription(
        &self,
        id: &str,
    ) -> Result<(Arc<Catalog>, UserId, Subscription), Error> {
        let id = subscription_id(id)?;
        retry(|| async move {
            let mut transaction = self.kana.store.read().await?;
            let found = transaction.subscriptions(self.id, &[id]).await?.pop().flatten();
            let (user, subscription) =
                found.ok_or_else(|| Refusal::SubscriptionNotFound(id.to_string()))?;
            let catalog = self.kana.catalog_in(transaction.as_mut(), self.id).await?;
            Ok((catalog, user, subscription))
        })
        .await
    }

    /// Whether the user may use `delta` more of the feature.
    pub async fn can_use_feature(
        &self,
        user: &UserId,
        feature: &FeatureId,
        delta: i64,
    ) -> Result<Entitlement, Error> {
        entitlement::check_delta(delta)?;
        let feature = feature.clone();
        self.ask(user, move |catalog, facts, now| {
            entitlement::entitlement(catalog, facts, &feature, delta, AsOf::Now(now))
        })
        .await
    }

    /// What the user used of the feature, period by period.
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

    /// Adds a feature.
    pub async fn create_feature(
        &self,
        feature: Feature,
    ) -> Result<(Arc<Catalog>, FeatureId), Error> {
        self.change_feature(CatalogCommand::CreateFeature(feature)).await
    }

    /// Changes a feature's names and metadata.
    pub async fn update_feature(
        &self,
        id: FeatureId,
        edit: FeatureEdit,
    ) -> Result<(Arc<Catalog>, FeatureId), Error> {
        self.change_feature(CatalogCommand::UpdateFeature { id, edit }).await
    }

    /// Changes a package's metadata.
    pub async fn update_package(
        &self,
        id: PackageId,
        metadata: Edit<Metadata>,
    ) -> Result<(Arc<Catalog>, PackageId), Error> {
        self.change_package(CatalogCommand::UpdatePackage { id, metadata }).await
    }

    /// Takes a published package off offer.
    pub async fn archive_package(&self, id: PackageId) -> Result<(Arc<Catalog>, PackageId), Error> {
        self.change_package(CatalogCommand::ArchivePackage(id)).await
    }

    /// Adds a package as a draft.
    pub async fn create_package(
        &self,
        package: NewPackage,
    ) -> Result<(Arc<Catalog>, PackageId), Error> {
        self.change_package(CatalogCommand::CreatePackage(package)).await
    }

    /// Puts a draft on offer.
    pub async fn publish_package(&self, id: PackageId) -> Result<(Arc<Catalog>, PackageId), Error> {
        self.change_package(CatalogCommand::PublishPackage(id)).await
    }

    /// Makes a user.
    pub async fn create_user(&self, new: NewUser) -> Result<User, Error> {
        let user = User {
            // The writer chooses it when the command has its turn.
            key: UserKey(Uuid::nil()),
            id: new.id,
            billing_id: new.billing_id,
            name: new.name,
            email: new.email,
            metadata: new.metadata,
        };
        answer_to!(Command::CreateUser(user), self, Answer::User(user) => user)
    }

    /// Changes what is known of a user.
    pub async fn update_user(&self, user: UserId, edit: UserEdit) -> Result<User, Error> {
        answer_to!(Command::UpdateUser { user, edit }, self, Answer::User(user) => user)
    }

    /// Subscribes the user to all of the packages or, when refused, to none. The catalog that
    /// comes with the subscriptions has their packages.
    pub async fn subscribe(
        &self,
        user: UserId,
        packages: Vec<PackageId>,
        started_at: Option<Timestamp>,
    ) -> Result<(Arc<Catalog>, Vec<Subscription>), Error> {
        // The writer chooses the ids when the command has its turn.
        let packages =
            packages.into_iter().map(|package| (package, SubscriptionId(Uuid::nil()))).collect();
        let command = Command::Subscribe(Subscribe { user, packages, started_at });
        match self.kana.writer.submit(self.id, command).await? {
            Answered { answer: Answer::Subscribed(subscriptions), catalog: Some(catalog) } => {
                Ok((catalog, subscriptions))
            }
            _ => Err(Error::Bug("a command was answered as another")),
        }
    }

    /// Cancels a subscription, and with a base the user's add-ons.
    pub async fn cancel_subscription(
        &self,
        id: &str,
    ) -> Result<(Arc<Catalog>, UserId, Subscription), Error> {
        let subscription = subscription_id(id)?;
        let command = Command::CancelSubscription(CancelSubscription { subscription });
        match self.kana.writer.submit(self.id, command).await? {
            Answered {
                answer: Answer::Cancelled { user, subscription },
                catalog: Some(catalog),
            } => Ok((catalog, user, subscription)),
            _ => Err(Error::Bug("a command was answered as another")),
        }
    }

    /// Records usage.
    pub async fn record_usage(&self, usage: RecordUsage) -> Result<RecordedUsage, Error> {
        answer_to!(Command::RecordUsage(usage), self, Answer::Recorded(recorded) => recorded)
    }

    /// Records usage many times: an answer each, in their order. Each stands or falls alone, and
    /// those of one user take effect in their order.
    pub async fn record_usage_batch(
        &self,
        usages: Vec<RecordUsage>,
    ) -> Vec<Result<RecordedUsage, Error>> {
        let mut answers = Vec::with_capacity(usages.len());
        let mut usages = usages.into_iter().map(Command::RecordUsage).peekable();
        while usages.peek().is_some() {
            let commands: Vec<Command> = usages.by_ref().take(BATCH_MAX).collect();
            let decided = self.kana.writer.submit_together(self.id, commands).await;
            answers.extend(decided.into_iter().map(|answered| match answered?.answer {
                Answer::Recorded(recorded) => Ok(recorded),
                _ => Err(Error::Bug("a command was answered as another")),
            }));
        }
        answers
    }

    /// Checks and records usage in one step.
    pub async fn use_feature(&self, usage: UseFeature) -> Result<UsedFeature, Error> {
        answer_to!(Command::UseFeature(usage), self, Answer::Used(used) => used)
    }

    async fn change_feature(
        &self,
        command: CatalogCommand,
    ) -> Result<(Arc<Catalog>, FeatureId), Error> {
        let request = CatalogRequest::Command(command);
        let done = self.kana.writer.submit_catalog(self.id, request).await?;
        match done.about {
            Some(CatalogAnswer::Feature(id)) => Ok((done.catalog, id)),
            _ => Err(Error::Bug("a feature became something else")),
        }
    }

    async fn change_package(
        &self,
        command: CatalogCommand,
    ) -> Result<(Arc<Catalog>, PackageId), Error> {
        let request = CatalogRequest::Command(command);
        let done = self.kana.writer.submit_catalog(self.id, request).await?;
        match done.about {
            Some(CatalogAnswer::Package(id)) => Ok((done.catalog, id)),
            _ => Err(Error::Bug("a package became something else")),
        }
    }

    /// Answers a question about one user from one consistent view.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        user: &UserId,
        rule: impl Rule<T>,
    ) -> Result<T, Error> {
        let now = self.kana.clock.now();
        if let Some(questions) = &self.kana.questions {
            return questions.ask(self.id, user.clone(), now, rule).await;
        }
        match self.try_to_ask(user, &rule, now).await {
            // The first try keeps no state for retries, since nearly every question succeeds at
            // once.
            Err(Error::Unavailable(_)) => retry(|| self.try_to_ask(user, &rule, now)).await,
            answered => answered,
        }
    }

    async fn try_to_ask<T>(
        &self,
        user: &UserId,
        rule: &impl Rule<T>,
        now: Timestamp,
    ) -> Result<T, Error> {
        let mut transaction = self.kana.store.read().await?;
        let transaction = transaction.as_mut();
        let mut facts =
            FactsInUse::load(transaction, &self.kana.catalogs, self.id, vec![user.clone()]).await?;
        let answered =
            facts.ask(transaction, Some(user), |facts| apply(rule, facts, user, now)).await?;
        Ok(answered?)
    }
}

/// What answers a question about a user, or says what it needs.
pub(crate) trait Rule<T>:
    Fn(&Arc<Catalog>, &UserFacts, Timestamp) -> Result<T, Obstacle> + Send + Sync + 'static
{
}

/// Asks a rule about a user, who must exist.
pub(crate) fn apply<T>(
    rule: &impl Rule<T>,
    facts: &FactsInUse,
    user: &UserId,
    now: Timestamp,
) -> Result<T, Obstacle> {
    let about = facts.user(user).ok_or_else(|| Refusal::UserNotFound(user.clone()))?;
    rule(&facts.catalog, about, now)
}

impl<T, F> Rule<T> for F where
    F: Fn(&Arc<Catalog>, &UserFacts, Timestamp) -> Result<T, Obstacle> + Send + Sync + 'static
{
}

fn newest_first(subscriptions: &mut [Subscription]) {
    subscriptions.sort_by_key(|subscription| Reverse((subscription.started_at, subscription.id)));
}

/// A subscription's id is ours: text that is none is no subscription's.
fn subscription_id(text: &str) -> Result<SubscriptionId, Refusal> {
    SubscriptionId::parse(text).ok_or_else(|| {
        // What was sent may be long; an id is not.
        Refusal::SubscriptionNotFound(text.chars().take(64).collect())
    })
}
