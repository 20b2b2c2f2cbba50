use std::io::{BufWriter, Write};
use std::path::Path;

use kana_service::{Clock, EnvironmentKind, SystemClock};
use kana_store::Store;
use kana_store::transfer::{self, Scope, Tally};

use super::progress::Bar;
use super::whole_file::WholeFile;
use super::{Failure, describe, open_existing};
use crate::settings::ExportSettings;

/// How much is written at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// Writes everything, or one environment, to a file or to standard output.
pub(crate) async fn run(settings: ExportSettings) -> Result<(), Failure> {
    let environments = match settings.env {
        Some(env) => vec![env.into()],
        None => EnvironmentKind::ALL.to_vec(),
    };
    let scope = Scope { environments, token_secrets: settings.token_secrets, user: None };
    let file = settings.out.filter(|path| path.as_os_str() != "-");
    if let Some(path) = &file {
        WholeFile::refuse_existing(path)?;
    }
    let store = open_existing(&settings.database).await?;
    let tally = match &file {
        Some(path) => to_file(store.as_ref(), &scope, path).await?,
        None => to(store.as_ref(), &scope, std::io::stdout().lock()).await?,
    };
    tracing::info!("exported {}", describe(&tally));
    if settings.token_secrets {
        tracing::warn!("the export holds the secrets that sign user tokens: keep it as secret");
    }
    Ok(())
}

async fn to(store: &dyn Store, scope: &Scope, out: impl Write) -> Result<Tally, Failure> {
    let out = BufWriter::with_capacity(BUFFER_BYTES, out);
    let bar = Bar::of_records();
    let now = SystemClock.now();
    let mut show = |progress| bar.show(progress);
    transfer::export(store, scope, out, now, &mut show).await.map_err(Failure::Export)
}

/// Writes to a file that is there once it is whole.
async fn to_file(store: &dyn Store, scope: &Scope, path: &Path) -> Result<Tally, Failure> {
    let mut file = WholeFile::create(path)?;
    let tally = tokio::select! {
        tally = to(store, scope, file.as_file_mut()) => tally?,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            return Err(Failure::Interrupted);
        }
    };
    file.finish()?;
    Ok(tally)
}
