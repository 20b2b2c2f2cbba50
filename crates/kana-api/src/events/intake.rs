use std::pin::{Pin, pin};
use std::sync::Arc;

use futures_util::future::{Either, poll_immediate, select};
use kana_core::usage::{RecordUsage, RecordedUsage};
use kana_graphql::ErrorBody;
use kana_http::body::BodyShare;
use kana_service::Error;
use kana_telemetry::metrics::usage::{self, UsageResult};
use kana_telemetry::request;
use tokio::sync::OwnedSemaphorePermit;

use super::answer::{Answer, Tally};
use super::event;
use super::sender::{Sender, Turn};
use crate::http_error::HttpError;

/// The most events that are recorded together.
const BATCH_EVENTS_MAX: usize = 1024;
/// So many bytes of text make a batch full, too, so that little is held in memory.
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// The memory of an event besides its text, in a list that grows by doubling.
const EVENT_BYTES: usize = 2 * size_of::<RecordUsage>();
/// How much memory a batch may take that is not counted. So a stream goes on with small batches
/// when the memory for request bodies is used up.
const UNCOUNTED_BYTES_MAX: usize = 16 * 1024;
/// How much of the memory for request bodies a batch takes at once.
const COUNTED_BYTES: usize = 64 * 1024;

/// Records the events of a request in their order: while a batch of them is made durable, the next
/// one gathers. At most those two are held.
pub(super) struct Intake {
    sender: Arc<Sender>,
    gathered: Batch,
    progress: Progress,
    failure: Option<HttpError>,
    tally: Tally,
}

/// What is under way.
enum Progress {
    /// Nothing.
    Idle,
    /// The gathered events wait for their turn, and more of them gather meanwhile.
    Waiting(Turn),
    /// A batch is being recorded.
    Recording(Recording),
}

/// Events to be recorded together.
struct Batch {
    usages: Vec<RecordUsage>,
    names: Names,
    bytes: usize,
    share: BodyShare,
}

/// What the events of a batch are called by who sent them.
#[derive(Default)]
struct Names {
    /// Each event's place in the request, and where its id ends.
    ends: Vec<(u64, usize)>,
    /// The ids, one after the other.
    ids: String,
}

/// A batch that is being recorded.
type Recording = Pin<Box<dyn Future<Output = (Names, Recorded)> + Send>>;
/// What each event is answered with, in their order.
type Recorded = Result<Vec<Result<RecordedUsage, Error>>, Error>;

impl Intake {
    pub(super) fn new(sender: Sender) -> Self {
        Self {
            gathered: Batch::new(&sender),
            sender: Arc::new(sender),
            progress: Progress::Idle,
            failure: None,
            tally: Tally::default(),
        }
    }

    /// Takes one more event, by its text.
    pub(super) fn take(&mut self, text: &[u8]) {
        let index = self.tally.receive();
        match event::read(text) {
            Ok(event) => {
                self.gathered.usages.push(event.usage);
                self.gathered.names.push(index, &event.id);
                self.gathered.bytes += text.len();
            }
            Err(rejected) => {
                usage::recorded(request::environment(), UsageResult::Refused);
                self.tally.refuse(index, rejected.id.as_deref(), rejected.error);
            }
        }
    }

    /// Counts one more event, which is not looked at.
    pub(super) fn refuse(&mut self, why: &str) {
        let index = self.tally.receive();
        usage::recorded(request::environment(), UsageResult::Refused);
        self.tally.refuse(index, None, ErrorBody::bad_request(why));
    }

    /// How many events were refused so far. Some of those that were taken still may be.
    pub(super) fn refused(&self) -> usize {
        self.tally.refused()
    }

    /// Whether nothing more can be recorded.
    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Once a full batch has gathered, waits for the one before it and starts to record this one.
    pub(super) async fn make_room(&mut self) {
        if self.gathered.is_full() {
            self.start_recording().await;
        }
    }

    /// Waits for `next`, and meanwhile records what has gathered, however little it is: nobody
    /// knows when more arrives. `None` when that fails.
    pub(super) async fn while_recording<T>(&mut self, next: impl Future<Output = T>) -> Option<T> {
        let mut next = pin!(next);
        loop {
            if self.has_failed() {
                return None;
            }
            match &mut self.progress {
                Progress::Idle if self.gathered.usages.is_empty() => return Some(next.await),
                Progress::Idle => self.progress = Progress::Waiting(self.sender.turn()),
                Progress::Waiting(turn) => match select(turn, next.as_mut()).await {
                    Either::Left((turn, _)) => self.take_turn(turn).await,
                    Either::Right((next, _)) => return Some(next),
                },
                Progress::Recording(recording) => match select(recording, next.as_mut()).await {
                    Either::Left((recorded, _)) => self.settle(recorded),
                    Either::Right((next, _)) => return Some(next),
                },
            }
        }
    }

    /// Records what is left, and answers. `read` says whether the request was read to its end.
    pub(super) async fn finish(mut self, read: Result<(), HttpError>) -> Answer {
        self.start_recording().await;
        self.finish_recording().await;
        Answer::new(self.tally, self.failure.or(read.err()))
    }

    /// Waits for the batch that is being recorded, then for the turn of the gathered events, and
    /// starts to record them.
    async fn start_recording(&mut self) {
        self.finish_recording().await;
        if self.has_failed() || self.gathered.usages.is_empty() {
            return;
        }
        let turn = match std::mem::replace(&mut self.progress, Progress::Idle) {
            Progress::Waiting(turn) => turn,
            Progress::Idle | Progress::Recording(_) => self.sender.turn(),
        };
        self.take_turn(turn.await).await;
    }

    async fn take_turn(&mut self, turn: Option<OwnedSemaphorePermit>) {
        let batch = std::mem::replace(&mut self.gathered, Batch::new(&self.sender));
        let mut recording: Recording = Box::pin(batch.record(Arc::clone(&self.sender), turn));
        // On its way before the next one gathers.
        match poll_immediate(&mut recording).await {
            Some(recorded) => self.settle(recorded),
            None => self.progress = Progress::Recording(recording),
        }
    }

    async fn finish_recording(&mut self) {
        if let Progress::Recording(recording) = &mut self.progress {
            let recorded = recording.await;
            self.settle(recorded);
        }
    }

    fn settle(&mut self, (names, recorded): (Names, Recorded)) {
        self.progress = Progress::Idle;
        let answers = match recorded {
            Ok(answers) => answers,
            Err(error) => return self.fail(&error),
        };
        for ((index, id), answer) in names.iter().zip(answers) {
            match answer {
                Ok(recorded) => self.tally.record(recorded.recorded()),
                Err(Error::Refused(refusal)) => {
                    self.tally.refuse(index, Some(id), event::refused(refusal));
                }
                Err(error) => self.fail(&error),
            }
        }
    }

    fn fail(&mut self, error: &Error) {
        // One failure can answer a whole batch.
        self.failure.get_or_insert_with(|| error.into());
    }
}

impl Batch {
    fn new(sender: &Sender) -> Self {
        let share = sender.body_memory().share();
        Self { usages: Vec::new(), names: Names::default(), bytes: 0, share }
    }

    /// Returns true if the batch must not grow any further. Otherwise takes memory for it if
    /// needed.
    fn is_full(&mut self) -> bool {
        let memory = self.bytes + self.usages.len() * EVENT_BYTES;
        self.usages.len() >= BATCH_EVENTS_MAX
            || self.bytes >= BATCH_BYTES_MAX
            || (memory > UNCOUNTED_BYTES_MAX + self.share.bytes()
                && self.share.grow_for_batch(COUNTED_BYTES).is_err())
    }

    async fn record(
        self,
        sender: Arc<Sender>,
        turn: Option<OwnedSemaphorePermit>,
    ) -> (Names, Recorded) {
        let Self { usages, names, share: _share, .. } = self;
        let record = async {
            let _turn = turn.ok_or(Error::ShuttingDown)?;
            let environment = sender.environment().await?;
            Ok(environment.record_usage_batch(usages).await)
        };
        (names, record.await)
    }
}

impl Names {
    fn push(&mut self, index: u64, id: &str) {
        self.ids.push_str(id);
        self.ends.push((index, self.ids.len()));
    }

    /// Each event's place in the request, and its id.
    fn iter(&self) -> impl Iterator<Item = (u64, &str)> {
        let mut start = 0;
        self.ends.iter().map(move |(index, end)| {
            let id = &self.ids[start..*end];
            start = *end;
            (*index, id)
        })
    }
}
