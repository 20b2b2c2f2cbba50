//! The constant route, which is this program itself.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::constant::LISTENING;
use crate::cores::Cores;
use crate::load::usage::Usage;
use crate::process::Process;
use crate::stop::Stop;

/// A server that answers a constant.
pub(crate) struct Constant {
    process: Process,
    pub(crate) address: SocketAddr,
}

impl Constant {
    /// Starts one with the body and the media type of every answer.
    pub(crate) fn start(answer: &str, media_type: &str, cores: Cores, stop: &Stop) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new(program);
        command.args(["constant", "--answer", answer, "--media-type", media_type]);
        let mut process =
            Process::start_server("the constant route", &mut command, cores, Signal::TERM)?;
        let address = process.wait_for_line(stop, |line| {
            line.strip_prefix(LISTENING).and_then(|address| address.parse().ok())
        })?;
        Ok(Self { process, address })
    }

    /// What it takes of the machine.
    pub(crate) fn usage(&self) -> Usage {
        Usage::of(self.process.id())
    }
}
