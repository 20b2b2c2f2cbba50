//! Which core the server has, and which the load. The two must not take each other's time.

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores of this run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cores {
    /// Where the server runs, and where the load; `None` when there is but one core.
    pinned: Option<(usize, usize)>,
}

impl Cores {
    /// Takes the first and the last core that this process may use, and moves the calling thread,
    /// from which the load will come, to the last.
    pub(crate) fn claim() -> Result<Self> {
        let allowed = sched_getaffinity(None).context("cannot ask for the cores")?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let pinned = cores.next().and_then(|first| cores.next_back().map(|last| (first, last)));
        if let Some((_, load)) = pinned {
            pin(load)?;
        }
        Ok(Self { pinned })
    }

    /// Servers and load share all cores, and the kernel says who runs where.
    pub(crate) fn unpinned() -> Self {
        Self { pinned: None }
    }

    /// Does `work` on the server's core: what it starts stays there.
    pub(crate) fn on_the_servers<T>(self, work: impl FnOnce() -> T) -> Result<T> {
        let Some((server, load)) = self.pinned else {
            return Ok(work());
        };
        pin(server)?;
        let done = work();
        pin(load)?;
        Ok(done)
    }

    /// Does `work` where servers and load share both cores, and the kernel says who runs where.
    pub(crate) fn shared<T>(self, work: impl FnOnce(Self) -> T) -> Result<T> {
        let Some((server, load)) = self.pinned else {
            return Ok(work(self));
        };
        move_to(&[server, load])?;
        let done = work(Self { pinned: None });
        pin(load)?;
        Ok(done)
    }

    /// Whether the load has a core to itself, where it may wait by looking again and again.
    pub(crate) fn load_has_its_own(self) -> bool {
        self.pinned.is_some()
    }

    /// In words.
    pub(crate) fn describe(self) -> String {
        match self.pinned {
            Some((server, load)) => {
                format!(
                    "servers are pinned to core {server}, the load generator to core {load}, \
                     but for the case postgres, where all share both"
                )
            }
            None => "there is one core, which servers and load generator share: \
                     the figures say little"
                .to_owned(),
        }
    }
}

fn pin(core: usize) -> Result<()> {
    move_to(&[core])
}

fn move_to(cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    sched_setaffinity(None, &set).with_context(|| format!("cannot move to cores {cores:?}"))
}
