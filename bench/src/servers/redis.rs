//! Redis that makes every write durable before it answers.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::find_program;
use crate::cores::Cores;
use crate::load::redis::load_script;
use crate::load::usage::Usage;
use crate::process::Process;
use crate::stop::Stop;

const PROGRAM: &str = "redis-server";

/// A server with the script.
pub(crate) struct Redis {
    process: Process,
    pub(crate) address: SocketAddr,
    /// The name under which the script is called.
    pub(crate) script: String,
}

impl Redis {
    /// Starts one with its data in the directory `data_dir`, which exists.
    pub(crate) fn start(data_dir: &Path, cores: Cores, stop: &Stop) -> Result<Self> {
        let program = find_program(PROGRAM)?;
        // Redis cannot pick a port by itself; this one was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new(program);
        command
            .args(["--port", &address.port().to_string(), "--bind", "127.0.0.1"])
            .args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""])
            // Rewriting the log now and then would take time in some rounds and not in others.
            .args(["--auto-aof-rewrite-percentage", "0", "--dir"])
            .arg(data_dir)
            .current_dir(data_dir);
        let mut process = Process::start_server("redis-server", &mut command, cores, Signal::TERM)?;
        process.wait_for_line(stop, |line| {
            line.contains("Ready to accept connections").then_some(())
        })?;
        let script = load_script(address).context("cannot give Redis the script")?;
        Ok(Self { process, address, script })
    }

    /// What it takes of the machine.
    pub(crate) fn usage(&self) -> Usage {
        Usage::of(self.process.id())
    }
}

/// The release that is installed.
pub(crate) fn version() -> Result<String> {
    let output = Command::new(find_program(PROGRAM)?).arg("--version").output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_whitespace().find_map(|word| word.strip_prefix("v="));
    version.map(str::to_owned).context("redis-server does not tell its version")
}
