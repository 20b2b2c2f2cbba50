use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::{Context, Enum, Object};
use kana_core::catalog::{self, FeatureKind};
use kana_core::entitlement;
use kana_core::id::{FeatureId, PackageId};
use kana_core::metadata::Label;
use kana_graphql::{Json, List};
use kana_service::{ClientUser, ClientView, Error};

use crate::counter::int;
use crate::error::ApiError;
use crate::reason_code::ReasonCode;

/// What can be asked about the user whom the token or the header names.
pub(super) struct Query;

/// What can be asked about the user whom the token or the header names.
#[Object(name = "Query")]
impl Query {
    /// The user. Errors: UserNotFoundError.
    async fn current_user(&self, context: &Context<'_>) -> Result<User, ApiError> {
        let user = context
            .data_opt::<ClientUser>()
            .ok_or(ApiError::Service(Error::Bug("a resolver ran without a user")))?;
        let features = context.look_ahead().field("subscribedPackages").field("features");
        let view = user.view(features.field("entitlement").exists()).await?;
        Ok(User(Arc::new(view)))
    }
}

/// A switch or an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "FeatureType")]
enum FeatureType {
    /// A switch: granted or not
    Binary,
    /// An amount that is used up
    Consumable,
}

struct User(Arc<ClientView>);

/// The user.
#[Object(name = "User")]
impl User {
    /// The product's own id
    async fn id(&self) -> &str {
        self.0.user.id.as_str()
    }

    /// The user's name
    async fn name(&self) -> Option<&str> {
        self.0.user.name.as_ref().map(Label::as_str)
    }

    /// The user's e-mail address
    async fn email(&self) -> Option<&str> {
        self.0.user.email.as_ref().map(Label::as_str)
    }

    /// Packages of subscriptions that grant access now, each once
    async fn subscribed_packages(&self) -> List<Package> {
        let known = |id: &PackageId| {
            let package = Arc::clone(self.0.catalog.package(id)?);
            Some(Package { view: Arc::clone(&self.0), package })
        };
        self.0.packages.iter().filter_map(known).collect()
    }
}

struct Package {
    view: Arc<ClientView>,
    package: Arc<catalog::Package>,
}

/// A package that the user is subscribed to.
#[Object(name = "Package")]
impl Package {
    /// The product's own id
    async fn id(&self) -> &str {
        self.package.id.as_str()
    }

    /// The package's name
    async fn name(&self) -> &str {
        self.package.name.as_str()
    }

    /// Whether the package goes on top of a base package
    async fn is_addon(&self) -> bool {
        self.package.is_addon()
    }

    /// What the product attached to the package
    async fn metadata(&self) -> Option<Json> {
        self.package.metadata.as_ref().map(|metadata| Json(metadata.to_value()))
    }

    /// What the package contains, in the order in which it was given
    async fn features(&self) -> List<Feature> {
        let inside = |(id, inside): (&FeatureId, &catalog::PackageFeature)| {
            Some(Feature {
                feature: Arc::clone(self.view.catalog.feature(id)?),
                name: inside.name.clone(),
                view: Arc::clone(&self.view),
            })
        };
        self.package.features.iter().filter_map(inside).collect()
    }
}

struct Feature {
    feature: Arc<catalog::Feature>,
    /// The feature's name in the package, where it has one.
    name: Option<Label>,
    view: Arc<ClientView>,
}

/// A feature of a package that the user is subscribed to.
#[Object(name = "Feature")]
impl Feature {
    /// The product's own id
    async fn id(&self) -> &str {
        self.feature.id.as_str()
    }

    /// The feature's name in the package
    async fn name(&self) -> &str {
        self.name.as_ref().unwrap_or(&self.feature.name).as_str()
    }

    /// A switch or an amount
    #[graphql(name = "type")]
    async fn kind(&self) -> FeatureType {
        match self.feature.kind {
            FeatureKind::Binary => FeatureType::Binary,
            FeatureKind::Consumable { .. } => FeatureType::Consumable,
        }
    }

    /// What one unit is called; null unless CONSUMABLE
    async fn unit_label(&self) -> Option<&str> {
        self.feature.unit_labels().0
    }

    /// What several units are called; null unless CONSUMABLE
    async fn unit_label_plural(&self) -> Option<&str> {
        self.feature.unit_labels().1
    }

    /// The feature whose balance this one draws on; null if it draws on nothing
    async fn draws_on(&self) -> Option<&str> {
        self.feature.draws().map(|draw| draw.balance.as_str())
    }

    /// How many units of what it draws on one unit of this feature costs; null if it draws on nothing
    async fn cost(&self) -> Option<Result<i32, ApiError>> {
        self.feature.draws().map(|draw| int(draw.cost.get(), "cost"))
    }

    /// What the product attached to the feature
    async fn metadata(&self) -> Option<Json> {
        self.feature.metadata.as_ref().map(|metadata| Json(metadata.to_value()))
    }

    /// The user's entitlement to one more of this feature, over all of the user's subscriptions
    async fn entitlement(&self) -> Result<Entitlement, ApiError> {
        let entitlements: &HashMap<_, _> = &self.view.entitlements;
        let found = entitlements.get(&self.feature.id).cloned();
        found.map(Entitlement).ok_or(ApiError::Service(Error::Bug("an entitlement is missing")))
    }
}

struct Entitlement(entitlement::Entitlement);

/// Whether the user may use one more of a feature.
#[Object(name = "Entitlement")]
impl Entitlement {
    /// Whether the user may use the feature
    async fn access(&self) -> bool {
        self.0.access
    }

    /// One plain sentence that says why, for a log
    async fn reason(&self) -> &str {
        self.0.reason.sentence()
    }

    /// The reason as a word for programs
    async fn reason_code(&self) -> ReasonCode {
        self.0.reason.into()
    }

    /// What was used of the budget; null for a BINARY feature
    async fn consumption(&self) -> Option<Consumption> {
        self.0.consumption.map(Consumption)
    }
}

struct Consumption(entitlement::Consumption);

/// How much was used of a budget in the current period.
#[Object(name = "Consumption")]
impl Consumption {
    /// The limit, in the feature's unit; null = unlimited. Errors: VALUE_TOO_LARGE past 2^31-1.
    async fn budget(&self) -> Option<Result<i32, ApiError>> {
        self.0.budget.map(|budget| int(budget, "the Admin API's budgetExact"))
    }

    /// What was used, in the feature's unit; it can exceed the budget. Errors: VALUE_TOO_LARGE
    /// past 2^31-1.
    async fn used(&self) -> Result<i32, ApiError> {
        int(self.0.used, "the Admin API's usedExact")
    }

    /// Whether usage may go over the budget
    async fn overage_enabled(&self) -> bool {
        self.0.overage_enabled
    }

    /// The limit of what counts, by its quantity, with what is added to it: a part of the budget; null =
    /// unlimited. Errors: VALUE_TOO_LARGE past 2^31-1.
    async fn allowance(&self) -> Option<Result<i32, ApiError>> {
        self.0.allowance().map(|allowance| int(allowance, "the Admin API's allowanceExact"))
    }

    /// What is left of earlier periods, which is a part of the budget. Errors: VALUE_TOO_LARGE past
    /// 2^31-1.
    async fn carried(&self) -> Result<i32, ApiError> {
        int(self.0.carried(), "the Admin API's carriedExact")
    }

    /// What grants give, which is a part of the budget. Errors: VALUE_TOO_LARGE past 2^31-1.
    async fn granted(&self) -> Result<i32, ApiError> {
        int(self.0.granted(), "the Admin API's grantedExact")
    }

    /// What is held for jobs that run. Errors: VALUE_TOO_LARGE past 2^31-1.
    async fn held(&self) -> Result<i32, ApiError> {
        int(self.0.held(), "the Admin API's heldExact")
    }

    /// What is left of the budget, 0 or more; null = unlimited. Errors: VALUE_TOO_LARGE past 2^31-1.
    async fn remaining(&self) -> Option<Result<i32, ApiError>> {
        self.0.remaining().map(|remaining| int(remaining, "the Admin API's remainingExact"))
    }
}
