//! Clients that send usage until it is answered.

use std::collections::VecDeque;
use std::time::Duration;

use super::client::Client;
use super::faults::Faults;
use super::gate::{Gate, Pass};
use super::ledger::Entry;
use super::reset::send_and_reset;
use super::scribe::{Request, Scribe};

/// Longest pause after an answer.
const PAUSE_MS_MAX: u64 = 25;

/// Answered requests that may be sent again.
const KEPT: usize = 64;

/// A client that sends usage, and sends it again until it is answered, whatever happens meanwhile.
/// Now and then it gives up a request before its answer, or repeats one that was answered.
pub(super) struct Writer {
    scribe: Scribe,
    pending: Option<Request>,
    answered: VecDeque<Request>,
}

impl Writer {
    pub(super) fn new(scribe: Scribe) -> Self {
        Self { scribe, pending: None, answered: VecDeque::new() }
    }

    /// Writes until the gate ends, and returns what was sent.
    pub(super) fn run(mut self, gate: &Gate, faults: &Faults) -> Vec<Entry> {
        while let Some(pass) = gate.enter() {
            let mut client = Client::new(&pass, faults);
            while pass.nap(Duration::from_millis(self.scribe.random.u64(..PAUSE_MS_MAX))) {
                self.write(&pass, &mut client, faults);
            }
        }
        self.scribe.into_entries()
    }

    fn write(&mut self, pass: &Pass<'_>, client: &mut Client<'_>, faults: &Faults) {
        let request = match self.pending.take() {
            Some(request) => request,
            None => self.next(pass),
        };
        let outcome = client.ask(&request.bytes);
        if self.scribe.settle(&request, &outcome, faults) {
            if self.answered.len() == KEPT {
                self.answered.pop_front();
            }
            self.answered.push_back(request);
        } else {
            self.pending = Some(request);
        }
    }

    /// Something new, or something that was answered already.
    fn next(&mut self, pass: &Pass<'_>) -> Request {
        let one_of = 16;
        if self.scribe.random.usize(..one_of) == 0 && !self.answered.is_empty() {
            let index = self.scribe.random.usize(..self.answered.len());
            return self.answered[index].clone();
        }
        let request = self.scribe.any();
        if self.scribe.random.usize(..one_of) == 0 {
            send_and_reset(pass, &request.bytes, &mut self.scribe.random);
        }
        request
    }
}
