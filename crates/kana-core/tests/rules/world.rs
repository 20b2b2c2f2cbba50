//! A small world to tell stories in: a clock, a catalog, and a complete store of facts, out of
//! which a rule gets exactly what it asks for and nothing else.

mod grants;
mod holds;

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};

use kana_core::catalog::{
    Allowance, Catalog, Feature, FeatureKind, Package, PackageKind, Stacking,
};
use kana_core::catalog_command::{
    CatalogAnswer, CatalogCommand, NewPackage, NewPackageFeature, PackageEdit, plan,
};
use kana_core::change::{self, of_catalog};
use kana_core::counter::CounterValue;
use kana_core::counting::counting_subscription;
use kana_core::credits::Draw;
use kana_core::decide::{
    Answer, Basis, ChangePackage, Command, CreateUser, Decision, DeleteUser, OverrideInput,
    RemoveOverride, SetOverride, UpdateSubscription, UpdateUser, decide,
};
use kana_core::edit::Edit;
use kana_core::entitlement::{
    Entitlement, Requirement, entitled_together, entitlement, entitlements,
};
use kana_core::explain::{Explanation, explain};
use kana_core::facts::{Change, CounterKey, Need, Obstacle, UserFacts};
use kana_core::grant::Grant;
use kana_core::hold::Hold;
use kana_core::id::{
    FeatureId, IdempotencyKey, OverrideId, PackageId, SubscriptionId, UserId, UserKey,
};
use kana_core::idempotency::{Replay, Replays};
use kana_core::metadata::{Label, Metadata};
use kana_core::near_limit::{LimitCrossing, Share, near_limit};
use kana_core::overrides::{Override, OverrideKind};
use kana_core::period::{ResetAnchor, ResetPeriod};
use kana_core::rollover::Rollover;
use kana_core::subjects::{Subject, Subjects};
use kana_core::subscribing::{CancelSubscription, Subscribe};
use kana_core::subscription::{AsOf, Subscription, SubscriptionStatus};
use kana_core::threshold::{Threshold, ThresholdEvent, Thresholds};
use kana_core::usage::{
    RecordUsage, RecordedUsage, UsageAction, UsageEvent, UseFeature, UsedFeature, VoidUsage,
    VoidedUsage,
};
use kana_core::usage_history::{UsageHistory, show_usage};
use kana_core::user::{User, UserEdit};
use kana_core::{Refusal, Timestamp};
use uuid::Uuid;

pub(crate) use grants::{Giving, giving};
pub(crate) use holds::{holding, releasing, settling};

/// The instant at which every story begins, unless it says otherwise.
pub(crate) const BEGINNING: &str = "2024-01-01T00:00:00.000Z";

/// How often the service asks a rule before it gives up.
const ROUNDS_MAX: usize = 10;

pub(crate) fn time(text: &str) -> Timestamp {
    Timestamp::parse("at", text).unwrap()
}

pub(crate) fn feature_id(text: &str) -> FeatureId {
    FeatureId::new("featureId", text).unwrap()
}

pub(crate) fn package_id(text: &str) -> PackageId {
    PackageId::new("packageId", text).unwrap()
}

pub(crate) fn user_id(text: &str) -> UserId {
    UserId::new("userId", text).unwrap()
}

pub(crate) fn label(text: &str) -> Label {
    Label::new("name", text).unwrap()
}

pub(crate) fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::new("idempotencyKey", text).unwrap()
}

/// How much of a feature a package gives, as a story says it: `limit(3).monthly()`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gives(Option<Allowance>);

/// What a package gives of a `BINARY` feature: nothing is said about an amount.
pub(crate) fn switched_on() -> Gives {
    Gives(None)
}

pub(crate) fn unlimited() -> Gives {
    Gives(Some(Allowance::UNLIMITED))
}

pub(crate) fn limit(limit: i64) -> Gives {
    Gives(Some(Allowance { limit: Some(limit), ..Allowance::UNLIMITED }))
}

impl Gives {
    pub(crate) fn every(self, reset_period: ResetPeriod) -> Self {
        let allowance = self.0.expect("an amount that resets");
        Self(Some(Allowance { reset_period: Some(reset_period), ..allowance }))
    }

    /// Counts the periods by the calendar.
    pub(crate) fn by_calendar(self) -> Self {
        let allowance = self.0.unwrap_or(Allowance::UNLIMITED);
        Self(Some(Allowance { reset_anchor: ResetAnchor::Calendar, ..allowance }))
    }

    /// Adds the limit to those of other subscriptions.
    pub(crate) fn added(self) -> Self {
        let allowance = self.0.unwrap_or(Allowance::UNLIMITED);
        Self(Some(Allowance { stacking: Stacking::Add, ..allowance }))
    }

    /// Carries what is left of a period into so many more.
    pub(crate) fn carrying(self, max: Option<i64>, periods: i64) -> Self {
        let allowance = self.0.expect("an amount that resets");
        let rollover = Some(Rollover::new(max, Some(periods)).unwrap());
        Self(Some(Allowance { rollover, ..allowance }))
    }

    pub(crate) fn allowance(self) -> Allowance {
        self.0.unwrap_or(Allowance::UNLIMITED)
    }

    pub(crate) fn daily(self) -> Self {
        self.every(ResetPeriod::Day)
    }

    pub(crate) fn monthly(self) -> Self {
        self.every(ResetPeriod::Month)
    }

    pub(crate) fn with_overage(self) -> Self {
        let allowance = self.0.expect("an amount that may be exceeded");
        Self(Some(Allowance { overage_enabled: true, ..allowance }))
    }
}

/// A consumable feature without any extras.
pub(crate) fn consumable(id: &str) -> Feature {
    let kind = FeatureKind::CONSUMABLE;
    Feature { id: feature_id(id), name: label(id), kind, metadata: None }
}

/// A feature that draws on the balance of another, without any extras.
pub(crate) fn drawing(id: &str, balance: &str, cost: i64) -> Feature {
    let kind = FeatureKind::Consumable {
        unit_label: None,
        unit_label_plural: None,
        thresholds: Thresholds::NONE,
        draws: Draw::new(Some(feature_id(balance)), Some(cost)).unwrap(),
    };
    Feature { kind, ..consumable(id) }
}

/// A `BINARY` feature without any extras.
pub(crate) fn binary(id: &str) -> Feature {
    Feature { id: feature_id(id), name: label(id), kind: FeatureKind::Binary, metadata: None }
}

/// The input for a base package, without any extras.
pub(crate) fn new_package<const N: usize>(id: &str, features: [(&str, Gives); N]) -> NewPackage {
    let features = features.map(|(feature, gives)| NewPackageFeature {
        feature: feature_id(feature),
        name: None,
        allowance: gives.0,
    });
    NewPackage {
        id: package_id(id),
        name: None,
        is_addon: false,
        features: features.to_vec(),
        base_packages: Vec::new(),
        metadata: None,
    }
}

/// Usage to be recorded: `recording("124", "api-calls").add(2).at("2024-…").key("k1")`.
#[derive(Debug, Clone)]
pub(crate) struct Recording(pub(crate) RecordUsage);

/// Usage of one unit, now.
pub(crate) fn recording(user: &str, feature: &str) -> Recording {
    Recording(RecordUsage {
        user: user_id(user),
        feature: feature_id(feature),
        action: UsageAction::Add,
        delta: 1,
        occurred_at: None,
        idempotency_key: None,
        metadata: None,
    })
}

impl Recording {
    pub(crate) fn add(mut self, delta: i64) -> Self {
        (self.0.action, self.0.delta) = (UsageAction::Add, delta);
        self
    }

    pub(crate) fn set(mut self, delta: i64) -> Self {
        (self.0.action, self.0.delta) = (UsageAction::Set, delta);
        self
    }

    pub(crate) fn at(self, text: &str) -> Self {
        self.at_time(time(text))
    }

    pub(crate) fn at_time(mut self, at: Timestamp) -> Self {
        self.0.occurred_at = Some(at);
        self
    }

    pub(crate) fn key(mut self, text: &str) -> Self {
        self.0.idempotency_key = Some(key(text));
        self
    }

    pub(crate) fn metadata(mut self, value: serde_json::Value) -> Self {
        self.0.metadata = Some(Metadata::new("metadata", value).unwrap());
        self
    }

    pub(crate) fn command(self) -> Command {
        Command::RecordUsage(self.0)
    }
}

/// Usage to be checked and recorded in one step.
#[derive(Debug, Clone)]
pub(crate) struct Using(pub(crate) UseFeature);

/// Usage of one unit.
pub(crate) fn using(user: &str, feature: &str) -> Using {
    Using(UseFeature {
        user: user_id(user),
        feature: feature_id(feature),
        delta: 1,
        idempotency_key: None,
    })
}

impl Using {
    pub(crate) fn delta(mut self, delta: i64) -> Self {
        self.0.delta = delta;
        self
    }

    pub(crate) fn key(mut self, text: &str) -> Self {
        self.0.idempotency_key = Some(key(text));
        self
    }

    pub(crate) fn command(self) -> Command {
        Command::UseFeature(self.0)
    }
}

/// An override that a story sets.
#[derive(Debug, Clone)]
pub(crate) struct Setting(SetOverride);

pub(crate) fn setting(user: &str, feature: &str) -> Setting {
    Setting(SetOverride {
        user: user_id(user),
        feature: feature_id(feature),
        input: OverrideInput {
            kind: OverrideKind::Unlimited,
            limit: None,
            reset_period: None,
            reset_anchor: None,
            overage_enabled: None,
        },
        ends_at: None,
        reason: None,
        new_id: OverrideId(Uuid::nil()),
    })
}

impl Setting {
    pub(crate) fn kind(mut self, kind: OverrideKind) -> Self {
        self.0.input.kind = kind;
        self
    }

    pub(crate) fn deny(self) -> Self {
        self.kind(OverrideKind::Deny)
    }

    pub(crate) fn unlimited(self) -> Self {
        self.kind(OverrideKind::Unlimited)
    }

    pub(crate) fn limit(mut self, limit: i64) -> Self {
        self.0.input.limit = Some(limit);
        self.kind(OverrideKind::Limit)
    }

    pub(crate) fn every(mut self, reset_period: ResetPeriod) -> Self {
        self.0.input.reset_period = Some(reset_period);
        self
    }

    pub(crate) fn by_calendar(mut self) -> Self {
        self.0.input.reset_anchor = Some(ResetAnchor::Calendar);
        self
    }

    pub(crate) fn overage(mut self, enabled: bool) -> Self {
        self.0.input.overage_enabled = Some(enabled);
        self
    }

    pub(crate) fn until(mut self, text: &str) -> Self {
        self.0.ends_at = Some(time(text));
        self
    }

    pub(crate) fn reason(mut self, text: &str) -> Self {
        self.0.reason = Some(label(text));
        self
    }

    pub(crate) fn set(self) -> SetOverride {
        self.0
    }

    pub(crate) fn command(self) -> Command {
        Command::SetOverride(self.0)
    }
}

/// What is stored of one user, complete.
#[derive(Debug, Clone, PartialEq)]
struct Person {
    user: User,
    subscriptions: Vec<Subscription>,
    overrides: Vec<Override>,
    grants: Vec<Grant>,
    holds: Vec<Hold>,
    counters: BTreeMap<CounterKey, CounterValue>,
}

impl Person {
    /// What every rule starts from: the running subscriptions and no counters.
    fn facts(&self) -> UserFacts {
        let running = self.subscriptions.iter().filter(|known| known.ended_at.is_none());
        UserFacts::new(self.user.key, self.user.id.clone(), running.cloned().collect())
            .with_overrides(!self.overrides.is_empty())
            .with_grants(!self.grants.is_empty())
            .with_holds(self.holds.iter().any(|hold| hold.ended.is_none()))
    }

    fn load(&self, need: Need, facts: &mut UserFacts) {
        match need {
            Need::EndedSubscriptions(_) => {
                let ended = self.subscriptions.iter().filter(|known| known.ended_at.is_some());
                facts.load_ended_subscriptions(ended.cloned().collect());
            }
            Need::Overrides(_) => facts.load_overrides(self.overrides.clone()),
            Need::Grants(_) => facts.load_grants(self.grants.clone()),
            Need::LivingHolds(_, balances, since) => {
                for balance in balances {
                    let living = self.holds.iter().filter(|hold| hold.lives(since));
                    let on_balance = living.filter(|hold| *hold.balance() == balance);
                    let on_balance = on_balance.cloned().collect();
                    facts.load_living_holds(balance, since, on_balance);
                }
            }
            Need::Hold(_, id) => {
                let found = self.holds.iter().find(|hold| hold.id == id);
                facts.load_hold(id.clone(), found.cloned());
            }
            Need::Counters(_, counters) => {
                for counter in counters {
                    let value = self.counters.get(&counter).cloned();
                    facts.load_counter(counter, value);
                }
            }
            Need::Profile(_) => facts.load_profile(self.user.clone()),
            Need::Replay(key) => panic!("no fact of a user: the answer under {key}"),
        }
    }
}

/// Everything that is stored. What "changes nothing" leaves this equal.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Stored {
    catalog: Catalog,
    people: Vec<Person>,
    events: Vec<UsageEvent>,
    crossings: Vec<LimitCrossing>,
    thresholds: Vec<ThresholdEvent>,
    replays: HashMap<IdempotencyKey, Replay>,
}

/// The stored facts, and a clock.
#[derive(Debug, Clone)]
pub(crate) struct World {
    now: Timestamp,
    stored: Stored,
    feed: Vec<change::Change>,
    ids: u128,
}

/// How a story is set up. Everything goes through the rules themselves.
impl World {
    pub(crate) fn new() -> Self {
        Self { now: time(BEGINNING), stored: Stored::default(), feed: Vec::new(), ids: 0 }
    }

    pub(crate) fn clock(mut self, text: &str) -> Self {
        self.set_clock(text);
        self
    }

    pub(crate) fn consumable(mut self, id: &str) -> Self {
        self.plan(CatalogCommand::CreateFeature(consumable(id))).unwrap();
        self
    }

    /// A consumable feature with thresholds.
    pub(crate) fn watched(mut self, id: &str, thresholds: &[Threshold]) -> Self {
        let kind = FeatureKind::Consumable {
            unit_label: None,
            unit_label_plural: None,
            thresholds: Thresholds::new(thresholds.to_vec()).unwrap(),
            draws: None,
        };
        let feature = Feature { kind, ..consumable(id) };
        self.plan(CatalogCommand::CreateFeature(feature)).unwrap();
        self
    }

    /// A feature that draws on the balance of another.
    pub(crate) fn drawing(mut self, id: &str, balance: &str, cost: i64) -> Self {
        self.plan(CatalogCommand::CreateFeature(drawing(id, balance, cost))).unwrap();
        self
    }

    pub(crate) fn binary(mut self, id: &str) -> Self {
        self.plan(CatalogCommand::CreateFeature(binary(id))).unwrap();
        self
    }

    /// A base package that is not on offer yet.
    pub(crate) fn draft<const N: usize>(mut self, id: &str, features: [(&str, Gives); N]) -> Self {
        self.plan(CatalogCommand::CreatePackage(new_package(id, features))).unwrap();
        self
    }

    /// A published base package.
    pub(crate) fn package<const N: usize>(self, id: &str, features: [(&str, Gives); N]) -> Self {
        self.draft(id, features).published(id)
    }

    /// A published add-on to the `bases`, or, where there are none, to any.
    pub(crate) fn addon<const B: usize, const N: usize>(
        mut self,
        id: &str,
        bases: [&str; B],
        features: [(&str, Gives); N],
    ) -> Self {
        let base_packages = bases.map(package_id).to_vec();
        let package = NewPackage { is_addon: true, base_packages, ..new_package(id, features) };
        self.plan(CatalogCommand::CreatePackage(package)).unwrap();
        self.published(id)
    }

    pub(crate) fn published(mut self, id: &str) -> Self {
        self.plan(CatalogCommand::PublishPackage(package_id(id))).unwrap();
        self
    }

    pub(crate) fn user(mut self, id: &str) -> Self {
        let user = self.new_user(id);
        self.run(&Command::CreateUser(CreateUser(user))).unwrap();
        self
    }

    /// Subscribed now.
    pub(crate) fn subscribed(mut self, user: &str, package: &str) -> Self {
        self.subscribe(user, [package]).unwrap();
        self
    }

    /// Subscribed now to so many of the package.
    pub(crate) fn subscribed_to(mut self, user: &str, quantity: i64, package: &str) -> Self {
        self.subscribe_to(user, [(package, quantity)]).unwrap();
        self
    }

    pub(crate) fn subscribed_since(mut self, user: &str, package: &str, start: &str) -> Self {
        self.subscribe_since(user, [package], start).unwrap();
        self
    }
}

/// What happens in a story.
impl World {
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    pub(crate) fn set_clock(&mut self, text: &str) {
        self.now = time(text);
    }

    pub(crate) fn wait_ms(&mut self, ms: i64) {
        self.now = self.now.saturating_add_ms(ms);
    }

    /// A user who is not stored yet.
    pub(crate) fn new_user(&mut self, id: &str) -> User {
        User { key: UserKey(self.next_id()), ..User::named(user_id(id)) }
    }

    /// The id that no subscription has had yet. Each is greater than those before it.
    pub(crate) fn next_subscription_id(&mut self) -> SubscriptionId {
        SubscriptionId(self.next_id())
    }

    fn next_id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(self.ids)
    }

    pub(crate) fn plan(&mut self, command: CatalogCommand) -> Result<CatalogAnswer, Refusal> {
        let (changes, answer) = plan(&self.stored.catalog, command, self.now)?;
        let told = of_catalog(&self.stored.catalog, &changes, &HashMap::new(), false);
        self.feed.extend(told);
        for change in &changes {
            self.stored.catalog.apply(change);
        }
        Ok(answer)
    }

    /// Publishes a file that gives these features in the package.
    pub(crate) fn change_terms(&mut self, id: &str, features: &[(&str, Gives)]) {
        let features = features
            .iter()
            .map(|(feature, gives)| (feature_id(feature), gives.0.unwrap_or(Allowance::UNLIMITED)));
        let edit = PackageEdit {
            name: label(id),
            kind: PackageKind::Base,
            features: features.collect(),
            names: None,
            metadata: Edit::Keep,
        };
        self.plan(CatalogCommand::ChangePackage { id: package_id(id), edit }).unwrap();
    }

    pub(crate) fn archive(&mut self, id: &str) {
        self.plan(CatalogCommand::ArchivePackage(package_id(id))).unwrap();
    }

    pub(crate) fn record(&mut self, recording: Recording) -> Result<RecordedUsage, Refusal> {
        match self.run(&recording.command())? {
            Answer::Recorded(answer) => Ok(answer),
            other => panic!("not an answer to recordUsage: {other:?}"),
        }
    }

    pub(crate) fn use_feature(&mut self, using: Using) -> Result<UsedFeature, Refusal> {
        match self.run(&using.command())? {
            Answer::Used(answer) => Ok(answer),
            other => panic!("not an answer to useFeature: {other:?}"),
        }
    }

    pub(crate) fn void(&mut self, text: &str) -> Result<VoidedUsage, Refusal> {
        let idempotency_key = key(text);
        match self.run(&Command::VoidUsage(VoidUsage { idempotency_key }))? {
            Answer::Voided(answer) => Ok(answer),
            other => panic!("not an answer to voidUsage: {other:?}"),
        }
    }

    pub(crate) fn subscribe<const N: usize>(
        &mut self,
        user: &str,
        packages: [&str; N],
    ) -> Result<Vec<Subscription>, Refusal> {
        let command = self.subscribe_command(user, packages, None);
        self.run_subscribe(command)
    }

    pub(crate) fn subscribe_since<const N: usize>(
        &mut self,
        user: &str,
        packages: [&str; N],
        start: &str,
    ) -> Result<Vec<Subscription>, Refusal> {
        let command = self.subscribe_command(user, packages, Some(time(start)));
        self.run_subscribe(command)
    }

    pub(crate) fn subscribe_command<const N: usize>(
        &mut self,
        user: &str,
        packages: [&str; N],
        started_at: Option<Timestamp>,
    ) -> Subscribe {
        let packages = packages.map(|id| (package_id(id), self.next_subscription_id()));
        let packages = packages.to_vec();
        Subscribe { started_at, ..Subscribe::now(user_id(user), packages) }
    }

    pub(crate) fn subscribe_to<const N: usize>(
        &mut self,
        user: &str,
        packages: [(&str, i64); N],
    ) -> Result<Vec<Subscription>, Refusal> {
        let command = self.subscribe_command(user, packages.map(|(id, _)| id), None);
        let quantities = Some(packages.map(|(_, quantity)| quantity).to_vec());
        self.run_subscribe(Subscribe { quantities, ..command })
    }

    /// Changes the quantity of the user's newest subscription to the package.
    pub(crate) fn set_quantity(&mut self, user: &str, package: &str, quantity: i64) {
        let id = self.subscription(user, package).id;
        self.update_subscription(id, Some(quantity)).unwrap();
    }

    pub(crate) fn update_subscription(
        &mut self,
        subscription: SubscriptionId,
        quantity: Option<i64>,
    ) -> Result<Subscription, Refusal> {
        self.update(UpdateSubscription { quantity, ..UpdateSubscription::nothing(subscription) })
    }

    pub(crate) fn update(&mut self, command: UpdateSubscription) -> Result<Subscription, Refusal> {
        match self.run(&Command::UpdateSubscription(command))? {
            Answer::SubscriptionUpdated { subscription, .. } => Ok(subscription),
            other => panic!("not an answer to updateSubscription: {other:?}"),
        }
    }

    pub(crate) fn change_package(
        &mut self,
        command: ChangePackage,
    ) -> Result<Subscription, Refusal> {
        match self.run(&Command::ChangePackage(command))? {
            Answer::SubscriptionUpdated { subscription, .. } => Ok(subscription),
            other => panic!("not an answer to changePackage: {other:?}"),
        }
    }

    pub(crate) fn run_subscribe(
        &mut self,
        command: Subscribe,
    ) -> Result<Vec<Subscription>, Refusal> {
        match self.run(&Command::Subscribe(command))? {
            Answer::Subscribed(subscriptions) => Ok(subscriptions),
            other => panic!("not an answer to subscribe: {other:?}"),
        }
    }

    /// Cancels a subscription, and answers it with whose it was.
    pub(crate) fn cancel(
        &mut self,
        subscription: SubscriptionId,
    ) -> Result<(UserId, Subscription), Refusal> {
        let command = Command::CancelSubscription(CancelSubscription { subscription });
        match self.run(&command)? {
            Answer::Cancelled { user, subscription } => Ok((user, subscription)),
            other => panic!("not an answer to cancelSubscription: {other:?}"),
        }
    }

    /// Cancels the user's newest subscription to the package.
    pub(crate) fn cancel_package(&mut self, user: &str, package: &str) -> Subscription {
        let id = self.subscription(user, package).id;
        self.cancel(id).unwrap().1
    }

    /// What a billing provider's webhook does.
    pub(crate) fn set_status(&mut self, user: &str, package: &str, status: SubscriptionStatus) {
        let id = self.subscription(user, package).id;
        let ended_at = (status == SubscriptionStatus::Cancelled).then_some(self.now);
        for known in &mut self.person_mut(user).subscriptions {
            if known.id == id {
                (known.status, known.ended_at) = (status, ended_at);
            }
        }
    }

    pub(crate) fn update_user(&mut self, user: &str, edit: UserEdit) -> Result<User, Refusal> {
        match self.run(&Command::UpdateUser(UpdateUser { user: user_id(user), edit }))? {
            Answer::User(user) => Ok(user),
            other => panic!("not an answer to updateUser: {other:?}"),
        }
    }

    pub(crate) fn rename(&mut self, user: &str, new: &str) {
        let edit = UserEdit { id: Some(user_id(new)), ..UserEdit::default() };
        self.update_user(user, edit).unwrap();
    }

    /// The changes that a command comes to, none of them stored.
    pub(crate) fn changes(&self, command: &Command) -> Vec<Change> {
        let mut facts = self.facts(command);
        let decision = self.decide(&mut facts, &mut Replays::default(), command).unwrap();
        decision.changes.into_iter().map(|(_, change)| change).collect()
    }

    pub(crate) fn profile(&self, user: &str) -> User {
        self.person(user).user.clone()
    }

    /// Decides one command on the facts that it asks for, and stores its changes.
    pub(crate) fn run(&mut self, command: &Command) -> Result<Answer, Refusal> {
        let mut facts = self.facts(command);
        let decision = self.decide(&mut facts, &mut Replays::default(), command)?;
        self.store(&decision.changes);
        self.feed.extend(decision.feed);
        Ok(decision.answer)
    }

    /// The facts of the users whom a command names.
    fn facts(&self, command: &Command) -> Subjects<Option<UserFacts>> {
        let people = || self.stored.people.iter();
        let subscribed = |person: &&Person, id| person.subscriptions.iter().any(|s| s.id == id);
        let named = command.subjects();
        let person = named.map(|subject| match *subject {
            Subject::User(id) => people().find(|person| person.user.id == *id),
            Subject::Subscriber(id) => people().find(|person| subscribed(person, id)),
            Subject::Recorder(key) => {
                let user = self.stored.replays.get(key).map(|replay| replay.content.user);
                people().find(|person| Some(person.user.key) == user)
            }
        });
        person.map(|person| person.map(Person::facts))
    }

    /// Decides commands of one user one after the other, as a batch does: each on what those
    /// before it made of the same loaded facts, while nothing is stored until the end.
    pub(crate) fn run_batch(
        &mut self,
        user: &str,
        commands: &[Command],
    ) -> Vec<Result<Answer, Refusal>> {
        let mut facts = Subjects::one(Some(self.person(user).facts()));
        let mut replays = Replays::default();
        let mut changes = Vec::new();
        let mut answers = Vec::new();
        for command in commands {
            let decision = self.decide(&mut facts, &mut replays, command);
            answers.push(decision.map(|decision| {
                for (_, change) in &decision.changes {
                    facts.first.as_mut().unwrap().apply(change);
                    replays.apply(change);
                }
                changes.extend(decision.changes);
                decision.answer
            }));
        }
        self.store(&changes);
        answers
    }

    /// # Panics
    /// If the command asks for more facts more often than the service answers.
    fn decide(
        &self,
        facts: &mut Subjects<Option<UserFacts>>,
        replays: &mut Replays,
        command: &Command,
    ) -> Result<Decision, Refusal> {
        let mut asked = Vec::new();
        loop {
            let users = facts.map(Option::as_ref);
            let basis = Basis { catalog: &self.stored.catalog, users, replays, now: self.now };
            let need = match decide(&basis, command) {
                Ok(decision) => {
                    assert!(
                        decision.feed.is_empty() || !decision.changes.is_empty(),
                        "nothing is told that did not happen"
                    );
                    return Ok(decision);
                }
                Err(Obstacle::Refused(refusal)) => return Err(refusal),
                Err(Obstacle::Needs(need)) => need,
            };
            assert!(!asked.contains(&need), "asks again for what was loaded: {need:?}");
            asked.push(need.clone());
            assert!(asked.len() < ROUNDS_MAX, "asks too often: {asked:?}");
            match need {
                Need::Replay(key) => {
                    let kept = self.stored.replays.get(&key).cloned();
                    replays.load(key, kept);
                }
                Need::EndedSubscriptions(user)
                | Need::Overrides(user)
                | Need::Grants(user)
                | Need::LivingHolds(user, ..)
                | Need::Hold(user, _)
                | Need::Profile(user)
                | Need::Counters(user, _) => {
                    let known = std::iter::once(&mut facts.first).chain(&mut facts.others);
                    let facts = known.flatten().find(|facts| facts.key == user);
                    let facts = facts.expect("only a user who is named has facts");
                    self.person_with(user).load(need, facts);
                }
            }
        }
    }

    fn store(&mut self, changes: &[(UserKey, Change)]) {
        for (user, change) in changes {
            match change.clone() {
                Change::CreateUser(user) => self.stored.people.push(Person {
                    user,
                    subscriptions: Vec::new(),
                    overrides: Vec::new(),
                    grants: Vec::new(),
                    holds: Vec::new(),
                    counters: BTreeMap::new(),
                }),
                Change::UpdateUser { user: changed, .. } => {
                    self.person_mut_with(*user).user = changed;
                }
                Change::DeleteUser { user: changed, .. } => {
                    let person = self.person_mut_with(*user);
                    person.user = changed;
                    person.overrides.clear();
                    person.grants.clear();
                }
                Change::PutOverride(new) => {
                    let known = &mut self.person_mut_with(*user).overrides;
                    known.retain(|known| known.feature != new.feature);
                    known.push(new);
                }
                Change::DeleteOverride { feature } => {
                    let known = &mut self.person_mut_with(*user).overrides;
                    known.retain(|known| known.feature != feature);
                }
                change @ (Change::SetDrawn { .. }
                | Change::PutGrant(_)
                | Change::DeleteGrant { .. }) => self.person_mut_with(*user).change_grant(change),
                Change::PutHold(new) => self.person_mut_with(*user).put_hold(new),
                Change::AddSubscription(subscription) => {
                    self.person_mut_with(*user).subscriptions.push(subscription);
                }
                Change::CancelSubscription { subscription, ended_at } => {
                    let known = &mut self.person_mut_with(*user).subscriptions;
                    let known = known.iter_mut().find(|known| known.id == subscription).unwrap();
                    known.status = SubscriptionStatus::Cancelled;
                    known.ended_at = Some(ended_at);
                }
                Change::SetQuantities { subscription, quantities } => {
                    let known = &mut self.person_mut_with(*user).subscriptions;
                    let known = known.iter_mut().find(|known| known.id == subscription).unwrap();
                    known.quantities = quantities;
                }
                Change::SetTiming { subscription, timing } => {
                    let known = &mut self.person_mut_with(*user).subscriptions;
                    let known = known.iter_mut().find(|known| known.id == subscription).unwrap();
                    known.timing = timing;
                }
                Change::SetCounter { counter, value } => {
                    assert!(value.used >= 0, "a counter holds 0 or more");
                    self.person_mut_with(*user).counters.insert(counter, value);
                }
                Change::DeleteCounter { counter } => {
                    let gone = self.person_mut_with(*user).counters.remove(&counter);
                    assert!(gone.is_some(), "only a stored counter is deleted");
                }
                Change::LogEvent(event) => self.stored.events.push(event),
                Change::CrossLimit(crossing) => self.stored.crossings.push(crossing),
                Change::ReachThreshold(event) => self.stored.thresholds.push(event),
                Change::KeepReplay { key, replay } => {
                    self.stored.replays.insert(key, replay);
                }
            }
        }
    }
}

/// Overrides.
impl World {
    pub(crate) fn set_override(&mut self, setting: Setting) -> Result<Override, Refusal> {
        let mut command = setting.command();
        command.set_ids(&mut || self.next_id());
        match self.run(&command)? {
            Answer::OverrideSet(set) => Ok(set),
            other => panic!("not an answer to setOverride: {other:?}"),
        }
    }

    pub(crate) fn remove_override(&mut self, user: &str, feature: &str) -> Result<bool, Refusal> {
        let remove = RemoveOverride { user: user_id(user), feature: feature_id(feature) };
        match self.run(&Command::RemoveOverride(remove))? {
            Answer::OverrideRemoved(lived) => Ok(lived),
            other => panic!("not an answer to removeOverride: {other:?}"),
        }
    }

    pub(crate) fn override_of(&self, user: &str, feature: &str) -> Option<Override> {
        let mut known = self.person(user).overrides.iter();
        known.find(|known| known.feature.as_str() == feature).cloned()
    }

    /// How many overrides are stored, of all users.
    pub(crate) fn overrides_stored(&self) -> usize {
        self.stored.people.iter().map(|person| person.overrides.len()).sum()
    }

    /// What the audit log would have of a command beside what the feed says.
    pub(crate) fn audit_of(&self, command: &Command) -> Vec<change::AuditEntry> {
        let mut facts = self.facts(command);
        self.decide(&mut facts, &mut Replays::default(), command).unwrap().audit
    }

    pub(crate) fn delete(&mut self, user: &str) {
        let random = self.next_id();
        let command = DeleteUser::new(user_id(user), random).unwrap();
        self.run(&Command::DeleteUser(command)).unwrap();
    }
}

/// What a story asks.
impl World {
    pub(crate) fn stored(&self) -> Stored {
        self.stored.clone()
    }

    /// Takes the crossings of limits since the last time.
    pub(crate) fn take_crossings(&mut self) -> Vec<LimitCrossing> {
        std::mem::take(&mut self.stored.crossings)
    }

    /// Takes what the changes feed was told since the last time.
    pub(crate) fn take_changes(&mut self) -> Vec<change::Change> {
        std::mem::take(&mut self.feed)
    }

    /// Takes the same as text: "type user data" each.
    pub(crate) fn take_feed(&mut self) -> Vec<String> {
        let feed = self.take_changes().into_iter();
        feed.map(|change| {
            let user = change.user.map_or_else(|| "-".to_owned(), |user| user.to_string());
            format!("{} {user} {}", change.effect.type_name(), change.effect.data_json())
        })
        .collect()
    }

    fn person(&self, user: &str) -> &Person {
        self.stored.people.iter().find(|person| person.user.id.as_str() == user).unwrap()
    }

    fn person_mut(&mut self, user: &str) -> &mut Person {
        self.stored.people.iter_mut().find(|person| person.user.id.as_str() == user).unwrap()
    }

    fn person_mut_with(&mut self, key: UserKey) -> &mut Person {
        self.stored.people.iter_mut().find(|person| person.user.key == key).unwrap()
    }

    fn person_with(&self, key: UserKey) -> &Person {
        self.stored.people.iter().find(|person| person.user.key == key).unwrap()
    }

    /// Asks on the facts that the question asks for.
    fn ask<T>(
        &self,
        user: &str,
        question: impl Fn(&Catalog, &UserFacts) -> Result<T, Obstacle>,
    ) -> Result<T, Refusal> {
        let person = self.person(user);
        let mut facts = person.facts();
        let mut asked = Vec::new();
        loop {
            let need = match question(&self.stored.catalog, &facts) {
                Ok(answer) => return Ok(answer),
                Err(Obstacle::Refused(refusal)) => return Err(refusal),
                Err(Obstacle::Needs(need)) => need,
            };
            assert!(!asked.contains(&need), "asks again for what was loaded: {need:?}");
            asked.push(need.clone());
            person.load(need, &mut facts);
        }
    }

    pub(crate) fn can_use(
        &self,
        user: &str,
        feature: &str,
        delta: i64,
    ) -> Result<Entitlement, Refusal> {
        let feature = feature_id(feature);
        let as_of = AsOf::Now(self.now);
        self.ask(user, |catalog, facts| entitlement(catalog, facts, &feature, delta, as_of))
    }

    pub(crate) fn can_use_together(
        &self,
        user: &str,
        requirements: &[Requirement],
    ) -> Result<(bool, Vec<Entitlement>), Refusal> {
        let as_of = AsOf::Now(self.now);
        self.ask(user, |catalog, facts| entitled_together(catalog, facts, requirements, as_of))
    }

    pub(crate) fn explain(
        &self,
        user: &str,
        feature: &str,
        delta: i64,
    ) -> Result<Explanation, Refusal> {
        let feature = feature_id(feature);
        self.ask(user, |catalog, facts| explain(catalog, facts, &feature, delta, self.now))
    }

    /// What is answered about one more of each of the features, and in how many goes it was asked
    /// for what had to be loaded.
    pub(crate) fn can_use_each(
        &self,
        user: &str,
        features: &[&str],
    ) -> (Result<Vec<Entitlement>, Refusal>, usize) {
        let features: Vec<FeatureId> = features.iter().map(|id| feature_id(id)).collect();
        let as_of = AsOf::Now(self.now);
        let times = Cell::new(0);
        let answer = self.ask(user, |catalog, facts| {
            times.set(times.get() + 1);
            entitlements(catalog, facts, &features, as_of)
        });
        (answer, times.get() - 1)
    }

    /// What is used now of a consumable feature that something grants.
    pub(crate) fn used(&self, user: &str, feature: &str) -> i64 {
        self.can_use(user, feature, 1).unwrap().consumption.unwrap().used
    }

    pub(crate) fn budget(&self, user: &str, feature: &str) -> Option<i64> {
        self.can_use(user, feature, 1).unwrap().consumption.unwrap().budget
    }

    /// The share of a limit that the user is near, if any.
    pub(crate) fn near(&self, user: &str, feature: &str) -> Option<Share> {
        let feature = feature_id(feature);
        let near = self.ask(user, |catalog, facts| near_limit(catalog, facts, &feature, self.now));
        near.unwrap().map(|(_, share)| share)
    }

    pub(crate) fn usage(&self, user: &str, feature: &str) -> UsageHistory {
        self.try_usage(user, feature).unwrap()
    }

    pub(crate) fn try_usage(&self, user: &str, feature: &str) -> Result<UsageHistory, Refusal> {
        let feature = feature_id(feature);
        self.ask(user, |catalog, facts| show_usage(catalog, facts, &feature, self.now))
    }

    /// The package whose subscription counts now.
    pub(crate) fn counts_now(&self, user: &str, feature: &str) -> Option<String> {
        self.counts(user, feature, AsOf::Now(self.now))
    }

    /// The package whose subscription counted at a past moment.
    pub(crate) fn counted_at(&self, user: &str, feature: &str, at: &str) -> Option<String> {
        self.counts(user, feature, AsOf::Moment(time(at)))
    }

    fn counts(&self, user: &str, feature: &str, as_of: AsOf) -> Option<String> {
        let Stored { catalog, .. } = &self.stored;
        let subscriptions = &self.person(user).subscriptions;
        let counting = counting_subscription(catalog, subscriptions, &feature_id(feature), as_of)?;
        Some(counting.subscription.package.as_str().to_owned())
    }

    pub(crate) fn events(&self) -> &[UsageEvent] {
        &self.stored.events
    }

    /// The threshold events, in the order in which they were stored.
    pub(crate) fn threshold_events(&self) -> &[ThresholdEvent] {
        &self.stored.thresholds
    }

    pub(crate) fn replay(&self, text: &str) -> &Replay {
        &self.stored.replays[&key(text)]
    }

    pub(crate) fn forget_key(&mut self, text: &str) {
        self.stored.replays.remove(&key(text));
    }

    pub(crate) fn keep_replay(&mut self, text: &str, replay: Replay) {
        self.stored.replays.insert(key(text), replay);
    }

    pub(crate) fn counters(&self, user: &str) -> BTreeMap<CounterKey, i64> {
        let counters = self.person(user).counters.iter();
        counters.map(|(counter, value)| (counter.clone(), value.used)).collect()
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.stored.catalog
    }

    pub(crate) fn package_named(&self, id: &str) -> Package {
        Package::clone(self.stored.catalog.package(&package_id(id)).unwrap())
    }

    pub(crate) fn subscriptions(&self, user: &str) -> &[Subscription] {
        &self.person(user).subscriptions
    }

    /// The user's newest subscription to the package.
    pub(crate) fn subscription(&self, user: &str, package: &str) -> Subscription {
        let mut all = self.person(user).subscriptions.iter().rev();
        all.find(|known| known.package.as_str() == package).unwrap().clone()
    }
}
