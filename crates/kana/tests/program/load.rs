//! Usage that several threads tell at once, to a server that comes and goes. What was not answered
//! is sent again under the same key, until it is.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ledger::{Client, Request, Sent, Told};
use crate::process::Server;

const THREADS: usize = 8;
/// How long to wait before a server that did not answer is asked again.
const AGAIN: Duration = Duration::from_millis(20);
/// What is said when it is not the caller's fault.
const SERVER_FAILED: [&str; 2] = ["INTERNAL_SERVER_ERROR", "OVERLOADED"];
/// How long anything may take, on a busy machine too.
const SOON: Duration = Duration::from_secs(30);

/// Threads that tell usage.
pub(crate) struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Told>>,
}

struct Shared {
    url: Mutex<String>,
    moved: Condvar,
    /// How many requests were answered.
    answered: AtomicUsize,
    /// How many requests were sent for nothing.
    in_vain: AtomicUsize,
    enough: AtomicBool,
}

impl Load {
    pub(crate) fn start(server: &Server, key: &str, random: &mut fastrand::Rng) -> Self {
        let shared = Arc::new(Shared {
            url: Mutex::new(server.url.clone()),
            moved: Condvar::new(),
            answered: AtomicUsize::new(0),
            in_vain: AtomicUsize::new(0),
            enough: AtomicBool::new(false),
        });
        let threads = (0..THREADS)
            .map(|name| {
                let (shared, client, random) =
                    (Arc::clone(&shared), Client::new(key), random.fork());
                std::thread::spawn(move || shared.tell_on(&client, random, name))
            })
            .collect();
        Self { shared, threads }
    }

    /// Says where the server is now.
    pub(crate) fn move_to(&self, server: &Server) {
        server.url.clone_into(&mut self.shared.url.lock().unwrap());
        self.shared.moved.notify_all();
    }

    /// Waits until so many more requests were answered.
    pub(crate) fn await_answers(&self, more: usize) {
        self.await_more(&self.shared.answered, more);
    }

    /// Waits until so many more requests were refused or not answered at all.
    pub(crate) fn await_failures(&self, more: usize) {
        self.await_more(&self.shared.in_vain, more);
    }

    fn await_more(&self, count: &AtomicUsize, more: usize) {
        let enough = count.load(Ordering::Relaxed) + more;
        let since = Instant::now();
        while count.load(Ordering::Relaxed) < enough {
            assert!(!self.threads.iter().any(JoinHandle::is_finished), "a thread has failed");
            assert!(since.elapsed() < SOON, "nothing moves any more");
            std::thread::yield_now();
        }
    }

    /// Ends the threads once what they have begun to tell is answered: what was told.
    pub(crate) fn finish(self) -> Told {
        self.shared.enough.store(true, Ordering::Relaxed);
        let mut told = Told::default();
        for thread in self.threads {
            told.append(thread.join().unwrap());
        }
        told
    }
}

impl Shared {
    fn tell_on(&self, client: &Client, mut random: fastrand::Rng, name: usize) -> Told {
        let mut told = Told::default();
        for number in 0.. {
            if self.enough.load(Ordering::Relaxed) {
                break;
            }
            let request = Request::any(&mut random, &format!("{name}-{number}"));
            let mut answer = self.insist(client, &request);
            // An answer can be lost on its way, after everything is done.
            if random.u8(..8) == 0 {
                answer = self.insist(client, &request);
            }
            self.answered.fetch_add(1, Ordering::Relaxed);
            told.add(request, answer);
        }
        told
    }

    /// Sends a request until it is answered.
    fn insist(&self, client: &Client, request: &Request) -> Value {
        let began = Instant::now();
        loop {
            let url = self.url.lock().unwrap().clone();
            match client.send(&url, request) {
                Sent::Answered(answer) => return answer,
                Sent::Unanswered => {}
                // The server failed, and not whoever asked.
                Sent::Refused(codes) => assert!(
                    codes.iter().all(|code| SERVER_FAILED.contains(&code.as_str())),
                    "{request:?}: {codes:?}"
                ),
            }
            self.in_vain.fetch_add(1, Ordering::Relaxed);
            assert!(began.elapsed() < SOON, "{request:?} is not answered any more");
            let here = self.url.lock().unwrap();
            drop(self.moved.wait_timeout_while(here, AGAIN, |now| *now == url).unwrap());
        }
    }
}
