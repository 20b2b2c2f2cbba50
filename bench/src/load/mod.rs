//! The load generator: many connections on one thread, one request at a time on each.
//!
//! In a **closed** loop every connection sends its next request when the answer to the last one has
//! come, which finds the greatest rate. In an **open** loop requests are due at a fixed rate,
//! whatever the server does, and their latency counts from the moment they were due: a server that
//! stalls delays also those that could not be sent meanwhile, and nothing of that is hidden.
//!
//! One request costs the generator two system calls and no allocation, so that one core of load can
//! fill one core of server.

pub(crate) mod batch;
pub(crate) mod browser;
mod connection;
pub(crate) mod events;
pub(crate) mod graphql;
pub(crate) mod growing;
pub(crate) mod http;
pub(crate) mod redis;
mod round;
mod talk;
pub(crate) mod usage;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::time::Timespec;

use crate::stop::Stop;
use connection::Connection;
pub(crate) use round::{Round, Rounds, Spread, in_turn};
pub(crate) use talk::Talk;
use usage::{Usage, cpu_time_of_this_thread};

/// When requests are sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// The next one when the answer has come.
    Closed,
    /// One in each interval.
    Open(Duration),
}

/// How a round goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// How many connections there are.
    pub(crate) connections: usize,
    /// How long there is load that is not counted.
    pub(crate) warm_up: Duration,
    /// How long there is load that is.
    pub(crate) length: Duration,
    /// When requests are sent.
    pub(crate) pace: Pace,
    /// Whether the generator has a core to itself and may wait by looking again and again.
    pub(crate) own_core: bool,
}

/// How long an answer may take before the round is given up, and in an open loop, how long the
/// requests that were due may take to be answered once the round is over.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest wait, so that an interruption is seen soon.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Sends load to `address` as planned, and measures it and the process that serves it.
pub(crate) fn run(
    address: SocketAddr,
    talk: &mut dyn Talk,
    plan: &Plan,
    server: &Usage,
    stop: &Stop,
) -> Result<Round> {
    let mut generator = Generator::connect(address, talk, plan, server)?;
    match plan.pace {
        Pace::Closed => generator.run_closed(stop)?,
        Pace::Open(interval) => generator.run_open(interval, stop)?,
    }
    Ok(generator.round)
}

struct Generator<'a> {
    talk: &'a mut dyn Talk,
    plan: &'a Plan,
    server: &'a Usage,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// Those that wait for a request, in an open loop.
    idle: Vec<usize>,
    /// When counting begins and ends.
    begin: Instant,
    end: Instant,
    counting: bool,
    round: Round,
    /// What the server and the generator had taken when counting began.
    server_cpu_before: Duration,
    load_cpu_before: Duration,
    /// When to look again at what changes slowly.
    look_again: Instant,
}

impl<'a> Generator<'a> {
    fn connect(
        address: SocketAddr,
        talk: &'a mut dyn Talk,
        plan: &'a Plan,
        server: &'a Usage,
    ) -> Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(plan.connections);
        for index in 0..plan.connections {
            let connection = Connection::open(address)
                .with_context(|| format!("cannot open connection {index} to {address}"))?;
            let data = EventData::new_u64(index as u64);
            // Edges, so that the kernel does not look at each connection twice.
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
            epoll::add(&epoll, connection.stream(), data, flags)?;
            connections.push(connection);
        }
        let begin = Instant::now() + plan.warm_up;
        Ok(Self {
            round: Round::new(talk.units(), plan.length)?,
            talk,
            plan,
            server,
            epoll,
            idle: (0..connections.len()).rev().collect(),
            connections,
            begin,
            end: begin + plan.length,
            counting: false,
            server_cpu_before: Duration::ZERO,
            load_cpu_before: Duration::ZERO,
            look_again: begin,
        })
    }

    fn run_closed(&mut self, stop: &Stop) -> Result<()> {
        let now = Instant::now();
        for index in 0..self.connections.len() {
            self.send(index, now)?;
        }
        let mut events = Vec::with_capacity(self.connections.len());
        loop {
            stop.check()?;
            let now = Instant::now();
            self.begin_to_count(now)?;
            // Without any answer there is no figure; the server may have had to wait for its disk.
            if now >= self.end && self.round.units() > 0 {
                break;
            }
            self.look_around(now)?;
            self.wait(&mut events, LOOK_EVERY)?;
            for event in &events {
                if let Some(index) = self.progress(event)? {
                    let now = Instant::now();
                    self.answered(index, now);
                    self.send(index, now)?;
                }
            }
        }
        self.end_count()
    }

    fn run_open(&mut self, interval: Duration, stop: &Stop) -> Result<()> {
        let mut due = Instant::now();
        let mut events = Vec::with_capacity(self.connections.len());
        let mut counted = false;
        loop {
            stop.check()?;
            let mut now = Instant::now();
            self.begin_to_count(now)?;
            self.look_around(now)?;
            while due <= now && due < self.end {
                let Some(index) = self.idle.pop() else {
                    break;
                };
                self.send(index, due)?;
                due += interval;
                now = Instant::now();
            }
            if now >= self.end {
                if !counted {
                    counted = true;
                    self.end_count()?;
                }
                let all_answered = self.idle.len() == self.connections.len();
                if (all_answered && due >= self.end) || now > self.end + PATIENCE {
                    break;
                }
            }
            // Nothing can be sent before a connection is idle and a request is due.
            let next = if self.idle.is_empty() { self.end } else { due.min(self.end) };
            self.wait(&mut events, next.saturating_duration_since(now).min(LOOK_EVERY))?;
            for event in &events {
                if let Some(index) = self.progress(event)? {
                    self.answered(index, Instant::now());
                    self.idle.push(index);
                }
            }
        }
        self.count_unanswered(due, interval);
        Ok(())
    }

    /// What was due and has no answer has waited at least until now.
    fn count_unanswered(&mut self, mut due: Instant, interval: Duration) {
        let now = Instant::now();
        let waiting: Vec<Instant> =
            self.connections.iter().filter_map(Connection::asked_at).collect();
        for since in waiting {
            self.count(since, now);
        }
        while due < self.end {
            self.count(due, now);
            due += interval;
        }
    }

    fn begin_to_count(&mut self, now: Instant) -> Result<()> {
        if !self.counting && now >= self.begin {
            self.counting = true;
            self.load_cpu_before = cpu_time_of_this_thread();
            self.server_cpu_before = self.server.cpu_time()?;
            self.begin = Instant::now();
            self.end = self.begin + self.plan.length;
        }
        Ok(())
    }

    fn end_count(&mut self) -> Result<()> {
        self.round.length = self.begin.elapsed();
        self.round.load_cpu = cpu_time_of_this_thread().saturating_sub(self.load_cpu_before);
        self.round.server_cpu = self.server.cpu_time()?.saturating_sub(self.server_cpu_before);
        Ok(())
    }

    /// Looks at what changes slowly: the server's memory, and whether it still answers.
    fn look_around(&mut self, now: Instant) -> Result<()> {
        if now < self.look_again {
            return Ok(());
        }
        self.look_again = now + LOOK_EVERY;
        self.round.memory_bytes_max =
            self.round.memory_bytes_max.max(self.server.anonymous_memory_bytes()?);
        let waits = |since: Instant| now.saturating_duration_since(since) > PATIENCE;
        let waiting = self.connections.iter().filter_map(Connection::asked_at);
        let stuck = waiting.filter(|since| waits(*since)).count();
        if stuck > 0 {
            bail!(
                "{stuck} of {} connections have had no answer for {} s; the server's threads: {}",
                self.connections.len(),
                PATIENCE.as_secs(),
                self.server.threads()
            );
        }
        Ok(())
    }

    fn send(&mut self, index: usize, since: Instant) -> Result<()> {
        self.connections[index].ask(self.talk, since).context("cannot send a request")
    }

    /// Waits until something has happened, at most `wait`.
    fn wait(&self, events: &mut Vec<Event>, wait: Duration) -> Result<()> {
        let ms =
            if self.plan.own_core { wait.as_millis() } else { wait.as_micros().div_ceil(1000) };
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::try_from(ms)? * 1_000_000 };
        events.clear();
        match epoll::wait(&self.epoll, spare_capacity(events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Moves a connection on; `Some` when its answer has come.
    fn progress(&mut self, event: &Event) -> Result<Option<usize>> {
        // Copies, since an event is packed.
        let (data, flags) = (event.data, event.flags);
        let index = usize::try_from(data.u64())?;
        let connection = &mut self.connections[index];
        if flags.contains(EventFlags::OUT) {
            connection.send_rest().context("cannot send a request")?;
        }
        let Some(answer) = connection.receive(self.talk)? else {
            return Ok(None);
        };
        if !answer.right {
            self.round.note_wrong(connection.last_answer(answer));
        }
        Ok(Some(index))
    }

    fn answered(&mut self, index: usize, now: Instant) {
        if let Some(since) = self.connections[index].take_asked_at() {
            self.count(since, now);
        }
    }

    /// Counts an answer that came now to what was asked, or due, at `since`.
    fn count(&mut self, since: Instant, now: Instant) {
        let counts = match self.plan.pace {
            Pace::Closed => self.counting,
            Pace::Open(_) => self.counting && since >= self.begin && since < self.end,
        };
        if counts {
            self.round.count(now.saturating_duration_since(since));
        }
    }
}

#[cfg(test)]
mod tests;
