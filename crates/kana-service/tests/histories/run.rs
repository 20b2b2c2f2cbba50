//! Lets the clients of a plan loose on a real Kana and writes down what they were answered.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use kana_core::Timestamp;
use kana_service::{Environment, EnvironmentKind, InitialKeys, Kana, ManualClock, init};
use kana_store::Store;
use tokio::task::yield_now;

use crate::engine::Engine;
use crate::flaw::Server;
use crate::history::{Call, History};
use crate::plan::{Phase, Plan, START, Step};
use kana_test_model::answer::Answer;
use kana_test_model::request::{ADA, At, BOB, CALLS, CYD, Id, LATE_CALLS, Name, Request, SSO};

/// How often everybody else may run while a batch gathers: enough to hand a command in.
const TURNS_TO_GATHER: usize = 16;

/// Runs a plan on a database of its own, in both environments at once, which share nothing, and
/// answers the history of each.
///
/// At the end everything is asked for; then the server is started again, the requests with keys
/// are sent once more, and everything is asked for anew.
pub(crate) async fn run<E: Engine>(plan: &Plan, server: fn() -> Server) -> [History; 2] {
    let clock = Arc::new(ManualClock::new(Timestamp::from_ms(START.0)));
    let database = E::empty().await;
    let store = E::open(&database).await;
    let keys = init(store.as_ref(), clock.as_ref(), "history").await.unwrap().unwrap();
    drop(store);
    let mut running = Running::start::<E>(&database, &clock, &keys).await;
    let sides = ENVIRONMENTS.map(|_| Arc::new(Clients::new(server(), plan.keyed.clone())));

    let mut now = START;
    one_client(&sides, &running, now, &asking(&plan.setup)).await;
    for phase in &plan.phases {
        now = At(now.0 + phase.pause_ms);
        clock.set(Timestamp::from_ms(now.0));
        if phase.restart {
            running = running.restart::<E>(&database, &clock, &keys).await;
        }
        all_clients(&sides, &running, now, phase).await;
    }
    one_client(&sides, &running, now, &asking(&everything())).await;
    count_events::<E>(&sides, &database, now).await;

    running = running.restart::<E>(&database, &clock, &keys).await;
    let again: Vec<Step> = (0..plan.keyed.len())
        .flat_map(|which| USERS.map(|user| Step::Keyed(which, Some(user))))
        .collect();
    one_client(&sides, &running, now, &again).await;
    one_client(&sides, &running, now, &asking(&everything())).await;
    count_events::<E>(&sides, &database, now).await;
    // Also beside servers that run.
    assert_eq!(E::check(&database, Timestamp::from_ms(now.0)).await, [], "{plan:?}");
    running.finish().await;
    sides.map(|clients| clients.history())
}

const ENVIRONMENTS: [EnvironmentKind; 2] = [EnvironmentKind::Test, EnvironmentKind::Live];

/// The clients of each environment.
type Sides = [Arc<Clients>; 2];

/// One client in each environment, while nobody else asks there.
async fn one_client(sides: &Sides, running: &Running, now: At, steps: &[Step]) {
    let clients = sides.iter().zip(&running.environments);
    join_all(clients.map(|(clients, kana)| clients.do_steps(kana.clone(), 0, now, steps))).await;
}

/// All clients of a phase at the same time.
async fn all_clients(sides: &Sides, running: &Running, now: At, phase: &Phase) {
    // While we write, the writer cannot: what is handed in gathers.
    let held = if phase.gather { Some(running.stores[0].write().await.unwrap()) } else { None };
    let before: Vec<usize> = sides.iter().map(|clients| clients.done()).collect();
    let mut tasks = Vec::new();
    for (clients, kana) in sides.iter().zip(&running.environments) {
        for (client, steps) in phase.clients.iter().enumerate() {
            let (clients, kana, steps) = (Arc::clone(clients), kana.clone(), steps.clone());
            tasks.push(tokio::spawn(async move {
                clients.do_steps(kana, client + 1, now, &steps).await;
            }));
        }
    }
    if held.is_some() {
        let all_have_asked = |(clients, before): (&Arc<Clients>, &usize)| {
            clients.done() >= before + phase.clients.len()
        };
        while !sides.iter().zip(&before).all(all_have_asked) {
            yield_now().await;
        }
        for _ in 0..TURNS_TO_GATHER {
            yield_now().await;
        }
    }
    drop(held);
    for task in join_all(tasks).await {
        task.unwrap();
    }
}

async fn count_events<E: Engine>(sides: &Sides, database: &E::Database, now: At) {
    for (clients, environment) in sides.iter().zip(ENVIRONMENTS) {
        let asked = clients.next();
        let answer = Answer::Count(E::events(database, environment).await);
        let (client, request, answered) = (0, Request::CountEvents, clients.next());
        clients.write_down(Call { client, request, answer, now, asked, answered });
    }
}

fn asking(requests: &[Request]) -> Vec<Step> {
    requests.iter().cloned().map(Step::Ask).collect()
}

const USERS: [Name; 3] = [ADA, BOB, CYD];

/// The questions that show all that is stored, but for the log and the keys.
fn everything() -> Vec<Request> {
    let mut questions = vec![Request::Catalog, Request::Users, Request::AllSubscriptions];
    for user in USERS {
        questions.extend([
            Request::ShowUsage { user, feature: CALLS },
            Request::ShowUsage { user, feature: LATE_CALLS },
            Request::CanUseFeature { user, feature: SSO, delta: 1 },
            Request::Reached(user),
        ]);
    }
    questions
}

struct Running {
    servers: Vec<Arc<Kana>>,
    stores: Vec<Arc<dyn Store>>,
    environments: Vec<Servers>,
}

/// One environment, as each of the servers has it.
#[derive(Clone)]
struct Servers(Vec<Environment>);

impl Servers {
    /// The server that a client sends a request to. Whatever is made is made through one of them,
    /// since the order of creation is that of a server's clock.
    fn for_request(&self, client: usize, request: &Request) -> &Environment {
        let makes = matches!(request, Request::CreateUser { .. } | Request::Subscribe { .. });
        &self.0[if makes { 0 } else { client % self.0.len() }]
    }
}

impl Running {
    async fn start<E: Engine>(
        database: &E::Database,
        clock: &Arc<ManualClock>,
        keys: &InitialKeys,
    ) -> Self {
        let (mut servers, mut stores) = (Vec::new(), Vec::new());
        let mut environments = vec![Servers(Vec::new()), Servers(Vec::new())];
        for _ in 0..E::SERVERS {
            let store = E::open(database).await;
            let kana = Kana::start(Arc::clone(&store), Arc::clone(clock) as _).unwrap();
            for (servers, key) in
                environments.iter_mut().zip([&keys.test_private, &keys.live_private])
            {
                servers.0.push(kana.authorise_private(key.reveal()).await.unwrap());
            }
            servers.push(kana);
            stores.push(store);
        }
        Self { servers, stores, environments }
    }

    /// Finishes everything, as at the end of a process.
    async fn finish(self) {
        let Self { servers, stores, environments } = self;
        drop(environments);
        for kana in servers {
            kana.finish().await;
        }
        drop(stores);
    }

    async fn restart<E: Engine>(
        self,
        database: &E::Database,
        clock: &Arc<ManualClock>,
        keys: &InitialKeys,
    ) -> Self {
        self.finish().await;
        Self::start::<E>(database, clock, keys).await
    }
}

/// What all clients of an environment share.
struct Clients {
    server: Server,
    keyed: Vec<Request>,
    /// How often a client has asked or was answered.
    order: AtomicUsize,
    /// The subscriptions that were made, in the order in which clients heard of it.
    subscriptions: Mutex<Vec<Id>>,
    calls: Mutex<Vec<Call>>,
}

impl Clients {
    fn new(server: Server, keyed: Vec<Request>) -> Self {
        let (order, subscriptions, calls) = Default::default();
        Self { server, keyed, order, subscriptions, calls }
    }

    fn done(&self) -> usize {
        self.order.load(Ordering::SeqCst)
    }

    /// The number of what a client does now.
    fn next(&self) -> usize {
        self.order.fetch_add(1, Ordering::SeqCst)
    }

    async fn do_steps(&self, servers: Servers, client: usize, now: At, steps: &[Step]) {
        for step in steps {
            let request = self.request(step);
            let asked = self.next();
            let kana = servers.for_request(client, &request);
            let answer = self.server.ask(kana, &request).await;
            let answered = self.next();
            if let Request::Subscribe { .. } | Request::ChangePackage { .. } = &request {
                self.subscriptions.lock().unwrap().extend(answer.ids());
            }
            self.write_down(Call { client, request, answer, now, asked, answered });
        }
    }

    fn request(&self, step: &Step) -> Request {
        let subscription =
            |which: usize| self.subscriptions.lock().unwrap().get(which).copied().unwrap_or(Id(0));
        match step {
            Step::Ask(request) => request.clone(),
            Step::Keyed(which, None) => self.keyed[*which].clone(),
            Step::Keyed(which, Some(user)) => self.keyed[*which].about(user),
            Step::Cancel(which) => Request::CancelSubscription(subscription(*which)),
            Step::Quantity(which, quantity) => {
                Request::UpdateSubscription { id: subscription(*which), quantity: *quantity }
            }
            Step::Change(which, package, (at, carries), quantity) => Request::ChangePackage {
                id: subscription(*which),
                package,
                at: *at,
                carries: *carries,
                quantity: *quantity,
            },
            Step::End(which, at) => Request::SetEnd { id: subscription(*which), at: *at },
            Step::Subscription(which) => Request::Subscription(subscription(*which)),
        }
    }

    fn write_down(&self, call: Call) {
        self.calls.lock().unwrap().push(call);
    }

    fn history(&self) -> History {
        let mut history = History::new(self.calls.lock().unwrap().clone());
        history.number_ids();
        history
    }
}
