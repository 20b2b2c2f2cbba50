use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::cluster::{give_to_server, is_root};

/// Names its socket; nobody listens on this port.
const PORT: u16 = 6432;

/// A PgBouncer between a test and a server. It ends when it is dropped.
pub struct Pooler {
    pooler: Child,
    directory: TempDir,
}

impl Pooler {
    /// Starts one in transaction mode for the server of a URL, with so many connections to it for
    /// each database. `None` where this machine has no PgBouncer, which it says.
    #[must_use]
    pub fn start(server_url: &str, connections: usize) -> Option<Self> {
        Self::start_with(server_url, connections, "")
    }

    /// The same with more settings, a line each. With an `auth_type`, `kana` has the password
    /// `secret`.
    #[must_use]
    #[expect(clippy::print_stdout, reason = "it stands in the output of the test")]
    pub fn start_with(server_url: &str, connections: usize, settings: &str) -> Option<Self> {
        let Some(program) = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"]
            .into_iter()
            .find(|program| std::path::Path::new(program).exists())
        else {
            println!("SKIPPED: this machine has no PgBouncer; ./test installs it");
            return None;
        };
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("pgbouncer.ini");
        let place = directory.path().display();
        let text = format!(
            "[databases]\n* = {}\n[pgbouncer]\nlisten_addr =\nlisten_port = {PORT}\n\
             unix_socket_dir = {place}\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = {connections}\nmax_client_conn = 900\n\
             auth_file = {place}/users.txt\n{settings}\n",
            server(server_url)
        );
        std::fs::write(&file, text).unwrap();
        // Of use with another `auth_type`.
        let users = directory.path().join("users.txt");
        std::fs::write(&users, "\"kana\" \"secret\"\n").unwrap();
        for path in [directory.path(), &file, &users] {
            give_to_server(path);
        }
        let mut command = if is_root() {
            // It refuses to run as root, and must itself be what a test ends.
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", program]);
            command
        } else {
            Command::new(program)
        };
        let mut pooler =
            command.arg(&file).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(pooler.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("process up") {
            let read = log.read_line(&mut said).unwrap();
            assert!(read > 0, "PgBouncer did not start: {said}");
        }
        // Nobody reads on, and a full pipe would stop it.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Some(Self { pooler, directory })
    }

    /// The URL of a database through the pooler.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let socket = self.directory.path().to_str().unwrap().replace('/', "%2F");
        format!("postgres://kana@{socket}:{PORT}/{database}")
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.pooler.kill();
        let _ = self.pooler.wait();
    }
}

/// The server of a URL as PgBouncer's settings have it.
fn server(url: &str) -> String {
    let config: Config = url.parse().unwrap();
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        Some(Host::Unix(path)) => path.to_str().unwrap().to_owned(),
        None => "127.0.0.1".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let mut server = format!("host={host} port={port}");
    if let Some(user) = config.get_user() {
        let _ = write!(server, " user={user}");
    }
    if let Some(password) = config.get_password() {
        let _ = write!(server, " password={}", String::from_utf8_lossy(password));
    }
    server
}
