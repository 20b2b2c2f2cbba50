//! What a simulation does, as data: it can be printed, repeated and made shorter.

use kana_test_model::request::{Request, Usage};

use crate::faults::Fault;

/// One world from its empty database on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// Whether questions gather and are read together, as on an engine across a network.
    pub gathers: bool,
    /// What happens, one after the other.
    pub steps: Vec<Step>,
}

/// What happens next. A subscription is named by its place among all that were made, whatever
/// happened before: `Id(3)` is the fourth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Requests are sent at the same time, and their answers are awaited.
    Ask { asked: Vec<Asked>, faults: Vec<Fault> },
    /// The clock goes on by so many milliseconds.
    Wait(i64),
    /// What runs in the background has its turn.
    KeepHouse,
    /// The server stops and starts again.
    Restart,
    /// The process is killed while nothing is asked, and started again.
    Crash,
}

/// What is sent, and to which door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// To the service.
    Service(Request),
    /// To the Admin API over HTTP, which has these requests.
    Http(Request),
    /// Usage that is recorded together.
    Batch(Vec<Usage>),
}
