//! Running the program, and a server of it that ends with its test.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a line of the log may take to come.
const LOG_TIME: Duration = Duration::from_secs(30);

fn binary() -> std::path::PathBuf {
    std::env::var_os("KANA_TEST_BINARY")
        .map_or_else(|| env!("CARGO_BIN_EXE_kana").into(), Into::into)
}

/// The program with `arguments` in the directory `in_dir`, with nothing set from outside.
pub(crate) fn kana<A: AsRef<OsStr>>(in_dir: &Path, arguments: &[A]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).current_dir(in_dir).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if ["KANA_", "OTEL_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}

/// A shell that does `first`, and then becomes `command`.
pub(crate) fn after(first: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{first} && exec \"$0\" \"$@\"")]);
    pass_on(command, shell)
}

/// Has a program run `command`, which it takes as its last arguments.
pub(crate) fn pass_on(command: &Command, mut to: Command) -> Command {
    to.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    if let Some(directory) = command.get_current_dir() {
        to.current_dir(directory);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => to.env(name, value),
            None => to.env_remove(name),
        };
    }
    to
}

/// Runs the program to its end.
pub(crate) fn run(in_dir: &Path, arguments: &[&str]) -> Output {
    kana(in_dir, arguments).output().unwrap()
}

/// Says what a test has measured, or could not check on this machine.
#[expect(clippy::print_stdout, reason = "it stands in the output of the test")]
pub(crate) fn note(text: &str) {
    println!("{text}");
}

/// Makes the app and answers its test key.
pub(crate) fn init(in_dir: &Path) -> String {
    init_with(in_dir, &[])
}

/// The same, with more settings.
pub(crate) fn init_with(in_dir: &Path, settings: &[&str]) -> String {
    let keys = run(in_dir, &[&["init"], settings].concat());
    assert!(keys.status.success(), "{}", text(&keys.stderr));
    let key = text(&keys.stdout).lines().next().unwrap();
    key.strip_prefix("KANA_DEV_KEY=").unwrap().to_owned()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A server that listens on a free port, in a directory of its own unless it is given one.
pub(crate) struct Server {
    child: Child,
    stdout: Option<ChildStdout>,
    log: Arc<Mutex<String>>,
    log_reader: Option<JoinHandle<()>>,
    pub(crate) url: String,
}

impl Server {
    /// Starts a server and waits until it says that it is ready.
    pub(crate) fn start(in_dir: &Path) -> Self {
        Self::start_with(&mut Self::command(in_dir))
    }

    /// What starts a server on a free port, to be given more before it is started.
    pub(crate) fn command(in_dir: &Path) -> Command {
        kana(in_dir, &["serve", "--listen", "127.0.0.1:0"])
    }

    /// Starts a server and waits until it says that it is ready.
    pub(crate) fn start_with(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let url = loop {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).unwrap() > 0, "no server: {}", log.lock().unwrap());
            log.lock().unwrap().push_str(&line);
            let entry: Value = serde_json::from_str(&line).unwrap();
            if let Some(address) = entry["address"].as_str() {
                break format!("http://{address}");
            }
        };
        let log_reader = std::thread::spawn({
            let log = Arc::clone(&log);
            move || {
                for line in lines.lines().map_while(Result::ok) {
                    log.lock().unwrap().push_str(&(line + "\n"));
                }
            }
        });
        let stdout = child.stdout.take();
        Self { child, stdout, log, log_reader: Some(log_reader), url }
    }

    /// Starts a server on a database that others can share.
    pub(crate) fn start_on(in_dir: &Path, database_url: &str) -> Self {
        Self::start_with(Self::command(in_dir).args(["--database-url", database_url]))
    }

    /// Starts a server on an empty directory and answers its test key with it.
    pub(crate) fn start_new(in_dir: &TempDir) -> (Self, String) {
        let key = init(in_dir.path());
        (Self::start(in_dir.path()), key)
    }

    /// Sends a GraphQL request and answers the response body.
    pub(crate) fn ask(&self, key: &str, query: &str, variables: &Value) -> Value {
        let request = json!({ "query": query, "variables": variables });
        ureq::post(format!("{}/graphql", self.url))
            .header("Authorization", key)
            .send_json(request)
            .unwrap()
            .body_mut()
            .read_json()
            .unwrap()
    }

    /// Sends a GraphQL request that may fail. Returns the status and the response body.
    pub(crate) fn try_ask(&self, key: &str, query: &str) -> (u16, Value) {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let mut response = agent
            .post(format!("{}/graphql", self.url))
            .header("Authorization", key)
            .send_json(json!({ "query": query }))
            .unwrap();
        (response.status().as_u16(), response.body_mut().read_json().unwrap())
    }

    /// Sends a GraphQL request that must succeed and answers its data.
    pub(crate) fn data(&self, key: &str, query: &str) -> Value {
        let mut answer = self.ask(key, query, &json!({}));
        assert!(answer.get("errors").is_none(), "{answer}");
        answer["data"].take()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Opens a connection to it.
    pub(crate) fn connect(&self) -> TcpStream {
        TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Returns the first lines of its standard output while it runs.
    pub(crate) fn first_lines(&mut self, lines: usize) -> String {
        let out = BufReader::new(self.stdout.take().unwrap());
        out.lines().take(lines).map(|line| line.unwrap() + "\n").collect()
    }

    /// Waits for the server to end, and answers how, and what it wrote to standard output.
    pub(crate) fn wait(&mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        let mut out = String::new();
        self.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.log_reader.take().unwrap().join().unwrap();
        (status, out)
    }

    /// What the server has logged so far; all of it once it has ended.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log contains `what`. The log may lag behind the answers.
    pub(crate) fn await_log(&self, what: &str) {
        let since = Instant::now();
        while !self.log().contains(what) {
            assert!(since.elapsed() < LOG_TIME, "{what}: {}", self.log());
            std::thread::yield_now();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
