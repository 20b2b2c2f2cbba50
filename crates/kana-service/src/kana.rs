use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kana_core::Timestamp;
use kana_core::catalog::Catalog;
use kana_core::id::UserId;
use kana_store::app::{App, ClientAccess, Key, KeyHash, NewKey, TokenSecret};
use kana_store::{EnvironmentId, NeededThreads, Store, StoreError, Transaction, WriteTransaction};
use tokio::time::Instant;

use crate::catalogs::Catalogs;
use crate::client::ClientUser;
use crate::clock::Clock;
use crate::environment::Environment;
use crate::error::Error;
use crate::folding;
use crate::keys::{self, NewSecret, Unauthenticated};
use crate::questions::Questions;
use crate::readiness::NotReady;
use crate::recent::Recent;
use crate::retention;
use crate::retry::retry;
use crate::tokens;
use crate::writer::{Finished, Writer};
use crate::{EnvironmentKind, KeyKind};

/// What whoever runs Kana may choose.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// For how many days a user token is good.
    pub user_token_days: u32,
    /// For how many days an idempotency key is kept at least. After that a request with it is new.
    pub idempotency_days: u32,
    /// For how many days a usage event is kept at least; `None`: for ever.
    pub events_days: Option<u32>,
}

/// How long a readiness check waits for the database. A load balancer must get its answer within
/// two seconds, including the time on the network.
const READY_WITHIN: Duration = Duration::from_millis(1500);

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

impl Default for Settings {
    fn default() -> Self {
        Self { user_token_days: 30, idempotency_days: 30, events_days: None }
    }
}

impl Settings {
    pub(crate) fn user_token_ms(self) -> i64 {
        i64::from(self.user_token_days) * DAY_MS
    }

    pub(crate) fn events_ms(self) -> Option<i64> {
        self.events_days.map(|days| i64::from(days) * DAY_MS)
    }

    pub(crate) fn idempotency_ms(self) -> i64 {
        i64::from(self.idempotency_days) * DAY_MS
    }
}

/// A running Kana on one store.
pub struct Kana {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) catalogs: Arc<Catalogs>,
    pub(crate) writer: Writer,
    /// `None`: a question reads where it is asked.
    pub(crate) questions: Option<Questions>,
    pub(crate) settings: Settings,
    keys: Recent<KeyHash, Key>,
    client_access: Recent<EnvironmentKind, Arc<ClientAccess>>,
    threads: NeededThreads,
    writer_finished: Mutex<Option<Finished>>,
}

impl Kana {
    /// Starts with the settings that most need. Must be called within a Tokio runtime.
    pub fn start(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> std::io::Result<Arc<Self>> {
        Self::start_with(store, clock, Settings::default())
    }

    /// Starts the writer. Must be called within a Tokio runtime.
    pub fn start_with(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> std::io::Result<Arc<Self>> {
        let catalogs = Arc::new(Catalogs::default());
        let threads = store.needed_threads();
        let (writer, finished) = Writer::start(&store, &catalogs, &clock, settings, &threads)?;
        let questions =
            store.readers().map(|readers| Questions::start(readers, &store, &catalogs, &threads));
        let kana = Arc::new(Self {
            store,
            clock,
            catalogs,
            writer,
            questions,
            settings,
            keys: Recent::default(),
            client_access: Recent::default(),
            threads,
            writer_finished: Mutex::new(Some(finished)),
        });
        folding::start(Arc::downgrade(&kana));
        retention::start(Arc::downgrade(&kana), &kana.threads);
        Ok(kana)
    }

    /// The environment of a private key, as it was presented.
    pub async fn authorise_private(
        self: &Arc<Self>,
        presented: &str,
    ) -> Result<Environment, Error> {
        let key = self.valid_key(presented).await?;
        match key.kind {
            KeyKind::Private => Ok(self.environment_of(&key)),
            KeyKind::Public => Err(Unauthenticated::PublicKey.into()),
        }
    }

    /// The user that whoever presents a public key names: the Client API's simple mode.
    pub async fn authorise_public(
        self: &Arc<Self>,
        presented: &str,
        user: Option<&str>,
    ) -> Result<ClientUser, Error> {
        let key = self.valid_key(presented).await?;
        if key.kind == KeyKind::Private {
            return Err(Unauthenticated::PrivateKeyInBrowser.into());
        }
        if !self.client_access(key.environment_kind).await?.simple_mode {
            return Err(Unauthenticated::SimpleModeOff.into());
        }
        let user = user.ok_or(Unauthenticated::UserIdMissing)?;
        Ok(ClientUser::new(self.environment_of(&key), UserId::new("X-User-ID", user)?))
    }

    /// The user that a user token names: the Client API's secure mode.
    pub async fn authorise_token(self: &Arc<Self>, token: &str) -> Result<ClientUser, Error> {
        let kind = tokens::claimed_environment(token)?;
        let access = self.client_access(kind).await?;
        let user = tokens::verify(token, kind, &access, self.clock.now())?;
        let environment = Environment::new(Arc::clone(self), access.environment, kind);
        Ok(ClientUser::new(environment, user))
    }

    fn environment_of(self: &Arc<Self>, key: &Key) -> Environment {
        Environment::new(Arc::clone(self), key.environment, key.environment_kind)
    }

    /// The key that was presented, if it is known and was not revoked.
    async fn valid_key(&self, presented: &str) -> Result<Key, Error> {
        let hash = keys::hash_of_presented(presented).ok_or(Unauthenticated::Unknown)?;
        if let Some(key) = self.keys.get(&hash) {
            return Ok(key);
        }
        let asked_at = Instant::now();
        let found = retry(|| async move { Ok(self.store.find_key(hash).await?) }).await?;
        let valid = found.filter(|key| key.revoked_at.is_none());
        let Some(key) = valid else {
            self.keys.forget(&hash);
            return Err(Unauthenticated::Unknown.into());
        };
        self.keys.remember(hash, key.clone(), asked_at);
        Ok(key)
    }

    /// How an environment lets browsers in.
    async fn client_access(&self, kind: EnvironmentKind) -> Result<Arc<ClientAccess>, Error> {
        if let Some(access) = self.client_access.get(&kind) {
            return Ok(access);
        }
        let asked_at = Instant::now();
        let access = retry(|| async move { Ok(self.store.client_access(kind).await?) }).await?;
        // Without an app nobody has a token, and whoever claims to have one made it up.
        let access = Arc::new(access.ok_or(Unauthenticated::InvalidToken)?);
        self.client_access.remember(kind, Arc::clone(&access), asked_at);
        Ok(access)
    }

    /// A token by which a user's browser reads what that user may do.
    pub(crate) async fn issue_token(
        &self,
        environment: EnvironmentId,
        kind: EnvironmentKind,
        user: &UserId,
    ) -> Result<String, Error> {
        let access = self.client_access(kind).await?;
        let now = self.clock.now();
        let secret = match tokens::signing_secret(&access) {
            Some(secret) => secret.clone(),
            // The first token of an environment creates its secret.
            None => {
                let new = random(tokens::new_secret())?;
                let provide = || self.provide_secret(environment, new.clone(), now);
                let secret = retry(provide).await?;
                // The next look-up reads the new secret. A look-up here could fail although the
                // secret is stored.
                self.client_access.forget(&kind);
                secret
            }
        };
        let expires_at = now.saturating_add_ms(self.settings.user_token_ms());
        tokens::issue(&secret, kind, user, now, expires_at)
            .map_err(|_| Error::Bug("a user token cannot be written"))
    }

    async fn provide_secret(
        &self,
        environment: EnvironmentId,
        new: Vec<u8>,
        now: Timestamp,
    ) -> Result<TokenSecret, Error> {
        Ok(self.store.provide_token_secret(environment, new, now).await?)
    }

    /// Returns `Ok` if the database answers questions and accepts changes. Always returns within
    /// two seconds.
    pub async fn check_ready(&self) -> Result<(), NotReady> {
        match tokio::time::timeout(READY_WITHIN, self.store.check_ready()).await {
            Ok(checked) => checked.map_err(NotReady::Database),
            Err(_) => Err(NotReady::NoAnswer),
        }
    }

    /// Resolves with the name of a thread or task that this `Kana` needs, once one has panicked.
    /// The process should then end, since some requests are no longer answered. The future does not
    /// keep this `Kana` alive.
    pub fn thread_lost(&self) -> impl Future<Output = String> + Send + use<> {
        self.threads.lost()
    }

    /// Waits until everything that was accepted is written. Call it when nothing else holds this
    /// `Kana`, so that nothing more can be accepted.
    pub async fn finish(self: Arc<Self>) {
        let finished = self.writer_finished.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(self);
        if let Some(mut finished) = finished {
            // Nobody sends anything: it ends with the last lane.
            let _ = finished.recv().await;
        }
    }

    /// The environment's catalog as it is in `transaction`.
    pub(crate) async fn catalog_in(
        &self,
        transaction: &mut dyn Transaction,
        environment: EnvironmentId,
    ) -> Result<Arc<Catalog>, Error> {
        let version = transaction.catalog_version(environment).await?;
        Ok(self.catalogs.at(transaction, environment, version).await?)
    }
}

/// The first keys of an app.
pub struct InitialKeys {
    /// Test environment, Admin API.
    pub test_private: NewSecret,
    /// Test environment, Client API.
    pub test_public: NewSecret,
    /// Live environment, Admin API.
    pub live_private: NewSecret,
    /// Live environment, Client API.
    pub live_public: NewSecret,
}

/// New keys that are not committed yet. Dropping this discards them.
///
/// A key is shown only once, so it is shown before it is committed. If it cannot be shown, it does
/// not exist.
#[must_use]
pub struct Uncommitted<T> {
    /// The keys to show.
    pub secrets: T,
    transaction: Box<dyn WriteTransaction>,
}

impl<T> Uncommitted<T> {
    /// Commits the keys, which makes them valid.
    pub async fn commit(self) -> Result<T, StoreError> {
        self.transaction.commit().await?;
        Ok(self.secrets)
    }
}

/// Creates the app with its two environments and their keys, without committing them. Returns
/// `None` if there is an app already.
pub async fn begin_init(
    store: &dyn Store,
    clock: &dyn Clock,
    app_name: &str,
) -> Result<Option<Uncommitted<InitialKeys>>, Error> {
    if store.app().await?.is_some() {
        return Ok(None);
    }
    let secrets = InitialKeys {
        test_private: generate(EnvironmentKind::Test, KeyKind::Private)?,
        test_public: generate(EnvironmentKind::Test, KeyKind::Public)?,
        live_private: generate(EnvironmentKind::Live, KeyKind::Private)?,
        live_public: generate(EnvironmentKind::Live, KeyKind::Public)?,
    };
    let now = clock.now();
    let keys = [
        (EnvironmentKind::Test, KeyKind::Private, &secrets.test_private),
        (EnvironmentKind::Test, KeyKind::Public, &secrets.test_public),
        (EnvironmentKind::Live, KeyKind::Private, &secrets.live_private),
        (EnvironmentKind::Live, KeyKind::Public, &secrets.live_public),
    ]
    .map(|(environment, kind, secret)| new_key(environment, kind, secret, now));
    let app = App { name: app_name.to_owned() };
    // Another process may have created the app since the check above.
    let transaction = store.begin_app(app, keys.into(), now).await?;
    Ok(transaction.map(|transaction| Uncommitted { secrets, transaction }))
}

/// Creates the app with its two environments and their keys. Returns `None`, and changes nothing,
/// if there is an app already.
pub async fn init(
    store: &dyn Store,
    clock: &dyn Clock,
    app_name: &str,
) -> Result<Option<InitialKeys>, Error> {
    match begin_init(store, clock, app_name).await? {
        Some(uncommitted) => Ok(Some(uncommitted.commit().await?)),
        None => Ok(None),
    }
}

/// Creates another key for an environment, without committing it.
pub async fn begin_key(
    store: &dyn Store,
    clock: &dyn Clock,
    environment: EnvironmentKind,
    kind: KeyKind,
) -> Result<Uncommitted<NewSecret>, Error> {
    let secret = generate(environment, kind)?;
    let transaction = store.begin_key(new_key(environment, kind, &secret, clock.now())).await?;
    Ok(Uncommitted { secrets: secret, transaction })
}

/// Creates another key for an environment.
pub async fn create_key(
    store: &dyn Store,
    clock: &dyn Clock,
    environment: EnvironmentKind,
    kind: KeyKind,
) -> Result<NewSecret, Error> {
    Ok(begin_key(store, clock, environment, kind).await?.commit().await?)
}

/// Makes a new secret that signs an environment's user tokens from now on. Tokens that were signed
/// before stay good until they expire by themselves, or not at all when `at_once`. Running
/// servers obey within five seconds. Says whether there is an app.
pub async fn rotate_token_secret(
    store: &dyn Store,
    clock: &dyn Clock,
    settings: Settings,
    environment: EnvironmentKind,
    at_once: bool,
) -> Result<bool, Error> {
    let now = clock.now();
    let grace_ms = if at_once { 0 } else { settings.user_token_ms() };
    let secret = random(tokens::new_secret())?;
    let until = now.saturating_add_ms(grace_ms);
    Ok(store.rotate_token_secret(environment, secret, now, until).await?)
}

/// Says whether a public key and a user's id are enough for the Client API of an environment.
/// Running servers obey within five seconds. Answers whether there is an app.
pub async fn set_simple_mode(
    store: &dyn Store,
    environment: EnvironmentKind,
    on: bool,
) -> Result<bool, Error> {
    Ok(store.set_simple_mode(environment, on).await?)
}

/// What the operating system's randomness gave, or why it gave nothing.
fn random<T>(result: Result<T, getrandom::Error>) -> Result<T, Error> {
    result.map_err(|error| StoreError::Engine(Box::new(error)).into())
}

fn generate(environment: EnvironmentKind, kind: KeyKind) -> Result<NewSecret, Error> {
    random(NewSecret::generate(environment, kind))
}

fn new_key(
    environment: EnvironmentKind,
    kind: KeyKind,
    secret: &NewSecret,
    created_at: Timestamp,
) -> NewKey {
    NewKey {
        environment,
        kind,
        hash: secret.hash(),
        last_four: secret.last_four().to_owned(),
        created_at,
    }
}
