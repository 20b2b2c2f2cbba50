//! Runs a history and holds each answer, and what is stored, against the model.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::mem;
use std::time::Duration;

use futures_util::future::join_all;
use kana_test_model::answer::Answer;
use kana_test_model::client::{ask, record, send};
use kana_test_model::model::Model;
use kana_test_model::request::{ADA, At, BOB, CALLS, CYD, Id, LATE_CALLS, Name, Request, SSO};
use tokio::time::{Instant, sleep};

use crate::explanation::{Call, Everything, Stored, explain};
use crate::faults::{Failure, Fault, Seen, Trouble};
use crate::feed::{self, Change};
use crate::flaw::Flaw;
use crate::http;
use crate::step::{Asked, History, Step};
use crate::told::Told;
use crate::world::{START, World};

/// How a history went wrong.
#[derive(Debug, Clone)]
pub struct Violation {
    /// The step, by its place in the history.
    pub step: usize,
    /// What is wrong.
    pub problem: String,
}

/// What a history did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Requests that were sent.
    pub requests: usize,
    /// Those that failed without an effect.
    pub failed: usize,
    /// Those of which the client does not know what became.
    pub unknown: usize,
    /// Calls of the store that met a fault.
    pub faults: usize,
    /// How often the server was killed.
    pub crashes: usize,
    /// Calls of the store.
    pub calls: usize,
    /// How long it all would have taken.
    pub simulated: Duration,
    /// What was answered to what, by the kind of answer. Two runs of a history have the same.
    pub trace: u64,
}

/// Runs a history on a database of its own, always in the same way.
pub fn run(history: &History, flaw: Option<Flaw>, model: Model) -> Result<Summary, Violation> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::new(history.gathers, flaw).await;
        let mut run = Run {
            world,
            flaw,
            models: vec![model],
            now: START,
            changes: 0,
            audited: 0,
            subscriptions: Vec::new(),
            users: HashSet::new(),
            unchecked: 0,
            summary: Summary::default(),
        };
        let since = Instant::now();
        let done = run.all(history).await;
        run.summary.simulated = since.elapsed();
        run.world.stop().await;
        done.map(|()| run.summary)
    })
}

/// After how many requests everything that is stored is looked at, if nothing went wrong.
const UNCHECKED_MAX: usize = 24;

/// How long requests that were sent together may take, beside how long the database held them up:
/// each is tried again for three seconds and a little more.
const RETRIED_FOR: Duration = Duration::from_secs(4);

/// How many failures in a row a retry outlasts at least.
const OUTLASTED: usize = 5;

/// How many things the model may have come to.
const MODELS_MAX: usize = 64;

struct Run {
    world: World,
    flaw: Option<Flaw>,
    /// What the model may have come to, which is usually one thing.
    models: Vec<Model>,
    now: At,
    /// The number of the newest change that was explained.
    changes: i64,
    /// How many entries the audit log should have.
    audited: usize,
    /// Every subscription, in the order in which they were made.
    subscriptions: Vec<Id>,
    /// The keys of all users.
    users: HashSet<Id>,
    unchecked: usize,
    summary: Summary,
}

impl Run {
    async fn all(&mut self, history: &History) -> Result<(), Violation> {
        for (place, step) in history.steps.iter().enumerate() {
            let violation = |problem| Violation { step: place, problem };
            self.step(step).await.map_err(violation)?;
        }
        let at_the_end = |problem| Violation { step: history.steps.len(), problem };
        self.check(Vec::new(), true).await.map_err(at_the_end)?;
        self.world.restart().await;
        self.check(Vec::new(), true).await.map_err(at_the_end)?;
        let audited = self.world.audit_entries().await;
        if audited != self.audited {
            let problem = format!("the audit log has {audited} entries of {}", self.audited);
            return Err(at_the_end(problem));
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Ask { asked, faults } => self.ask(asked, faults).await,
            Step::Wait(ms) => {
                self.now = At(self.now.0 + ms);
                self.world.set_clock(self.now);
                // Longer than keys are trusted.
                sleep(Duration::from_secs(3)).await;
                Ok(())
            }
            Step::KeepHouse => {
                self.world.keep_house().await;
                self.check(Vec::new(), true).await
            }
            Step::Restart => {
                self.world.restart().await;
                self.check(Vec::new(), true).await
            }
            Step::Crash => {
                self.crash().await;
                self.check(Vec::new(), true).await
            }
        }
    }

    async fn crash(&mut self) {
        self.summary.crashes += 1;
        self.world.start_after_crash().await;
    }

    /// Sends requests at the same time, while faults meet calls of the store.
    async fn ask(&mut self, asked: &[Asked], faults: &[Fault]) -> Result<(), String> {
        let asked: Vec<Asked> = asked.iter().map(|asked| self.resolved(asked)).collect();
        self.world.faults.begin(faults);
        let since = Instant::now();
        let told = join_all(asked.iter().map(|asked| self.send(asked))).await;
        let took = since.elapsed();
        let seen = self.world.faults.end();
        let crashed = self.world.faults.has_crashed();
        if crashed {
            self.crash().await;
        }
        let mut calls = Vec::new();
        for (group, (asked, told)) in asked.iter().zip(told).enumerate() {
            for (request, told) in requests(asked).into_iter().zip(told) {
                let told = match told {
                    // Nobody told the client: its connection ended with the process.
                    Told::NotDone(why) if crashed => Told::Unknown(why),
                    told => told,
                };
                calls.push(Call { request, told, group });
            }
        }
        self.count(&calls, &seen);
        self.may_be_told(&calls, &seen, crashed)?;
        if took > seen.delayed + RETRIED_FOR * u32::try_from(calls.len() + 1).unwrap_or(1) {
            return Err(format!("it took {took:?}, of which {:?} in the store", seen.delayed));
        }
        // What is stored may also tell which of several models is right.
        let ambiguous = self.models.len() > 1;
        let thoroughly =
            crashed || ambiguous || !seen.met.is_empty() || calls.iter().any(needs_ids);
        self.check(calls, thoroughly).await
    }

    fn count(&mut self, calls: &[Call], seen: &Seen) {
        self.summary.requests += calls.len();
        self.summary.faults += seen.met.len();
        self.summary.calls += seen.calls;
        let mut trace = DefaultHasher::new();
        self.summary.trace.hash(&mut trace);
        seen.calls.hash(&mut trace);
        for call in calls {
            mem::discriminant(&call.request).hash(&mut trace);
            mem::discriminant(&call.told).hash(&mut trace);
            match call.told {
                Told::NotDone(_) => self.summary.failed += 1,
                Told::Unknown(_) => self.summary.unknown += 1,
                Told::Answer(_) | Told::Json(_) | Told::Wrong(_) => {}
            }
        }
        self.summary.trace = trace.finish();
    }

    /// The request about the subscription that it names by its place.
    fn resolved(&self, asked: &Asked) -> Asked {
        let resolve = |request: &Request| {
            let id = |Id(place): Id| {
                let place = usize::try_from(place).unwrap_or(usize::MAX);
                self.subscriptions.get(place).copied().unwrap_or(Id(0))
            };
            match request {
                Request::CancelSubscription(place) => Request::CancelSubscription(id(*place)),
                Request::UpdateSubscription { id: place, quantity } => {
                    Request::UpdateSubscription { id: id(*place), quantity: *quantity }
                }
                Request::ChangePackage { id: place, package, at, carries, quantity } => {
                    let (at, carries, quantity) = (*at, *carries, *quantity);
                    Request::ChangePackage { id: id(*place), package, at, carries, quantity }
                }
                Request::SetEnd { id: place, at } => Request::SetEnd { id: id(*place), at: *at },
                Request::Subscription(place) => Request::Subscription(id(*place)),
                other => other.clone(),
            }
        };
        match asked {
            Asked::Service(request) => Asked::Service(resolve(request)),
            Asked::Http(request) => Asked::Http(resolve(request)),
            Asked::Batch(usages) => Asked::Batch(usages.clone()),
        }
    }

    async fn send(&self, asked: &Asked) -> Vec<Told> {
        let kana = self.world.environment();
        match asked {
            Asked::Service(request) => {
                let told = Told::by_service(send(kana, request).await);
                vec![self.flawed(request, told).await]
            }
            Asked::Http(request) => {
                let (router, key) = (self.world.router(), self.world.private_key());
                let told = http::send(router, key, request, true).await;
                vec![self.flawed_http(request, told).await]
            }
            Asked::Batch(usages) => {
                let usages = usages.iter().copied().map(record).collect();
                let answers = kana.record_usage_batch(usages).await.into_iter();
                let recorded = |answer: Result<kana_core::usage::RecordedUsage, _>| {
                    Told::by_service(answer.map(|it| Answer::Recorded(it.recorded())))
                };
                answers.map(recorded).collect()
            }
        }
    }

    async fn flawed(&self, request: &Request, told: Told) -> Told {
        let kana = self.world.environment();
        let subscribes =
            matches!(request, Request::Subscribe { .. } | Request::CancelSubscription(_));
        match (self.flaw, told) {
            (Some(Flaw::ReadsAfterCommit), Told::Answer(answer)) if subscribes => {
                match kana.catalog().await {
                    Ok(_) => Told::Answer(answer),
                    Err(error) => Told::by_service(Err(error)),
                }
            }
            (Some(Flaw::AsksAgain), Told::Answer(Answer::Refused(_))) if is_question(request) => {
                Told::by_service(send(kana, request).await)
            }
            (_, told) => told,
        }
    }

    async fn flawed_http(&self, request: &Request, told: Told) -> Told {
        let failed = match &told {
            Told::Json(body) => body.get("errors").is_some(),
            _ => true,
        };
        if self.flaw == Some(Flaw::CarriesOutAgain) && failed {
            let (router, key) = (self.world.router(), self.world.private_key());
            return http::send(router, key, request, false).await;
        }
        told
    }

    /// Checks what may be told at all, by what happened in the store.
    fn may_be_told(&self, calls: &[Call], seen: &Seen, crashed: bool) -> Result<(), String> {
        let commit_lost = seen.met.iter().any(|trouble| {
            matches!(trouble, Trouble::LosesAnswer | Trouble::LosesCall | Trouble::FallsSilent)
        });
        let passes = |trouble: &Trouble| {
            matches!(trouble, Trouble::Fails(Failure::Unavailable | Failure::Conflict))
        };
        let outlasted = seen.met.len() <= OUTLASTED && seen.met.iter().all(passes);
        for Call { request, told, .. } in calls {
            match told {
                Told::Wrong(told) => return Err(format!("{request:?} was answered: {told}")),
                Told::NotDone(why) if outlasted => {
                    return Err(format!("{request:?} failed without a reason: {why}"));
                }
                Told::Unknown(why) if !commit_lost && !crashed => {
                    return Err(format!("{request:?}: no commit was lost, and yet: {why}"));
                }
                _ => {}
            }
        }
        let reads = calls.iter().map(|call| reads(&call.request)).sum();
        if seen.met.is_empty() && seen.reads > reads {
            return Err(format!("it began {} reads instead of {reads}", seen.reads));
        }
        let commands = calls.iter().filter(|call| !is_question(&call.request)).count();
        if seen.met.is_empty() && seen.writes > commands {
            return Err(format!("{commands} commands began {} transactions", seen.writes));
        }
        Ok(())
    }

    /// Explains the calls by the model, the changes feed and, if it is to be looked at thoroughly,
    /// everything that is stored.
    async fn check(&mut self, calls: Vec<Call>, thoroughly: bool) -> Result<(), String> {
        self.unchecked += calls.len();
        let changes = self.world.changes_after(self.changes).await;
        for (number, change) in (self.changes + 1..).zip(&changes) {
            if change.number != number || change.at.as_ms() != self.now.0 {
                return Err(format!("change {number} of {:?} is {change:?}", self.now));
            }
        }
        let mut stored = Stored {
            changes: Change::all(&changes),
            everything: None,
            new_users: Vec::new(),
            new_subscriptions: Vec::new(),
        };
        if thoroughly || self.unchecked > UNCHECKED_MAX {
            self.unchecked = 0;
            let everything = self.everything().await;
            self.find_new(&everything.answers, &calls, &mut stored);
            stored.everything = Some(everything);
            if let Some((feature, day)) = self.world.wrong_day(self.now) {
                return Err(format!("the usage of {feature} on day {day} is not that of the log"));
            }
        }
        self.models = explain(&self.models, &calls, self.now, &stored)?;
        if self.models.len() > MODELS_MAX {
            return Err(format!("{} models explain what happened", self.models.len()));
        }
        self.audited += feed::audited(&stored.changes);
        self.changes += i64::try_from(changes.len()).unwrap_or(0);
        self.know(&calls, &stored);
        Ok(())
    }

    /// Looks at all that is stored.
    async fn everything(&self) -> Everything {
        let kana = self.world.environment();
        let mut answers = Vec::new();
        for question in everything() {
            let answer = ask(kana, &question).await;
            answers.push((question, answer));
        }
        let (events, keys) = self.world.events_and_keys();
        answers.push((Request::CountEvents, Answer::Count(events)));
        Everything { answers, keys }
    }

    /// Finds the ids that nobody was told of.
    fn find_new(&self, everything: &[(Request, Answer)], calls: &[Call], stored: &mut Stored) {
        let told: Vec<Id> =
            calls.iter().filter_map(|call| call.told.made(&call.request)).flatten().collect();
        for (_, answer) in everything {
            match answer {
                Answer::Users(users) => {
                    let keys = users.iter().map(|(user, _)| user.key);
                    stored.new_users = keys
                        .filter(|key| !self.users.contains(key) && !told.contains(key))
                        .collect();
                }
                Answer::AllSubscriptions(all) => {
                    let ids = all.iter().map(|(_, one)| one.id);
                    stored.new_subscriptions = ids
                        .filter(|id| !self.subscriptions.contains(id) && !told.contains(id))
                        .collect();
                }
                _ => {}
            }
        }
        stored.new_users.sort_unstable();
        stored.new_subscriptions.sort_unstable();
    }

    fn know(&mut self, calls: &[Call], stored: &Stored) {
        self.users.extend(&stored.new_users);
        let mut made: Vec<Id> = stored.new_subscriptions.clone();
        for call in calls {
            let ids = call.told.made(&call.request).into_iter().flatten();
            match call.request {
                Request::CreateUser { .. } => self.users.extend(ids),
                _ => made.extend(ids),
            }
        }
        made.sort_unstable();
        self.subscriptions.extend(made);
    }
}

fn requests(asked: &Asked) -> Vec<Request> {
    match asked {
        Asked::Service(request) | Asked::Http(request) => vec![request.clone()],
        Asked::Batch(usages) => usages.iter().copied().map(Request::RecordUsage).collect(),
    }
}

/// Whether only what is stored says which ids were given.
fn needs_ids(call: &Call) -> bool {
    let makes = matches!(call.request, Request::CreateUser { .. } | Request::Subscribe { .. });
    makes && call.told.made(&call.request).is_none()
}

/// How many transactions that read a request begins at most. A command begins none, since it is
/// decided where it is written.
fn reads(request: &Request) -> usize {
    match request {
        // It is read to be written as a file, and once more to count subscribers.
        Request::PublishDrafts => 2,
        // Metadata of the user's events is looked for, and nothing that fails there is answered.
        Request::DeleteUser(_) => 1,
        request => is_question(request).into(),
    }
}

fn is_question(request: &Request) -> bool {
    matches!(
        request,
        Request::CanUseFeature { .. }
            | Request::ShowUsage { .. }
            | Request::Reached(_)
            | Request::Grants { .. }
            | Request::Holds { .. }
            | Request::User(_)
            | Request::Users
            | Request::Subscription(_)
            | Request::Subscriptions(_)
            | Request::AllSubscriptions
            | Request::Catalog
    )
}

pub(crate) const USERS: [Name; 3] = [ADA, BOB, CYD];

/// The questions that show all that is stored, but for the log and the keys.
fn everything() -> Vec<Request> {
    let mut questions = vec![Request::Catalog, Request::Users, Request::AllSubscriptions];
    for user in USERS {
        questions.extend([
            Request::ShowUsage { user, feature: CALLS },
            Request::ShowUsage { user, feature: LATE_CALLS },
            Request::CanUseFeature { user, feature: SSO, delta: 1 },
            Request::Reached(user),
            Request::Grants { user, feature: CALLS },
            Request::Holds { user, feature: CALLS },
        ]);
    }
    questions
}
