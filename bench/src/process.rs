//! Programs that this one starts. A [`Process`] ends when it is dropped.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::cores::Cores;
use crate::stop::Stop;

/// How long a program may take to say that it is ready, and to end once it is told to.
const READY_WITHIN: Duration = Duration::from_secs(60);
const GONE_WITHIN: Duration = Duration::from_secs(20);

/// How often is looked whether something has happened.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The last lines of what a program wrote, for when it fails.
const LINES_KEPT: usize = 12;

/// A program that runs.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    stop_by: Signal,
    lines: Receiver<String>,
    last_lines: Arc<Mutex<VecDeque<String>>>,
}

impl Process {
    /// Starts a program on the server's core.
    pub(crate) fn start_server(
        name: &'static str,
        command: &mut Command,
        cores: Cores,
        stop_by: Signal,
    ) -> Result<Self> {
        cores.on_the_servers(|| Self::start(name, command, stop_by))?
    }

    /// Starts a program where this one runs.
    fn start(name: &'static str, command: &mut Command, stop_by: Signal) -> Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // The words that say that a server is ready are looked for in English.
            .env("LC_ALL", "C")
            // Ctrl-C reaches this program alone, which then ends the others in its own order.
            .process_group(0);
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let (send, lines) = channel();
        let last_lines = Arc::new(Mutex::new(VecDeque::new()));
        let outputs: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|out| Box::new(out) as _),
            child.stderr.take().map(|err| Box::new(err) as _),
        ];
        for output in outputs.into_iter().flatten() {
            let (send, last_lines) = (send.clone(), Arc::clone(&last_lines));
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let mut last = last_lines.lock().unwrap_or_else(PoisonError::into_inner);
                    if last.len() == LINES_KEPT {
                        last.pop_front();
                    }
                    last.push_back(line.clone());
                    drop(last);
                    // Nobody listens any more once the server was ready.
                    let _ = send.send(line);
                }
            });
        }
        Ok(Self { name, child, stop_by, lines, last_lines })
    }

    /// Waits for a line that says what is looked for.
    pub(crate) fn wait_for_line<T>(
        &mut self,
        stop: &Stop,
        mut find: impl FnMut(&str) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            stop.check()?;
            match self.lines.recv_timeout(LOOK_EVERY) {
                Ok(line) => {
                    if let Some(found) = find(&line) {
                        // From now on its lines are kept, but no longer sent.
                        self.lines = channel().1;
                        return Ok(found);
                    }
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                Err(RecvTimeoutError::Timeout) => bail!(self.failed("does not get ready")),
                Err(RecvTimeoutError::Disconnected) => bail!(self.failed("has ended")),
            }
        }
    }

    /// Waits until the program has ended by itself, and answers what it wrote, standard error
    /// included.
    fn wait_to_end(mut self, stop: &Stop) -> Result<String> {
        let mut text = String::new();
        loop {
            stop.check()?;
            match self.lines.recv_timeout(LOOK_EVERY) {
                Ok(line) => text.extend([&line, "\n"]),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if self.child.wait()?.success() { Ok(text) } else { bail!(self.failed("has failed")) }
    }

    fn failed(&self, how: &str) -> anyhow::Error {
        anyhow!(self.describe(how))
    }

    /// Says how it is, with the last lines that it wrote.
    pub(crate) fn describe(&self, how: &str) -> String {
        let last = self.last_lines.lock().unwrap_or_else(PoisonError::into_inner);
        let last: Vec<&str> = last.iter().map(String::as_str).collect();
        format!("{} {how}; its last lines: {}", self.name, last.join(" / "))
    }

    /// Its number, for [`usage`](crate::load::usage).
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails if it has ended.
    pub(crate) fn check_runs(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!(self.describe(&format!("has ended by itself with {status}"))),
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal)
            .with_context(|| format!("cannot signal {}", self.name))
    }

    /// Waits until it has ended by itself. `None` if it has not after this time.
    pub(crate) fn wait_within(&mut self, time: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + time;
        loop {
            let status = self.child.try_wait()?;
            if status.is_some() || Instant::now() > deadline {
                return Ok(status);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn end(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        kill_process(Pid::from_child(&self.child), self.stop_by)?;
        let deadline = Instant::now() + GONE_WITHIN;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                eprintln!("{} does not end by itself and is killed", self.name);
                self.child.kill()?;
                self.child.wait()?;
                break;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("{} could not be stopped: {error:#}", self.name);
        }
    }
}

/// Runs a program to its end, where this one runs, and answers what it wrote.
pub(crate) fn run_to_end(name: &'static str, command: &mut Command, stop: &Stop) -> Result<String> {
    Process::start(name, command, Signal::KILL)?.wait_to_end(stop)
}

/// The first line that a program writes, or that it is not there.
pub(crate) fn first_line(program: &Path, argument: &str) -> String {
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let output = Command::new(program).arg(argument).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    match text.ok().as_deref().and_then(|text| text.lines().next()) {
        Some(line) => line.to_owned(),
        None => format!("{name} not there"),
    }
}
