use std::fs::File;
use std::io::{BufReader, Read};

use kana_service::{Actor, Clock as _, SystemClock};
use kana_store::transfer::{self, ImportedBy};

use super::progress::Bar;
use super::{Failure, describe, open};
use crate::settings::ImportSettings;

/// The size of a read.
const BUFFER_BYTES: usize = 256 * 1024;

/// Imports an export into an empty database.
pub(crate) async fn run(settings: ImportSettings) -> Result<(), Failure> {
    let (input, bytes): (Box<dyn Read + Send>, _) = if settings.file.as_os_str() == "-" {
        (Box::new(std::io::stdin()), None)
    } else {
        let failed = |error| Failure::File(settings.file.clone(), error);
        let file = File::open(&settings.file).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        (Box::new(file), metadata.is_file().then_some(metadata.len()))
    };
    let input = BufReader::with_capacity(BUFFER_BYTES, input);
    let store = open(&settings.database).await?;
    let bar = Bar::of_bytes(bytes);
    let mut show = |progress| bar.show(progress);
    let by = ImportedBy { actor: Actor::CommandLine, at: SystemClock.now() };
    let imported = transfer::import(store.as_ref(), input, Some(&by), &mut show).await;
    let (scope, tally) = imported.map_err(Failure::Import)?;
    drop(bar);
    tracing::info!("imported, and read back the same: {}", describe(&tally));
    if !scope.token_secrets {
        tracing::info!(
            "the export holds no token secrets: user tokens that were signed before are no longer \
             good, and servers make a new secret when they need one"
        );
    }
    Ok(())
}
