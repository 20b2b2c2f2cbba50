//! A disk that fails: the server refuses, says so, and keeps what it has acknowledged.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::ledger::{Books, Client, Request, Sent, Told, prepare, seed, used};
use crate::load::Load;
use crate::process::{Server, after, init, note, pass_on, text};

/// What fails, as the library reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure(&'static str);

/// Nothing can be made durable.
const SYNC: Failure = Failure("s");
/// The disk is full, in the middle of each write.
pub(crate) const FULL: Failure = Failure("w");
/// The user's quota is full.
pub(crate) const QUOTA: Failure = Failure("q");
/// The disk has become read-only, as it does after errors.
pub(crate) const READ_ONLY: Failure = Failure("r");
/// The log can be written, and what is in it cannot be moved to where it belongs.
const SYNC_OF_DATABASE: Failure = Failure("skana.db");
const FULL_DATABASE: Failure = Failure("wkana.db");

/// How many usages change so many rows that what is in the log is moved to the database: each has
/// an event and a key, and there are 65,536 changes between two moves.
const USAGES_BETWEEN_MOVES: usize = 35_000;
/// As many as fit one request.
const USAGES_IN_BATCH: usize = 5_000;
/// How long anything may take, on a busy machine too.
const SOON: Duration = Duration::from_secs(30);

/// A directory for a server, on a disk that can be told to fail.
pub(crate) struct Disk {
    dir: TempDir,
    library: PathBuf,
    switch: PathBuf,
}

impl Disk {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let library = dir.path().join("failing_disk.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/program/failing_disk.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"])
            .args([&library, &source])
            .output()
            .unwrap();
        assert!(compiled.status.success(), "{}", text(&compiled.stderr));
        let switch = dir.path().join("switch");
        Self { dir, library, switch }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Starts a server with what is to be told to it.
    pub(crate) fn start_new(&self) -> (Server, String) {
        let key = init(self.path());
        let server = self.start();
        prepare(&server, &key);
        (server, key)
    }

    /// Starts a server that this disk can fail.
    fn start(&self) -> Server {
        let directory = self.path().canonicalize().unwrap().join("kana-data/");
        Server::start_with(
            Server::command(self.path())
                .env("LD_PRELOAD", &self.library)
                .env("FAILING_DISK_SWITCH", &self.switch)
                .env("FAILING_DISK_DIRECTORY", directory),
        )
    }

    pub(crate) fn fail(&self, failure: Failure) {
        // Never seen half written.
        let ready = self.path().join("switch-to-be");
        std::fs::write(&ready, failure.0).unwrap();
        std::fs::rename(ready, &self.switch).unwrap();
    }

    fn database(&self) -> PathBuf {
        self.path().join("kana-data/kana.db")
    }

    /// How large the log is.
    fn log_bytes(&self) -> u64 {
        self.path().join("kana-data/kana.db-wal").metadata().unwrap().len()
    }

    pub(crate) fn recover(&self) {
        std::fs::remove_file(&self.switch).unwrap();
    }
}

/// The request is refused as a failure of the server's, and in no part answered.
fn assert_fails(server: &Server, client: &Client, request: &Request, failure: Failure) {
    assert_eq!(client.send(&server.url, request), refusal(failure), "{request:?}");
}

/// The error code for a failure. A full disk is temporary, so the caller may try again.
fn code(failure: Failure) -> &'static str {
    if failure == SYNC { "INTERNAL_SERVER_ERROR" } else { "OVERLOADED" }
}

fn refusal(failure: Failure) -> Sent {
    Sent::Refused([code(failure).to_owned()].into())
}

const NEW_USER: &str = r#"mutation { createUser(input: { id: "new" }) { id } }"#;
const NEW_FEATURE: &str =
    r#"mutation { createFeature(input: { id: "new", type: BINARY }) { id } }"#;
const NEW: &str = r#"{ users { id } features { id } }"#;

#[test]
fn while_the_disk_fails_everything_is_refused_and_nothing_of_it_is_kept() {
    for failure in [SYNC, FULL, QUOTA] {
        let disk = Disk::new();
        let (mut server, key) = disk.start_new();
        let client = Client::new(&key);
        let mut told = Told::default();
        for request in Request::of_each_kind("before") {
            told.tell(&server, &client, request);
        }
        let everything = server.data(&key, NEW);

        disk.fail(failure);
        let refused = [Request::of_each_kind("refused"), Request::of_each_kind("again")];
        for request in refused.iter().flatten() {
            assert_fails(&server, &client, request, failure);
        }
        for change in [NEW_USER, NEW_FEATURE] {
            let (status, answer) = server.try_ask(&key, change);
            let told = &answer["errors"][0]["extensions"]["code"];
            assert_eq!(told, code(failure), "{failure:?}: {answer}");
            assert_eq!(status, if failure == SYNC { 200 } else { 503 });
        }
        // What can be read is read, and is what was acknowledged.
        assert_eq!(used(&server, &key, "ada", "calls"), 3, "{failure:?}");
        assert_eq!(used(&server, &key, "ada", "credits"), 1, "{failure:?}");
        assert_eq!(server.data(&key, NEW), everything);
        // What was done before is known under its key, and needs no disk.
        told.assert_repeats(&server, &client);

        disk.recover();
        for request in refused.into_iter().flatten() {
            told.tell(&server, &client, request);
        }
        for change in [NEW_USER, NEW_FEATURE] {
            server.data(&key, change);
        }
        server.signal("KILL");
        server.wait();
        told.assert_kept(disk.path());
        told.assert_repeats(&Server::start(disk.path()), &client);
    }
}

#[test]
fn what_was_refused_does_not_come_back_once_something_else_is_kept() {
    for failure in [SYNC, FULL] {
        let disk = Disk::new();
        let (mut server, key) = disk.start_new();
        let client = Client::new(&key);
        let mut told = Told::default();
        disk.fail(failure);
        assert_fails(&server, &client, &Request::calls("call", 500), failure);
        disk.recover();
        told.tell(&server, &client, Request::call("small"));
        server.signal("KILL");
        server.wait();
        // The large one left more in the log than the small one took the place of.
        told.assert_kept(disk.path());
    }
}

#[test]
fn what_was_refused_last_is_whole_or_absent_after_a_crash_and_counts_once() {
    for failure in [SYNC, FULL] {
        let disk = Disk::new();
        let (mut server, key) = disk.start_new();
        let client = Client::new(&key);
        let mut told = Told::default();
        told.tell(&server, &client, Request::call("before"));
        disk.fail(failure);
        let refused = Request::of_each_kind("refused");
        for request in &refused {
            assert_fails(&server, &client, request, failure);
        }
        server.signal("KILL");
        server.wait();
        disk.recover();
        Books::read(&disk.database()).assert_sound();

        let mut server = Server::start(disk.path());
        for request in refused {
            told.tell(&server, &client, request);
        }
        told.assert_repeats(&server, &client);
        server.signal("KILL");
        server.wait();
        told.assert_kept(disk.path());
    }
}

#[test]
fn what_is_told_while_the_disk_fails_now_and_then_counts_once() {
    let mut random = fastrand::Rng::with_seed(seed());
    let disk = Disk::new();
    let (mut server, key) = disk.start_new();
    let load = Load::start(&server, &key, &mut random);
    for failure in [SYNC, FULL, SYNC_OF_DATABASE, FULL, SYNC, FULL_DATABASE] {
        load.await_answers(random.usize(1..100));
        disk.fail(failure);
        match failure {
            SYNC | FULL => load.await_failures(random.usize(1..50)),
            _ => load.await_answers(random.usize(1..50)),
        }
        if random.bool() {
            server.signal("KILL");
            server.wait();
            disk.recover();
            server = disk.start();
            load.move_to(&server);
        } else {
            disk.recover();
        }
    }
    let told = load.finish();
    told.assert_repeats(&server, &Client::new(&key));
    server.signal("KILL");
    server.wait();
    told.assert_kept(disk.path());
}

/// Tells so much that what is in the log is about to be moved to the database.
fn fill_log(server: &Server, client: &Client, told: &mut Told, name: &str) {
    for batch in 0..USAGES_BETWEEN_MOVES / USAGES_IN_BATCH {
        told.tell(server, client, Request::calls(&format!("{name} {batch}"), USAGES_IN_BATCH));
    }
}

#[test]
fn usage_is_recorded_while_only_the_log_can_be_written() {
    for failure in [SYNC_OF_DATABASE, FULL_DATABASE] {
        let disk = Disk::new();
        let (mut server, key) = disk.start_new();
        let client = Client::new(&key);
        let mut told = Told::default();
        disk.fail(failure);
        fill_log(&server, &client, &mut told, "failing");
        disk.recover();
        fill_log(&server, &client, &mut told, "recovered");
        // In the end the log is written from its beginning again, and so does not grow.
        let started = Instant::now();
        for round in 0.. {
            let before = disk.log_bytes();
            for number in 0..20 {
                told.tell(&server, &client, Request::call(&format!("later-{round}-{number}")));
            }
            if disk.log_bytes() == before {
                break;
            }
            assert!(started.elapsed() < SOON, "{}", server.log());
        }
        server.signal("KILL");
        server.wait();
        told.assert_kept(disk.path());
    }
}

#[test]
fn a_database_that_was_written_in_part_is_mended_from_the_log() {
    for failure in [SYNC_OF_DATABASE, FULL_DATABASE] {
        let disk = Disk::new();
        let (mut server, key) = disk.start_new();
        let client = Client::new(&key);
        let mut told = Told::default();
        let before = std::fs::read(disk.database()).unwrap();
        disk.fail(failure);
        fill_log(&server, &client, &mut told, "failing");
        let started = Instant::now();
        while std::fs::read(disk.database()).unwrap() == before {
            assert!(started.elapsed() < SOON, "{failure:?}: nothing was written to the database");
        }
        server.signal("KILL");
        server.wait();
        disk.recover();
        told.assert_kept(disk.path());
    }
}

/// A server whose database lies on a disk of 82 MiB, of which it leaves 64 free, and of which 16 are taken by
/// something else: more than it writes between two looks at what is free. The disk is the server's alone, and gone with it.
struct SmallDisk {
    dir: TempDir,
    key: String,
    server: Server,
}

impl SmallDisk {
    /// `None` where the operating system does not let us have such a disk.
    fn new() -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let key = init(dir.path());
        std::fs::create_dir(dir.path().join("small")).unwrap();
        let mount = "mount -t tmpfs -o size=82m kana small && cp -a kana-data/. small \
                     && head -c 16777216 /dev/zero > small/ballast";
        let alone = |command: &Command| {
            let mut unshare = Command::new("unshare");
            unshare.args(["--mount", "--map-root-user"]);
            pass_on(&after(mount, command), unshare)
        };
        let tried = alone(Command::new("true").current_dir(dir.path())).output();
        if !tried.as_ref().is_ok_and(|tried| tried.status.success()) {
            note(&format!("not tested on a disk that is nearly full: {tried:?}"));
            return None;
        }
        let mut serve = Server::command(dir.path());
        let server = Server::start_with(&mut alone(serve.args(["--data-dir", "small"])));
        Some(Self { dir, key, server })
    }

    /// The files on it, for whoever is not the server.
    fn path(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.server.pid()));
        let inside = self.dir.path().canonicalize().unwrap().join("small");
        root.join(inside.strip_prefix("/").unwrap())
    }
}

#[test]
fn a_disk_that_is_nearly_full_refuses_until_there_is_room_again() {
    let Some(disk) = SmallDisk::new() else {
        return;
    };
    let SmallDisk { key, server, .. } = &disk;
    prepare(server, key);
    let client = Client::new(key);
    let mut random = fastrand::Rng::with_seed(seed());
    let mut told = Told::default();
    let refused = loop {
        let key = random.u64(..).to_string();
        let request = Request::any_of_one(&mut random, &key);
        match client.send(&server.url, &request) {
            Sent::Answered(answer) => told.add(request, answer),
            other => {
                assert_eq!(other, refusal(FULL));
                break request;
            }
        }
    };
    for request in Request::of_each_kind("full") {
        match client.send(&server.url, &request) {
            // How much is free is asked ten times a second.
            Sent::Answered(answer) => told.add(request, answer),
            other => assert_eq!(other, refusal(FULL), "{request:?}"),
        }
    }
    told.assert_repeats(server, &client);

    std::fs::remove_file(disk.path().join("ballast")).unwrap();
    for request in Request::of_each_kind("room").into_iter().chain([refused]) {
        told.tell(server, &client, request);
    }
    // Nothing is being written: the files as they are now are those of a crash.
    let copy = TempDir::new().unwrap();
    let to = copy.path().join("kana-data");
    let copied = Command::new("cp").arg("-a").args([disk.path(), to]).status().unwrap();
    assert!(copied.success());
    told.assert_kept(copy.path());
}
