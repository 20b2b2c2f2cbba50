use async_graphql::{Context, InputObject, Object};
use kana_core::id::UserId;
use kana_core::metadata::{Label, Metadata};
use kana_core::refusal::InvalidValue;
use kana_core::user;
use kana_service::NewUser;

use super::subscription::PackageSubscription;
use super::{environment, read};
use crate::error::ApiError;
use crate::graphql::scalars::Json;

pub(super) struct User(pub(super) user::User);

/// Someone who uses the product.
#[Object(name = "User")]
impl User {
    /// The product's own id, unique within the environment
    async fn id(&self) -> &str {
        self.0.id.as_str()
    }

    /// The id at the billing provider
    async fn billing_id(&self) -> Option<&str> {
        self.0.billing_id.as_ref().map(Label::as_str)
    }

    /// The user's name
    async fn name(&self) -> Option<&str> {
        self.0.name.as_ref().map(Label::as_str)
    }

    /// The user's e-mail address
    async fn email(&self) -> Option<&str> {
        self.0.email.as_ref().map(Label::as_str)
    }

    /// What the product attached to the user
    async fn metadata(&self) -> Option<Json> {
        self.0.metadata.as_ref().map(|metadata| Json(metadata.to_value()))
    }

    /// The user's subscriptions, the ended ones included, newest first by their start
    async fn subscriptions(
        &self,
        context: &Context<'_>,
    ) -> Result<Vec<PackageSubscription>, ApiError> {
        let (catalog, subscriptions) = environment(context)?.subscriptions(&self.0.id).await?;
        Ok(PackageSubscription::all(&catalog, &self.0.id, subscriptions))
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
    pub(super) fn read(self) -> Result<NewUser, InvalidValue> {
        Ok(NewUser {
            id: UserId::new("id", &self.id)?,
            billing_id: read("billingId", self.billing_id.as_deref(), Label::new)?,
            name: read("name", self.name.as_deref(), Label::new)?,
            email: read("email", self.email.as_deref(), Label::new)?,
            metadata: read("metadata", self.metadata.map(|json| json.0), Metadata::new)?,
        })
    }
}
