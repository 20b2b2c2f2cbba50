use std::sync::Arc;

use async_graphql::{Context, InputObject, MaybeUndefined, Object};
use kana_core::catalog::Catalog;
use kana_core::id::{UserId, UserKey};
use kana_core::metadata::{Label, Metadata};
use kana_core::refusal::InvalidValue;
use kana_core::subscription::Subscription;
use kana_core::user::{self, UserEdit};
use kana_graphql::{Json, List, loading};
use kana_service::UserPage;

use super::environment::environment;
use super::input::{label, metadata, read, read_change, read_edit};
use super::subscription::PackageSubscription;
use crate::error::ApiError;

/// How many rows the subscriptions of one user count as before they are loaded.
const SUBSCRIPTIONS_EXPECTED: usize = 100;

/// A user, and the subscriptions if they are known already.
pub(super) struct User {
    user: user::User,
    subscriptions: Option<(Arc<Catalog>, Vec<Subscription>)>,
}

impl User {
    /// A user whose subscriptions are loaded when they are asked for.
    pub(super) fn new(user: user::User) -> Self {
        Self { user, subscriptions: None }
    }

    /// A user who was just created, and so has no subscriptions. Nothing is read after the commit.
    pub(super) fn created(user: user::User) -> Self {
        Self { user, subscriptions: Some((Arc::default(), Vec::new())) }
    }

    /// A user who was changed. Selected subscriptions were loaded before the commit, so that
    /// nothing is read after it.
    pub(super) fn updated(
        user: user::User,
        subscriptions: Option<(Arc<Catalog>, Vec<Subscription>)>,
    ) -> Self {
        Self { user, subscriptions }
    }

    /// A page of users.
    pub(super) fn page(page: UserPage) -> Vec<Self> {
        let catalog = page.catalog;
        page.users
            .into_iter()
            .map(|(user, subscriptions)| Self {
                user,
                subscriptions: subscriptions
                    .map(|subscriptions| (Arc::clone(&catalog), subscriptions)),
            })
            .collect()
    }

    /// Where the next page starts.
    pub(super) fn key(&self) -> UserKey {
        self.user.key
    }
}

/// Someone who uses the product.
#[Object(name = "User")]
impl User {
    /// The product's own id, unique within the environment
    async fn id(&self) -> &str {
        self.user.id.as_str()
    }

    /// The id at the billing provider
    async fn billing_id(&self) -> Option<&str> {
        self.user.billing_id.as_ref().map(Label::as_str)
    }

    /// The user's name
    async fn name(&self) -> Option<&str> {
        self.user.name.as_ref().map(Label::as_str)
    }

    /// The user's e-mail address
    async fn email(&self) -> Option<&str> {
        self.user.email.as_ref().map(Label::as_str)
    }

    /// What the product attached to the user
    async fn metadata(&self) -> Option<Json> {
        self.user.metadata.as_ref().map(|metadata| Json(metadata.to_value()))
    }

    /// The user's subscriptions, the ended ones included, newest first by their start
    async fn subscriptions(
        &self,
        context: &Context<'_>,
    ) -> Result<List<PackageSubscription>, ApiError> {
        let id = &self.user.id;
        let turn = loading(context, SUBSCRIPTIONS_EXPECTED).await?;
        let (catalog, subscriptions) = match &self.subscriptions {
            Some((catalog, subscriptions)) => (Arc::clone(catalog), subscriptions.clone()),
            None => environment(context)?.subscriptions(id).await.map_err(ApiError::Nested)?,
        };
        Ok(List::loaded(PackageSubscription::all(&catalog, id, subscriptions), turn))
    }
}

/// What is to change about a user: absent = leave as it is, null = clear.
#[derive(InputObject)]
pub(super) struct UpdateUserInput {
    /// A new id for the user, free within the environment; their subscriptions and usage stay
    /// theirs
    id: MaybeUndefined<String>,
    /// Up to 255 characters
    name: MaybeUndefined<String>,
    /// A JSON object of up to 16 KiB
    metadata: MaybeUndefined<Json>,
    /// Up to 255 characters
    email: MaybeUndefined<String>,
    /// The id at the billing provider, up to 255 characters
    billing_id: MaybeUndefined<String>,
}

impl UpdateUserInput {
    pub(super) fn read(self) -> Result<UserEdit, InvalidValue> {
        Ok(UserEdit {
            id: read_change("id", self.id, |field, id: String| UserId::new(field, &id))?,
            billing_id: read_edit("billingId", self.billing_id, label)?,
            name: read_edit("name", self.name, label)?,
            email: read_edit("email", self.email, label)?,
            metadata: read_edit("metadata", self.metadata, metadata)?,
        })
    }
}

/// A user to be made.
#[derive(InputObject)]
pub(super) struct CreateUserInput {
    /// The product's own id: 1 to 255 characters, free within the environment
    id: String,
    /// The id at the billing provider, up to 255 characters
    billing_id: Option<String>,
    /// Up to 255 characters
    name: Option<String>,
    /// Up to 255 characters
    email: Option<String>,
    /// A JSON object of up to 16 KiB
    metadata: Option<Json>,
}

impl CreateUserInput {
    pub(super) fn read(self) -> Result<user::User, InvalidValue> {
        let user = user::User::named(UserId::new("id", &self.id)?);
        Ok(user::User {
            billing_id: read("billingId", self.billing_id.as_deref(), Label::new)?,
            name: read("name", self.name.as_deref(), Label::new)?,
            email: read("email", self.email.as_deref(), Label::new)?,
            metadata: read("metadata", self.metadata.map(|json| json.0), Metadata::new)?,
            ..user
        })
    }
}
