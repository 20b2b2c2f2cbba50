//! A batch of commands: decided together, in one transaction.

use std::collections::HashMap;
use std::sync::Arc;

use kana_core::decide::{Basis, Command, Decision, decide};
use kana_core::facts::{Change, CounterKey, Obstacle};
use kana_core::id::{IdempotencyKey, SubscriptionId, UserId, UserKey};
use kana_core::subjects::{Subject, Subjects};
use kana_core::user::User;
use kana_core::{Refusal, Timestamp};
use kana_store::feed::Records;
use kana_store::jobs::{Due, NewJob};
use kana_store::{EnvironmentId, Store, WriteTransaction};
use kana_telemetry::metrics::writer;

use super::commit_timer::CommitTimer;
use super::queue::{Answered, Answers, Asked};
use super::traced::TracedRequests;
use crate::clock::Clock;
use crate::error::Error;
use crate::feed::Recorder;
use crate::ids;
use crate::reader::{Catalogs, FactsInUse, Place, ROUNDS_MAX, Wanted};
use crate::retry::retry_batch;
use crate::settings::Settings;
use crate::user_deletion::USER_DELETION;

/// Decides requests and commits what they come to.
pub(super) struct Decider {
    pub(super) store: Arc<dyn Store>,
    pub(super) catalogs: Arc<Catalogs>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: Settings,
    pub(super) commits: Arc<CommitTimer>,
}

/// What the commands of an environment come to.
pub(super) struct Decided {
    pub(super) answers: Answers,
    pub(super) changes: Vec<(UserKey, Change)>,
    /// Keys that must be forgotten before they are used anew.
    outdated_keys: Vec<IdempotencyKey>,
    /// What goes to the changes feed and the audit log.
    pub(super) records: Records,
}

impl Decider {
    /// Decides all commands in one transaction and commits it, anew where another writer was faster
    /// or the database went away for a moment.
    pub(super) async fn decide_and_commit(
        &self,
        commands: &[(EnvironmentId, Vec<Asked>)],
    ) -> Result<Answers, Error> {
        let count = commands.iter().map(|(_, commands)| commands.len()).sum();
        retry_batch(count, || self.try_to_commit(commands)).await
    }

    async fn try_to_commit(
        &self,
        commands: &[(EnvironmentId, Vec<Asked>)],
    ) -> Result<Answers, Error> {
        let requests = TracedRequests::of(commands);
        let (transaction, answers, changed) = requests.deciding(self.prepare(commands)).await?;
        if changed {
            requests.committing(self.commits.measure(transaction.commit())).await?;
            let count: usize = commands.iter().map(|(_, commands)| commands.len()).sum();
            writer::BATCHES.observe_value(count as u64);
        }
        Ok(answers)
    }

    /// Decides all commands in a transaction. Returns it with the answers, and whether it changes anything.
    async fn prepare(
        &self,
        commands: &[(EnvironmentId, Vec<Asked>)],
    ) -> Result<(Box<dyn WriteTransaction>, Answers, bool), Error> {
        let mut transaction = self.store.write().await?;
        let (mut answers, mut recorded) = (Answers::new(), Vec::new());
        let mut changed = false;
        for (environment, commands) in commands {
            let Decided { answers: theirs, changes, outdated_keys, records } =
                self.decide_all(transaction.as_mut(), *environment, commands).await?;
            answers.extend(theirs);
            if !records.is_empty() {
                recorded.push((*environment, records));
            }
            if !changes.is_empty() {
                self.forget_keys(transaction.as_mut(), *environment, &changes, outdated_keys)
                    .await?;
                transaction.change_facts(*environment, &changes).await?;
                let deletions = deletions(*environment, &changes);
                if !deletions.is_empty() {
                    transaction.schedule_jobs(&deletions, self.clock.now()).await?;
                }
                changed = true;
            }
        }
        for (environment, records) in recorded {
            transaction.append(environment, records).await?;
        }
        Ok((transaction, answers, changed))
    }

    /// Deletes expired keys: those that are about to be used anew and, for each key that is about
    /// to be stored, up to two of the oldest. So expired keys never pile up, and no scan is needed.
    /// A store that forgets keys in bulk returns none of the oldest.
    async fn forget_keys(
        &self,
        transaction: &mut dyn WriteTransaction,
        environment: EnvironmentId,
        changes: &[(UserKey, Change)],
        mut outdated: Vec<IdempotencyKey>,
    ) -> Result<(), Error> {
        let is_kept = |change: &&(UserKey, Change)| matches!(change.1, Change::KeepReplay { .. });
        let kept = changes.iter().filter(is_kept).count();
        if kept == 0 {
            return Ok(());
        }
        let before = self.kept_since(self.clock.now());
        outdated.extend(transaction.keys_kept_before(environment, before, 2 * kept).await?);
        if !outdated.is_empty() {
            transaction.forget_keys(environment, &outdated).await?;
        }
        Ok(())
    }

    /// Since when keys must have been kept to count at `now`.
    fn kept_since(&self, now: Timestamp) -> Timestamp {
        now.saturating_add_ms(-self.settings.idempotency_ms())
    }

    /// Decides the commands in turn, each on the facts as the ones before it left them.
    pub(super) async fn decide_all(
        &self,
        transaction: &mut dyn WriteTransaction,
        environment: EnvironmentId,
        commands: &[Asked],
    ) -> Result<Decided, Error> {
        let owners = owners(transaction, environment, commands).await?;
        let recorders = recorders(transaction, environment, commands).await?;
        let users = named_users(commands, &owners, &recorders);
        let now = self.clock.now();
        let mut facts = FactsInUse::load(transaction, &self.catalogs, environment, users)
            .await?
            .with_subscribers(owners)
            .with_recorders(recorders)?
            .with_keys_kept_since(self.kept_since(now));

        let decided_alone = decide_alone(&mut facts, transaction, commands, now).await?;

        let mut answers = Answers::with_capacity(commands.len());
        let (mut changes, mut recorder) = (Changes::default(), Recorder::default());
        for (Asked { command, actor, request_id, .. }, alone) in commands.iter().zip(decided_alone)
        {
            let places = facts.places(&command.subjects());
            let decided = match alone.filter(|alone| alone.still_holds(&facts, &places, command)) {
                Some(alone) => alone.decided,
                None => {
                    let rule = |facts: &FactsInUse| decide_on(facts, &places, command, now);
                    facts.ask(transaction, &places, rule).await?
                }
            };
            answers.push(decided.map(|decision| {
                let is_new = !decision.changes.is_empty();
                let replaces_key = decision.replaces_key();
                for (user, mut change) in decision.changes {
                    match &mut change {
                        Change::ReachThreshold(event) => event.id = ids::next(now),
                        Change::KeepReplay { key, .. } if replaces_key => {
                            facts.outdated.push(key.clone());
                            changes.forget_key(key);
                        }
                        _ => {}
                    }
                    facts.apply(user, &change, &places);
                    changes.add(user, change);
                }
                let told = (decision.feed, decision.audit);
                recorder.user((actor, request_id.as_deref()), now, told);
                Answered::new(decision.answer, &facts.catalog, is_new)
            }));
        }
        Ok(Decided {
            answers,
            changes: changes.list,
            outdated_keys: facts.outdated,
            records: recorder.finish(),
        })
    }
}

/// What a command comes to on the facts as they are stored.
struct DecidedAlone {
    decided: Result<Decision, Refusal>,
    places: Subjects<Option<Place>>,
    /// Whether something is stored under the command's key.
    is_repeated: bool,
}

impl DecidedAlone {
    /// Returns true if the commands before it have changed nothing that it was decided on.
    fn still_holds(
        &self,
        facts: &FactsInUse,
        places: &Subjects<Option<Place>>,
        command: &Command,
    ) -> bool {
        self.places == *places
            && !places.iter().flatten().any(|place| facts.has_changed(*place))
            && self.is_repeated == is_repeated(facts, command)
    }
}

fn is_repeated(facts: &FactsInUse, command: &Command) -> bool {
    command.idempotency_key().is_some_and(|key| facts.replays.has(key))
}

/// Decides the commands as if each were alone, and loads what they need, all at once. A command that asks for
/// more facts too often has no decision.
async fn decide_alone(
    facts: &mut FactsInUse,
    transaction: &mut dyn WriteTransaction,
    commands: &[Asked],
    now: Timestamp,
) -> Result<Vec<Option<DecidedAlone>>, Error> {
    let mut alone: Vec<Option<DecidedAlone>> = commands.iter().map(|_| None).collect();
    for _ in 0..ROUNDS_MAX {
        let mut wanted = Wanted::default();
        for (Asked { command, .. }, alone) in commands.iter().zip(&mut alone) {
            if alone.is_some() {
                continue;
            }
            let places = facts.places(&command.subjects());
            let decided = match decide_on(facts, &places, command, now) {
                Ok(decision) => Ok(decision),
                Err(Obstacle::Refused(refusal)) => Err(refusal),
                Err(Obstacle::Needs(need)) => {
                    facts.want(need, &places, &mut wanted);
                    continue;
                }
            };
            let is_repeated = is_repeated(facts, command);
            *alone = Some(DecidedAlone { decided, places, is_repeated });
        }
        if wanted.is_empty() {
            break;
        }
        facts.supply(transaction, wanted).await?;
    }
    Ok(alone)
}

/// Returns the owners of the subscriptions that the commands name.
async fn owners(
    transaction: &mut dyn WriteTransaction,
    environment: EnvironmentId,
    commands: &[Asked],
) -> Result<HashMap<SubscriptionId, UserId>, Error> {
    let mut subscriptions = Vec::new();
    for Asked { command, .. } in commands {
        for subject in command.subjects().iter() {
            if let Subject::Subscriber(subscription) = subject {
                subscriptions.push(*subscription);
            }
        }
    }
    if subscriptions.is_empty() {
        return Ok(HashMap::new());
    }
    let found = transaction.subscriptions(environment, &subscriptions).await?;
    let owner = |(id, found): (_, Option<(UserId, _)>)| found.map(|(owner, _)| (id, owner));
    Ok(subscriptions.into_iter().zip(found).filter_map(owner).collect())
}

/// Returns the users whose usage was recorded under the keys that the commands name.
async fn recorders(
    transaction: &mut dyn WriteTransaction,
    environment: EnvironmentId,
    commands: &[Asked],
) -> Result<HashMap<IdempotencyKey, (UserId, UserKey)>, Error> {
    let mut keys = Vec::new();
    for Asked { command, .. } in commands {
        for subject in command.subjects().iter() {
            if let Subject::Recorder(key) = subject {
                keys.push((*key).clone());
            }
        }
    }
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    keys.sort_unstable();
    keys.dedup();
    let kept = transaction.replays(environment, &keys).await?;
    let kept = keys.into_iter().zip(kept);
    let (keys, users): (Vec<_>, Vec<_>) =
        kept.filter_map(|(key, replay)| Some((key, replay?.content.user))).unzip();
    let found = transaction.users_by_key(environment, &users).await?;
    let recorder = |(key, user): (_, Option<User>)| user.map(|user| (key, (user.id, user.key)));
    Ok(keys.into_iter().zip(found).filter_map(recorder).collect())
}

/// Returns the users whose facts the commands need, each once, in the order of locking.
fn named_users(
    commands: &[Asked],
    owners: &HashMap<SubscriptionId, UserId>,
    recorders: &HashMap<IdempotencyKey, (UserId, UserKey)>,
) -> Vec<UserId> {
    let mut users = Vec::with_capacity(commands.len());
    for Asked { command, .. } in commands {
        for subject in command.subjects().iter() {
            users.extend(match subject {
                Subject::User(id) => Some((*id).clone()),
                Subject::Subscriber(subscription) => owners.get(subscription).cloned(),
                Subject::Recorder(key) => recorders.get(*key).map(|(id, _)| id.clone()),
            });
        }
    }
    users.sort_unstable();
    users.dedup();
    users
}

/// Returns the jobs that delete what is not deleted with the users themselves.
fn deletions(environment: EnvironmentId, changes: &[(UserKey, Change)]) -> Vec<NewJob> {
    let deleted = |(user, change): &(UserKey, Change)| {
        matches!(change, Change::DeleteUser { .. }).then(|| NewJob {
            kind: USER_DELETION,
            key: user.0.to_string(),
            environment: Some(environment),
            due: Due::NOW,
        })
    };
    changes.iter().filter_map(deleted).collect()
}

fn decide_on(
    facts: &FactsInUse,
    places: &Subjects<Option<Place>>,
    command: &Command,
    now: Timestamp,
) -> Result<Decision, Obstacle> {
    let users = places.map(|place| facts.at((*place)?));
    decide(&Basis { catalog: &facts.catalog, users, replays: &facts.replays, now }, command)
}

/// What a batch will write. A counter that changes many times in it is written once.
#[derive(Default)]
struct Changes {
    list: Vec<(UserKey, Change)>,
    counters: foldhash::HashMap<CounterKey, usize>,
}

impl Changes {
    fn add(&mut self, user: UserKey, change: Change) {
        if let Change::SetCounter { counter, .. } | Change::DeleteCounter { counter } = &change {
            if let Some(index) = self.counters.get(counter) {
                self.list[*index].1 = change;
                return;
            }
            self.counters.insert(counter.clone(), self.list.len());
        }
        self.list.push((user, change));
    }

    /// Takes out the record of a key that this batch keeps, since another one takes its place. That is
    /// rare, so the list is searched.
    fn forget_key(&mut self, key: &IdempotencyKey) {
        let keeps =
            |change: &Change| matches!(change, Change::KeepReplay { key: kept, .. } if kept == key);
        if let Some(index) = self.list.iter().position(|(_, change)| keeps(change)) {
            self.list.remove(index);
            self.counters
                .values_mut()
                .filter(|place| **place > index)
                .for_each(|place| *place -= 1);
        }
    }
}

#[cfg(test)]
mod tests;
