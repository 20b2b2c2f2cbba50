use anyhow::Result;

/// How a server is spoken to: one of these makes all requests and judges all answers.
pub(crate) trait Talk {
    /// Appends the next request to `out`, and names its kind, by which its answer is judged.
    fn ask(&mut self, out: &mut Vec<u8>) -> usize;

    /// Reads the answer to a request of `kind` from the start of `input`; `None` while it is not
    /// whole. An error is something that is no answer at all.
    fn read(&mut self, kind: usize, input: &[u8]) -> Result<Option<Answer>>;

    /// How many things that are counted (calls, events) one request holds.
    fn units(&self) -> u32 {
        1
    }
}

/// An answer that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its bytes.
    pub(crate) len: usize,
    /// Whether it is what it should be.
    pub(crate) right: bool,
}
