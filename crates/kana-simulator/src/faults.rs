//! Faults: what goes wrong with which call of the store.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kana_store::StoreError;
use tempfile::TempDir;

use crate::directory::copied;
use crate::flaw::Flaw;

/// A fault of one step. It ends with the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// From which call on.
    pub since: Since,
    /// How many calls it meets.
    pub times: usize,
    /// Which calls it meets.
    pub on: Calls,
    /// What becomes of them.
    pub trouble: Trouble,
}

/// From which call of a step on a fault holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// The call with this number, from 0 on.
    Call(usize),
    /// Commits only.
    Commit,
    /// The first call after a commit that happened.
    AfterCommit,
}

/// Which calls a fault meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    All,
    Reads,
    Writes,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It fails, and has no effect.
    Fails(Failure),
    /// It has its effect, and the connection is lost before the answer. After a commit, nobody knows
    /// whether it happened.
    LosesAnswer,
    /// The connection is lost before the call has its effect. After a commit, nobody knows whether
    /// it happened.
    LosesCall,
    /// It takes so many milliseconds.
    Delays(u64),
    /// The database is silent until the engine gives up.
    FallsSilent,
    /// The process is killed before the call has an effect.
    CrashesBefore,
    /// The process is killed when the call has had its effect.
    CrashesAfter,
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    Unavailable,
    Conflict,
    Busy,
    Full,
    Engine,
}

impl Failure {
    pub(crate) fn error(self) -> StoreError {
        let source = || "injected".into();
        match self {
            Self::Unavailable => StoreError::Unavailable(source()),
            Self::Conflict => StoreError::Conflict(source()),
            Self::Busy => StoreError::Busy(source()),
            Self::Full => StoreError::Full { place: "the simulation".into(), source: source() },
            Self::Engine => StoreError::Engine(source()),
        }
    }
}

/// How long the engine waits for a database that is silent, and then for what became of a commit.
pub(crate) const SILENCE: Duration = Duration::from_secs(10);

/// A call of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// Begins a transaction that reads.
    BeginRead,
    Read,
    /// Begins a transaction that writes.
    BeginWrite,
    Write,
    Commit,
}

impl Call {
    fn is_of(self, calls: Calls) -> bool {
        match calls {
            Calls::All => true,
            Calls::Reads => matches!(self, Self::BeginRead | Self::Read),
            Calls::Writes => !matches!(self, Self::BeginRead | Self::Read),
        }
    }
}

/// The faults of the step that runs, and what was called in it.
pub(crate) struct Faults(Mutex<State>);

#[derive(Default)]
struct State {
    /// Those of the step that have calls left to meet.
    left: Vec<Fault>,
    seen: Seen,
    /// Where the database is, and what it was when the process was killed.
    directory: PathBuf,
    crashed: Option<TempDir>,
    flaw: Option<Flaw>,
}

/// What happened in the store during a step.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) calls: usize,
    /// Transactions that were begun.
    pub(crate) reads: usize,
    pub(crate) writes: usize,
    /// Commits that happened.
    pub(crate) commits: usize,
    /// The faults that met a call.
    pub(crate) met: Vec<Trouble>,
    /// For how long calls were held up.
    pub(crate) delayed: Duration,
}

impl Faults {
    /// The faults of a store that is wrong in this thing.
    pub(crate) fn of(flaw: Option<Flaw>) -> Self {
        Self(Mutex::new(State { flaw, ..State::default() }))
    }

    pub(crate) fn flaw(&self) -> Option<Flaw> {
        self.state().flaw
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a step with these faults.
    pub(crate) fn begin(&self, faults: &[Fault]) {
        let mut state = self.state();
        state.left = faults.to_vec();
        state.seen = Seen::default();
    }

    /// Ends the step: nothing fails any more.
    pub(crate) fn end(&self) -> Seen {
        let mut state = self.state();
        state.left.clear();
        std::mem::take(&mut state.seen)
    }

    /// Notes where the database is.
    pub(crate) fn set_directory(&self, directory: &Path) {
        directory.clone_into(&mut self.state().directory);
    }

    /// Returns the database as the process left it when it was killed, if it was.
    pub(crate) fn take_crashed(&self) -> Option<TempDir> {
        self.state().crashed.take()
    }

    /// Whether the process was killed.
    pub(crate) fn has_crashed(&self) -> bool {
        self.state().crashed.is_some()
    }

    /// Kills the process: the database is copied as it is, and every further call fails.
    pub(crate) fn crash(&self) -> StoreError {
        let mut state = self.state();
        if state.crashed.is_none() {
            let copy = copied(&state.directory);
            state.crashed = Some(copy);
        }
        killed()
    }

    /// Returns what becomes of a call.
    pub(crate) fn meet(&self, call: Call) -> Option<Trouble> {
        let mut state = self.state();
        if state.crashed.is_some() {
            return Some(Trouble::CrashesBefore);
        }
        let State { left, seen, .. } = &mut *state;
        let number = seen.calls;
        seen.calls += 1;
        match call {
            Call::BeginRead => seen.reads += 1,
            Call::BeginWrite => seen.writes += 1,
            _ => {}
        }
        let meets = |fault: &Fault| {
            call.is_of(fault.on)
                && match fault.since {
                    Since::Call(first) => number >= first,
                    Since::Commit => call == Call::Commit,
                    Since::AfterCommit => seen.commits > 0,
                }
        };
        let place = left.iter().position(meets)?;
        let fault = &mut left[place];
        let trouble = fault.trouble;
        fault.times -= 1;
        if fault.times == 0 {
            left.remove(place);
        }
        seen.met.push(trouble);
        seen.delayed += match trouble {
            Trouble::Delays(ms) => Duration::from_millis(ms),
            Trouble::FallsSilent if call == Call::Commit => 2 * SILENCE,
            Trouble::FallsSilent => SILENCE,
            _ => Duration::ZERO,
        };
        Some(trouble)
    }

    pub(crate) fn note_commit(&self) {
        self.state().seen.commits += 1;
    }
}

pub(crate) fn killed() -> StoreError {
    StoreError::Unavailable("the process was killed".into())
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { since, times, on, trouble } = self;
        write!(f, "{trouble:?} since {since:?}, ")?;
        match times {
            1 => write!(f, "once")?,
            &FOREVER => write!(f, "for ever")?,
            times => write!(f, "{times} times")?,
        }
        match on {
            Calls::All => Ok(()),
            Calls::Reads => write!(f, ", reads only"),
            Calls::Writes => write!(f, ", writes only"),
        }
    }
}

/// As often as a step calls.
pub(crate) const FOREVER: usize = usize::MAX;
