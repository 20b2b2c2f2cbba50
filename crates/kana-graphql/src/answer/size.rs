use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Poll;
use std::time::Duration;

use async_graphql::{Response, ServerError};
use futures_util::future::poll_fn;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::error::{ErrorBody, Overloaded};

const MIB: usize = 1024 * 1024;
/// The size limit of an answer.
const ANSWER_BYTES_MAX: usize = 32 * MIB;
/// An answer up to this size takes nothing of the budget.
const FREE_BYTES: usize = 64 * 1024;
/// The size limit, in MiB, of all answers that are being built or sent.
const ANSWERS_MIB_MAX: usize = 128;
/// The most rows of all lists that are held at the same time.
const ROWS_MAX: usize = 20_000;
/// How long an answer waits for others to release memory or rows.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// The budget that all answers that are being built or sent share.
pub struct AnswerBudget {
    mib: Arc<Semaphore>,
    rows: Arc<Semaphore>,
}

/// The size of an answer while it is built.
pub(crate) struct AnswerSize {
    budget: Arc<AnswerBudget>,
    is_mutation: bool,
    /// The bytes of the lists that are held now.
    bytes: AtomicUsize,
    /// The part of the budget that this answer holds.
    permits: Mutex<Option<OwnedSemaphorePermit>>,
    /// Held while a list is loaded, so that a request loads one at a time.
    turn: Arc<tokio::sync::Mutex<()>>,
    failure: OnceLock<ServerError>,
}

/// Why an answer cannot grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// The answer is too large.
    Answer,
    /// The budget of all answers is used up.
    Budget,
}

/// Held while a list is loaded and resolved.
pub struct Turn {
    _in_request: OwnedMutexGuard<()>,
    _rows: Option<OwnedSemaphorePermit>,
}

impl AnswerBudget {
    /// Creates a budget of 128 MiB and 20,000 rows.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Self::of(ANSWERS_MIB_MAX)
    }

    /// Creates a budget of `mib` MiB.
    pub(crate) fn of(mib: usize) -> Arc<Self> {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Arc::new(Self { mib: semaphore(mib), rows: semaphore(ROWS_MAX) })
    }
}

impl AnswerSize {
    pub(crate) fn new(budget: &Arc<AnswerBudget>, is_mutation: bool) -> Arc<Self> {
        Arc::new(Self {
            budget: Arc::clone(budget),
            is_mutation,
            bytes: AtomicUsize::new(0),
            permits: Mutex::new(None),
            turn: Arc::default(),
            failure: OnceLock::new(),
        })
    }

    /// Waits until there is room in the budget before a mutation runs, since its effects cannot be
    /// refused afterwards.
    pub(crate) async fn admit(&self) -> Result<(), Full> {
        if self.is_mutation && self.budget.mib.available_permits() == 0 {
            self.take(1).await?;
        }
        Ok(())
    }

    /// Waits for the turn to load a list of `rows` rows.
    pub(crate) async fn turn(&self, rows: usize) -> Result<Turn, Full> {
        let in_request = Arc::clone(&self.turn).lock_owned().await;
        // A mutation has taken effect already, so its answer does not wait for rows.
        let rows = if self.is_mutation { None } else { Some(wait(&self.budget.rows, rows).await?) };
        Ok(Turn { _in_request: in_request, _rows: rows })
    }

    /// Counts bytes that were written. Takes permits of the budget for them, and may wait for them.
    pub(crate) async fn grow(&self, bytes: usize) -> Result<(), Full> {
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        check(bytes)?;
        if bytes <= FREE_BYTES {
            return Ok(());
        }
        let taken = self
            .with_permits(|permits| permits.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        match bytes.div_ceil(MIB).saturating_sub(taken) {
            0 => Ok(()),
            mib => self.take(mib).await,
        }
    }

    /// Returns a lower bound of the answer's size.
    pub(crate) fn bytes_at_least(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Subtracts bytes that were dropped or copied into another list.
    pub(crate) fn shrink(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    async fn take(&self, mib: usize) -> Result<(), Full> {
        let more = wait(&self.budget.mib, mib).await?;
        self.with_permits(|permits| match permits {
            Some(permits) => permits.merge(more),
            None => *permits = Some(more),
        });
        Ok(())
    }

    fn with_permits<T>(&self, use_it: impl FnOnce(&mut Option<OwnedSemaphorePermit>) -> T) -> T {
        use_it(&mut self.permits.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the permits of the budget, to be held until the answer is sent.
    pub(crate) fn take_permits(&self) -> Option<OwnedSemaphorePermit> {
        self.with_permits(Option::take)
    }

    /// Ends the execution with this error. Never returns; [`watch`](Self::watch) drops the
    /// execution.
    pub(crate) async fn fail<T>(&self, error: ServerError) -> T {
        let _ = self.failure.set(error);
        std::future::pending().await
    }

    /// Runs the execution until it ends or the answer is refused. Each mutation takes effect before
    /// its answer is built, so dropping the execution interrupts no effect.
    pub(crate) async fn watch(&self, execution: impl Future<Output = Response>) -> Response {
        let mut execution = pin!(execution);
        poll_fn(|context| match execution.as_mut().poll(context) {
            Poll::Pending => match self.failure.get() {
                Some(error) => Poll::Ready(Response::from_errors(vec![error.clone()])),
                None => Poll::Pending,
            },
            ready => ready,
        })
        .await
    }

    /// Fails if the JSON of a whole answer is too large.
    pub(crate) fn check_whole(&self, json: &[u8]) -> Result<(), ErrorBody> {
        check(json.len()).map_err(|full| self.refusal(full, None))
    }

    /// Returns the error of an answer that was refused within this root field; `None` if it was
    /// refused at the end.
    pub(crate) fn refusal(&self, full: Full, field: Option<&str>) -> ErrorBody {
        let why = match full {
            Full::Answer => "The answer is larger than 32 MiB",
            Full::Budget => "Too many large answers are being built or sent",
        };
        if !self.is_mutation {
            return match full {
                Full::Answer => ErrorBody::answer_too_large(format!(
                    "{why}: ask for pages, or for fewer fields"
                )),
                Full::Budget => Overloaded.into(),
            };
        }
        ErrorBody::answer_too_large(match field {
            Some(field) => format!(
                "{why}. The mutation {field} was executed, and so were those before it: what they \
                 did is recorded. Those after it were not executed. Select fewer fields of it"
            ),
            None => format!(
                "{why}. The operation was executed: what it did is recorded. Select fewer fields"
            ),
        })
    }
}

fn check(bytes: usize) -> Result<(), Full> {
    if bytes > ANSWER_BYTES_MAX { Err(Full::Answer) } else { Ok(()) }
}

/// Takes permits, and waits for them up to [`WAIT_MAX`].
async fn wait(semaphore: &Arc<Semaphore>, permits: usize) -> Result<OwnedSemaphorePermit, Full> {
    let permits = u32::try_from(permits).map_err(|_| Full::Budget)?;
    if let Ok(taken) = Arc::clone(semaphore).try_acquire_many_owned(permits) {
        return Ok(taken);
    }
    let taken = timeout(WAIT_MAX, Arc::clone(semaphore).acquire_many_owned(permits)).await;
    // The semaphore is never closed.
    taken.ok().and_then(Result::ok).ok_or(Full::Budget)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn sizes(mib: usize) -> [Arc<AnswerSize>; 2] {
        let budget = AnswerBudget::of(mib);
        [(); 2].map(|()| AnswerSize::new(&budget, false))
    }

    #[tokio::test]
    async fn an_answer_may_be_so_large_and_no_larger() {
        let [size, _] = sizes(128);
        assert_eq!(size.grow(32 * MIB).await, Ok(()));
        assert_eq!(size.grow(1).await, Err(Full::Answer));
        size.shrink(2);
        assert_eq!(size.grow(1).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn answers_share_a_budget_until_they_are_dropped() {
        let [one, other] = sizes(3);
        assert_eq!(one.grow(3 * MIB).await, Ok(()));
        // A small one needs nothing of it.
        assert_eq!(other.grow(FREE_BYTES).await, Ok(()));
        assert_eq!(other.grow(1).await, Err(Full::Budget));
        let permits = one.take_permits();
        drop(one);
        assert_eq!(other.grow(1).await, Err(Full::Budget));
        drop(permits);
        assert_eq!(other.grow(1).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_mutation_is_refused_before_it_runs() {
        let budget = AnswerBudget::of(1);
        let (question, mutation) =
            (AnswerSize::new(&budget, false), AnswerSize::new(&budget, true));
        assert_eq!(mutation.admit().await, Ok(()));
        assert_eq!(question.grow(MIB).await, Ok(()));
        assert_eq!(mutation.admit().await, Err(Full::Budget));
        drop(question);
        assert_eq!(mutation.admit().await, Ok(()));
        let body = mutation.refusal(Full::Budget, Some("subscribe"));
        assert_eq!(body.code, "ANSWER_TOO_LARGE");
        assert!(body.message.contains("what they did is recorded"), "{}", body.message);
    }

    #[tokio::test]
    async fn a_request_loads_one_list_at_a_time() {
        let [size, _] = sizes(1);
        let turn = size.turn(10).await;
        assert!(size.turn(10).now_or_never().is_none());
        drop(turn);
        assert!(size.turn(10).now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn lists_that_are_loaded_have_a_bound_together() {
        let budget = AnswerBudget::of(1);
        let sizes = [(); 3].map(|()| AnswerSize::new(&budget, false));
        let turns = (sizes[0].turn(10_000).await, sizes[1].turn(10_000).await);
        assert_eq!(sizes[2].turn(1).await.err(), Some(Full::Budget));
        drop(turns);
        assert!(sizes[2].turn(1).await.is_ok());
    }
}
