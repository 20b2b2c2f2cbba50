//! What the checks read of this engine.

use kana_core::Timestamp;

use super::PostgresStore;
use super::inspected::Inspection;
use super::transfer::begin;
use crate::check::{self, Finding};
use crate::deadlines::within;
use crate::error::StoreError;

/// Sessions are set for statements that find few rows. These read all, and sort them.
const WHOLE: &str = "SET LOCAL enable_seqscan = on; SET LOCAL enable_bitmapscan = on; \
    SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on; \
    SET LOCAL plan_cache_mode = auto";

impl PostgresStore {
    /// Checks everything that the database holds, as it is now, also while servers write to it. Passes on
    /// what is wrong with it.
    ///
    /// Fails if the database is away; what it cannot read is a finding.
    pub async fn check(
        &self,
        now: Timestamp,
        found: &mut (dyn FnMut(Finding) + Send),
    ) -> Result<(), StoreError> {
        let connections = &self.shared.connections;
        let connection = begin(&self.shared, &connections.session.begin_read).await?;
        let silence = connections.deadlines.transfer;
        within(silence, connection.batch_execute(WHOLE)).await?;
        check::run(&mut Inspection { connection, silence }, now, found).await
    }
}
