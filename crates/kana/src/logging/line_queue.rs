use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{ErrorKind, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kana_telemetry::metrics::log::DROPPED;

/// The maximum number of lines in the queue.
const LINES_MAX: usize = 8192;
/// The maximum number of bytes in the queue. A single backtrace can be large.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// The pause before another write to a full pipe in non-blocking mode.
const PAUSE: Duration = Duration::from_millis(10);

/// A bounded queue of lines that another thread writes with [`write_to`](Self::write_to). Adding a
/// line never blocks and never fails: a line that finds no room or cannot be written is dropped and
/// counted.
#[derive(Default)]
pub(super) struct LineQueue {
    state: Mutex<State>,
    filled: Condvar,
    drained: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Box<[u8]>>,
    bytes: usize,
    is_writing: bool,
    /// Lines dropped since the last report.
    dropped: u64,
}

impl State {
    fn drop_one(&mut self) {
        self.dropped += 1;
        DROPPED.count();
    }
}

impl LineQueue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.state();
        if state.lines.len() >= LINES_MAX || state.bytes + line.len() > BYTES_MAX {
            state.drop_one();
            return;
        }
        state.bytes += line.len();
        state.lines.push_back(line.into());
        drop(state);
        self.filled.notify_one();
    }

    /// Writes lines as they come, and never returns. If lines were dropped, calls `report` with
    /// their number once the queue is empty again.
    pub(super) fn write_to(&self, mut out: impl Write, report: impl Fn(u64)) {
        loop {
            let line = self.next();
            let is_written = write_line(&mut out, &line).is_ok();
            if let Some(dropped) = self.finish_line(is_written) {
                report(dropped);
            }
        }
    }

    fn next(&self) -> Box<[u8]> {
        let mut state = self.state();
        loop {
            if let Some(line) = state.lines.pop_front() {
                state.bytes -= line.len();
                state.is_writing = true;
                return line;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Records that a line is done. Returns the number of dropped lines if it is time to report them:
    /// the queue is empty and writing works, so that the report itself is not dropped.
    fn finish_line(&self, is_written: bool) -> Option<u64> {
        let mut state = self.state();
        state.is_writing = false;
        if !is_written {
            state.drop_one();
        }
        if !state.lines.is_empty() {
            return None;
        }
        self.drained.notify_all();
        (is_written && state.dropped > 0).then(|| std::mem::take(&mut state.dropped))
    }

    /// Waits until all lines are written or dropped, for `at_most`.
    pub(super) fn flush(&self, at_most: Duration) {
        let until = Instant::now() + at_most;
        let mut state = self.state();
        while state.is_writing || !state.lines.is_empty() {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return };
            let woken = self.drained.wait_timeout(state, left);
            (state, _) = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Writes a whole line.
fn write_line(out: &mut impl Write, mut line: &[u8]) -> std::io::Result<()> {
    while !line.is_empty() {
        match out.write(line) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => line = line.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Another process that shares the pipe has put it into non-blocking mode.
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
            Err(error) => return Err(error),
        }
    }
    out.flush()
}

/// Each call of `write` adds one line.
impl Write for &LineQueue {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.push(&as_one_line(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Escapes control characters before the end of the line, so that no value in a text makes a line of its
/// own. JSON has none; the library escapes those that begin a terminal's commands.
fn as_one_line(line: &[u8]) -> Cow<'_, [u8]> {
    let (text, end) = line.split_at(line.len() - usize::from(line.ends_with(b"\n")));
    let is_harmful = |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\t' | 0x1b);
    if !text.iter().any(is_harmful) {
        return line.into();
    }
    let mut escaped = Vec::with_capacity(line.len() + 64);
    for byte in text {
        if is_harmful(byte) {
            escaped.extend(byte.escape_ascii());
        } else {
            escaped.push(*byte);
        }
    }
    escaped.extend_from_slice(end);
    escaped.into()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, mpsc};

    use super::*;

    /// A writer to a channel that holds no line until its reader takes it. Fails while `is_broken`.
    struct Pipe {
        lines: mpsc::SyncSender<String>,
        is_broken: Arc<AtomicBool>,
    }

    impl Write for Pipe {
        fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
            if self.is_broken.load(Ordering::SeqCst) {
                return Err(ErrorKind::BrokenPipe.into());
            }
            let line = String::from_utf8(line.to_vec()).unwrap();
            self.lines.send(line.clone()).map_err(|_| ErrorKind::BrokenPipe)?;
            Ok(line.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn start() -> (&'static LineQueue, mpsc::Receiver<String>, Arc<AtomicBool>) {
        let queue: &LineQueue = Box::leak(Box::default());
        let (lines, written) = mpsc::sync_channel(0);
        let is_broken = Arc::new(AtomicBool::new(false));
        let pipe = Pipe { lines, is_broken: Arc::clone(&is_broken) };
        let report = |dropped| queue.push(format!("{dropped} dropped").as_bytes());
        std::thread::spawn(move || queue.write_to(pipe, report));
        (queue, written, is_broken)
    }

    #[test]
    fn a_value_makes_no_line_of_its_own() {
        for (line, written) in [
            ("a line\n", "a line\n"),
            ("\u{1b}[32mINFO\u{1b}[0m a\tb é\n", "\u{1b}[32mINFO\u{1b}[0m a\tb é\n"),
            ("a name\nERROR a line\r\n", "a name\\nERROR a line\\r\n"),
            ("a\0b\n", "a\\x00b\n"),
            ("", ""),
            ("\n", "\n"),
        ] {
            assert_eq!(as_one_line(line.as_bytes()), written.as_bytes());
        }
    }

    #[test]
    fn lines_are_written_in_their_order() {
        let (queue, written, _) = start();
        for n in 0..100 {
            queue.push(format!("{n}").as_bytes());
        }
        for n in 0..100 {
            assert_eq!(written.recv().unwrap(), n.to_string());
        }
    }

    #[test]
    fn a_reader_that_takes_nothing_costs_lines_and_no_time() {
        let (queue, written, _) = start();
        // One line that the writer holds, as many as there is room for, and ten more.
        queue.push(b"held");
        while !queue.state().is_writing {
            std::thread::yield_now();
        }
        for n in 0..LINES_MAX + 10 {
            queue.push(format!("{n}").as_bytes());
        }
        queue.flush(Duration::from_millis(1));
        assert_eq!(written.recv().unwrap(), "held");
        for n in 0..LINES_MAX {
            assert_eq!(written.recv().unwrap(), n.to_string());
        }
        assert_eq!(written.recv().unwrap(), "10 dropped");
    }

    #[test]
    fn long_lines_have_a_bound_together() {
        let queue = LineQueue::default();
        let line = vec![b'x'; BYTES_MAX / 4];
        for _ in 0..6 {
            queue.push(&line);
        }
        let state = queue.state();
        assert_eq!((state.lines.len(), state.dropped), (4, 2));
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_reported_once_it_can_again() {
        let (queue, written, is_broken) = start();
        is_broken.store(true, Ordering::SeqCst);
        for _ in 0..3 {
            queue.push(b"lost");
        }
        queue.flush(Duration::from_secs(10));
        assert_eq!(queue.state().dropped, 3);
        is_broken.store(false, Ordering::SeqCst);
        queue.push(b"after");
        assert_eq!(written.recv().unwrap(), "after");
        assert_eq!(written.recv().unwrap(), "3 dropped");
    }

    #[test]
    fn flushing_waits_for_the_last_line() {
        let (queue, written, _) = start();
        let reader = std::thread::spawn(move || written.iter().take(100).count());
        for _ in 0..100 {
            queue.push(b"line");
        }
        queue.flush(Duration::from_secs(60));
        let state = queue.state();
        assert!(state.lines.is_empty() && !state.is_writing);
        assert_eq!(reader.join().unwrap(), 100);
    }
}
