use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::certificates::Certificate;

/// What its user needs to come in.
const PASSWORD: &str = "secret";

/// A server of a test's own, gone without a trace when it is dropped.
pub struct Cluster {
    programs: PathBuf,
    directory: TempDir,
    name: &'static str,
    port: u16,
}

impl Cluster {
    /// Starts one, with an empty database `kana` of the user `kana`. `None` where this machine has no server's programs,
    /// which it says.
    #[must_use]
    #[expect(clippy::print_stdout, reason = "it stands in the output of the test")]
    pub fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            println!("SKIPPED: this machine has no PostgreSQL; ./test installs it");
            return None;
        };
        let directory = TempDir::new().unwrap();
        let cluster = Self { programs, directory, name: "primary", port: free_port() };
        give_to_server(cluster.directory.path());
        let password = cluster.directory.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        give_to_server(&password);
        cluster.program("initdb", |command| {
            command.args([
                "--auth=scram-sha-256",
                "--username=postgres",
                "--no-sync",
                "--encoding=UTF8",
            ]);
            command.arg("--pwfile").arg(&password).arg("--pgdata").arg(cluster.data());
        });
        cluster.begin();
        // Kana needs no more rights than these.
        cluster.administrate(&format!("CREATE ROLE kana LOGIN PASSWORD '{PASSWORD}'"));
        cluster.administrate("CREATE DATABASE kana OWNER kana");
        Some(cluster)
    }

    /// A read-only copy that follows it.
    #[must_use]
    pub fn standby(&self) -> Self {
        let standby = Self {
            programs: self.programs.clone(),
            directory: TempDir::new().unwrap(),
            name: "standby",
            port: free_port(),
        };
        give_to_server(standby.directory.path());
        let source = self.server_url();
        standby.program("pg_basebackup", |command| {
            command.args(["--write-recovery-conf", "--no-sync", "--checkpoint=fast"]);
            command.arg("--dbname").arg(source).arg("--pgdata").arg(standby.data());
        });
        standby.begin();
        standby
    }

    /// The URL of the database `kana`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://kana:{PASSWORD}@{}/kana", self.address())
    }

    /// The address, and nothing that opens it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Runs a statement as the one who may do anything.
    pub fn administrate(&self, statement: &str) {
        crate::run(&self.server_url(), statement);
    }

    /// Returns the URL of a database for the superuser.
    #[must_use]
    pub fn administrator_url(&self, database: &str) -> String {
        format!("postgres://postgres:{PASSWORD}@{}/{database}", self.address())
    }

    fn server_url(&self) -> String {
        self.administrator_url("postgres")
    }

    /// Starts the server again and waits until it answers.
    pub fn begin(&self) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off \
             -c max_connections=50 -c shared_buffers=16MB",
            self.port
        );
        self.program("pg_ctl", |command| {
            command.args(["start", "--silent", "--wait", "--options", &options]);
            command.arg("--log").arg(self.directory.path().join("log"));
            command.arg("--pgdata").arg(self.data());
        });
    }

    /// Stops the server at once, as if it had been killed: what was not committed is gone.
    pub fn kill(&self) {
        self.program("pg_ctl", |command| {
            command.args(["stop", "--silent", "--wait", "--mode=immediate", "--pgdata"]);
            command.arg(self.data());
        });
    }

    /// Lets the server offer TLS with this certificate, and know the client certificates of an
    /// authority (PEM). Starts it again.
    pub fn use_tls(&self, certificate: &Certificate, clients: &str) {
        self.write("server.crt", &certificate.chain);
        self.write("server.key", &certificate.key);
        self.write("clients.crt", clients);
        self.administrate("ALTER SYSTEM SET ssl = on");
        self.administrate("ALTER SYSTEM SET ssl_ca_file = 'clients.crt'");
        self.restart();
    }

    /// Replaces the rules of who may connect how (`pg_hba.conf`), and starts the server again.
    pub fn use_access_rules(&self, rules: &str) {
        self.write("pg_hba.conf", rules);
        self.restart();
    }

    /// Starts the server again, with the settings as they are now.
    pub fn restart(&self) {
        self.program("pg_ctl", |command| {
            command.args(["restart", "--silent", "--wait", "--mode=fast", "--log"]);
            command.arg(self.directory.path().join("log")).arg("--pgdata").arg(self.data());
        });
    }

    /// Writes a file that only the server can read.
    fn write(&self, name: &str, content: &str) {
        let path = self.data().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        give_to_server(&path);
    }

    /// Makes a standby a primary.
    pub fn promote(&self) {
        self.program("pg_ctl", |command| {
            command.args(["promote", "--silent", "--wait", "--pgdata"]).arg(self.data());
        });
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join(self.name)
    }

    /// Runs one of the server's programs as the user that the server must run as.
    fn program(&self, name: &str, with: impl FnOnce(&mut Command)) {
        let output = self.try_program(name, with);
        assert!(output.status.success(), "{name}: {output:?}");
    }

    fn try_program(&self, name: &str, with: impl FnOnce(&mut Command)) -> std::process::Output {
        let program = self.programs.join(name);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        with(&mut command);
        // The server outlives what starts it, and would keep pipes open.
        let said = self.directory.path().join("said");
        let file = std::fs::File::create(&said).unwrap();
        let status = command
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .status()
            .unwrap();
        let stderr = std::fs::read(&said).unwrap_or_default();
        std::process::Output { status, stdout: Vec::new(), stderr }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.try_program("pg_ctl", |command| {
            command.args(["stop", "--silent", "--wait", "--mode=immediate", "--pgdata"]);
            command.arg(self.data());
        });
    }
}

/// Where the newest server's programs are: on the path, or where Debian has them.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has_all = |place: &PathBuf| {
        ["initdb", "pg_ctl", "pg_basebackup"].iter().all(|name| place.join(name).exists())
    };
    let on_path = std::env::split_paths(&path).find(has_all);
    on_path.or_else(|| {
        let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
        let number =
            |place: &PathBuf| place.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
        let newest = versions.filter_map(|place| Some(place.ok()?.path())).max_by_key(number)?;
        Some(newest.join("bin")).filter(has_all)
    })
}

pub(crate) fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout.trim_ascii() == b"0"
}

/// PostgreSQL refuses to run as root, and so runs as the user that Debian made for it.
pub(crate) fn give_to_server(path: &Path) {
    if is_root() {
        let given = Command::new("chown").arg("postgres").arg(path).status().unwrap();
        assert!(given.success());
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
