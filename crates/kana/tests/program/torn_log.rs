//! A log whose end was lost or damaged when the machine went down: what was written before it is
//! all there, and what follows is whole or absent.

use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::ledger::{Client, Request, Told, prepare, seed};
use crate::process::Server;

const REQUESTS: usize = 12;
const LOG: &str = "kana-data/kana.db-wal";

/// What a server left behind when it was killed.
struct Crashed {
    dir: TempDir,
    key: String,
    log: Vec<u8>,
    told: Told,
    /// How long the log was before the first request, and once each was answered.
    lengths: Vec<usize>,
}

/// Waits until the jobs that a server begins with are done for now. They write to the log, too.
fn wait_for_jobs(dir: &TempDir) {
    let database = rusqlite::Connection::open_with_flags(
        dir.path().join("kana-data/kana.db"),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
    )
    .unwrap();
    let are_done =
        "SELECT count(*) > 3 AND min(succeeded_at IS NOT NULL AND is_running = 0) FROM jobs";
    let deadline = Instant::now() + Duration::from_secs(20);
    while !database.query_row(are_done, [], |row| row.get::<_, bool>(0)).unwrap() {
        assert!(Instant::now() < deadline, "the jobs are never done");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Crashed {
    fn new(random: &mut fastrand::Rng) -> Self {
        let dir = TempDir::new().unwrap();
        let (mut server, key) = Server::start_new(&dir);
        prepare(&server, &key);
        wait_for_jobs(&dir);
        let client = Client::new(&key);
        let log = dir.path().join(LOG);
        let length = || usize::try_from(log.metadata().unwrap().len()).unwrap();
        let mut lengths = vec![length()];
        let mut told = Told::default();
        for number in 0..REQUESTS {
            told.tell(&server, &client, Request::any_of_one(random, &number.to_string()));
            lengths.push(length());
        }
        server.signal("KILL");
        server.wait();
        assert!(lengths.is_sorted_by(|one, next| one < next), "it only grew: {lengths:?}");
        let log = std::fs::read(log).unwrap();
        Self { dir, key, log, told, lengths }
    }

    /// How many requests were answered when the log was as long as this.
    fn answered(&self, length: usize) -> usize {
        self.lengths[1..].iter().filter(|answered| **answered <= length).count()
    }

    /// The same with another log.
    fn with_log(&self, log: &[u8]) -> TempDir {
        let copy = TempDir::new().unwrap();
        std::fs::create_dir(copy.path().join("kana-data")).unwrap();
        for file in std::fs::read_dir(self.dir.path().join("kana-data")).unwrap() {
            let file = file.unwrap();
            let to = copy.path().join("kana-data").join(file.file_name());
            std::fs::copy(file.path(), to).unwrap();
        }
        std::fs::write(copy.path().join(LOG), log).unwrap();
        copy
    }

    /// A database with this log holds the first `answered` requests, and nothing else.
    fn assert_holds(&self, log: &[u8], answered: usize) {
        let copy = self.with_log(log);
        self.told.first(answered).assert_kept(copy.path());
    }

    /// A server with this log has the first `answered` requests; the others can be sent again.
    fn assert_serves(&self, log: &[u8], answered: usize) {
        let copy = self.with_log(log);
        let mut server = Server::start(copy.path());
        let client = Client::new(&self.key);
        self.told.first(answered).assert_repeats(&server, &client);
        self.told.assert_repeats(&server, &client);
        server.signal("KILL");
        server.wait();
        self.told.assert_kept(copy.path());
    }
}

#[test]
fn a_log_that_was_cut_holds_what_was_answered_before() {
    let mut random = fastrand::Rng::with_seed(seed());
    let crashed = Crashed::new(&mut random);
    let (first, whole) = (crashed.lengths[0], crashed.log.len());
    let ends = crashed.lengths.iter().flat_map(|length| [length - 1, *length, length + 1]);
    let anywhere = (0..30).map(|_| random.usize(first..whole));
    for length in ends.chain(anywhere).filter(|length| (first..=whole).contains(length)) {
        crashed.assert_holds(&crashed.log[..length], crashed.answered(length));
    }
    let length = random.usize(first..whole);
    crashed.assert_serves(&crashed.log[..length], crashed.answered(length));
}

#[test]
fn a_log_in_which_a_bit_is_wrong_holds_what_stands_before_it() {
    let mut random = fastrand::Rng::with_seed(seed());
    let crashed = Crashed::new(&mut random);
    let mut damaged = |crashed: &Crashed| {
        let mut log = crashed.log.clone();
        let place = random.usize(crashed.lengths[0]..log.len());
        log[place] ^= 1 << random.u8(..8);
        (log, crashed.answered(place))
    };
    for _ in 0..40 {
        let (log, answered) = damaged(&crashed);
        crashed.assert_holds(&log, answered);
    }
    let (log, answered) = damaged(&crashed);
    crashed.assert_serves(&log, answered);
}

#[test]
fn what_stands_behind_the_end_of_the_log_is_not_taken_for_a_part_of_it() {
    let mut random = fastrand::Rng::with_seed(seed());
    let crashed = Crashed::new(&mut random);
    let mut noise = vec![0; 10_000];
    random.fill(&mut noise);
    let last = &crashed.log[crashed.lengths[REQUESTS - 1]..];
    for behind in [&noise[..1], &noise[..], &[0; 10_000], last, &last[..last.len() / 2]] {
        let log = [&crashed.log, behind].concat();
        crashed.assert_holds(&log, REQUESTS);
    }
    crashed.assert_serves(&[&crashed.log[..], last].concat(), REQUESTS);
}
